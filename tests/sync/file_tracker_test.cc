#include "sync/file_tracker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <optional>
#include <stop_token>
#include <utility>

namespace datamanager::sync {
namespace {

using std::chrono::milliseconds;

constexpr FileId kFile{.device = 1, .inode = 10};
constexpr FileId kOther{.device = 1, .inode = 11};
constexpr FileId kSameInodeElsewhere{.device = 2, .inode = 10};

MonotonicTime In(milliseconds wait) { return std::chrono::steady_clock::now() + wait; }

TEST(FileTrackerTest, AFileHasOneOwnerAtATime) {
  FileTracker tracker;
  {
    const auto claim = tracker.TryClaim(kFile);
    ASSERT_TRUE(claim.has_value());
    EXPECT_EQ(claim->id(), kFile);
    EXPECT_TRUE(tracker.IsClaimed(kFile));
    EXPECT_FALSE(tracker.TryClaim(kFile).has_value());
    EXPECT_TRUE(tracker.TryClaim(kOther).has_value());
    EXPECT_TRUE(tracker.TryClaim(kSameInodeElsewhere).has_value());
  }
  EXPECT_FALSE(tracker.IsClaimed(kFile));
  EXPECT_EQ(tracker.size(), 0U);
}

TEST(FileTrackerTest, AClaimMovesAndIsGivenBackOnce) {
  FileTracker tracker;
  auto claim = tracker.TryClaim(kFile);
  ASSERT_TRUE(claim.has_value());
  FileTracker::Claim moved = *std::move(claim);
  claim.reset();
  EXPECT_TRUE(tracker.IsClaimed(kFile));

  auto other = tracker.TryClaim(kOther);
  ASSERT_TRUE(other.has_value());
  moved = *std::move(other);  // Gives back what it held.
  EXPECT_FALSE(tracker.IsClaimed(kFile));
  EXPECT_TRUE(tracker.IsClaimed(kOther));
  moved.Release();
  moved.Release();
  EXPECT_EQ(tracker.size(), 0U);
}

TEST(FileTrackerTest, WaitsUntilAFileIsFree) {
  FileTracker tracker;
  auto claim = tracker.TryClaim(kFile);
  const auto other = tracker.TryClaim(kOther);
  EXPECT_FALSE(tracker.WaitUntilFree(kFile, In(milliseconds(5)), {}));
  auto freed = std::async(std::launch::async, [&] {
    return tracker.WaitUntilFree(kFile, In(std::chrono::hours(1)), {});
  });
  claim.reset();
  EXPECT_TRUE(freed.get());
}

TEST(FileTrackerTest, WaitsUntilIdle) {
  FileTracker tracker;
  EXPECT_TRUE(tracker.WaitUntilIdle(In(milliseconds(0)), {}));
  auto one = tracker.TryClaim(kFile);
  auto other = tracker.TryClaim(kOther);
  EXPECT_FALSE(tracker.WaitUntilIdle(In(milliseconds(5)), {}));
  auto idle = std::async(std::launch::async,
                         [&] { return tracker.WaitUntilIdle(In(std::chrono::hours(1)), {}); });
  one.reset();
  other.reset();
  EXPECT_TRUE(idle.get());
}

TEST(FileTrackerTest, AStopEndsTheWaits) {
  FileTracker tracker;
  const auto claim = tracker.TryClaim(kFile);
  std::stop_source stop;
  auto idle = std::async(std::launch::async, [&] {
    return tracker.WaitUntilIdle(In(std::chrono::hours(1)), stop.get_token());
  });
  auto freed = std::async(std::launch::async, [&] {
    return tracker.WaitUntilFree(kFile, In(std::chrono::hours(1)), stop.get_token());
  });
  stop.request_stop();
  EXPECT_FALSE(idle.get());
  EXPECT_FALSE(freed.get());
}

}  // namespace
}  // namespace datamanager::sync
