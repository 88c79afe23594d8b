// Where a cloud of tests gives tokens, and takes them back.
#ifndef DATAMANAGER_TESTS_SUPPORT_TOKEN_OFFICE_H_
#define DATAMANAGER_TESTS_SUPPORT_TOKEN_OFFICE_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "proto/rpc/v1/auth.grpc.pb.h"

namespace datamanager::testing {

// What makes a JSON Web Token of its claims, for who does not verify it.
inline std::string UnsignedJwt(const std::string& claims) {
  const auto encoded = [](const std::string& text) {
    std::string result = absl::WebSafeBase64Escape(text);
    while (result.ends_with('=')) result.pop_back();
    return result;
  };
  return encoded(R"({"alg":"none"})") + "." + encoded(claims) + "." + encoded("signature");
}

// An AuthService, and the check of the other services' calls, which demand nothing until Demand.
// The functions are set while nobody calls. Thread-safe.
class TokenOffice final : public proto::rpc::v1::AuthService::Service {
 public:
  // Only these credentials get a token.
  void Demand(std::string type, std::string entity, std::string payload) {
    const std::lock_guard lock(mutex_);
    demands_ = true;
    type_ = std::move(type);
    entity_ = std::move(entity);
    payload_ = std::move(payload);
  }
  // A token is over once it has let in so many calls; 0: never.
  void SetCallsPerToken(int calls) {
    const std::lock_guard lock(mutex_);
    calls_per_token_ = calls;
  }
  // What a call hears whose token is over.
  void SetRejection(grpc::Status status) {
    const std::lock_guard lock(mutex_);
    rejection_ = std::move(status);
  }
  // From here on the tokens it gives let nobody in.
  void GiveUselessTokens() {
    const std::lock_guard lock(mutex_);
    useless_ = true;
  }
  // All tokens given so far are over.
  void Expire() {
    const std::lock_guard lock(mutex_);
    valid_.clear();
  }

  // Makes the n-th token, from 1 on.
  std::function<std::string(int)> make_token = [](int n) { return "token-" + std::to_string(n); };
  // Comes first; what is not OK is the answer of Authenticate.
  std::function<grpc::Status(grpc::ServerContext&)> on_authenticate = [](grpc::ServerContext&) {
    return grpc::Status::OK;
  };

  // How often Authenticate was called, and how many of the calls gave a token.
  int authenticates() const {
    const std::lock_guard lock(mutex_);
    return authenticates_;
  }
  int tokens() const {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }
  // How many calls were let in, and how many were not.
  int let_in() const {
    const std::lock_guard lock(mutex_);
    return let_in_;
  }
  int rejected() const {
    const std::lock_guard lock(mutex_);
    return rejected_;
  }
  // Whether Authenticate ever came with a token, which real servers refuse.
  bool authenticated_twice() const {
    const std::lock_guard lock(mutex_);
    return authenticated_twice_;
  }

  // Whether a call may go on.
  grpc::Status Check(const grpc::ServerContext& context) {
    const std::string header = HeaderOf(context);
    const std::lock_guard lock(mutex_);
    if (!demands_) return grpc::Status::OK;
    const auto token = valid_.find(header);
    if (token == valid_.end()) {
      ++rejected_;
      return rejection_;
    }
    ++let_in_;
    if (++token->second == calls_per_token_) valid_.erase(token);
    return grpc::Status::OK;
  }

  static std::string HeaderOf(const grpc::ServerContext& context) {
    const auto header = context.client_metadata().find("authorization");
    if (header == context.client_metadata().end()) return {};
    return {header->second.data(), header->second.size()};
  }

 private:
  grpc::Status Authenticate(grpc::ServerContext* context,
                            const proto::rpc::v1::AuthenticateRequest* request,
                            proto::rpc::v1::AuthenticateResponse* response) override {
    {
      const std::lock_guard lock(mutex_);
      ++authenticates_;
      if (!HeaderOf(*context).empty()) authenticated_twice_ = true;
    }
    if (grpc::Status status = on_authenticate(*context); !status.ok()) return status;
    const std::lock_guard lock(mutex_);
    if (request->credentials().type() != type_ || request->entity() != entity_ ||
        request->credentials().payload() != payload_) {
      return {grpc::StatusCode::UNAUTHENTICATED, "invalid credentials"};
    }
    response->set_access_token(make_token(++tokens_));
    if (!useless_) valid_["Bearer " + response->access_token()] = 0;
    return grpc::Status::OK;
  }

  mutable std::mutex mutex_;
  bool demands_ = false;
  bool useless_ = false;
  std::string type_;
  std::string entity_;
  std::string payload_;
  int calls_per_token_ = 0;
  grpc::Status rejection_{grpc::StatusCode::UNAUTHENTICATED, "unauthenticated: token expired"};
  std::map<std::string, int> valid_;  // By header: how many calls each has let in.
  int authenticates_ = 0;
  int tokens_ = 0;
  int let_in_ = 0;
  int rejected_ = 0;
  bool authenticated_twice_ = false;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_TOKEN_OFFICE_H_
