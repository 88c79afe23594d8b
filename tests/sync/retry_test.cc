#include "sync/retry.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <string>

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

TEST(AfterFailureTest, CountsTriesAndPutsTheNextOff) {
  RetryState state;
  state = AfterFailure(state, Verdict::kTransient, 100, kNow, 1.0);
  EXPECT_EQ(state.attempts, 1);
  EXPECT_FALSE(state.offline);
  EXPECT_EQ(state.resume_offset, 100U);
  EXPECT_EQ(state.due, kNow + milliseconds(200));

  state = AfterFailure(state, Verdict::kTransient, 300, kNow, 0.5);
  EXPECT_EQ(state.attempts, 2);
  EXPECT_EQ(state.resume_offset, 300U);
  EXPECT_EQ(state.due, kNow + milliseconds(200));
}

TEST(AfterFailureTest, ASecondOfflineInARowCountsAsTransient) {
  const struct {
    bool offline_before;
    Verdict verdict;
    bool offline_after;
  } kCases[] = {
      {false, Verdict::kTransient, false},
      {false, Verdict::kOffline, true},
      {true, Verdict::kTransient, false},
      {true, Verdict::kOffline, false},
  };
  for (const auto& test : kCases) {
    RetryState before;
    before.attempts = 1;
    before.offline = test.offline_before;
    const RetryState after = AfterFailure(before, test.verdict, 0, kNow, 1.0);
    EXPECT_EQ(after.offline, test.offline_after)
        << test.offline_before << " " << VerdictName(test.verdict);
    // Offline or not, the wait grows.
    EXPECT_EQ(after.due, kNow + milliseconds(400));
  }
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
  // The files due at `now`, in their order, taken.
  std::string TakeDue(MonotonicTime now) {
    std::string names;
    while (const auto file = table_.NextDue(now)) {
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
  EXPECT_EQ(table_.NextDueTime(), std::nullopt);
}

TEST_F(RetryTableTest, ComesInTheOrderOfTheDueTimes) {
  Put(File(1), milliseconds(300));
  Put(File(2), milliseconds(100));
  Put(File(3), milliseconds(200));
  EXPECT_EQ(table_.NextDueTime(), kNow + milliseconds(100));
  EXPECT_EQ(table_.NextDue(kNow), std::nullopt);
  EXPECT_EQ(TakeDue(kNow + milliseconds(250)), "/data/2 /data/3 ");
  EXPECT_EQ(table_.NextDueTime(), kNow + milliseconds(300));
}

TEST_F(RetryTableTest, ALaterEntryReplacesTheEarlier) {
  Put(File(1), milliseconds(100), false, 1);
  Put(File(1), milliseconds(500), false, 2);
  EXPECT_EQ(table_.size(), 1U);
  EXPECT_EQ(table_.NextDue(kNow + milliseconds(200)), std::nullopt);
  EXPECT_EQ(table_.Take(File(1)).attempts, 2);
}

TEST_F(RetryTableTest, AnInodeUsedAgainIsAnotherFile) {
  Put(File(1, "/data/old"), hours(1), false, 9);
  // Asking forgets the old file.
  EXPECT_FALSE(table_.IsWaiting(File(1, "/data/new"), kNow));
  EXPECT_EQ(table_.size(), 0U);
  EXPECT_EQ(table_.NextDueTime(), std::nullopt);

  Put(File(1, "/data/old"), hours(1), false, 9);
  EXPECT_EQ(table_.Take(File(1, "/data/new")).attempts, 0);
  EXPECT_EQ(table_.size(), 0U);
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

TEST_F(RetryTableTest, MakeAllDueCutsEveryWaitShort) {
  Put(File(1), hours(1), false);
  Put(File(2), hours(1), true);
  Put(File(3), milliseconds(-100));
  table_.MakeAllDue(kNow);
  EXPECT_EQ(table_.NextDueTime(), kNow - milliseconds(100));  // What is due stays as it is.
  EXPECT_EQ(TakeDue(kNow), "/data/3 /data/1 /data/2 ");
}

TEST_F(RetryTableTest, MakeOfflineDueCutsOnlyWaitsShortThatBeganOffline) {
  Put(File(1), hours(1), false);
  Put(File(2), hours(1), true);
  table_.MakeOfflineDue(kNow);
  EXPECT_EQ(TakeDue(kNow), "/data/2 ");
  EXPECT_TRUE(table_.IsWaiting(File(1), kNow));
}

TEST_F(RetryTableTest, ClearForgetsAll) {
  Put(File(1), hours(1));
  table_.Clear();
  EXPECT_EQ(table_.size(), 0U);
  EXPECT_EQ(table_.NextDueTime(), std::nullopt);
}

TEST(AfterBusyTest, CountsNoTryAndWaitsABitLongerEachTime) {
  const MonotonicTime now{std::chrono::hours(1)};
  RetryState state{.attempts = 3, .offline = true, .resume_offset = 7};
  const int64_t expected_ms[] = {200,   400,   800,   1600,  3200, 6400,
                                 12800, 25600, 51200, 60000, 60000};
  for (const int64_t wait : expected_ms) {
    state = AfterBusy(state, 9, now);
    EXPECT_EQ(state.due - now, std::chrono::milliseconds(wait));
  }
  EXPECT_EQ(state.attempts, 3);
  EXPECT_TRUE(state.offline);
  EXPECT_EQ(state.resume_offset, 9U);
  EXPECT_EQ(AfterFailure(state, Verdict::kTransient, 0, now, 0.5).busy_looks, 0);
}

TEST(RetryTableBusyTest, KnowsWhichFilesAreBusy) {
  RetryTable table;
  const FoundFile busy{.path = "/busy", .id = {.device = 1, .inode = 1}};
  const FoundFile failed{.path = "/failed", .id = {.device = 1, .inode = 2}};
  table.Put({busy, AfterBusy({}, 0, MonotonicTime())});
  table.Put({failed, AfterFailure({}, Verdict::kTransient, 0, MonotonicTime(), 0.5)});
  EXPECT_EQ(table.CountBusy(), 1U);
  EXPECT_TRUE(table.IsBusy(busy));
  EXPECT_FALSE(table.IsBusy(failed));
  FoundFile other = busy;
  other.path = "/other";
  EXPECT_FALSE(table.IsBusy(other));
}

TEST(RetryTableVersionTest, OfAChangedFileNothingCountsAsStored) {
  FoundFile file{.path = "/file", .id = {.device = 1, .inode = 1}, .version = {.size = 5}};
  const RetryState state{.attempts = 2, .resume_offset = 4};
  RetryTable table;
  table.Put({file, state});
  EXPECT_EQ(table.Take(file).resume_offset, 4U);
  table.Put({file, state});
  file.version.size = 6;
  const RetryState taken = table.Take(file);
  EXPECT_EQ(taken.resume_offset, 0U);
  EXPECT_EQ(taken.attempts, 2);
}

}  // namespace
}  // namespace datamanager::sync
