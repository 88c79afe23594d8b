#include "cloud/token_policy.h"

#include <gtest/gtest.h>

namespace datamanager::cloud {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr absl::StatusCode kUnauthenticated = absl::StatusCode::kUnauthenticated;
constexpr absl::StatusCode kPermissionDenied = absl::StatusCode::kPermissionDenied;

const MonotonicTime kStart = MonotonicTime() + 1000h;

TokenState Granted(std::optional<std::chrono::milliseconds> lifetime = std::nullopt,
                   double random = 0) {
  return AfterGrant({}, kStart, lifetime, random);
}
TokenState Proven() { return AfterSuccess(Granted()); }

TEST(TokenPolicyTest, AuthenticatesAtOnceWithoutAToken) { EXPECT_LE(*AuthenticateDue({}), kStart); }

TEST(TokenPolicyTest, ATokenWhoseEndIsUnknownIsKept) {
  EXPECT_EQ(AuthenticateDue(Granted()), std::nullopt);
}

TEST(TokenPolicyTest, ATokenIsRenewedAheadOfItsEnd) {
  EXPECT_EQ(AuthenticateDue(Granted(2s)), kStart + 1600ms);
  EXPECT_EQ(AuthenticateDue(Granted(10min)), kStart + 8min);
  EXPECT_EQ(AuthenticateDue(Granted(10h)), kStart + 8h);
}

TEST(TokenPolicyTest, TokensOfAFleet_AreRenewedAtARandomMoment) {
  EXPECT_EQ(AuthenticateDue(Granted(10h, 0.5)), kStart + 8h + 30min);
  EXPECT_LT(AuthenticateDue(Granted(10h, 0.999)), kStart + 9h);
  EXPECT_GT(AuthenticateDue(Granted(10h, 0.999)), kStart + 9h - 1min);
}

TEST(TokenPolicyTest, FailuresAreFurtherAndFurtherApart) {
  EXPECT_EQ(AuthenticateDelay(1, 0), 1s);
  EXPECT_EQ(AuthenticateDelay(2, 0), 2s);
  EXPECT_EQ(AuthenticateDelay(5, 0), 16s);
  EXPECT_EQ(AuthenticateDelay(8, 0), 2min);
  EXPECT_EQ(AuthenticateDelay(1000000, 0), 2min);
  EXPECT_EQ(AuthenticateDelay(3, 0.5), 3s);
  EXPECT_GT(AuthenticateDelay(1, 0.9999999), 499ms);

  TokenState state;
  MonotonicTime now = kStart;
  for (const auto delay : {1000ms, 2000ms, 4000ms}) {
    state = AfterFailure(state, now, 0);
    EXPECT_EQ(AuthenticateDue(state), now + delay);
    now += delay;
  }
}

// It may still be good for a while.
TEST(TokenPolicyTest, ATokenOutlivesFailuresToRenewIt) {
  TokenState state = AfterSuccess(Granted(1h));
  MonotonicTime now = kStart + 55min;
  for (const auto delay : {1000ms, 2000ms, 4000ms}) {
    state = AfterFailure(state, now, 0);
    EXPECT_TRUE(state.has_token);
    EXPECT_EQ(AuthenticateDue(state), now + delay);
    now += delay;
    // Nor do calls that succeed bring the failures together again.
    state = AfterSuccess(state);
  }
}

TEST(TokenPolicyTest, ATokenThatWorkedIsOverWhenRejected) {
  for (const absl::StatusCode code : {kUnauthenticated, kPermissionDenied}) {
    EXPECT_EQ(Judge(Proven(), code, /*is_repeat=*/false, kStart + 1ms), Reaction::kRenew);
    const TokenState state = AfterRejection(Proven(), code, false, kStart + 1ms, 0);
    EXPECT_FALSE(state.has_token);
    EXPECT_EQ(AuthenticateDue(state), kStart + 1ms);
    EXPECT_EQ(state.failures, 0);
  }
}

TEST(TokenPolicyTest, ATokenThatIsOldIsOverWhenRejected) {
  for (const absl::StatusCode code : {kUnauthenticated, kPermissionDenied}) {
    EXPECT_EQ(Judge(Granted(), code, false, kStart + 10s), Reaction::kRenew);
  }
}

TEST(TokenPolicyTest, AFreshTokenThatIsNotTakenIsAFailure) {
  TokenState state = Granted();
  MonotonicTime now = kStart;
  for (const auto delay : {1000ms, 2000ms, 4000ms}) {
    EXPECT_EQ(Judge(state, kUnauthenticated, false, now), Reaction::kMistrust);
    state = AfterRejection(state, kUnauthenticated, false, now, 0);
    EXPECT_FALSE(state.has_token);
    EXPECT_EQ(AuthenticateDue(state), now + delay);
    now += delay;
    state = AfterGrant(state, now, std::nullopt, 0);
  }
  // Until one works.
  state = AfterSuccess(state);
  EXPECT_EQ(state.failures, 0);
}

TEST(TokenPolicyTest, AFreshTokenWithoutPermissionTellsOfTheFile) {
  EXPECT_EQ(Judge(Granted(), kPermissionDenied, false, kStart + 1s), Reaction::kNone);
  const TokenState state = AfterRejection(Granted(), kPermissionDenied, false, kStart + 1s, 0);
  EXPECT_TRUE(state.has_token);
}

TEST(TokenPolicyTest, AFileWithoutPermissionDoesNotRenewTheTokenAgainAndAgain) {
  MonotonicTime now = kStart;
  TokenState state = AfterRejection(Proven(), kPermissionDenied, /*is_repeat=*/false, now, 0);
  state = AfterSuccess(AfterGrant(state, now, std::nullopt, 0));  // By other files.
  EXPECT_EQ(Judge(state, kPermissionDenied, /*is_repeat=*/true, now), Reaction::kNone);
  state = AfterRejection(state, kPermissionDenied, true, now, 0);
  EXPECT_TRUE(state.has_token);
  EXPECT_EQ(Judge(state, kPermissionDenied, false, now + 59s), Reaction::kNone);
  EXPECT_EQ(Judge(state, kUnauthenticated, false, now + 59s), Reaction::kRenew);
  EXPECT_EQ(Judge(state, kPermissionDenied, false, now + 60s), Reaction::kRenew);
}

TEST(TokenPolicyTest, TellsARejectionFromOtherErrors) {
  for (int code = 0; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "x");
    EXPECT_EQ(IsRejection(status), code == 7 || code == 16) << status;
  }
}

}  // namespace
}  // namespace datamanager::cloud
