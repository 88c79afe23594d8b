#include "sync/disk.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "base/logger.h"
#include "capture_file/file_name.h"
#include "sync/former_roots.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/gate.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"
#include "tests/sync/sync_fixture.h"
#include "tests/sync/test_files.h"

namespace datamanager::sync {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using testing::FaultyFileOps;

class DiskTest : public SyncFixture {
 protected:
  DiskTest() {
    options_.ops = &ops_;
    ops_.SetVolume([this](struct statvfs& volume) {
      volume_gate_.Pass();
      volume.f_frsize = 1 << 20;
      volume.f_blocks = 1000;
      volume.f_bavail = volume.f_bfree = available_;
      volume.f_files = 0;
    });
    config_.scheduled = false;  // Nothing is uploaded but by SyncNow.
    retention_ = {.enabled = true, .every_nth = 1, .capture_threshold = 1e-9};
  }
  // Sync too, whose threads use ops_.
  ~DiskTest() override {
    CloseDisk();
    Close();
  }

  void StartDisk(std::chrono::milliseconds retention_interval = 5ms) {
    Start();
    disk_ = std::make_unique<Disk>(
        sync_->context(),
        DiskOptions{.retention_interval = retention_interval, .summary_interval = 5ms});
    ReconfigureDisk();
  }
  void ReconfigureDisk() {
    const absl::Status status = disk_->Reconfigure(config_, retention_, In(5s));
    EXPECT_TRUE(status.ok()) << status;
  }
  void CloseDisk() {
    if (disk_ == nullptr) return;
    EXPECT_TRUE(disk_->Close(In(5s)).ok());
    disk_ = nullptr;
  }
  // So that what has not happened does not happen.
  void LookTwice() {
    const uint64_t looks = disk_->Stats().looks;
    EXPECT_TRUE(WaitUntil([&] { return disk_->Stats().looks >= looks + 2; }));
  }
  std::string CaptureAged(std::chrono::seconds age) {
    std::string path = DirectoryOf("arm") + "/" +
                       capture_file::CompleteName(std::chrono::system_clock::now() - age);
    WriteFile(path, CaptureFileBytes(TabularMetadata("arm"), {Reading(1)}));
    return path;
  }

  config::RetentionConfig retention_;
  FaultyFileOps ops_;
  std::atomic<uint64_t> available_{500};
  testing::Gate volume_gate_;  // Closed, it holds whoever asks for the usage.
  std::unique_ptr<Disk> disk_;
};

TEST_F(DiskTest, EvictsWhatIsTooMuchAndSaysOfWhom) {
  Capture("arm", 1);
  Capture("leg", 1);
  StartDisk();
  LookTwice();
  EXPECT_EQ(OnDisk(), "arm leg");
  available_ = 10;
  EXPECT_TRUE(WaitUntil([&] { return disk_->Stats().evicted.files == 2; }));
  EXPECT_EQ(OnDisk(), "");
  const DiskStats stats = disk_->Stats();
  EXPECT_EQ(stats.evicted_by_collector.at("rdk_component_sensor/arm/Readings").files, 1u);
  EXPECT_GT(stats.evicted.bytes, 0u);
  EXPECT_TRUE(Logged("99.0 % and exceeds the threshold of 90.0 %; evicted 2 files"));
  EXPECT_TRUE(Logged("rdk_component_sensor/leg/Readings 1 files"));
}

TEST_F(DiskTest, EvictsNothingWhileCaptureIsDisabled) {
  retention_.enabled = false;
  available_ = 10;
  Capture("arm", 1);
  StartDisk();
  LookTwice();
  EXPECT_EQ(disk_->Stats().retention_passes, 0u);
  EXPECT_EQ(OnDisk(), "arm");
}

TEST_F(DiskTest, WhatIsStillFullIsSaidOnce) {
  retention_.every_nth = 5;
  available_ = 10;
  WriteFile(captured_ + "/in the way.txt", std::string(10000, 'x'));  // No candidate.
  StartDisk();
  EXPECT_TRUE(WaitUntil([&] { return disk_->Stats().retention_passes >= 5; }));
  EXPECT_TRUE(Logged("it still exceeds it"));
  CloseDisk();
  EXPECT_EQ(log_.Count("it still exceeds it", LogLevel::kWarning), 1u);
}

TEST_F(DiskTest, OthersThatFillTheDiskAreSaidOnce) {
  retention_.capture_threshold = 0.5;
  available_ = 10;
  Capture("arm", 1);
  StartDisk();
  EXPECT_TRUE(WaitUntil([&] { return disk_->Stats().retention_passes >= 5; }));
  EXPECT_TRUE(Logged("below 50.0 %, so nothing more is evicted"));
  CloseDisk();
  EXPECT_EQ(log_.Count("nothing more is evicted"), 1u);
  EXPECT_EQ(OnDisk(), "arm");
}

// By the numbers there is room.
TEST_F(DiskTest, ARefusedWriteStartsAPassAtOnce) {
  Capture("arm", 1);
  StartDisk(/*retention_interval=*/1h);
  ops_.Fail(FaultyFileOps::Call::kWrite, EDQUOT);
  sync_->context()->disk_full.Raise(EDQUOT);
  EXPECT_TRUE(WaitUntil([&] { return disk_->Stats().evicted.files == 1; }));
  EXPECT_EQ(disk_->Stats().evicted_by_limit.quota, 1u);
  EXPECT_TRUE(Logged("writes are refused because a quota is used up; evicted 1 files"));
  // Another error of a write starts no pass.
  const uint64_t passes = disk_->Stats().retention_passes;
  sync_->context()->disk_full.Raise(EIO);
  sync_->context()->disk_full.RaiseFor(absl::InternalError("no"));
  LookTwice();
  EXPECT_EQ(disk_->Stats().retention_passes, passes);
}

TEST_F(DiskTest, EvictingInVainEndsWithAWarningUntilSomethingChanges) {
  for (int i = 0; i < 100; ++i) CaptureAged(std::chrono::seconds(1000 - i));
  ops_.Fail(FaultyFileOps::Call::kWrite, ENOSPC);
  available_ = 0;
  StartDisk(/*retention_interval=*/5ms);
  ASSERT_TRUE(WaitUntil([&] { return disk_->Stats().fruitless_passes == 1; }));
  EXPECT_TRUE(Logged("evicting made no room (limit: disk space): another process may be filling"));
  const uint64_t passes = disk_->Stats().retention_passes;
  sync_->context()->disk_full.Raise(ENOSPC);
  EXPECT_TRUE(WaitUntil([&] { return disk_->Stats().retention_passes >= passes + 5; }));
  EXPECT_EQ(disk_->Stats().evicted.files, 32u);
  EXPECT_EQ(disk_->Stats().evicted_by_limit.bytes, 32u);
  // The other process frees some space.
  available_ = 5;
  EXPECT_TRUE(WaitUntil([&] { return disk_->Stats().evicted.files > 32; }));
  CloseDisk();
  EXPECT_LE(log_.Count("evicting made no room"), 4u);
}

TEST_F(DiskTest, EvictingInVainIsTriedAgainAfterAWhile) {
  for (int i = 0; i < 100; ++i) CaptureAged(std::chrono::seconds(1000 - i));
  available_ = 0;
  StartDisk();
  ASSERT_TRUE(WaitUntil([&] { return disk_->Stats().fruitless_passes == 1; }));
  const uint64_t passes = disk_->Stats().retention_passes;
  EXPECT_TRUE(WaitUntil([&] { return disk_->Stats().retention_passes >= passes + 5; }));
  EXPECT_EQ(disk_->Stats().evicted.files, 32u) << "Files can be written, as all the time.";
  clock_.Advance(6min);
  EXPECT_TRUE(WaitUntil([&] { return disk_->Stats().fruitless_passes == 2; }));
  EXPECT_EQ(disk_->Stats().evicted.files, 64u);
}

TEST_F(DiskTest, WarnsOfStaleDataIfSyncShouldRun) {
  config_.scheduled = true;
  config_.interval = 6s;
  CaptureAged(1h);
  StartDisk();
  EXPECT_TRUE(Logged("warning: Capture data may not be syncing"));
  LookTwice();
  CloseDisk();
  EXPECT_EQ(log_.Count("Capture data may not be syncing"), 1u);
}

TEST_F(DiskTest, MentionsStaleDataIfSyncShouldNotRun) {
  CaptureAged(1h);
  StartDisk();
  EXPECT_TRUE(Logged("debug: Capture data may not be syncing"));
}

TEST_F(DiskTest, ALookThatHangsHoldsUpNoReconfigure) {
  volume_gate_.Close();
  StartDisk();
  ASSERT_TRUE(WaitUntil([&] { return volume_gate_.waiting() > 0; }));
  retention_.every_nth = 2;
  const absl::Status status = disk_->Reconfigure(config_, retention_, In(20ms));
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(disk_->Stats().looks, 0u);
  EXPECT_TRUE(Logged("a look at the disk hangs in it; its thread was left alone"));
  volume_gate_.Open();
  LookTwice();
}

TEST_F(DiskTest, StatsTellWhatWaitsAndHowLongAgoThatWasSeen) {
  Capture("arm", 1);
  StartDisk();
  LookTwice();
  EXPECT_EQ(disk_->Stats().directories.at(0).waiting.files, 1u);
  EXPECT_TRUE(Logged("on disk: " + captured_ + ": 1 files wait"));
  // No more looks.
  disk_->RequestStop();
  clock_.Advance(100s);
  EXPECT_GE(disk_->Stats().age, 100s);
}

TEST_F(DiskTest, WhatWaitsInAFormerDirectoryIsUploadedAndThenItIsForgotten) {
  Capture("arm", 2);
  StartDisk();
  LookTwice();
  config_.capture_directory = dir_.path() + "/new place: here";
  std::filesystem::create_directories(config_.capture_directory);
  ReconfigureDisk();
  Reconfigure();
  EXPECT_TRUE(WaitUntil([&] { return disk_->Stats().directories.size() == 3; }));
  LookTwice();
  EXPECT_EQ(disk_->Stats().directories[2].role, DirectorySummary::Role::kFormer);
  EXPECT_EQ(disk_->Stats().directories[2].waiting.files, 1u);
  EXPECT_TRUE(SyncNow().ok());
  EXPECT_EQ(Uploaded(), "arm:1,2");
  EXPECT_TRUE(WaitUntil([&] { return disk_->Stats().directories.size() == 2; }));
  EXPECT_TRUE(Logged("nothing is left in the former capture_dir " + captured_));
  EXPECT_TRUE(sync_->context()->former_roots.Paths().empty());
}

TEST_F(DiskTest, AFormerDirectoryStaysWhileAnythingIsInIt) {
  StartDisk();
  const std::string in_progress =
      DirectoryOf("leg") + "/" + capture_file::InProgressName(WallTime());
  WriteFile(in_progress, "x");
  config_.capture_directory = dir_.path() + "/new";
  ReconfigureDisk();
  LookTwice();
  EXPECT_EQ(sync_->context()->former_roots.Paths().size(), 1u);
  WriteFile(captured_ + "/failed/a.txt", "x");
  std::filesystem::remove(in_progress);
  LookTwice();
  EXPECT_EQ(sync_->context()->former_roots.Paths().size(), 1u);
  std::filesystem::remove(captured_ + "/failed/a.txt");
  EXPECT_TRUE(WaitUntil([&] { return sync_->context()->former_roots.Paths().empty(); }));
}

TEST_F(DiskTest, RetryFailedHasTheNextPassUploadThem) {
  server_->FailNext(1, absl::StatusCode::kInvalidArgument);
  Capture("arm", 1);
  StartDisk();
  EXPECT_FALSE(SyncNow().ok());
  EXPECT_EQ(OnDisk(), "failed/arm");
  const auto result = disk_->RetryFailed();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->moved, 1u);
  EXPECT_EQ(OnDisk(), "arm");
  EXPECT_TRUE(SyncNow().ok());
  EXPECT_EQ(Uploaded(), "arm:1");
}

TEST_F(DiskTest, WhatCannotBeMovedForWantOfRoomIsReported) {
  Start();
  DiskFullHint& hint = sync_->context()->disk_full;
  server_->FailNext(2, absl::StatusCode::kInvalidArgument);
  ops_.Fail(FaultyFileOps::Call::kMkdir, EDQUOT, 1, "failed");
  Capture("arm", 1);
  EXPECT_FALSE(SyncNow().ok());  // The second attempt sets it aside.
  EXPECT_EQ(OnDisk(), "failed/arm");
  EXPECT_EQ(hint.Take(), ENOSPC);
  // Moving it back reports the full disk, too.
  disk_ = std::make_unique<Disk>(sync_->context());
  retention_.enabled = false;
  ReconfigureDisk();
  std::filesystem::remove(DirectoryOf("arm"));
  ops_.Fail(FaultyFileOps::Call::kMkdir, ENOSPC, 1, "Readings");
  EXPECT_EQ(disk_->RetryFailed()->left, 1u);
  EXPECT_EQ(hint.Take(), ENOSPC);
}

TEST_F(DiskTest, RetryFailedNeedsAConfigAndEndsWithClose) {
  Start();
  disk_ = std::make_unique<Disk>(sync_->context());
  EXPECT_EQ(disk_->RetryFailed().status().code(), absl::StatusCode::kFailedPrecondition);
  ReconfigureDisk();
  EXPECT_TRUE(disk_->RetryFailed().ok());
  disk_->RequestStop();
  EXPECT_EQ(disk_->RetryFailed().status().code(), absl::StatusCode::kCancelled);
}

class FormerRootsTest : public ::testing::Test {
 protected:
  std::string Move(const std::string& from, const std::string& to,
                   std::vector<std::string> additional = {}) {
    return roots_.Move({.capture_directory = from},
                       {.capture_directory = to, .additional_paths = std::move(additional)});
  }
  std::string Paths() const { return Join(roots_.Paths()); }

  FormerRoots roots_;
};

TEST_F(FormerRootsTest, ListsWhatIsNotWalkedAnyhow) {
  Move("/a", "/b");
  EXPECT_EQ(Paths(), "/a");
  Move("/b", "/b");  // Something else in the config changes.
  EXPECT_EQ(Paths(), "/a");
  Move("/b", "/c", {"/b"});
  EXPECT_EQ(Paths(), "/a");
  Move("/c", "/a");
  EXPECT_EQ(Paths(), "/c");
  Move("/a", "/a/inside");
  EXPECT_EQ(Paths(), "/c /a");
  Move("/a/inside", "/");
  EXPECT_EQ(Paths(), "");
}

TEST_F(FormerRootsTest, IsBounded) {
  for (size_t i = 0; i < FormerRoots::kLimit; ++i) {
    EXPECT_EQ(Move("/" + std::to_string(i), "/" + std::to_string(i + 1)), "");
  }
  EXPECT_EQ(Move("/" + std::to_string(FormerRoots::kLimit), "/new"), "/0");
  roots_.Drop("/1");
  EXPECT_EQ(roots_.Paths().size(), FormerRoots::kLimit - 1);
}

}  // namespace
}  // namespace datamanager::sync
