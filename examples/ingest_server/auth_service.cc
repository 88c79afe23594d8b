#include "ingest_server/auth_service.h"

#include <cstdio>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "ingest_server/bearer.h"
#include "ingest_server/rpc_status.h"

namespace ingest {
namespace {

absl::StatusOr<std::string> Exchange(Authenticator& authenticator,
                                     const grpc::ServerContext& context,
                                     const proto::rpc::v1::AuthenticateRequest& request) {
  if (BearerOf(context).ok()) {
    return absl::InvalidArgumentError("already authenticated; cannot re-authenticate");
  }
  if (!request.has_credentials()) return absl::InvalidArgumentError("credentials required");
  return authenticator.Authenticate(request.credentials().type(), request.entity(),
                                    request.credentials().payload());
}

}  // namespace

grpc::Status AuthService::Authenticate(grpc::ServerContext* context,
                                       const proto::rpc::v1::AuthenticateRequest* request,
                                       proto::rpc::v1::AuthenticateResponse* response) {
  if (authenticator_ == nullptr) {
    return {grpc::StatusCode::UNIMPLEMENTED, "this server takes no credentials"};
  }
  absl::StatusOr<std::string> token = Exchange(*authenticator_, *context, *request);
  if (!token.ok()) {
    ++refused_;
    // Not whose: what a client sends as its name may be its secret by mistake.
    std::fprintf(stderr, "ingest_server: not authenticated: %s: %s\n", context->peer().c_str(),
                 token.status().ToString().c_str());
    return ToGrpc(token.status());
  }
  ++granted_;
  response->set_access_token(*std::move(token));
  return grpc::Status::OK;
}

}  // namespace ingest
