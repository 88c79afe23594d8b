#include "sync/circuit_breaker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "sync/pause_text.h"

namespace datamanager::sync {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Outcome = CircuitBreaker::Outcome;

TEST(PauseLengthTest, Refusals_PauseFromAMinuteUpToAnHour) {
  const int kMinutes[] = {1, 2, 4, 8, 16, 32, 60, 60};
  for (int pause = 1; pause <= 8; ++pause) {
    EXPECT_EQ(PauseLength(FailureKind::kRefused, pause, 0.7), minutes(kMinutes[pause - 1]));
  }
  EXPECT_EQ(PauseLength(FailureKind::kRefused, 1000000, 0), hours(1));
}

TEST(PauseLengthTest, Failures_PauseFromASecondUpToFiveMinutes) {
  const int kSeconds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
  for (int pause = 1; pause <= 11; ++pause) {
    EXPECT_EQ(PauseLength(FailureKind::kFailed, pause, 0), seconds(kSeconds[pause - 1])) << pause;
  }
  EXPECT_EQ(PauseLength(FailureKind::kFailed, 1000000, 0), minutes(5));
}

TEST(PauseLengthTest, PausesForFailures_AreJittered) {
  EXPECT_EQ(PauseLength(FailureKind::kFailed, 3, 0.5), seconds(3));
  EXPECT_GT(PauseLength(FailureKind::kFailed, 3, 0.999), seconds(2));
}

TEST(OutcomeOfTest, CountsEveryAnswerThatIsNotOk) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "no");
    const Outcome expected = absl::IsInvalidArgument(status) ? Outcome::kRefused : Outcome::kFailed;
    EXPECT_EQ(OutcomeOf({.status = status, .sent = true}),
              absl::IsUnavailable(status) ? Outcome::kUnavailable : expected)
        << status;
    EXPECT_EQ(OutcomeOf({.status = status, .sent = true, .stalled = true}), expected) << status;
    // The server asks for a wait, and that is obeyed instead.
    EXPECT_EQ(OutcomeOf({.status = status, .sent = true, .pushback = seconds(1)}),
              Outcome::kUndecided);
    // The file's own error.
    EXPECT_EQ(OutcomeOf({.status = status, .origin = ErrorOrigin::kFile}), Outcome::kUndecided);
  }
  EXPECT_EQ(OutcomeOf({.sent = true}), Outcome::kStored);
  EXPECT_EQ(OutcomeOf({}), Outcome::kUndecided) << "the server was not asked";
}

TEST(OutcomeOfTest, OfflineVerdictsAndCallsThatWereNotSent_SayNothing) {
  const absl::Status unavailable = absl::UnavailableError("no");
  EXPECT_EQ(OutcomeOf({.status = unavailable, .channel_ready = false, .sent = true}),
            Outcome::kUndecided);
  EXPECT_EQ(OutcomeOf({.status = unavailable}), Outcome::kUndecided);
  EXPECT_EQ(OutcomeOf({.status = absl::CancelledError("stop"), .stopped = true, .sent = true}),
            Outcome::kUndecided);
}

class CircuitBreakerTest : public ::testing::Test {
 protected:
  static constexpr int kLimit = CircuitBreaker::kLimit;

  static CircuitBreaker::Candidate File(const std::string& path, bool tried = false) {
    static std::string kept;  // A candidate refers to its path.
    kept = path;
    return CircuitBreaker::Candidate::Of(kept, tried);
  }
  // One that nothing was heard of.
  std::string NewFile(const std::string& directory) {
    return absl::StrCat(directory, "/", ++files_);
  }
  // Uploads `path`: "" for nothing to tell, "rests", or the pause that begins.
  std::string UploadFile(const std::string& path, Outcome outcome, bool tried = false) {
    const auto permit = breaker_.Begin(File(path, tried), now_, &rests_until_);
    if (!permit.has_value()) return "rests";
    return Text(breaker_.End(*permit, outcome, "no", now_, /*random=*/0).begins);
  }
  static std::string Text(const std::optional<CircuitBreaker::Pause>& pause) {
    if (!pause.has_value()) return "";
    return absl::StrCat(pause->directory.empty() ? "all" : pause->directory, " after ",
                        pause->failures, " for ", pause->length.count() / 1000, " s");
  }
  std::string Upload(const std::string& directory, Outcome outcome) {
    return UploadFile(NewFile(directory), outcome);
  }
  std::string Refuse(const std::string& directory) { return Upload(directory, Outcome::kRefused); }
  void Refuse(const std::string& directory, int count) {
    for (int i = 0; i < count; ++i) EXPECT_EQ(Refuse(directory), "") << i;
  }
  std::string Fail(const std::string& directory) { return Upload(directory, Outcome::kFailed); }
  void Fail(const std::string& directory, int count) {
    for (int i = 0; i < count; ++i) EXPECT_EQ(Fail(directory), "") << i;
  }
  std::string Store(const std::string& directory) { return Upload(directory, Outcome::kStored); }
  bool Rests(const std::string& directory) {
    return breaker_.Rests(File(NewFile(directory)), now_);
  }
  std::optional<CircuitBreaker::Permit> Begin(const std::string& path, bool tried = false) {
    return breaker_.Begin(File(path, tried), now_, &rests_until_);
  }

  CircuitBreaker breaker_;
  MonotonicTime now_ = MonotonicTime(hours(1000));
  MonotonicTime rests_until_;
  int files_ = 0;
};

// --- When pauses begin.

TEST_F(CircuitBreakerTest, TwentyFailuresInOneDirectory_PauseIt) {
  Fail("/a", kLimit - 1);
  EXPECT_FALSE(Rests("/a"));
  EXPECT_EQ(Fail("/a"), "/a after 20 for 1 s");
  EXPECT_TRUE(Rests("/a"));
  EXPECT_EQ(Fail("/a"), "rests");
  EXPECT_EQ(rests_until_, now_ + seconds(1));
  EXPECT_FALSE(Rests("/b"));
  EXPECT_EQ(Store("/b"), "");
  EXPECT_TRUE(Rests("/a"));
  EXPECT_EQ(breaker_.failure_pauses(), 1U);
  EXPECT_EQ(breaker_.refusal_pauses(), 0U);
}

TEST_F(CircuitBreakerTest, TwentyRefusalsInOneDirectory_PauseItForAMinute) {
  Refuse("/a", kLimit - 1);
  EXPECT_EQ(Refuse("/a"), "/a after 20 for 60 s");
  EXPECT_TRUE(Rests("/a"));
  EXPECT_EQ(breaker_.refusal_pauses(), 1U);
}

TEST_F(CircuitBreakerTest, AFewRefusalsAmongFailures_DoNotPauseForLong) {
  Fail("/a", kLimit - 1);
  EXPECT_EQ(Refuse("/a"), "/a after 20 for 1 s");
  // Each probe that is refused counts, until there are enough of them.
  std::string pause;
  for (int i = 0; i < kLimit - 2; ++i) {
    now_ += minutes(5);
    pause = Refuse("/a");
  }
  EXPECT_EQ(pause, "/a after 38 for 300 s");
  now_ += minutes(5);
  EXPECT_EQ(Refuse("/a"), "/a after 39 for 60 s");
}

TEST_F(CircuitBreakerTest, OneStoredInBetween_StartsTheCountAgain) {
  Fail("/a", kLimit - 1);
  EXPECT_EQ(Store("/a"), "");
  Fail("/a", kLimit - 1);
  EXPECT_EQ(breaker_.failure_pauses(), 0U);
}

// The server is well; it is that one directory.
TEST_F(CircuitBreakerTest, OthersAreStored_OnlyTheOneDirectoryPauses) {
  for (int i = 1; i < kLimit; ++i) {
    EXPECT_EQ(Fail("/a"), "");
    EXPECT_EQ(Store("/b"), "");
  }
  EXPECT_EQ(Fail("/a"), "/a after 20 for 1 s");
  EXPECT_EQ(Store("/b"), "");
}

TEST_F(CircuitBreakerTest, TwentyFailuresFromSeveralDirectories_PauseAll) {
  Fail("/a", kLimit / 2);
  Fail("/b", kLimit / 2 - 1);
  EXPECT_EQ(Fail("/c"), "all after 20 for 1 s");
  for (const char* directory : {"/a", "/b", "/c", "/d"}) {
    EXPECT_TRUE(Rests(directory));
    EXPECT_EQ(Store(directory), "rests");
  }
}

// Otherwise each directory would cost twenty.
TEST_F(CircuitBreakerTest, OneMoreDirectoryAfterTwentyOfAnother_PausesAll) {
  Refuse("/a", kLimit - 1);
  EXPECT_EQ(Refuse("/a"), "/a after 20 for 60 s");
  EXPECT_EQ(Refuse("/b"), "all after 21 for 60 s");
}

// Its own wait bounds it, and another file may well be stored.
TEST_F(CircuitBreakerTest, ALoneFile_PausesNothing) {
  for (int i = 0; i < 3 * kLimit; ++i) EXPECT_EQ(UploadFile("/a/1", Outcome::kFailed), "");
  EXPECT_FALSE(Rests("/a"));
}

TEST_F(CircuitBreakerTest, UndecidedUploads_CountForNothing) {
  for (int i = 0; i < 3 * kLimit; ++i) {
    EXPECT_EQ(Upload(absl::StrCat("/", i), Outcome::kUndecided), "");
  }
  EXPECT_TRUE(breaker_.Paused(now_).empty());
}

TEST_F(CircuitBreakerTest, UnavailableAnswers_CountAtOnce) {
  for (int i = 1; i < kLimit; ++i) EXPECT_EQ(Upload("/a", Outcome::kUnavailable), "");
  EXPECT_EQ(Upload("/a", Outcome::kUnavailable), "/a after 20 for 1 s");
  // The connection is there all the time, and lost only later.
  now_ += milliseconds(101);
  EXPECT_FALSE(breaker_.OnConnectionLost(now_));
  EXPECT_TRUE(Rests("/a"));
}

// All that are under way end so, before the channel tells of the loss.
TEST_F(CircuitBreakerTest, UnavailableAsTheConnectionIsLost_CountsForNothing) {
  Fail("/a", kLimit / 2);
  for (int i = 0; i < 3 * kLimit; ++i) Upload("/a", Outcome::kUnavailable);
  EXPECT_TRUE(Rests("/a"));
  now_ += milliseconds(50);
  EXPECT_TRUE(breaker_.OnConnectionLost(now_)) << "what rests may be tried";
  EXPECT_FALSE(Rests("/a"));
  now_ += seconds(1);
  // What was known before counts on.
  Fail("/a", kLimit / 2 - 1);
  EXPECT_EQ(Fail("/a"), "/a after 20 for 1 s");
}

TEST_F(CircuitBreakerTest, AServerThatAnswersUnavailableAndHangsUp_IsSentNoMoreForIt) {
  const auto lose = [&] {
    for (int i = 0; i < kLimit / 2; ++i) Upload("/a", Outcome::kUnavailable);
    breaker_.OnConnectionLost(now_);
    now_ += seconds(1);
  };
  for (int i = 0; i < 3; ++i) lose();
  EXPECT_EQ(breaker_.failure_pauses(), 1U) << "only the first loss counts for nothing";
  now_ += minutes(5);
  Store("/a");
  lose();
  lose();
  EXPECT_EQ(breaker_.failure_pauses(), 1U) << "something was stored, so one counts for nothing";
}

TEST_F(CircuitBreakerTest, AnotherAnswerBeforeTheLoss_Counts) {
  for (int i = 0; i < kLimit / 2; ++i) Upload("/a", Outcome::kUnavailable);
  Fail("/a", kLimit / 2 - 1);
  breaker_.OnConnectionLost(now_);
  EXPECT_EQ(Fail("/a"), "/a after 20 for 1 s");
}

TEST_F(CircuitBreakerTest, AProbeThatMeetsTheLossOfTheConnection_SaysNothing) {
  Fail("/a", kLimit - 1);
  EXPECT_EQ(Fail("/a"), "/a after 20 for 1 s");
  now_ += seconds(1);
  EXPECT_EQ(Upload("/a", Outcome::kUnavailable), "/a after 21 for 2 s");
  EXPECT_FALSE(breaker_.OnConnectionLost(now_)) << "the first pause is not over";
  EXPECT_FALSE(Rests("/a")) << "another probe may begin";
  EXPECT_EQ(Fail("/a"), "/a after 21 for 2 s");
}

TEST_F(CircuitBreakerTest, WhatWasUnderWayAsThePauseBegan_NeitherProlongsItNorBeginsAnother) {
  Fail("/a", kLimit - 1);
  const auto one = Begin("/a/x");
  const auto other = Begin("/a/y");
  EXPECT_NE(Text(breaker_.End(*one, Outcome::kFailed, "no", now_, 0).begins), "");
  EXPECT_EQ(Text(breaker_.End(*other, Outcome::kFailed, "no", now_ + milliseconds(900), 0).begins),
            "");
  now_ += seconds(1);
  EXPECT_FALSE(Rests("/a"));
  EXPECT_EQ(breaker_.failure_pauses(), 1U);
}

// --- The probe.

TEST_F(CircuitBreakerTest, AfterThePauseOneFileIsTried_AndThePausesGrow) {
  Fail("/a", kLimit - 1);
  Fail("/a");
  for (const int length : {2, 4, 8, 16, 32, 64, 128, 256, 300, 300}) {
    now_ += breaker_.Paused(now_)[0].next_try;
    EXPECT_FALSE(Rests("/a"));
    const auto probe = Begin(NewFile("/a"));
    ASSERT_TRUE(probe.has_value());
    EXPECT_NE(probe->probe, 0U);
    EXPECT_EQ(breaker_.Paused(now_)[0].state, PauseState::kProbing);
    // Until its outcome is known, no other.
    EXPECT_TRUE(Rests("/a"));
    EXPECT_EQ(Store("/a"), "rests");
    const auto pause = breaker_.End(*probe, Outcome::kFailed, "no", now_, 0).begins;
    ASSERT_TRUE(pause.has_value());
    EXPECT_EQ(pause->length, seconds(length));
  }
}

TEST_F(CircuitBreakerTest, WhenTheProbeIsStored_AllIsForgotten) {
  Fail("/a", kLimit / 2);
  Fail("/b", kLimit / 2 - 1);
  EXPECT_EQ(Fail("/b"), "all after 20 for 1 s");
  now_ += seconds(1);
  const auto probe = Begin(NewFile("/b"));
  ASSERT_TRUE(probe.has_value());
  EXPECT_NE(probe->probe_all, 0U);
  EXPECT_EQ(Store("/a"), "rests");
  EXPECT_TRUE(breaker_.End(*probe, Outcome::kStored, "", now_, 0).ends);
  EXPECT_TRUE(breaker_.Paused(now_).empty());
  EXPECT_FALSE(breaker_.MayRest());
  EXPECT_EQ(Store("/a"), "");
  Fail("/b", kLimit - 1);
  EXPECT_EQ(Fail("/b"), "/b after 20 for 1 s");
}

TEST_F(CircuitBreakerTest, TheFileThatFailedLast_IsNoProbeWhileThereMayBeAnother) {
  Fail("/a", kLimit - 1);
  EXPECT_EQ(UploadFile("/a/poison", Outcome::kFailed), "/a after 20 for 1 s");
  now_ += seconds(1);
  EXPECT_EQ(Begin("/a/poison"), std::nullopt);
  EXPECT_EQ(rests_until_, now_ + seconds(1));
  EXPECT_NE(Begin("/a/new"), std::nullopt);
}

TEST_F(CircuitBreakerTest, AFileThatFailedBefore_IsNoProbeOfItsDirectoryAtOnce) {
  Fail("/a", kLimit - 1);
  EXPECT_EQ(Fail("/b"), "all after 20 for 1 s");
  now_ += seconds(1);
  EXPECT_EQ(Begin("/b/tried", /*tried=*/true), std::nullopt);
  EXPECT_NE(Begin("/c/tried", /*tried=*/true), std::nullopt);
}

// Nothing gets stuck.
TEST_F(CircuitBreakerTest, ALoneFile_IsItsOwnProbeAfterTheGrace) {
  Fail("/a", kLimit - 1);
  EXPECT_EQ(UploadFile("/a/last", Outcome::kFailed), "/a after 20 for 1 s");
  now_ += seconds(1);
  EXPECT_EQ(UploadFile("/a/last", Outcome::kFailed, /*tried=*/true), "rests");
  now_ = rests_until_;
  EXPECT_EQ(UploadFile("/a/last", Outcome::kFailed, /*tried=*/true), "/a after 21 for 2 s");
  for (int i = 0; i < 20; ++i) {
    while (UploadFile("/a/last", Outcome::kFailed, true) == "rests") now_ = rests_until_;
  }
  // However long the pause, the grace is short.
  EXPECT_EQ(UploadFile("/a/last", Outcome::kFailed, true), "rests");
  EXPECT_EQ(rests_until_, now_ + minutes(5));
  now_ += minutes(5);
  EXPECT_EQ(UploadFile("/a/last", Outcome::kFailed, true), "rests");
  EXPECT_EQ(rests_until_, now_ + minutes(1));
}

TEST_F(CircuitBreakerTest, AProbeWithoutAVerdict_LetsTheNextTry) {
  Fail("/a", kLimit - 1);
  Fail("/a");
  now_ += seconds(1);
  EXPECT_EQ(Upload("/a", Outcome::kUndecided), "");
  EXPECT_FALSE(Rests("/a"));
  EXPECT_EQ(Fail("/a"), "/a after 21 for 2 s");
}

// Its thread may hang in the disk.
TEST_F(CircuitBreakerTest, AProbeThatNeverEnds_HoldsUpTheOthersForOnePause) {
  Refuse("/a", kLimit - 1);
  Refuse("/a");
  now_ += minutes(1);
  const auto hanging = Begin(NewFile("/a"));
  ASSERT_TRUE(hanging.has_value());
  now_ += seconds(59);
  EXPECT_TRUE(Rests("/a"));
  now_ += seconds(1);
  const auto next = Begin(NewFile("/a"));
  ASSERT_TRUE(next.has_value());
  // It is no probe any longer.
  EXPECT_EQ(Text(breaker_.End(*hanging, Outcome::kRefused, "no", now_, 0).begins), "");
  EXPECT_EQ(Text(breaker_.End(*next, Outcome::kRefused, "no", now_, 0).begins),
            "/a after 22 for 120 s");
}

// --- What ends a pause early.

TEST_F(CircuitBreakerTest, MakeDue_EndsTheWaitOnce) {
  Refuse("/a", kLimit - 1);
  Refuse("/a");
  breaker_.MakeDue(now_);
  EXPECT_FALSE(Rests("/a"));
  EXPECT_EQ(Refuse("/a"), "/a after 21 for 120 s");
  EXPECT_TRUE(Rests("/a"));
}

TEST_F(CircuitBreakerTest, CallsInALoop_EndOnePauseIn30Seconds) {
  Fail("/a", kLimit / 2);
  Fail("/b", kLimit / 2 - 1);
  Fail("/b");
  int requests = 0;
  for (int i = 0; i < 3000; ++i) {
    breaker_.MakeDueForCall(now_);
    if (Fail("/a") != "rests") ++requests;
    now_ += milliseconds(20);
  }
  // In a minute: six pauses from 1 to 32 s, and one that each of three calls cut short.
  EXPECT_LE(requests, 9);
  EXPECT_GE(requests, 4);
}

TEST_F(CircuitBreakerTest, ACall_LetsAlsoTheLastFileBeTheProbe) {
  Fail("/a", kLimit - 1);
  EXPECT_EQ(UploadFile("/a/last", Outcome::kFailed), "/a after 20 for 1 s");
  breaker_.MakeDueForCall(now_);
  EXPECT_EQ(UploadFile("/a/last", Outcome::kStored, /*tried=*/true), "");
  EXPECT_FALSE(Rests("/a"));
}

TEST_F(CircuitBreakerTest, ANewConnection_EndsPausesForFailures) {
  Fail("/a", kLimit - 1);
  EXPECT_EQ(Fail("/b"), "all after 20 for 1 s");
  breaker_.OnConnection(/*new_address=*/false, now_);
  EXPECT_TRUE(breaker_.Paused(now_).empty());
  EXPECT_EQ(Store("/b"), "");
}

// Each refusal costs a file of the backlog.
TEST_F(CircuitBreakerTest, ANewConnection_EndsNoPauseForRefusalsButANewAddressDoes) {
  Refuse("/a", kLimit - 1);
  Refuse("/a");
  breaker_.OnConnection(/*new_address=*/false, now_);
  EXPECT_TRUE(Rests("/a"));
  breaker_.OnConnection(/*new_address=*/true, now_);
  EXPECT_FALSE(Rests("/a"));
}

// It may close the connection after each error.
TEST_F(CircuitBreakerTest, AServerThatReconnectsAllTheTime_IsSentNoMoreForIt) {
  int requests = 0;
  for (int i = 0; i < 6000; ++i) {
    if (Fail(i % 2 == 0 ? "/a" : "/b") != "rests") ++requests;
    breaker_.OnConnection(/*new_address=*/false, now_);
    now_ += milliseconds(100);
  }
  // Ten minutes: each of ten connections costs a streak and the pauses of a minute.
  EXPECT_LE(requests, 10 * (kLimit + 7) + kLimit);
}

// --- What the server asks for.

TEST_F(CircuitBreakerTest, PushBack_PausesAllUploads) {
  EXPECT_EQ(Text(breaker_.PushBack(seconds(5), "busy", now_)), "all after 1 for 5 s");
  EXPECT_TRUE(Rests("/a"));
  EXPECT_EQ(Begin("/a/1"), std::nullopt);
  EXPECT_EQ(rests_until_, now_ + seconds(5));
  const auto paused = breaker_.Paused(now_);
  ASSERT_EQ(paused.size(), 1U);
  EXPECT_EQ(paused[0].reason, PauseReason::kAsked);
  EXPECT_EQ(paused[0].next_try, seconds(5));
  EXPECT_EQ(paused[0].last_error, "busy");
  // A later answer prolongs it, and is no news.
  EXPECT_EQ(breaker_.PushBack(seconds(6), "busy", now_), std::nullopt);
  now_ += seconds(5);
  EXPECT_TRUE(Rests("/a"));
  now_ += seconds(1);
  EXPECT_FALSE(Rests("/a"));
  EXPECT_EQ(Store("/a"), "");
  EXPECT_FALSE(breaker_.MayRest());
  EXPECT_EQ(breaker_.asked_pauses(), 1U);
}

TEST_F(CircuitBreakerTest, PushBack_IsObeyedUpToFiveMinutes) {
  EXPECT_EQ(Text(breaker_.PushBack(hours(24), "busy", now_)), "all after 1 for 300 s");
  now_ += minutes(5);
  EXPECT_FALSE(Rests("/a"));
}

TEST_F(CircuitBreakerTest, PushBackOfNothingAgainAndAgain_StillBoundsTheRequests) {
  int requests = 0;
  for (int i = 0; i < 6000; ++i) {
    if (const auto permit = Begin(NewFile("/a"))) {
      ++requests;
      breaker_.End(*permit, Outcome::kUndecided, "busy", now_, 0);
      breaker_.PushBack(milliseconds(0), "busy", now_);
    }
    now_ += milliseconds(10);
  }
  EXPECT_LE(requests, kLimit + 60);
}

TEST_F(CircuitBreakerTest, ANewConnection_EndsWhatTheServerAskedFor) {
  breaker_.PushBack(minutes(5), "busy", now_);
  breaker_.OnConnection(/*new_address=*/false, now_);
  EXPECT_FALSE(Rests("/a"));
}

// --- What it tells.

TEST_F(CircuitBreakerTest, TellsWhatRestsAndWhy) {
  EXPECT_TRUE(breaker_.Paused(now_).empty());
  EXPECT_EQ(breaker_.NextTry(), std::nullopt);
  Refuse("/a", kLimit - 1);
  EXPECT_TRUE(breaker_.Paused(now_).empty());
  Refuse("/a");
  EXPECT_EQ(breaker_.NextTry(), now_ + minutes(1));
  Refuse("/b");
  const auto paused = breaker_.Paused(now_ + seconds(10));
  ASSERT_EQ(paused.size(), 2U);
  EXPECT_EQ(paused[0].directory, "");
  EXPECT_EQ(paused[0].state, PauseState::kPaused);
  EXPECT_EQ(paused[0].reason, PauseReason::kRefused);
  EXPECT_EQ(paused[0].failures, 21U);
  EXPECT_EQ(paused[0].refused, 21U);
  EXPECT_EQ(paused[1].directory, "/a");
  EXPECT_EQ(paused[1].refused, 20U);
  EXPECT_EQ(paused[1].next_try, seconds(50));
  EXPECT_EQ(paused[1].last_error, "no");
  EXPECT_EQ(breaker_.Paused(now_ + hours(1))[0].next_try, seconds(0));
  EXPECT_EQ(breaker_.Paused(now_ + hours(1))[0].state, PauseState::kProbeDue);
}

TEST_F(CircuitBreakerTest, IsBounded) {
  // Each fails once, at each probe.
  for (size_t i = 0; i < CircuitBreaker::kDirectories + 100; ++i) {
    const std::string answer = Refuse(absl::StrCat("/", i));
    EXPECT_NE(answer, "rests");
    if (!answer.empty()) now_ += hours(1);
  }
  EXPECT_EQ(breaker_.Paused(now_).size(), 1U);
  EXPECT_EQ(Store("/x"), "");
  EXPECT_TRUE(breaker_.Paused(now_).empty());
}

TEST(PauseTextTest, NamesWhatRestsWhyAndUntilWhen) {
  EXPECT_EQ(PauseText({.reason = PauseReason::kRefused,
                       .directory = "/a",
                       .failures = 25,
                       .refused = 20,
                       .length = minutes(2)},
                      "INVALID_ARGUMENT: no"),
            "the server refused 20 uploads in a row from /a, the last with INVALID_ARGUMENT: no; "
            "its uploads rest for 2 min, then one file is tried; those that were refused are under "
            "failed/");
  EXPECT_EQ(PauseText({.failures = 21, .length = milliseconds(1500)}, "INTERNAL: no"),
            "21 uploads in a row failed, from several directories, the last with INTERNAL: no; all "
            "uploads rest for 1.5s, then one file is tried; once one is stored, the others follow");
  EXPECT_EQ(PauseText({.reason = PauseReason::kAsked, .failures = 1, .length = seconds(5)}, "busy"),
            "the server failed an upload with busy and asked for a pause; all uploads rest for 5s");
}

}  // namespace
}  // namespace datamanager::sync
