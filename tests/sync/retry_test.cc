#include "sync/retry.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace datamanager::sync {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

const MonotonicTime kNow = MonotonicTime(hours(1000));

TEST(RetryDelayTest, DoublesFrom200MillisecondsUpToAnHour) {
  const struct {
    int attempt;
    milliseconds longest;
  } kCases[] = {
      {1, milliseconds(200)},
      {2, milliseconds(400)},
      {3, milliseconds(800)},
      {4, milliseconds(1600)},
      {10, milliseconds(102400)},
      {14, milliseconds(1638400)},
      {15, milliseconds(3276800)},
      {16, hours(1)},
      {17, hours(1)},
      {1000, hours(1)},
      {std::numeric_limits<int>::max(), hours(1)},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(RetryDelay(test.attempt, 1.0), test.longest) << test.attempt;
  }
}

TEST(RetryDelayTest, JitterIsFull) {
  for (const int attempt : {1, 5, 30}) {
    const milliseconds longest = RetryDelay(attempt, 1.0);
    EXPECT_EQ(RetryDelay(attempt, 0.0), milliseconds(0));
    EXPECT_EQ(RetryDelay(attempt, 0.5), longest / 2);
    EXPECT_LT(RetryDelay(attempt, 0.999), longest);
    EXPECT_GT(RetryDelay(attempt, 0.999), longest * 99 / 100);
  }
}

TEST(ReplyTimeoutTest, DoublesForEachStalledTryUpToEightfold) {
  const struct {
    int stalls;
    int times;
  } kCases[] = {{0, 1}, {1, 2}, {2, 4}, {3, 8}, {4, 8}, {std::numeric_limits<int>::max(), 8}};
  for (const auto& test : kCases) {
    EXPECT_EQ(ReplyTimeout(milliseconds(30000), test.stalls), milliseconds(30000) * test.times)
        << test.stalls;
  }
}

TEST(AfterFailureTest, CountsTriesAndPutsTheNextOff) {
  RetryState state;
  state = AfterFailure(state, {.verdict = Verdict::kTransient}, kNow, 1.0);
  EXPECT_EQ(state.attempts, 1);
  EXPECT_FALSE(state.offline);
  EXPECT_EQ(state.due, kNow + milliseconds(200));
  EXPECT_EQ(state.first_failed, kNow);

  state = AfterFailure(state, {.verdict = Verdict::kTransient}, kNow + hours(1), 0.5);
  EXPECT_EQ(state.attempts, 2);
  EXPECT_EQ(state.due, kNow + hours(1) + milliseconds(200));
  EXPECT_EQ(state.first_failed, kNow);
}

// A file that breaks the connection each time is not tried at each reconnection, whatever else
// befalls it in between.
TEST(AfterFailureTest, OnlyTheFirstOfflineVerdictIsCutShort) {
  const struct {
    std::vector<Verdict> verdicts;
    std::string offline;  // After each.
  } kCases[] = {
      {{Verdict::kTransient, Verdict::kOffline, Verdict::kTransient}, "010"},
      {{Verdict::kOffline, Verdict::kOffline, Verdict::kOffline, Verdict::kOffline}, "1000"},
      {{Verdict::kOffline, Verdict::kTransient, Verdict::kOffline, Verdict::kTransient,
        Verdict::kOffline},
       "10000"},
  };
  for (const auto& test : kCases) {
    RetryState state;
    std::string offline;
    for (const Verdict verdict : test.verdicts) {
      const RetryState before = state;
      state = AfterFailure(before, {.verdict = verdict}, kNow, 1.0);
      offline += state.offline ? '1' : '0';
      // Offline or not, the wait grows.
      EXPECT_EQ(state.due, kNow + RetryDelay(before.attempts + 1, 1.0));
    }
    EXPECT_EQ(offline, test.offline);
  }
}

TEST(AfterFailureTest, AHopelessTry_WaitsUpToADay) {
  RetryState state;
  for (int i = 1; i <= 30; ++i) {
    state = AfterFailure(state, {.hopeless = true}, kNow, 1.0);
    EXPECT_EQ(state.due, kNow + RetryDelay(i, 1.0, hours(24))) << i;
  }
  EXPECT_EQ(state.due, kNow + hours(24));
  EXPECT_EQ(AfterFailure(state, {}, kNow, 1.0).due, kNow + hours(1));
}

TEST(AfterFailureTest, AHopelessTry_WaitsFiftyTimesItsOwnLength) {
  const FailedTry failed{.hopeless = true, .took = milliseconds(20000)};
  EXPECT_EQ(AfterFailure({}, failed, kNow, 0.0).due, kNow + milliseconds(1000000));
  EXPECT_EQ(AfterFailure({}, {.took = hours(1)}, kNow, 0.0).due, kNow);
}

TEST(AfterFailureTest, TheWaitThatTheServerAsksFor_TakesThePlaceOfTheFilesOwn) {
  RetryState state = AfterFailure({}, {}, kNow, 1.0);
  state = AfterFailure(state, {.pushback = milliseconds(7)}, kNow, 1.0);
  EXPECT_EQ(state.due, kNow + milliseconds(7));
  EXPECT_EQ(state.attempts, 2);
  // It makes the file's own waits no longer.
  EXPECT_EQ(AfterFailure(state, {}, kNow, 1.0).due, kNow + milliseconds(400));
}

TEST(AfterConnectionTest, EndsWaitsThatBeganOfflineOnly) {
  const RetryState offline = AfterFailure({}, {.verdict = Verdict::kOffline}, kNow, 1.0);
  EXPECT_EQ(AfterConnection(offline, false, kNow).due, kNow);
  const RetryState online = AfterFailure({}, {}, kNow, 1.0);
  EXPECT_EQ(AfterConnection(online, true, kNow).due, online.due);
}

TEST(AfterConnectionTest, HopelessWaits_BeginAnew) {
  RetryState state;
  for (int i = 0; i < 30; ++i) {
    state = AfterFailure(state, {.hopeless = true, .took = milliseconds(100)}, kNow, 1.0);
    state.advice = "give up";
  }
  // The link is kept for others where the server is the same.
  EXPECT_EQ(AfterConnection(state, false, kNow).due, kNow + milliseconds(5000));
  EXPECT_EQ(AfterConnection(state, true, kNow).due, kNow);
  state = AfterConnection(state, true, kNow);
  EXPECT_EQ(state.attempts, 30);
  EXPECT_EQ(AfterFailure(state, {.hopeless = true}, kNow, 1.0).due, kNow + milliseconds(200));
}

TEST(AfterCallTest, EndsTheWaitOnceIn30Seconds) {
  RetryState state = AfterFailure({}, {}, kNow, 1.0);
  state.due = kNow + hours(1);
  state = AfterCall(state, kNow);
  EXPECT_EQ(state.due, kNow);
  // It failed again.
  state.due = kNow + hours(1);
  state = AfterCall(state, kNow + milliseconds(29999));
  EXPECT_EQ(state.due, kNow + hours(1));
  state = AfterCall(state, kNow + milliseconds(30000));
  EXPECT_EQ(state.due, kNow + milliseconds(30000));
}

TEST(AfterCallTest, WaitsThatBeganOffline_EndAlways) {
  RetryState state = AfterFailure({}, {.verdict = Verdict::kOffline}, kNow, 1.0);
  state.made_due = kNow;
  EXPECT_EQ(AfterCall(state, kNow).due, kNow);
}

TEST(AfterCallTest, WhatIsDueAnyway_KeepsItsCall) {
  const RetryState due{.due = kNow};
  EXPECT_EQ(AfterCall(due, kNow).made_due, std::nullopt);
}

class RetryTableTest : public ::testing::Test {
 protected:
  static FoundFile File(ino_t inode, const std::string& path = "") {
    return {.root = "/data",
            .path = path.empty() ? "/data/" + std::to_string(inode) : path,
            .id = {.device = 1, .inode = inode}};
  }
  bool Put(const FoundFile& file, milliseconds wait, bool offline = false, int attempts = 1) {
    RetryState state;
    state.attempts = attempts;
    state.offline = offline;
    state.due = kNow + wait;
    return table_.Put({file, state});
  }
  static bool Any(const FoundFile& /*file*/) { return true; }
  // The files due at `now`, in their order, taken.
  std::string TakeDue(MonotonicTime now) {
    std::string names;
    while (const auto file = table_.NextDue(now, Any)) {
      names += file->path + " ";
      table_.Take(*file);
    }
    return names;
  }

  RetryTable table_;
};

TEST_F(RetryTableTest, AFileWaitsUntilItIsDue) {
  EXPECT_FALSE(table_.IsWaiting(File(1), kNow));
  ASSERT_TRUE(Put(File(1), milliseconds(100)));
  EXPECT_TRUE(table_.IsWaiting(File(1), kNow));
  EXPECT_TRUE(table_.IsWaiting(File(1), kNow + milliseconds(99)));
  EXPECT_FALSE(table_.IsWaiting(File(1), kNow + milliseconds(100)));
  EXPECT_FALSE(table_.IsWaiting(File(2), kNow));
  EXPECT_EQ(table_.size(), 1U);
}

TEST_F(RetryTableTest, TakeReturnsWhatIsKnownOnce) {
  Put(File(1), milliseconds(100), false, 3);
  EXPECT_EQ(table_.Take(File(1)).attempts, 3);
  EXPECT_EQ(table_.Take(File(1)).attempts, 0);
  EXPECT_EQ(table_.size(), 0U);
  EXPECT_EQ(table_.NextDueTime(kNow), std::nullopt);
}

TEST_F(RetryTableTest, ComesInTheOrderOfTheDueTimes) {
  Put(File(1), milliseconds(300));
  Put(File(2), milliseconds(100));
  Put(File(3), milliseconds(200));
  EXPECT_EQ(table_.NextDueTime(kNow), kNow + milliseconds(100));
  EXPECT_EQ(table_.NextDue(kNow, Any), std::nullopt);
  EXPECT_EQ(TakeDue(kNow + milliseconds(250)), "/data/2 /data/3 ");
  EXPECT_EQ(table_.NextDueTime(kNow), kNow + milliseconds(300));
}

TEST_F(RetryTableTest, AFileThatIsNotWantedHoldsUpNoneBehindIt) {
  Put(File(1), milliseconds(100));
  Put(File(2), milliseconds(200));
  Put(File(3), milliseconds(300));
  const auto other = [](const FoundFile& file) { return file.id.inode != 1; };
  const auto due = table_.NextDue(kNow + milliseconds(200), other);
  ASSERT_TRUE(due.has_value());
  EXPECT_EQ(due->path, "/data/2");
  table_.Take(*due);
  EXPECT_EQ(table_.NextDue(kNow + milliseconds(200), other), std::nullopt);
  EXPECT_TRUE(table_.AnyDue(kNow + milliseconds(100)));
  EXPECT_EQ(table_.NextDueTime(kNow + milliseconds(100)), kNow + milliseconds(300));
}

TEST_F(RetryTableTest, ATryRightBeforeTheConnectionIsLostEndedOffline) {
  const auto put = [this](ino_t inode, milliseconds settles, bool was_offline) {
    RetryState state;
    state.was_offline = was_offline;
    state.settles = kNow + settles;
    state.due = kNow + hours(1);
    table_.Put({File(inode), state});
  };
  put(1, milliseconds(50), false);
  put(2, milliseconds(-1), false);
  put(3, milliseconds(50), true);  // For the second time it is a failure.
  Put(File(4), hours(1));
  table_.MarkOffline(kNow);
  table_.MakeOfflineDue(kNow);
  EXPECT_EQ(TakeDue(kNow), "/data/1 ");
  EXPECT_TRUE(table_.Take(File(3)).was_offline);
}

TEST_F(RetryTableTest, ALaterEntryReplacesTheEarlier) {
  Put(File(1), milliseconds(100), false, 1);
  Put(File(1), milliseconds(500), false, 2);
  EXPECT_EQ(table_.size(), 1U);
  EXPECT_EQ(table_.NextDue(kNow + milliseconds(200), Any), std::nullopt);
  EXPECT_EQ(table_.Take(File(1)).attempts, 2);
}

TEST_F(RetryTableTest, AnInodeUsedAgainIsAnotherFile) {
  Put(File(1, "/data/old"), hours(1), false, 9);
  EXPECT_FALSE(table_.IsWaiting(File(1, "/data/new"), kNow));
  EXPECT_EQ(table_.Take(File(1, "/data/new")).attempts, 0);
}

TEST_F(RetryTableTest, TwoNamesOfOneInodeWaitEachForItself) {
  Put(File(1, "/data/one"), hours(1), false, 9);
  Put(File(1, "/data/other"), hours(2), false, 3);
  EXPECT_EQ(table_.size(), 2U);
  EXPECT_TRUE(table_.IsWaiting(File(1, "/data/one"), kNow));
  EXPECT_TRUE(table_.IsWaiting(File(1, "/data/other"), kNow + hours(1)));
  EXPECT_EQ(table_.Take(File(1, "/data/other")).attempts, 3);
  EXPECT_EQ(table_.Take(File(1, "/data/one")).attempts, 9);
  EXPECT_EQ(table_.NextDueTime(kNow), std::nullopt);
}

TEST_F(RetryTableTest, IsBounded) {
  for (ino_t inode = 1; inode <= RetryTable::kLimit; ++inode) {
    ASSERT_TRUE(Put(File(inode), milliseconds(inode)));
  }
  EXPECT_FALSE(Put(File(RetryTable::kLimit + 1), milliseconds(1)));
  EXPECT_EQ(table_.size(), RetryTable::kLimit);
  // What is in it may be put again, and a place that is free is used.
  EXPECT_TRUE(Put(File(1), milliseconds(1)));
  table_.Take(File(2));
  EXPECT_TRUE(Put(File(RetryTable::kLimit + 1), milliseconds(1)));
}

TEST_F(RetryTableTest, MakeOfflineDueCutsOnlyWaitsShortThatBeganOffline) {
  Put(File(1), hours(1), false);
  Put(File(2), hours(1), true);
  table_.MakeOfflineDue(kNow);
  EXPECT_EQ(TakeDue(kNow), "/data/2 ");
  EXPECT_TRUE(table_.IsWaiting(File(1), kNow));
}

TEST_F(RetryTableTest, SumsUpWhatWaits) {
  const WaitingRetries none = table_.Summary(kNow);
  EXPECT_EQ(none.offline, 0U);
  EXPECT_TRUE(none.most_tried.empty());

  for (int i = 1; i <= 9; ++i) {
    RetryState state;
    state.attempts = i;
    state.offline = i == 3;
    state.first_failed = kNow - milliseconds(1000 * i);
    state.due = kNow + milliseconds(100 * i);
    state.error = "error " + std::to_string(i) + std::string(500, 'x');
    table_.Put({File(static_cast<ino_t>(i)), state});
  }
  const WaitingRetries all = table_.Summary(kNow + milliseconds(150));
  EXPECT_EQ(all.offline, 1U);
  EXPECT_EQ(all.oldest, milliseconds(9150));
  EXPECT_EQ(all.next_due, milliseconds(0));  // It is due.
  ASSERT_EQ(all.most_tried.size(), 5U);
  EXPECT_EQ(all.most_tried[0].path, "/data/9");
  EXPECT_EQ(all.most_tried[0].tries, 9);
  EXPECT_EQ(all.most_tried[0].failing_for, milliseconds(9150));
  EXPECT_EQ(all.most_tried[0].next_due, milliseconds(750));
  EXPECT_TRUE(all.most_tried[0].last_error.starts_with("error 9x"));
  EXPECT_EQ(all.most_tried[0].last_error.size(), 200U);
  EXPECT_EQ(all.most_tried[4].path, "/data/5");
  EXPECT_EQ(table_.Summary(kNow).next_due, milliseconds(100));
}

TEST_F(RetryTableTest, HopelessFiles_AreNamedFirst) {
  for (int i = 1; i <= 9; ++i) {
    RetryState state{.attempts = i};
    if (i == 2) state.advice = "raise the limit" + std::string(500, 'x');
    table_.Put({File(static_cast<ino_t>(i)), state});
  }
  const WaitingRetries all = table_.Summary(kNow);
  EXPECT_EQ(all.hopeless, 1U);
  EXPECT_EQ(all.most_tried[0].path, "/data/2");
  EXPECT_TRUE(all.most_tried[0].advice.starts_with("raise the limitx"));
  EXPECT_EQ(all.most_tried[0].advice.size(), 200U);
  EXPECT_EQ(all.most_tried[1].path, "/data/9");
}

TEST_F(RetryTableTest, AHopelessFileWithOtherBytes_DoesNotWait) {
  FoundFile file = File(1);
  RetryState state{.version = file.version, .due = kNow + hours(1)};
  table_.Put({file, state});
  FoundFile changed = file;
  ++changed.version.size;
  EXPECT_TRUE(table_.IsWaiting(changed, kNow));
  state.advice = "raise the limit";
  table_.Put({file, state});
  EXPECT_TRUE(table_.IsWaiting(file, kNow));
  EXPECT_FALSE(table_.IsWaiting(changed, kNow));
}

TEST_F(RetryTableTest, CallsAndConnections_ChangeTheOrder) {
  RetryState waiting{.due = kNow + hours(1)};
  table_.Put({File(1), waiting});
  waiting.offline = true;
  table_.Put({File(2), waiting});
  table_.OnConnection(/*new_address=*/false, kNow);
  EXPECT_EQ(table_.NextDue(kNow, Any)->id.inode, 2U);
  table_.Take(File(2));
  EXPECT_EQ(table_.NextDue(kNow, Any), std::nullopt);
  table_.MakeDueForCall(kNow);
  EXPECT_EQ(table_.NextDue(kNow, Any)->id.inode, 1U);
}

TEST_F(RetryTableTest, ClearForgetsAll) {
  Put(File(1), hours(1));
  table_.Clear();
  EXPECT_EQ(table_.size(), 0U);
  EXPECT_EQ(table_.NextDueTime(kNow), std::nullopt);
}

TEST(AfterBusyTest, CountsNoTryAndWaitsABitLongerEachTime) {
  const MonotonicTime now{std::chrono::hours(1)};
  RetryState state{.attempts = 3, .offline = true};
  const int64_t expected_ms[] = {200,   400,   800,   1600,  3200, 6400,
                                 12800, 25600, 51200, 60000, 60000};
  for (const int64_t wait : expected_ms) {
    state = AfterBusy(state, now);
    EXPECT_EQ(state.due - now, std::chrono::milliseconds(wait));
  }
  EXPECT_EQ(state.attempts, 3);
  EXPECT_TRUE(state.offline);
  EXPECT_EQ(AfterFailure(state, {.verdict = Verdict::kTransient}, now, 0.5).busy_looks, 0);
}

TEST(RetryTableBusyTest, CountsWhatIsBusy) {
  RetryTable table;
  const FoundFile busy{.path = "/busy", .id = {.device = 1, .inode = 1}};
  const FoundFile failed{.path = "/failed", .id = {.device = 1, .inode = 2}};
  table.Put({busy, AfterBusy({}, MonotonicTime())});
  table.Put({failed, AfterFailure({}, {.verdict = Verdict::kTransient}, MonotonicTime(), 0.5)});
  EXPECT_EQ(table.CountBusy(), 1U);
}

}  // namespace
}  // namespace datamanager::sync
