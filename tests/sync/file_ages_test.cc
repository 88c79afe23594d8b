#include "sync/file_ages.h"

#include <gtest/gtest.h>

#include <chrono>

namespace datamanager::sync {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kMinAge{10};

class FileAgesTest : public ::testing::Test {
 protected:
  // A file modified that long ago, by the wall clock.
  struct stat File(seconds age, ino_t inode = 1) const {
    struct stat info {};
    info.st_ino = inode;
    info.st_size = 10;
    info.st_mtim.tv_sec = std::chrono::system_clock::to_time_t(wall_ - age);
    return info;
  }
  bool IsReady(const struct stat& info) {
    return ages_.IsReady(FileKind::kArbitrary, info, kMinAge, wall_, now_);
  }
  void Wait(milliseconds time) {
    wall_ += time;
    now_ += time;
  }
  void Step(seconds by) { wall_ += by; }

  FileAges ages_;
  WallTime wall_{hours(500000)};
  MonotonicTime now_{hours(3)};
};

TEST_F(FileAgesTest, WhatIsReady) {
  const struct {
    const char* what;
    FileKind kind;
    off_t size;
    seconds age;
    bool ready;
  } kCases[] = {
      {"a capture file at once", FileKind::kCapture, 10, seconds(0), true},
      {"a capture file whatever its size", FileKind::kCapture, 0, seconds(0), true},
      {"a capture file of the future", FileKind::kCapture, 10, seconds(-100), true},
      {"another when it was left alone", FileKind::kArbitrary, 10, seconds(10), true},
      {"another not before", FileKind::kArbitrary, 10, seconds(9), false},
      {"another that is empty never", FileKind::kArbitrary, 0, seconds(1000), false},
      {"another of the future not at once", FileKind::kArbitrary, 10, seconds(-100), false},
  };
  for (const auto& test : kCases) {
    struct stat info = File(test.age);
    info.st_size = test.size;
    EXPECT_EQ(ages_.IsReady(test.kind, info, kMinAge, wall_, now_), test.ready) << test.what;
  }
  EXPECT_TRUE(ages_.IsReady(FileKind::kArbitrary, File(seconds(-100)), seconds(0), wall_, now_));
}

TEST_F(FileAgesTest, AFileOfTheFutureIsAgedFromWhenItWasFirstSeen) {
  const struct stat file = File(-hours(24 * 365));
  EXPECT_FALSE(IsReady(file));
  Wait(seconds(9));
  EXPECT_FALSE(IsReady(file));
  Wait(seconds(1));
  EXPECT_TRUE(IsReady(file));
}

TEST_F(FileAgesTest, AFileOfTheFutureThatChangesIsAgedAnew) {
  struct stat file = File(-hours(1));
  EXPECT_FALSE(IsReady(file));
  Wait(seconds(9));
  ++file.st_size;
  EXPECT_FALSE(IsReady(file));
  Wait(seconds(9));
  EXPECT_FALSE(IsReady(file));
  Wait(seconds(1));
  EXPECT_TRUE(IsReady(file));
}

TEST_F(FileAgesTest, AnotherFileWithTheSameInodeIsAgedAnew) {
  EXPECT_FALSE(IsReady(File(-hours(1))));
  Wait(seconds(11));
  EXPECT_FALSE(IsReady(File(-hours(2))));
}

// As when NTP sets the clock of a board without one, while a file is being written.
TEST_F(FileAgesTest, AStepForthMakesNothingOld) {
  EXPECT_TRUE(IsReady(File(hours(1), 2)));
  const struct stat file = File(seconds(1));
  EXPECT_FALSE(IsReady(file));
  Step(hours(24 * 365));
  EXPECT_FALSE(IsReady(file));
  Wait(seconds(9));
  EXPECT_FALSE(IsReady(file));
  Wait(seconds(1));
  EXPECT_TRUE(IsReady(file));
}

TEST_F(FileAgesTest, AStepForthThatIsSeenOnlyWithTheFileMakesItNoOlder) {
  EXPECT_FALSE(IsReady(File(seconds(0), 2)));
  Wait(seconds(5));
  const struct stat file = File(seconds(0));
  Step(hours(1));
  EXPECT_FALSE(IsReady(file));
}

TEST_F(FileAgesTest, AStepBackMakesNothingWaitForEver) {
  const struct stat file = File(seconds(1));
  EXPECT_FALSE(IsReady(file));
  Step(-hours(24 * 365));
  EXPECT_FALSE(IsReady(file));
  Wait(seconds(10));
  EXPECT_TRUE(IsReady(file));
}

TEST_F(FileAgesTest, AfterAStepNewFilesAgeAsEver) {
  EXPECT_FALSE(IsReady(File(seconds(0), 2)));
  Step(hours(1));
  Wait(seconds(20));
  EXPECT_FALSE(IsReady(File(seconds(0))));  // The look that notices the step.
  Wait(seconds(11));
  EXPECT_TRUE(IsReady(File(seconds(10))));
  EXPECT_FALSE(IsReady(File(seconds(9))));
}

TEST_F(FileAgesTest, ASlewedClockHasNotStepped) {
  const struct stat file = File(seconds(0));
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(IsReady(file));
    Wait(milliseconds(99));
    wall_ += milliseconds(1);
  }
  EXPECT_TRUE(IsReady(file));
}

// Memory is bounded, and each file has its turn all the same.
TEST_F(FileAgesTest, ManyFilesOfTheFutureBecomeReadyOneAfterAnother) {
  const size_t count = 2 * FileAges::kLimit + 10;
  std::vector<bool> gone(count);
  size_t left = count;
  struct stat file = File(-hours(1000));
  for (int pass = 0; pass < 4; ++pass) {
    for (size_t i = 0; i < count; ++i) {
      file.st_ino = i + 1;
      if (!gone[i] && IsReady(file)) {
        gone[i] = true;
        --left;
      }
    }
    Wait(kMinAge);
  }
  EXPECT_EQ(left, 0U);
}

}  // namespace
}  // namespace datamanager::sync
