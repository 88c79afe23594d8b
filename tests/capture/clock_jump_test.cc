// Capture while the wall clock is set, as NTP does on a board that has no clock of its own.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "capture_file/file_name.h"
#include "tests/capture/one_sensor.h"
#include "tests/support/temp_dir.h"

namespace datamanager::capture {
namespace {

using std::chrono::hours;
using testing::CapturedFile;
using testing::FilesBelow;
using testing::LoadPublished;
using testing::OneSensor;
using testing::TempDir;

constexpr hours kYear{24 * 365};

class ClockJumpTest : public ::testing::Test {
 protected:
  const TempDir temp_;
  OneSensor it_{temp_.path()};
};

TEST_F(ClockJumpTest, NeitherStopsTheLoopNorLosesARecord) {
  it_.config().max_file_bytes = 300;
  it_.Start();
  // An hour back and forth as daylight saving is mistaken for it; from 1970; before it; far ahead.
  for (const hours step :
       {hours(-1), hours(1), -56 * kYear, -10 * kYear, 150 * kYear, -84 * kYear}) {
    it_.clock().StepWall(step);
    ASSERT_TRUE(it_.WaitForCaptured(10)) << step.count();
    it_.Flush();
  }
  it_.Close();
  EXPECT_EQ(it_.Stats().failed, 0U);
  it_.ExpectAllKept(temp_.path());
}

TEST_F(ClockJumpTest, NeverOverwritesAFile) {
  constexpr WallTime kOften{std::chrono::seconds(1767341045)};
  it_.config().max_file_bytes = 1;  // A file a record.
  it_.Start();
  // The same microsecond, over and over: with its files waiting, and with one open.
  it_.clock().StopWall(kOften);
  ASSERT_TRUE(it_.WaitForCaptured(20));
  it_.clock().StepWall(std::chrono::microseconds(-10));
  ASSERT_TRUE(it_.WaitForCaptured(20));
  it_.clock().StopWall(kOften);
  ASSERT_TRUE(it_.WaitForCaptured(20));
  it_.Close();
  EXPECT_EQ(FilesBelow(temp_.path(), ".capture").size(), it_.Stats().captured);
  it_.ExpectAllKept(temp_.path());
}

TEST_F(ClockJumpTest, LeavesTheFlushesTheirPeriod) {
  testing::FaultyFileOps ops;
  it_.Use(ops);
  it_.config().durability = Durability::kPeriodic;
  it_.config().durability_interval = std::chrono::milliseconds(5);
  it_.Start();
  for (const hours step : {-kYear, 2 * kYear, -kYear}) {
    it_.clock().StepWall(step);
    const int before = ops.Count(testing::FaultyFileOps::Call::kFdatasync);
    EXPECT_TRUE(testing::WaitUntil(
        [&] { return ops.Count(testing::FaultyFileOps::Call::kFdatasync) >= before + 3; }));
  }
  it_.Close();
  it_.ExpectAllKept(temp_.path());
}

}  // namespace
}  // namespace datamanager::capture
