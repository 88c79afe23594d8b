#include "ingest_server/upload_call.h"

#include <cstdio>
#include <string_view>

#include "absl/status/statusor.h"
#include "ingest_server/bearer.h"
#include "ingest_server/rpc_status.h"

namespace ingest {

absl::Status CheckClient(Authenticator* authenticator, const grpc::ServerContext& context) {
  if (authenticator == nullptr) return absl::OkStatus();
  const absl::StatusOr<std::string_view> token = BearerOf(context);
  return token.ok() ? authenticator->CheckToken(*token) : token.status();
}

std::string UploadKey(const grpc::ServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(kUploadKey);
  if (found == metadata.end()) return "";
  return {found->second.data(), found->second.size()};
}

grpc::Status NotStored(const absl::Status& status) {
  // A client that goes away is nothing special.
  if (!absl::IsCancelled(status)) {
    std::fprintf(stderr, "ingest_server: not stored: %s\n", status.ToString().c_str());
  }
  return ToGrpc(status);
}

}  // namespace ingest
