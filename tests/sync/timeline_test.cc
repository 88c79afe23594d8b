#include "sync/timeline.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"

namespace datamanager::sync {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;

class SteppingClock : public Clock {
 public:
  void Pass(std::chrono::seconds time) {
    now_ += time;
    wall_ += time;
  }
  void Step(std::chrono::seconds by) { wall_ += by; }

  MonotonicTime MonotonicNow() const override { return now_; }
  WallTime WallNow() const override { return wall_; }

 private:
  MonotonicTime now_{1h};
  WallTime wall_{std::chrono::hours(24 * 365 * 50)};
};

class TimelineTest : public ::testing::Test {
 protected:
  // A file that is made at this moment.
  struct File {
    std::string path;
    WallTime stamp;
  };
  File Make() { return {absl::StrCat("/captured/", ++files_), clock_.WallNow()}; }
  File MakeAt(WallTime stamp) { return {absl::StrCat("/captured/", ++files_), stamp}; }
  // What retention does as a pass begins, with these files on disk.
  void Walk(const std::vector<File>& files) {
    const int64_t period = timeline_.PeriodToRemember();
    if (period == 0) return;
    for (const File& file : files) timeline_.Remember(file.path, file.stamp);
    timeline_.AllRemembered(period);
  }
  bool IsOlder(const File& a, const File& b) {
    return timeline_.PlaceOf(a.path, a.stamp) < timeline_.PlaceOf(b.path, b.stamp);
  }
  std::chrono::nanoseconds AgeOf(const File& file) {
    return timeline_.AgeOf(file.path, file.stamp);
  }

  SteppingClock clock_;
  const WallTime start_ = clock_.WallNow();
  Timeline timeline_{clock_};
  int files_ = 0;
};

TEST_F(TimelineTest, WithoutStepsTheStampsDecide) {
  Walk({});
  const File first = Make();
  clock_.Pass(1s);
  const File second = Make();
  EXPECT_TRUE(IsOlder(first, second));
  EXPECT_FALSE(IsOlder(second, first));
  EXPECT_EQ(AgeOf(first), 1s);
}

TEST_F(TimelineTest, WhatLayThereAtTheStartIsOlderThanAnythingOfThisRun) {
  const File before = MakeAt(start_ - 1h);
  const File ahead = MakeAt(start_ + 1h);  // Its clock was ahead.
  Walk({before, ahead});
  clock_.Pass(1s);
  const File fresh = Make();
  EXPECT_TRUE(IsOlder(before, fresh));
  EXPECT_TRUE(IsOlder(ahead, fresh));
  EXPECT_TRUE(IsOlder(before, ahead));
  // Also once the clock has got there.
  clock_.Pass(2h);
  EXPECT_TRUE(IsOlder(ahead, fresh));
  EXPECT_TRUE(IsOlder(ahead, Make()));
  EXPECT_EQ(AgeOf(ahead), 2h + 1s);
  EXPECT_EQ(AgeOf(before), 3h + 1s);
}

TEST_F(TimelineTest, AClockThatStepsBackMakesFreshFilesNoOlder) {
  Walk({});
  std::vector<File> files;
  for (int i = 0; i < 4; ++i) {
    clock_.Pass(20min);
    files.push_back(Make());
    timeline_.PeriodToRemember();  // As each pass does.
  }
  clock_.Step(-61min);
  Walk(files);
  for (int i = 0; i < 8; ++i) {
    clock_.Pass(10min);  // Once more through the hour it has seen.
    files.push_back(Make());
  }
  for (size_t i = 1; i < files.size(); ++i) {
    EXPECT_TRUE(IsOlder(files[i - 1], files[i])) << i;
    EXPECT_GT(AgeOf(files[i - 1]), AgeOf(files[i])) << i;
  }
  EXPECT_EQ(AgeOf(files.front()), 60min + 80min);
}

TEST_F(TimelineTest, AFileMadeBetweenTheStepAndTheNextLookIsNoOlder) {
  Walk({});
  clock_.Pass(50min);
  const File before = Make();
  timeline_.PeriodToRemember();
  clock_.Pass(10s);
  clock_.Step(-30min);
  clock_.Pass(10s);
  const File after = Make();
  clock_.Pass(10s);
  Walk({before, after});
  EXPECT_TRUE(IsOlder(before, after));
  EXPECT_LE(AgeOf(after), 30s);
}

TEST_F(TimelineTest, ABoardWithoutAClockThatGetsTheTimeKeepsTheOrder) {
  clock_.Step(-24h * 300);
  Timeline timeline(clock_);
  const File left = MakeAt(start_ - 24h);  // A file of yesterday's run, which knew the time.
  const int64_t period = timeline.PeriodToRemember();
  timeline.Remember(left.path, left.stamp);
  timeline.AllRemembered(period);
  clock_.Pass(10s);
  const File early = Make();
  timeline.PeriodToRemember();
  clock_.Pass(10s);
  clock_.Step(24h * 300);
  const File late = Make();
  const auto place = [&](const File& file) { return timeline.PlaceOf(file.path, file.stamp); };
  EXPECT_LT(place(left), place(early));
  EXPECT_LT(place(early), place(late));
}

TEST_F(TimelineTest, ManyStepsAndFilesTakeBoundedMemoryAndNeverMakeAFreshFileOld) {
  std::vector<File> files;
  for (size_t i = 0; i < Timeline::kRememberedLimit + 10; ++i) {
    files.push_back(MakeAt(start_ + 1h + std::chrono::seconds(i)));
  }
  Walk(files);
  // What found no room is known for old as long as the clock is behind it.
  const File fresh = Make();
  EXPECT_TRUE(IsOlder(files.front(), fresh));
  EXPECT_TRUE(IsOlder(files.back(), fresh));
  const File young = Make();
  for (size_t i = 0; i < Timeline::kPeriodLimit * 2; ++i) {
    clock_.Pass(10s);
    clock_.Step(i % 2 == 0 ? -5min : 5min);
    timeline_.PeriodToRemember();
  }
  EXPECT_FALSE(IsOlder(Make(), young));
}

TEST_F(TimelineTest, ASlewedClockDoesNotStep) {
  Walk({});
  for (int i = 0; i < 100; ++i) {
    clock_.Pass(10s);
    clock_.Pass(0s);
    EXPECT_EQ(timeline_.PeriodToRemember(), 0);
  }
  clock_.Step(-2s);
  EXPECT_NE(timeline_.PeriodToRemember(), 0);
}

}  // namespace
}  // namespace datamanager::sync
