// When to authenticate. Pure functions of what is known and the time.
#ifndef DATAMANAGER_SRC_CLOUD_TOKEN_POLICY_H_
#define DATAMANAGER_SRC_CLOUD_TOKEN_POLICY_H_

#include <chrono>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "datamanager/clock.h"

namespace datamanager::cloud {

// What is known of the current token, and of the tries to get one.
struct TokenState {
  bool has_token = false;
  bool proven = false;  // A call with it has succeeded.
  MonotonicTime obtained;
  std::optional<MonotonicTime> renewal;  // Ahead of its end, if that is known.
  // How often in a row Authenticate failed, or gave a token with which no call succeeded.
  int failures = 0;
  MonotonicTime not_before;               // When Authenticate may be called again.
  MonotonicTime permission_denied_until;  // PERMISSION_DENIED renews nothing until then.
};

// When Authenticate is to be called; nullopt: not before a call is rejected.
std::optional<MonotonicTime> AuthenticateDue(const TokenState& state);

// The wait after the n-th failure in a row: 1 s, doubled, at most 2 min, of which `random` of
// [0, 1) takes up to a half away, so that a fleet does not come back as one.
std::chrono::milliseconds AuthenticateDelay(int failures, double random);

// Authenticate, called at `begin`, has given a token that is good for `lifetime`. It is renewed
// when 80 to 90 % of that have passed, by `random` of [0, 1): a fleet that started together does
// not renew its tokens together.
TokenState AfterGrant(const TokenState& before, MonotonicTime begin,
                      std::optional<std::chrono::milliseconds> lifetime, double random);

// Authenticate has failed. A token that is there may still be good.
TokenState AfterFailure(const TokenState& before, MonotonicTime now, double random);

// A call with the current token has succeeded.
TokenState AfterSuccess(const TokenState& before);

// Whether a call was rejected for who made it.
bool IsRejection(const absl::Status& status);

enum class Reaction : uint8_t {
  kNone,      // It is about that call.
  kRenew,     // The token is over: get another.
  kMistrust,  // The server does not take the token that it just gave: that is a failure, too.
};

// What a rejection of the current token means. A token that has worked, or is some seconds old, is
// over. PERMISSION_DENIED may also be about the one file that was to be uploaded: when a repeat
// with a new token ends so too, that code renews nothing for a minute. `is_repeat`: the call had
// been rejected before, with another token.
Reaction Judge(const TokenState& state, absl::StatusCode code, bool is_repeat, MonotonicTime now);
TokenState AfterRejection(const TokenState& before, absl::StatusCode code, bool is_repeat,
                          MonotonicTime now, double random);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_TOKEN_POLICY_H_
