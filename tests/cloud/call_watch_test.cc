#include "cloud/call_watch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <list>

namespace datamanager::cloud {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Verdict = CallWatch::Verdict;

constexpr std::chrono::milliseconds kLimit = 30s;

class CallWatchTest : public ::testing::Test {
 protected:
  CallWatchTest() { link_.Begin(now_); }

  // A second in which so many bytes are acknowledged, after which so many wait in the kernel.
  Verdict Second(uint64_t acked, uint64_t queued) {
    now_ += 1s;
    acked_ += acked;
    link_.Add({.acked = acked_, .queued = queued}, now_);
    return watch_.Look(now_);
  }
  // So many of them; how many pass until the call is given up.
  int SecondsUntilGivenUp(uint64_t acked, uint64_t queued, int most) {
    for (int i = 1; i <= most; ++i) {
      if (Second(acked, queued) != Verdict::kGoOn) return i;
    }
    return -1;
  }

  LinkProgress link_;
  CallWatch watch_{link_};
  MonotonicTime now_{std::chrono::hours(1)};
  uint64_t acked_ = 0;
};

// 24 kbit/s and a request of 200 KB: it takes 67 s, where the limit is 30 s.
TEST_F(CallWatchTest, GoesOn_WhileThePeerAcknowledges) {
  watch_.HandOver(200000, kLimit, now_);
  for (uint64_t left = 200000; left > 0; left -= 2500) {
    ASSERT_EQ(Second(2500, left), Verdict::kGoOn) << left;
  }
  // All has arrived: the answer has its whole time.
  for (int i = 0; i < 29; ++i) ASSERT_EQ(Second(0, 0), Verdict::kGoOn) << i;
  EXPECT_EQ(Second(0, 0), Verdict::kSilent);
}

TEST_F(CallWatchTest, GivesUp_WhenNothingIsAcknowledged) {
  watch_.HandOver(200000, kLimit, now_);
  ASSERT_EQ(Second(20000, 100000), Verdict::kGoOn);
  EXPECT_EQ(SecondsUntilGivenUp(0, 100000, 100), 30);
}

TEST_F(CallWatchTest, GivesUp_WhenOnlyPingsAreAcknowledged) {
  watch_.HandOver(200000, kLimit, now_);
  EXPECT_EQ(SecondsUntilGivenUp(2, 100000, 100), 30);
}

// Else a call that the server has forgotten would last as long as others keep the link busy.
TEST_F(CallWatchTest, GivesUp_WhenOnlyOtherCallsMove) {
  watch_.HandOver(10000, kLimit, now_);
  // 80,000 bytes may stand before the answer.
  EXPECT_EQ(SecondsUntilGivenUp(20000, 50000, 200), 4 + 30);
}

TEST_F(CallWatchTest, GoesOn_WhileTheBytesOfManyOthersMayStandBeforeItsAnswer) {
  std::list<CallWatch> others;
  while (others.size() < 15) others.emplace_back(link_);
  watch_.HandOver(10000, kLimit, now_);
  EXPECT_EQ(SecondsUntilGivenUp(20000, 50000, 200), 8 + 30);
  others.clear();
  watch_.HandOver(10000, kLimit, now_);
  EXPECT_EQ(SecondsUntilGivenUp(20000, 50000, 200), 6 + 30) << "50,000 wait in the kernel.";
}

TEST_F(CallWatchTest, GoesOn_WhileBytesBeforeItsOwnMove) {
  link_.HandOver(500000);
  watch_.HandOver(1000, kLimit, now_);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(Second(5000, 10000), Verdict::kGoOn) << i;
}

TEST_F(CallWatchTest, GivesUpATrickle) {
  watch_.HandOver(200000, kLimit, now_);
  EXPECT_EQ(SecondsUntilGivenUp(124, 100000, 200), 60) << "Less than 1 kbit/s.";
}

TEST_F(CallWatchTest, GoesOn_WhenTheLinkIsJustFastEnough) {
  watch_.HandOver(200000, kLimit, now_);
  EXPECT_EQ(SecondsUntilGivenUp(127, 100000, 600), -1) << "A little more than 1 kbit/s.";
}

TEST_F(CallWatchTest, TellsATrickleFromSilence) {
  watch_.HandOver(200000, 120s, now_);
  for (int i = 0; i < 59; ++i) ASSERT_EQ(Second(124, 100000), Verdict::kGoOn);
  EXPECT_EQ(Second(124, 100000), Verdict::kTooSlow);
}

// A server may take longer than a minute for its answer, if the limit lets it.
TEST_F(CallWatchTest, TakesNoSlowAnswerForATrickle) {
  watch_.HandOver(2000, 120s, now_);
  ASSERT_EQ(Second(2100, 0), Verdict::kGoOn);
  EXPECT_EQ(SecondsUntilGivenUp(0, 0, 200), 120);
}

TEST_F(CallWatchTest, CountsEachStepFromItsBegin) {
  watch_.HandOver(1000, kLimit, now_);
  ASSERT_EQ(SecondsUntilGivenUp(0, 0, 20), -1);
  watch_.HandOver(1000, kLimit, now_);
  ASSERT_EQ(SecondsUntilGivenUp(0, 0, 29), -1);
  watch_.AwaitAnswer(10s, now_);
  EXPECT_EQ(SecondsUntilGivenUp(0, 0, 100), 10);
}

TEST_F(CallWatchTest, AwaitsTheAnswer_WhileMessagesBeforeItMove) {
  watch_.HandOver(60000, kLimit, now_);
  watch_.AwaitAnswer(10s, now_);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(Second(1000, 20000), Verdict::kGoOn) << i;
}

TEST_F(CallWatchTest, GoesByTimeAlone_WhereNoSocketIsKnown) {
  link_.End();
  watch_.HandOver(200000, kLimit, now_);
  EXPECT_EQ(SecondsUntilGivenUp(10000, 100000, 100), 30);
}

TEST_F(CallWatchTest, TakesNoOtherConnectionsProgressForItsOwn) {
  watch_.HandOver(200000, kLimit, now_);
  link_.Begin(now_);
  EXPECT_EQ(SecondsUntilGivenUp(10000, 100000, 100), 30);
}

TEST_F(CallWatchTest, AsksForTheNextLookInTime) {
  watch_.HandOver(1000, kLimit, now_);
  EXPECT_EQ(watch_.NextLook(now_), now_ + CallWatch::kLookEvery);
  EXPECT_EQ(watch_.NextLook(now_ + kLimit - 300ms), now_ + kLimit);
  EXPECT_EQ(watch_.NextLook(now_ + kLimit + 1s), now_ + kLimit + 1s);
}

}  // namespace
}  // namespace datamanager::cloud
