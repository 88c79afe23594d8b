// The authentication service: takes credentials, gives tokens.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_AUTH_SERVICE_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_AUTH_SERVICE_H_

#include <grpcpp/server_context.h>

#include <atomic>
#include <cstdint>

#include "ingest_server/authenticator.h"
#include "proto/rpc/v1/auth.grpc.pb.h"

namespace ingest {

// How often clients have tried to authenticate.
struct AuthenticationCounts {
  uint64_t granted = 0;
  uint64_t refused = 0;
};

// Thread-safe.
class AuthService final : public proto::rpc::v1::AuthService::Service {
 public:
  // It must outlive this. Null: UNIMPLEMENTED, as the server knows nobody.
  explicit AuthService(Authenticator* authenticator) : authenticator_(authenticator) {}

  AuthenticationCounts counts() const { return {granted_, refused_}; }

  grpc::Status Authenticate(grpc::ServerContext* context,
                            const proto::rpc::v1::AuthenticateRequest* request,
                            proto::rpc::v1::AuthenticateResponse* response) override;

 private:
  Authenticator* const authenticator_;
  std::atomic<uint64_t> granted_ = 0;
  std::atomic<uint64_t> refused_ = 0;
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_AUTH_SERVICE_H_
