#include "sync/retention.h"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/logger.h"
#include "capture_file/file_name.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/sync/test_files.h"

namespace datamanager::sync {
namespace {

using testing::FaultyFileOps;

constexpr uint64_t kBlock = 4096;

DiskUsage Usage(double used, double captured) {
  return {.size = 1000,
          .available = static_cast<uint64_t>(1000 - used * 1000),
          .captured = static_cast<uint64_t>(captured * 1000)};
}

TEST(RetentionPolicyTest, EvictsOnlyAboveBothThresholds) {
  const config::RetentionConfig config{.enabled = true};
  EXPECT_EQ(NeedOf(config, Usage(0.89, 0.8)), Need::kNone);
  EXPECT_EQ(NeedOf(config, Usage(0.95, 0.49)), Need::kOthersFillIt);
  EXPECT_EQ(NeedOf(config, Usage(0.95, 0.5)), Need::kEvict);
  EXPECT_EQ(NeedOf(config, Usage(1, 1)), Need::kEvict);
  EXPECT_EQ(NeedOf(config, {}), Need::kNone);  // A volume that tells no size.
}

// The reference's TestFileDeletionUsageCheck.
TEST(RetentionPolicyTest, UsageCheckOfTheReference) {
  const DiskUsage usage = Usage(0.4, 0.3);
  const auto need = [&](double disk, double captured) {
    return NeedOf({.enabled = true, .disk_threshold = disk, .capture_threshold = captured}, usage);
  };
  EXPECT_NE(need(0.99, 0.99), Need::kEvict);
  EXPECT_EQ(need(1e-9, 1e-9), Need::kEvict);
  EXPECT_NE(need(1e-9, 1.0), Need::kEvict);
}

TEST(RetentionPolicyTest, EveryNthOfTheWaitingAndAllThatWasSetAside) {
  const config::RetentionConfig config{.enabled = true, .every_nth = 3};
  std::string steps;
  for (uint64_t i = 0; i < 7; ++i) {
    steps += NextStep(config, Usage(0.95, 0.9), false, i) == Step::kEvict ? 'E' : 'k';
  }
  EXPECT_EQ(steps, "EkkEkkE");
  EXPECT_EQ(NextStep(config, Usage(0.95, 0.9), true, 1), Step::kEvict);
  EXPECT_EQ(NextStep(config, Usage(0.8, 0.9), true, 1), Step::kStop);
  EXPECT_EQ(NextStep(config, Usage(0.95, 0.1), false, 0), Step::kStop);
}

// A volume of 1,000 blocks on which each file takes one.
class RetentionTest : public ::testing::Test {
 protected:
  RetentionTest() {
    config_.capture_directory = captured_;
    retention_ = {
        .enabled = true, .every_nth = 5, .disk_threshold = 1e-9, .capture_threshold = 1e-9};
    std::filesystem::create_directories(captured_);
    ops_.SetVolume([this](struct statvfs& volume) {
      volume.f_frsize = kBlock;
      volume.f_blocks = 1000;
      const size_t files = others_ + FilesBelow(dir_.path()).size();
      volume.f_bavail = files < 1000 ? 1000 - files : 0;
      volume.f_bfree = volume.f_bavail;
      volume.f_files = 0;
      if (volume_ != nullptr) volume_(volume, files - others_);
    });
  }

  // Named after the second at which it was begun, within this hour before the run.
  std::string Capture(int second, const std::string& component = "arm") {
    std::string path =
        PathOf(capture_file::CompleteName(base_ + std::chrono::seconds(second)), component);
    WriteFile(path, std::string(kBlock, 'x'));
    return path;
  }
  std::string PathOf(const std::string& name, const std::string& component = "arm") const {
    return capture_file::CollectorDirectory(captured_, "rdk:component:sensor", component,
                                            "Readings") +
           "/" + name;
  }
  std::vector<std::string> CaptureMany(int count) {
    std::vector<std::string> files;
    for (int i = 0; i < count; ++i) files.push_back(Capture(i));
    return files;
  }
  RetentionResult Pass(size_t batch = RetentionPass::kBatch, std::stop_token stop = {},
                       RefusedWrites refused = {}) {
    auto result =
        RetentionPass(*context_, timeline_, config_, retention_, std::move(stop), refused, batch)
            .Run();
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(RetentionResult{});
  }
  static std::string Left(const std::vector<std::string>& paths) {
    std::string left;
    for (const std::string& path : paths) left += std::filesystem::exists(path) ? 'k' : 'E';
    return left;
  }
  static uint64_t Evicted(const RetentionResult& result) {
    uint64_t files = 0;
    for (const auto& [collector, count] : result.evicted) files += count.files;
    return files;
  }

  const testing::TempDir dir_;
  const std::string captured_ = dir_.path() + "/captured: of today";
  const WallTime base_ =
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) -
      std::chrono::hours(1);
  RetentionResult PassAfterRefusal(int error, bool insist = false) {
    return Pass(RetentionPass::kBatch, {}, {.error = error, .insist = insist});
  }
  // From here on, new files are refused with `error` while there are more than `limit` files.
  void LimitFiles(int error, size_t limit) {
    ops_.Fail(FaultyFileOps::Call::kWrite, error);
    volume_ = [this, limit](struct statvfs&, size_t files) {
      if (files <= limit) ops_.Heal();
    };
  }

  // Changes the numbers that the volume reports, for that many files on it.
  std::function<void(struct statvfs&, size_t files)> volume_;
  size_t others_ = 100;
  FaultyFileOps ops_;
  testing::LogCapture log_;
  config::SyncConfig config_;
  config::RetentionConfig retention_;
  const std::shared_ptr<SyncContext> context_ = std::make_shared<SyncContext>(
      SyncOptions{.logger = *Logger::Create(log_.sink()), .ops = &ops_});
  Timeline timeline_{Clock::System()};
};

// The reference's TestFileDeletion (6 cases), with names that capture gives; there any name that
// has ".capture" in it will do.
TEST_F(RetentionTest, EveryFifthGoesFromTheOldestOn) {
  std::vector<std::string> files;
  for (int i = 0; i < 6; ++i) files.push_back(Capture(i, i % 2 == 0 ? "z" : "a"));
  const RetentionResult result = Pass();
  EXPECT_EQ(Left(files), "EkkkkE");
  EXPECT_EQ(result.evicted.at("rdk_component_sensor/z/Readings").files, 1u);
  EXPECT_EQ(result.evicted.at("rdk_component_sensor/a/Readings").bytes, kBlock);
}

TEST_F(RetentionTest, WhatAnUploadHasIsPassedOver) {
  std::vector<std::string> files;
  std::vector<FileTracker::Claim> claims;
  for (int i = 0; i < 6; ++i) {
    files.push_back(Capture(i));
    claims.push_back(*context_->tracker.TryClaim(Found(captured_, files.back()).id));
  }
  EXPECT_EQ(Evicted(Pass()), 0u);
  EXPECT_EQ(Left(files), "kkkkkk");
  claims.erase(claims.begin() + 2, claims.end());
  Pass();
  EXPECT_EQ(Left(files), "kkEkkk");
  EXPECT_EQ(context_->tracker.size(), 2u);  // What is evicted is given back.
}

TEST_F(RetentionTest, WhatAnotherProcessHasLockedIsPassedOver) {
  const std::string locked = Capture(0);
  const std::string free = Capture(1);
  const UniqueFd fd(open(locked.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(fd.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_TRUE(Pass().error.ok());
  EXPECT_EQ(Left({locked, free}), "kE");
}

TEST_F(RetentionTest, OnlyWhatCaptureHasPublishedIsACandidate) {
  retention_.every_nth = 1;
  std::vector<std::string> others{
      PathOf(capture_file::InProgressName(base_)),
      PathOf("notes.txt"),
      PathOf("about.capture.txt"),
      PathOf("about.capture"),
      PathOf("2026-13-01T00_00_00.000000Z.capture"),
      captured_ + "/sequences/a.seq",
      captured_ + "/datasetUpload/" + capture_file::CompleteName(base_),
      captured_ + "/datasetUpload/" + std::string(32, 'a') + ".png.upload"};
  for (const std::string& path : others) WriteFile(path, "x");
  const std::string published = Capture(0);
  std::filesystem::create_symlink(
      published, PathOf(capture_file::CompleteName(base_ + std::chrono::seconds(9))));
  EXPECT_EQ(Evicted(Pass()), 1u);
  EXPECT_EQ(Left(others), "kkkkkkkk");
  EXPECT_EQ(Left({published}), "E");
}

TEST_F(RetentionTest, AStopEndsThePass) {
  const std::string file = Capture(0);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(Evicted(Pass(RetentionPass::kBatch, stop.get_token())), 0u);
  EXPECT_EQ(Left({file}), "k");
}

TEST_F(RetentionTest, NothingGoesBelowTheThresholds) {
  const std::string file = Capture(0);
  retention_.disk_threshold = 0.99;
  EXPECT_EQ(Pass().need, Need::kNone);
  retention_.disk_threshold = 1e-9;
  retention_.capture_threshold = 1;
  EXPECT_EQ(Pass().need, Need::kOthersFillIt);
  EXPECT_EQ(Left({file}), "k");
}

TEST_F(RetentionTest, EndsAtTheDiskThresholdReadingTheUsageEverySixteen) {
  for (int i = 0; i < 100; ++i) Capture(i);
  others_ = 810;
  retention_ = {.enabled = true, .every_nth = 1, .disk_threshold = 0.9, .capture_threshold = 0.01};
  const RetentionResult result = Pass();
  EXPECT_EQ(result.need, Need::kEvict);
  EXPECT_EQ(result.need_after, Need::kNone);
  EXPECT_EQ(Evicted(result), 16u);  // 11 would do, which shows at the next reading.
  EXPECT_EQ(ops_.Count(FaultyFileOps::Call::kStatvfs), 3);
}

TEST_F(RetentionTest, EndsAtTheCaptureDirectorysThreshold) {
  for (int i = 0; i < 100; ++i) Capture(i);
  others_ = 900;
  retention_ = {.enabled = true, .every_nth = 1, .disk_threshold = 0.5, .capture_threshold = 0.09};
  const RetentionResult result = Pass();
  EXPECT_EQ(result.need_after, Need::kOthersFillIt);
  EXPECT_EQ(Evicted(result), 11u);
}

TEST_F(RetentionTest, EndsAtTheNewestFileAndSaysThatItIsStillAbove) {
  for (int i = 0; i < 20; ++i) Capture(i);
  const RetentionResult result = Pass();
  EXPECT_EQ(Evicted(result), 4u);
  EXPECT_EQ(result.need_after, Need::kEvict);
}

TEST_F(RetentionTest, BatchesMakeNoDifference) {
  std::vector<std::string> files;
  for (int i = 0; i < 23; ++i) files.push_back(Capture(i, i % 3 == 0 ? "a" : "b"));
  retention_.every_nth = 3;
  Pass(/*batch=*/4);
  EXPECT_EQ(Left(files), "EkkEkkEkkEkkEkkEkkEkkEk");
}

TEST_F(RetentionTest, WaitingForARetryProtectsNothing) {
  const FoundFile file = Found(captured_, Capture(0));
  ASSERT_TRUE(context_->retries.Put({file, {.attempts = 3, .due = MonotonicTime::max()}}));
  EXPECT_EQ(Evicted(Pass()), 1u);
  EXPECT_EQ(context_->retries.size(), 0u);
}

TEST_F(RetentionTest, WhatWasSetAsideGoesFirst) {
  const std::string waiting = Capture(0);
  std::vector<std::string> failed;
  for (int i = 0; i < 20; ++i) {
    failed.push_back(captured_ + "/failed/some/file " + std::to_string(i));
    WriteFile(failed.back(), std::string(kBlock, 'x'));
  }
  others_ = 885;
  retention_ = {.enabled = true, .every_nth = 1, .disk_threshold = 0.9, .capture_threshold = 0.001};
  const RetentionResult result = Pass();
  EXPECT_EQ(result.set_aside.files, 16u);
  EXPECT_EQ(Left({waiting}), "k");
  EXPECT_EQ(Left(failed), "EEEEEEEEEEEEEEEEkkkk");
}

TEST_F(RetentionTest, AdditionalPathsAreNeverTouched) {
  const std::string additional = captured_ + "/shared";
  config_.additional_paths = {additional};
  const std::string file = additional + "/api/name/method/" + capture_file::CompleteName(base_);
  const std::string failed = additional + "/failed/" + capture_file::CompleteName(base_);
  WriteFile(file, "x");
  WriteFile(failed, "x");
  Pass();
  EXPECT_EQ(Left({file, failed}), "kk");
}

TEST_F(RetentionTest, AFormerCaptureDirectoryMakesRoomToo) {
  config::SyncConfig before = config_;
  before.capture_directory = dir_.path() + "/former";
  ASSERT_EQ(context_->former_roots.Move(before, config_), "");
  const std::string old = before.capture_directory + "/a/b/c/" + capture_file::CompleteName(base_);
  WriteFile(old, "x");
  std::vector<std::string> files{old};
  for (int i = 1; i < 4; ++i) files.push_back(Capture(i));
  Pass();
  EXPECT_EQ(Left(files), "Ekkk");
}

TEST_F(RetentionTest, WhatCannotBeReadDoesNotEndDeletion) {
  std::filesystem::create_directories(captured_ + "/rdk_component_sensor/broken");
  std::vector<std::string> files;
  for (int i = 0; i < 6; ++i) files.push_back(Capture(i));
  ops_.Fail(FaultyFileOps::Call::kOpen, EIO, FaultyFileOps::kAlways, "broken");
  Pass();
  EXPECT_EQ(Left(files), "EkkkkE");
}

TEST_F(RetentionTest, WhatCannotBeRemovedIsSaidAndTheNextGoesInItsPlace) {
  std::vector<std::string> files;
  for (int i = 0; i < 3; ++i) files.push_back(Capture(i));
  ops_.Fail(FaultyFileOps::Call::kUnlink, EPERM, 1);
  const RetentionResult result = Pass();
  EXPECT_EQ(Left(files), "kEk");
  EXPECT_EQ(Evicted(result), 1u);
  EXPECT_NE(result.error.message().find(files[0]), absl::string_view::npos) << result.error;
}

TEST_F(RetentionTest, AUsageThatCannotBeReadIsAnError) {
  ops_.Fail(FaultyFileOps::Call::kStatvfs, EIO);
  EXPECT_FALSE(RetentionPass(*context_, timeline_, config_, retention_, {}).Run().ok());
}

TEST(RetentionPolicyTest, InodesCountAsBytesDo) {
  const config::RetentionConfig config{.enabled = true};
  DiskUsage usage = Usage(0.22, 0.2);
  usage.inodes = 400;
  usage.inodes_available = 20;
  usage.captured_files = 300;
  EXPECT_EQ(NeedOf(config, usage), Need::kEvict);
  EXPECT_EQ(LimitOf(config, usage), Limit::kInodes);
  usage.captured_files = 100;
  EXPECT_EQ(NeedOf(config, usage), Need::kOthersFillIt);
  usage.inodes_available = 200;
  EXPECT_EQ(NeedOf(config, usage), Need::kNone);
  usage.inodes = usage.inodes_available = 0;  // The file system counts none.
  EXPECT_EQ(NeedOf(config, usage), Need::kNone);
}

TEST(RetentionPolicyTest, RefusedWritesAreNeedWhateverTheThresholdsSay) {
  const config::RetentionConfig config{.enabled = true};
  EXPECT_EQ(NeedOf(config, Usage(0.22, 0.01), EDQUOT), Need::kEvict);
  EXPECT_EQ(LimitOf(config, Usage(0.22, 0.01), EDQUOT), Limit::kQuota);
  EXPECT_EQ(LimitOf(config, Usage(0.22, 0.01), ENOSPC), Limit::kUnknown);
  EXPECT_EQ(LimitOf(config, Usage(1, 0.01), ENOSPC), Limit::kBytes);
}

// The numbers of a file system that `mke2fs -N 400` makes.
TEST_F(RetentionTest, MakesRoomWhereInodesAreUsedUp) {
  const std::vector<std::string> files = CaptureMany(60);
  volume_ = [](struct statvfs& volume, size_t on_disk) {
    volume.f_bavail = volume.f_bfree = 780;  // 22 % used.
    volume.f_files = 100;
    volume.f_favail = 65 - on_disk;
  };
  retention_ = {.enabled = true, .every_nth = 1, .capture_threshold = 0.3};
  const RetentionResult result = Pass();
  EXPECT_EQ(result.limit, Limit::kInodes);
  EXPECT_EQ(Evicted(result), 16u);
  EXPECT_EQ(result.need_after, Need::kNone);
  EXPECT_FALSE(result.fruitless);
  EXPECT_EQ(Left({files[0], files[15], files[16], files[59]}), "EEkk");
}

// Some file systems report a number of inodes and none available, but accept every file.
TEST_F(RetentionTest, BelievesNoNumberOfInodesThatANewFileDisproves) {
  CaptureMany(60);
  volume_ = [](struct statvfs& volume, size_t) {
    volume.f_files = 100;
    volume.f_favail = 0;
  };
  retention_ = {.enabled = true, .every_nth = 1};
  EXPECT_EQ(Pass().need, Need::kNone);
  ops_.Fail(FaultyFileOps::Call::kWrite, ENOSPC);
  EXPECT_EQ(Pass().limit, Limit::kInodes);
}

TEST_F(RetentionTest, MakesRoomWhereAQuotaIsUsedUp) {
  const std::vector<std::string> files = CaptureMany(100);
  retention_ = {.enabled = true, .every_nth = 1};
  EXPECT_EQ(Evicted(Pass()), 0u);  // By the numbers there is room: the rest is not looked at.
  LimitFiles(EDQUOT, 60);
  const RetentionResult result = PassAfterRefusal(EDQUOT);
  EXPECT_EQ(result.limit, Limit::kQuota);
  EXPECT_EQ(Evicted(result), 48u);  // 40 would do, which shows at the end of the step.
  EXPECT_EQ(result.need_after, Need::kNone);
  EXPECT_FALSE(result.fruitless);
  EXPECT_EQ(Left({files[0], files[47], files[48], files[99]}), "EEkk");
}

TEST_F(RetentionTest, RefusedWritesCountThoughTheCaptureDirectoryTakesLittle) {
  CaptureMany(30);
  others_ = 970;
  retention_ = {.enabled = true, .every_nth = 1, .disk_threshold = 0.9, .capture_threshold = 0.5};
  EXPECT_EQ(Pass().need, Need::kOthersFillIt);
  LimitFiles(ENOSPC, 20);
  const RetentionResult result = PassAfterRefusal(ENOSPC);
  EXPECT_EQ(result.limit, Limit::kBytes);
  EXPECT_EQ(Evicted(result), 16u);
  EXPECT_EQ(result.need_after, Need::kOthersFillIt);
}

// Another process takes what becomes free.
TEST_F(RetentionTest, EndsAfterTwoStepsThatMadeNoRoom) {
  const std::vector<std::string> files = CaptureMany(100);
  volume_ = [](struct statvfs& volume, size_t) { volume.f_bavail = volume.f_bfree = 0; };
  retention_ = {.enabled = true, .every_nth = 1};
  EXPECT_EQ(Pass().need, Need::kOthersFillIt);
  retention_.capture_threshold = 1e-9;
  RetentionResult result = Pass();
  EXPECT_EQ(Evicted(result), 32u);
  EXPECT_TRUE(result.fruitless);
  EXPECT_EQ(result.limit, Limit::kBytes);
  ops_.Fail(FaultyFileOps::Call::kWrite, ENOSPC);
  result = PassAfterRefusal(ENOSPC);
  EXPECT_EQ(Evicted(result), 32u);
  EXPECT_TRUE(result.fruitless);
  EXPECT_EQ(Left({files[99]}), "k");
}

// Root may have written into the reserve of the file system: other users have nothing available
// until the reserve is whole again.
TEST_F(RetentionTest, GoesOnWhileOnlyTheReserveGrows) {
  CaptureMany(100);
  others_ = 900;
  volume_ = [](struct statvfs& volume, size_t) {
    volume.f_bavail = volume.f_bfree > 64 ? volume.f_bfree - 64 : 0;
  };
  retention_ = {.enabled = true, .every_nth = 1, .disk_threshold = 0.999, .capture_threshold = 0};
  const RetentionResult result = Pass();
  EXPECT_EQ(Evicted(result), 80u);
  EXPECT_FALSE(result.fruitless);
}

TEST_F(RetentionTest, AReportThatANewFileDisprovesEvictsNothingUnlessItInsists) {
  const std::vector<std::string> files = CaptureMany(40);
  retention_ = {.enabled = true, .every_nth = 1};
  RetentionResult result = PassAfterRefusal(EDQUOT);
  EXPECT_TRUE(result.refused_elsewhere);
  EXPECT_EQ(Evicted(result), 0u);
  result = PassAfterRefusal(EDQUOT, /*insist=*/true);
  EXPECT_TRUE(result.refused_elsewhere);
  EXPECT_EQ(result.limit, Limit::kQuota);
  EXPECT_EQ(Evicted(result), 16u);
  EXPECT_FALSE(result.fruitless);
  // A disk that cannot be written to at all shows nothing about limits.
  ops_.Fail(FaultyFileOps::Call::kWrite, EROFS);
  result = PassAfterRefusal(ENOSPC, /*insist=*/true);
  EXPECT_FALSE(result.refused_elsewhere);
  EXPECT_EQ(Evicted(result), 0u);
}

TEST_F(RetentionTest, AReadOnlyDiskIsAskedAboutTwoStepsOfFiles) {
  CaptureMany(100);
  ops_.Fail(FaultyFileOps::Call::kUnlink, EROFS);
  retention_.every_nth = 1;
  const RetentionResult result = Pass();
  EXPECT_TRUE(result.fruitless);
  EXPECT_EQ(ops_.Count(FaultyFileOps::Call::kUnlink), 32);
}

TEST_F(RetentionTest, WhatUploadsHoldMakesNoStep) {
  const std::vector<std::string> files = CaptureMany(60);
  std::vector<FileTracker::Claim> claims;
  for (int i = 0; i < 40; ++i) {
    const FoundFile held = Found(captured_, files[static_cast<size_t>(i)]);
    claims.push_back(*context_->tracker.TryClaim(held.id));
  }
  LimitFiles(ENOSPC, 50);
  const RetentionResult result = PassAfterRefusal(ENOSPC);
  EXPECT_FALSE(result.fruitless);
  EXPECT_GE(Evicted(result), 1u);
  EXPECT_EQ(Left({files[0], files[39], files[40]}), "kkE");
}

// A full btrfs may refuse to remove a name.
TEST_F(RetentionTest, AFileThatCannotBeRemovedForWantOfRoomIsEmptiedFirst) {
  const std::vector<std::string> files = CaptureMany(1);
  ops_.Fail(FaultyFileOps::Call::kUnlink, ENOSPC, 1);
  EXPECT_EQ(Evicted(Pass()), 1u);
  EXPECT_EQ(Left(files), "E");
  EXPECT_EQ(ops_.journal(), std::vector<std::string>({"truncate 0"}));
  // A file with another name keeps its content.
  const std::string linked = Capture(1);
  std::filesystem::create_hard_link(linked, dir_.path() + "/kept");
  ops_.Fail(FaultyFileOps::Call::kUnlink, ENOSPC, 1);
  EXPECT_EQ(Evicted(Pass()), 0u);
  EXPECT_EQ(std::filesystem::file_size(linked), kBlock);
}

TEST(DiskRoomTest, AProbeLeavesNothingBehind) {
  const testing::TempDir dir;
  FaultyFileOps ops;
  Room room = MeasureRoom(ops, dir.path());
  EXPECT_EQ(room.bytes, kRoomLimit);
  EXPECT_EQ(room.error, 0);
  // A file system that does not support files without a name.
  ops.Fail(FaultyFileOps::Call::kOpen, EOPNOTSUPP, 1);
  room = MeasureRoom(ops, dir.path());
  EXPECT_EQ(room.bytes, kRoomLimit);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  ops.CutWrites(1000);
  ops.Fail(FaultyFileOps::Call::kWrite, ENOSPC);
  room = MeasureRoom(ops, dir.path());
  EXPECT_EQ(room.bytes, 1000u);
  EXPECT_TRUE(room.full());
  ops.Heal();
  ops.Fail(FaultyFileOps::Call::kOpen, EMFILE);
  EXPECT_FALSE(MeasureRoom(ops, dir.path()).full());
}

TEST_F(RetentionTest, ADirectoryThatIsNotThereYetNeedsNothing) {
  config_.capture_directory += "/later";
  EXPECT_EQ(Pass().need, Need::kNone);
}

// What lay there at the start goes before what this run made, whatever the names say.
TEST_F(RetentionTest, AFileFromAClockThatWasAheadGoesFirst) {
  const std::string ahead = Capture(2 * 3600);
  ASSERT_EQ(context_->tracker.size(), 0u);
  retention_.disk_threshold = 0.999;
  Pass();  // Remembers it.
  retention_.disk_threshold = 1e-9;
  const std::string fresh = PathOf(capture_file::CompleteName(std::chrono::system_clock::now()));
  WriteFile(fresh, "x");
  Pass();
  EXPECT_EQ(Left({ahead, fresh}), "Ek");
}

}  // namespace
}  // namespace datamanager::sync
