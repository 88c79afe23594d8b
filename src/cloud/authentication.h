// Who the robot is, to the cloud: gets tokens for its credentials, and knows when one is over.
#ifndef DATAMANAGER_SRC_CLOUD_AUTHENTICATION_H_
#define DATAMANAGER_SRC_CLOUD_AUTHENTICATION_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/logger.h"
#include "base/mutex.h"
#include "cloud/credentials.h"
#include "cloud/token_policy.h"
#include "datamanager/clock.h"

namespace datamanager::cloud {

// One token, shared by the calls that carry it; two are the same only if they are one object.
using Token = std::shared_ptr<const std::string>;

// Whether the server lets us in.
struct Admission {
  enum class State : uint8_t {
    kPending,  // It has not been asked yet.
    kGranted,  // Or it was, and a new token is on its way.
    kDenied,   // There is no token to be had; it is tried again.
  };
  State state = State::kPending;
  std::string error;        // If denied: what failed, why, and what to do.
  bool needs_hand = false;  // If denied: trying again will hardly help.
};

// Takes `secrets` out of a text that comes from elsewhere: the one place that does.
std::string Scrub(std::string text, std::initializer_list<std::string_view> secrets);

// Keeps a token for one channel. One thread runs it and calls Authenticate: at first, ahead of a
// token's end, after a rejection, and again and again after a failure, with growing intervals; so
// there is never more than one such call. It calls nothing while the channel is not READY, and
// wakes no idle one.
//
// All but Run is thread-safe.
class Authentication {
 public:
  struct Options {
    std::chrono::milliseconds timeout{10000};  // For the answer to Authenticate.
    const Clock* clock = &Clock::System();
  };

  // `on_change` is called when admission() has changed, on any thread, without a lock; it must not
  // block. The channel must not be kept alive by others than its owner.
  Authentication(Credentials credentials, const std::shared_ptr<grpc::Channel>& channel,
                 std::shared_ptr<Logger> logger, Options options, std::function<void()> on_change);

  // Until the stop, which also ends a call under way.
  void Run(const std::stop_token& stop);

  // The state of the channel has changed.
  void SetChannelReady(bool ready) DM_EXCLUDES(mutex_);

  Admission admission() const DM_EXCLUDES(mutex_);
  bool Admitted() const DM_EXCLUDES(mutex_);

  // The current token. nullopt: a new one is on its way, which takes as long as the timeout at
  // most. UNAUTHENTICATED with what failed, or UNAVAILABLE if the connection is lost.
  std::optional<absl::StatusOr<Token>> TryGet() const DM_EXCLUDES(mutex_);
  // The current token, or null.
  Token Current() const DM_EXCLUDES(mutex_);

  // A call that carried `token` has ended so. Whether it is to be repeated, at once and with
  // another token, which TryGet then returns; never if `is_repeat`. Does not block.
  bool CallEnded(const Token& token, const absl::Status& status, bool is_repeat)
      DM_EXCLUDES(mutex_);

  // What the server said, to a call that carried `token` if it is not null: without the secret and
  // the tokens, should it have repeated them.
  std::string Scrubbed(std::string text, const Token& token) const DM_EXCLUDES(mutex_);

 private:
  // Blocks until Authenticate is due; false: stopped.
  bool AwaitDue(const std::stop_token& stop) DM_EXCLUDES(mutex_);
  void Authenticate(const std::stop_token& stop) DM_EXCLUDES(mutex_);
  // The token, or what went wrong, in the server's words.
  absl::StatusOr<Token> Call(const std::shared_ptr<grpc::Channel>& channel,
                             const std::stop_token& stop) const;
  void Grant(Token token, MonotonicTime begin) DM_EXCLUDES(mutex_);
  void Fail(const absl::Status& status) DM_EXCLUDES(mutex_);
  void Deny(const absl::Status& status) DM_REQUIRES(mutex_);
  void Changed() DM_REQUIRES(mutex_);
  std::string Explain(const absl::Status& status) const;

  const Credentials credentials_;
  const std::weak_ptr<grpc::Channel> channel_;
  const std::shared_ptr<Logger> logger_;
  const Options options_;
  const std::function<void()> on_change_;

  mutable Mutex mutex_;
  CondVar changed_;
  uint64_t changes_ DM_GUARDED_BY(mutex_) = 0;
  bool channel_ready_ DM_GUARDED_BY(mutex_) = false;
  TokenState state_ DM_GUARDED_BY(mutex_);
  Token token_ DM_GUARDED_BY(mutex_);  // Null without one.
  Admission admission_ DM_GUARDED_BY(mutex_);
  bool renewal_failed_ DM_GUARDED_BY(mutex_) = false;  // Said since the last token.
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_AUTHENTICATION_H_
