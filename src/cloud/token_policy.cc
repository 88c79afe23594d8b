#include "cloud/token_policy.h"

#include <algorithm>

namespace datamanager::cloud {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""min;

constexpr std::chrono::milliseconds kFirstDelay = 1s;
constexpr std::chrono::milliseconds kLongestDelay = 2min;
// For how long a token that no call has succeeded with cannot be over yet.
constexpr std::chrono::seconds kFresh = 10s;
constexpr std::chrono::minutes kPermissionPause = 1min;
// The part of a token's life after which it is renewed, at the earliest, and the spread of that.
constexpr double kEarliestRenewal = 0.8;
constexpr double kRenewalSpread = 0.1;

// Without a token, from a moment on.
TokenState Without(const TokenState& before, int failures, MonotonicTime not_before) {
  TokenState state = before;
  state.has_token = false;
  state.renewal = std::nullopt;
  state.failures = failures;
  state.not_before = not_before;
  return state;
}

}  // namespace

std::optional<MonotonicTime> AuthenticateDue(const TokenState& state) {
  if (!state.has_token) return state.not_before;
  if (!state.renewal.has_value()) return std::nullopt;
  return std::max(*state.renewal, state.not_before);
}

std::chrono::milliseconds AuthenticateDelay(int failures, double random) {
  std::chrono::milliseconds delay = kFirstDelay;
  for (int i = 1; i < failures && delay < kLongestDelay; ++i) delay *= 2;
  delay = std::min(delay, kLongestDelay);
  return std::chrono::duration_cast<std::chrono::milliseconds>(delay * (1 - random / 2));
}

TokenState AfterGrant(const TokenState& before, MonotonicTime begin,
                      std::optional<std::chrono::milliseconds> lifetime, double random) {
  TokenState state = before;
  state.has_token = true;
  state.proven = false;
  state.obtained = begin;
  state.renewal = std::nullopt;
  state.not_before = begin;
  if (lifetime.has_value()) {
    state.renewal = begin + std::chrono::duration_cast<std::chrono::milliseconds>(
                                *lifetime * (kEarliestRenewal + kRenewalSpread * random));
  }
  return state;
}

TokenState AfterFailure(const TokenState& before, MonotonicTime now, double random) {
  TokenState state = before;
  ++state.failures;
  state.not_before = now + AuthenticateDelay(state.failures, random);
  return state;
}

TokenState AfterSuccess(const TokenState& before) {
  TokenState state = before;
  if (before.proven) return state;  // Failures since then are those to renew it.
  state.proven = true;
  state.failures = 0;
  return state;
}

bool IsRejection(const absl::Status& status) {
  return absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status);
}

Reaction Judge(const TokenState& state, absl::StatusCode code, bool is_repeat, MonotonicTime now) {
  const bool may_be_over = state.proven || now - state.obtained >= kFresh;
  if (code == absl::StatusCode::kUnauthenticated) {
    return may_be_over ? Reaction::kRenew : Reaction::kMistrust;
  }
  const bool paused = is_repeat || now < state.permission_denied_until;
  return may_be_over && !paused ? Reaction::kRenew : Reaction::kNone;
}

TokenState AfterRejection(const TokenState& before, absl::StatusCode code, bool is_repeat,
                          MonotonicTime now, double random) {
  switch (Judge(before, code, is_repeat, now)) {
    case Reaction::kRenew:
      return Without(before, /*failures=*/0, now);
    case Reaction::kMistrust:
      return Without(before, before.failures + 1,
                     now + AuthenticateDelay(before.failures + 1, random));
    case Reaction::kNone:
      break;
  }
  TokenState state = before;
  if (code == absl::StatusCode::kPermissionDenied && is_repeat) {
    state.permission_denied_until = now + kPermissionPause;
  }
  return state;
}

}  // namespace datamanager::cloud
