#include "sync/disk_summary.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "base/logger.h"
#include "capture_file/file_name.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/sync/test_files.h"

namespace datamanager::sync {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// The reference's TestCheckAndLogStaleData; its log levels are in DiskTest.
class StaleWarningTest : public ::testing::Test {
 protected:
  static std::optional<std::string> Warn(std::optional<std::chrono::milliseconds> age,
                                         std::chrono::milliseconds interval = 6s,
                                         std::optional<MonotonicTime> said = std::nullopt) {
    DirectorySummary summary{.path = "/captured", .waiting = {.files = 42, .bytes = 1}};
    if (age.has_value()) {
      summary.oldest_waiting = WallTime();
      summary.oldest_waiting_age = *age;
    }
    return StaleWarning({summary}, interval, said, kNow);
  }
  static constexpr MonotonicTime kNow{10h};
};

TEST_F(StaleWarningTest, NothingWaits) { EXPECT_FALSE(Warn(std::nullopt).has_value()); }

TEST_F(StaleWarningTest, FreshFiles) { EXPECT_FALSE(Warn(30s).has_value()); }

TEST_F(StaleWarningTest, OldFiles) {
  const auto text = Warn(5min);
  ASSERT_TRUE(text.has_value());
  EXPECT_NE(text->find("Capture data may not be syncing: oldest file is 5.0 min old"),
            std::string::npos)
      << *text;
  EXPECT_NE(text->find("42 files"), std::string::npos) << *text;
  EXPECT_NE(text->find("/captured"), std::string::npos) << *text;
}

TEST_F(StaleWarningTest, ALongIntervalAllowsMore) {
  EXPECT_FALSE(Warn(15min, 2min).has_value());
  EXPECT_TRUE(Warn(25min, 2min).has_value());
}

TEST_F(StaleWarningTest, AShortIntervalAllowsThreeMinutes) {
  EXPECT_FALSE(Warn(2min, 1ms).has_value());
  EXPECT_TRUE(Warn(4min, 1ms).has_value());
}

TEST_F(StaleWarningTest, OnceInFiveMinutes) {
  EXPECT_FALSE(Warn(10min, 6s, kNow).has_value());
  EXPECT_FALSE(Warn(10min, 6s, kNow - 299s).has_value());
  EXPECT_TRUE(Warn(10min, 6s, kNow - 5min).has_value());
}

TEST_F(StaleWarningTest, WhatWasSetAsideAndWhatIsInProgressIsNoReason) {
  const DirectorySummary summary{
      .in_progress = {.files = 1}, .failed = {.files = 1}, .oldest_in_progress = WallTime()};
  EXPECT_FALSE(StaleWarning({summary}, 6s, std::nullopt, kNow).has_value());
}

class DiskSummaryTest : public ::testing::Test {
 protected:
  DiskSummaryTest() {
    std::filesystem::create_directories(captured_);
    std::filesystem::create_directories(files_);
    config_.capture_directory = captured_;
    config_.additional_paths = {files_};
  }

  std::string PathOf(const std::string& name) const {
    return captured_ + "/rdk_component_sensor/arm/Readings/" + name;
  }
  std::string Complete(std::chrono::seconds age) const {
    return PathOf(capture_file::CompleteName(start_ - age));
  }
  std::string InProgress(std::chrono::seconds age) const {
    return PathOf(capture_file::InProgressName(start_ - age));
  }
  std::vector<DirectorySummary> Look() {
    auto summary = Summarize(*context_, timeline_, config_, {});
    EXPECT_TRUE(summary.has_value());
    return summary.value_or(std::vector<DirectorySummary>{});
  }
  bool IsStale() { return StaleWarning(Look(), 6s, std::nullopt, MonotonicTime(1h)).has_value(); }

  const testing::TempDir dir_;
  const std::string captured_ = dir_.path() + "/captured";
  const std::string files_ = dir_.path() + "/files";
  const WallTime start_ = std::chrono::system_clock::now();
  testing::FaultyFileOps ops_;
  testing::LogCapture log_;
  config::SyncConfig config_;
  const std::shared_ptr<SyncContext> context_ = std::make_shared<SyncContext>(
      SyncOptions{.logger = *Logger::Create(log_.sink()), .ops = &ops_});
  Timeline timeline_{Clock::System()};
};

TEST_F(DiskSummaryTest, CountsWhatWaitsWhatIsInProgressAndWhatWasSetAside) {
  WriteFile(Complete(60s), "12345");
  WriteFile(Complete(120s), "123");
  WriteFile(InProgress(0s), "1");
  WriteFile(captured_ + "/failed/a/x.capture", "1234567");
  WriteFile(captured_ + "/sequences/not-ours.seq", "1");
  WriteFile(captured_ + "/sequences/0123abcd-0123-4abc-8def-0123456789ab.seq", "1234");
  WriteFile(captured_ + "/sequences/0123abcd-0123-4abc-8def-0123456789ac.progseq", "1");
  WriteFile(files_ + "/notes.txt", "12");
  WriteFile(files_ + "/empty.txt", "");
  const auto summary = Look();
  ASSERT_EQ(summary.size(), 2u);
  EXPECT_EQ(summary[0].path, captured_);
  EXPECT_EQ(summary[0].role, DirectorySummary::Role::kCapture);
  EXPECT_EQ(summary[0].waiting.files, 2u);
  EXPECT_EQ(summary[0].waiting.bytes, 8u);
  EXPECT_EQ(summary[0].in_progress.files, 1u);
  EXPECT_EQ(summary[0].failed.files, 1u);
  EXPECT_EQ(summary[0].failed.bytes, 7u);
  EXPECT_EQ(summary[0].sequences.files, 1u);
  EXPECT_EQ(summary[0].sequences.bytes, 4u);
  EXPECT_EQ(std::chrono::floor<std::chrono::microseconds>(start_ - 120s),
            summary[0].oldest_waiting);
  EXPECT_GE(summary[0].oldest_waiting_age, 120s);
  EXPECT_LT(summary[0].oldest_waiting_age, 180s);
  EXPECT_GT(summary[0].volume_bytes, 0u);
  EXPECT_TRUE(summary[0].complete);
  EXPECT_EQ(summary[1].role, DirectorySummary::Role::kAdditional);
  EXPECT_EQ(summary[1].waiting.files, 1u);
}

// The reference's, 2 cases.
TEST_F(DiskSummaryTest, TestDiskSummaryArbitraryFiles) {
  WriteFile(captured_ + "/notes.txt", "x");
  EXPECT_TRUE(Look()[0].oldest_waiting.has_value());
  std::filesystem::remove(captured_ + "/notes.txt");
  WriteFile(InProgress(60s), "x");
  EXPECT_FALSE(Look()[0].oldest_waiting.has_value());
  EXPECT_TRUE(Look()[0].oldest_in_progress.has_value());
}

// The reference's, 4 cases.
TEST_F(DiskSummaryTest, TestCalculateAndSetSummaryStaleWarningOnlyCaptureFiles) {
  WriteFile(InProgress(600s), "x");
  EXPECT_FALSE(IsStale());
  WriteFile(Complete(10s), "x");
  EXPECT_FALSE(IsStale());
  WriteFile(Complete(600s), "x");
  EXPECT_TRUE(IsStale());
  std::filesystem::remove(InProgress(600s));
  EXPECT_TRUE(IsStale());
}

// There it keeps the warning alive.
TEST_F(DiskSummaryTest, WhatWasSetAsideIsNotStale) {
  WriteFile(captured_ + "/failed/a/" + capture_file::CompleteName(start_ - 600s), "x");
  EXPECT_FALSE(IsStale());
}

// There it may come from the first directory that has files.
TEST_F(DiskSummaryTest, EachDirectoryTellsOfItsOwnVolume) {
  int calls = 0;
  ops_.SetVolume([&calls](struct statvfs& volume) {
    volume.f_frsize = 1;
    volume.f_blocks = static_cast<fsblkcnt_t>(++calls) * 1000;
    volume.f_bavail = 10;
    volume.f_files = 400;
    volume.f_favail = 20;
  });
  const auto summary = Look();
  EXPECT_EQ(summary[0].volume_bytes, 1000u);
  EXPECT_EQ(summary[1].volume_bytes, 2000u);
  EXPECT_EQ(summary[1].volume_available_bytes, 10u);
  EXPECT_EQ(summary[1].volume_inodes, 400u);
  EXPECT_EQ(summary[1].volume_available_inodes, 20u);
  EXPECT_NE(Describe(summary[1]).find(", 20 of 400 inodes"), std::string::npos);
}

TEST_F(DiskSummaryTest, DirectoriesInsideEachOtherAreCountedOnce) {
  config_.additional_paths = {dir_.path()};
  WriteFile(Complete(1s), "x");
  WriteFile(files_ + "/notes.txt", "x");
  const auto summary = Look();
  ASSERT_EQ(summary.size(), 2u);
  EXPECT_EQ(summary[0].waiting.files, 1u);
  EXPECT_EQ(summary[1].waiting.files, 1u);
}

TEST_F(DiskSummaryTest, WhatCannotBeReadIsSaidAndTheRestIsCounted) {
  WriteFile(captured_ + "/broken/x.txt", "x");
  WriteFile(Complete(1s), "x");
  ops_.Fail(testing::FaultyFileOps::Call::kOpen, EIO, -1, "broken");
  const auto summary = Look();
  EXPECT_EQ(summary[0].waiting.files, 1u);
  EXPECT_FALSE(summary[0].complete);
  EXPECT_FALSE(IsEmpty(summary[0]));
}

TEST_F(DiskSummaryTest, AStopEndsIt) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(Summarize(*context_, timeline_, config_, stop.get_token()).has_value());
}

}  // namespace
}  // namespace datamanager::sync
