#include "ingest_server/upload_call.h"

#include <cstdio>
#include <string_view>

#include "absl/status/statusor.h"
#include "ingest_server/bearer.h"
#include "ingest_server/rpc_status.h"

namespace ingest {
namespace {

// Of the request's metadata; empty if there is none.
std::string Entry(const grpc::ServerContext& context, const char* name) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(name);
  if (found == metadata.end()) return "";
  return {found->second.data(), found->second.size()};
}

}  // namespace

absl::Status CheckClient(Authenticator* authenticator, const grpc::ServerContext& context) {
  if (authenticator == nullptr) return absl::OkStatus();
  const absl::StatusOr<std::string_view> token = BearerOf(context);
  return token.ok() ? authenticator->CheckToken(*token) : token.status();
}

absl::Status CheckPart(Authenticator* authenticator, const grpc::ServerContext& context,
                       std::string_view part_id) {
  if (authenticator == nullptr) return absl::OkStatus();
  const absl::StatusOr<std::string_view> token = BearerOf(context);
  return token.ok() ? authenticator->CheckPart(*token, part_id) : token.status();
}

std::string UploadKey(const grpc::ServerContext& context) { return Entry(context, kUploadKey); }

std::string ContentSha256(const grpc::ServerContext& context) {
  return Entry(context, kContentSha256);
}

grpc::Status NotStored(const absl::Status& status) {
  // A client that goes away is nothing special.
  if (!absl::IsCancelled(status)) {
    std::fprintf(stderr, "ingest_server: not stored: %s\n", status.ToString().c_str());
  }
  return ToGrpc(status);
}

}  // namespace ingest
