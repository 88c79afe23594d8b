#include "sync/refusal_breaker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace datamanager::sync {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using Outcome = RefusalBreaker::Outcome;

TEST(RefusalPauseLengthTest, DoublesFromAMinuteUpToAnHour) {
  const int kMinutes[] = {1, 2, 4, 8, 16, 32, 60, 60};
  for (int pause = 1; pause <= 8; ++pause) {
    EXPECT_EQ(RefusalPauseLength(pause), minutes(kMinutes[pause - 1])) << pause;
  }
  EXPECT_EQ(RefusalPauseLength(1000000), hours(1));
}

class RefusalBreakerTest : public ::testing::Test {
 protected:
  static constexpr int kLimit = RefusalBreaker::kLimit;

  // Uploads one file of `directory`: "" for nothing to tell, "rests", or the pause that begins.
  std::string Upload(const std::string& directory, Outcome outcome) {
    const auto permit = breaker_.Begin(directory, now_, &rests_until_);
    if (!permit.has_value()) return "rests";
    const auto pause = breaker_.End(*permit, outcome, "no", now_);
    if (!pause.has_value()) return "";
    return (pause->directory.empty() ? "all" : pause->directory) + " after " +
           std::to_string(pause->refused) + " for " + std::to_string(pause->length.count());
  }
  std::string Refuse(const std::string& directory) { return Upload(directory, Outcome::kRefused); }
  void Refuse(const std::string& directory, int count) {
    for (int i = 0; i < count; ++i) EXPECT_EQ(Refuse(directory), "") << i;
  }
  std::string Store(const std::string& directory) { return Upload(directory, Outcome::kStored); }

  RefusalBreaker breaker_;
  MonotonicTime now_ = MonotonicTime(hours(1000));
  MonotonicTime rests_until_;
};

TEST_F(RefusalBreakerTest, TwentyInARowFromOneDirectoryMakeItRest) {
  Refuse("/a", kLimit - 1);
  EXPECT_FALSE(breaker_.Rests("/a", now_));
  EXPECT_EQ(Refuse("/a"), "/a after 20 for 1");
  EXPECT_TRUE(breaker_.Rests("/a", now_));
  EXPECT_EQ(Refuse("/a"), "rests");
  EXPECT_EQ(rests_until_, now_ + minutes(1));
  EXPECT_FALSE(breaker_.Rests("/b", now_));
  EXPECT_EQ(Store("/b"), "");
  EXPECT_TRUE(breaker_.Rests("/a", now_));
  EXPECT_EQ(breaker_.pauses(), 1U);
}

TEST_F(RefusalBreakerTest, OneStoredInBetweenStartsTheCountAnew) {
  Refuse("/a", kLimit - 1);
  EXPECT_EQ(Store("/a"), "");
  Refuse("/a", kLimit - 1);
  EXPECT_EQ(breaker_.pauses(), 0U);
}

// The server is well; it is that one directory.
TEST_F(RefusalBreakerTest, OthersAreStoredMeanwhileSoThatOnlyTheOneRests) {
  for (int i = 1; i < kLimit; ++i) {
    EXPECT_EQ(Refuse("/a"), "");
    EXPECT_EQ(Store("/b"), "");
  }
  EXPECT_EQ(Refuse("/a"), "/a after 20 for 1");
  EXPECT_EQ(Store("/b"), "");
}

TEST_F(RefusalBreakerTest, TwentyInARowFromSeveralDirectoriesMakeAllRest) {
  Refuse("/a", kLimit / 2);
  Refuse("/b", kLimit / 2 - 1);
  EXPECT_EQ(Refuse("/c"), "all after 20 for 1");
  for (const char* directory : {"/a", "/b", "/c", "/d"}) {
    EXPECT_TRUE(breaker_.Rests(directory, now_));
    EXPECT_EQ(Store(directory), "rests");
  }
}

// Otherwise each directory would lose twenty.
TEST_F(RefusalBreakerTest, OneMoreDirectoryAfterTwentyOfAnotherMakesAllRest) {
  Refuse("/a", kLimit - 1);
  EXPECT_EQ(Refuse("/a"), "/a after 20 for 1");
  EXPECT_EQ(Refuse("/b"), "all after 21 for 1");
}

TEST_F(RefusalBreakerTest, AfterThePauseOneFileIsTriedAndThePausesGrow) {
  Refuse("/a", kLimit - 1);
  Refuse("/a");
  for (const int length : {2, 4, 8, 16, 32, 60, 60}) {
    now_ = rests_until_ = breaker_.Paused(now_)[0].next_try + now_;
    EXPECT_FALSE(breaker_.Rests("/a", now_));
    const auto probe = breaker_.Begin("/a", now_, &rests_until_);
    ASSERT_TRUE(probe.has_value());
    EXPECT_TRUE(probe->probes);
    // Until its outcome is known, no other.
    EXPECT_TRUE(breaker_.Rests("/a", now_));
    EXPECT_EQ(Store("/a"), "rests");
    const auto pause = breaker_.End(*probe, Outcome::kRefused, "no", now_);
    ASSERT_TRUE(pause.has_value());
    EXPECT_EQ(pause->length, minutes(length));
    EXPECT_TRUE(breaker_.Rests("/a", now_ + pause->length - seconds(1)));
  }
}

TEST_F(RefusalBreakerTest, WhenTheProbeIsStoredAllIsForgotten) {
  Refuse("/a", kLimit / 2);
  Refuse("/b", kLimit / 2 - 1);
  EXPECT_EQ(Refuse("/b"), "all after 20 for 1");
  now_ += minutes(1);
  const auto probe = breaker_.Begin("/b", now_, &rests_until_);
  ASSERT_TRUE(probe.has_value());
  EXPECT_TRUE(probe->probes_all);
  EXPECT_EQ(Store("/a"), "rests");
  EXPECT_EQ(breaker_.End(*probe, Outcome::kStored, "", now_), std::nullopt);
  EXPECT_TRUE(breaker_.Paused(now_).empty());
  EXPECT_EQ(Store("/a"), "");
  Refuse("/b", kLimit - 1);
  EXPECT_EQ(Refuse("/b"), "/b after 20 for 1");
}

TEST_F(RefusalBreakerTest, AProbeWithoutAVerdictLetsTheNextTry) {
  Refuse("/a", kLimit - 1);
  Refuse("/a");
  now_ += minutes(1);
  EXPECT_EQ(Upload("/a", Outcome::kUndecided), "");
  EXPECT_FALSE(breaker_.Rests("/a", now_));
  EXPECT_EQ(Refuse("/a"), "/a after 21 for 2");
}

// Its thread may hang in the disk.
TEST_F(RefusalBreakerTest, AProbeThatNeverEndsHoldsUpTheOthersForOnePause) {
  Refuse("/a", kLimit - 1);
  Refuse("/a");
  now_ += minutes(1);
  ASSERT_TRUE(breaker_.Begin("/a", now_, &rests_until_).has_value());
  EXPECT_TRUE(breaker_.Rests("/a", now_ + seconds(59)));
  EXPECT_FALSE(breaker_.Rests("/a", now_ + minutes(1)));
}

TEST_F(RefusalBreakerTest, WhatWasUnderWayAsThePauseBeganDoesNotProlongIt) {
  Refuse("/a", kLimit - 1);
  const auto one = breaker_.Begin("/a", now_, &rests_until_);
  const auto other = breaker_.Begin("/a", now_, &rests_until_);
  EXPECT_NE(breaker_.End(*one, Outcome::kRefused, "no", now_), std::nullopt);
  EXPECT_EQ(breaker_.End(*other, Outcome::kRefused, "no", now_ + seconds(30)), std::nullopt);
  EXPECT_FALSE(breaker_.Rests("/a", now_ + minutes(1)));
  EXPECT_EQ(breaker_.pauses(), 1U);
}

TEST_F(RefusalBreakerTest, MakeDueEndsTheWaitOnce) {
  Refuse("/a", kLimit - 1);
  Refuse("/a");
  breaker_.MakeDue(now_);
  EXPECT_FALSE(breaker_.Rests("/a", now_));
  EXPECT_EQ(Refuse("/a"), "/a after 21 for 2");
  EXPECT_TRUE(breaker_.Rests("/a", now_));
}

TEST_F(RefusalBreakerTest, TellsWhatRestsAndWhy) {
  EXPECT_TRUE(breaker_.Paused(now_).empty());
  Refuse("/a", kLimit - 1);
  EXPECT_TRUE(breaker_.Paused(now_).empty());
  Refuse("/a");
  Refuse("/b");
  const auto paused = breaker_.Paused(now_ + seconds(10));
  ASSERT_EQ(paused.size(), 2U);
  EXPECT_EQ(paused[0].directory, "");
  EXPECT_EQ(paused[0].refused, 21U);
  EXPECT_EQ(paused[1].directory, "/a");
  EXPECT_EQ(paused[1].refused, 20U);
  EXPECT_EQ(paused[1].next_try, seconds(50));
  EXPECT_EQ(paused[1].last_error, "no");
  EXPECT_EQ(breaker_.Paused(now_ + hours(1))[0].next_try, seconds(0));
}

TEST_F(RefusalBreakerTest, IsBounded) {
  // Each is refused once, at each probe.
  for (size_t i = 0; i < RefusalBreaker::kDirectories + 100; ++i) {
    const std::string answer = Refuse("/" + std::to_string(i));
    EXPECT_NE(answer, "rests");
    if (!answer.empty()) now_ += hours(1);
  }
  EXPECT_EQ(breaker_.Paused(now_).size(), 1U);
  EXPECT_EQ(Store("/x"), "");
  EXPECT_TRUE(breaker_.Paused(now_).empty());
}

}  // namespace
}  // namespace datamanager::sync
