// Sync on file systems that lack features, simulated at the seam.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "sync/failed_files.h"
#include "sync/file_ages.h"
#include "sync/roots.h"
#include "sync/sync_context.h"
#include "tests/support/weak_file_ops.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using testing::Lacking;
using testing::WeakFileOps;

struct Weakness {
  std::string name;
  Lacking lacking;
};
void PrintTo(const Weakness& weakness, std::ostream* out) { *out << weakness.name; }

class WeakFileSystemSyncTest : public SyncFixture, public ::testing::WithParamInterface<Weakness> {
 protected:
  WeakFileSystemSyncTest() : ops_(GetParam().lacking) {
    options_.ops = &ops_;
    config_.scheduled = false;
  }
  ~WeakFileSystemSyncTest() override { Close(); }

  // Makes files old enough that count as complete only by their age.
  void LetAge() { clock_.Advance(std::chrono::hours(1)); }

  WeakFileOps ops_;
};
INSTANTIATE_TEST_SUITE_P(
    Lacking, WeakFileSystemSyncTest,
    ::testing::Values(Weakness{"Everything", WeakFileOps::Everything()},
                      Weakness{"ExclusiveRename", {.exclusive_rename = EINVAL}},
                      Weakness{"Locks", {.locks = ENOSYS}}, Weakness{"Leases", {.leases = EINVAL}},
                      Weakness{"DirectoryFlush", {.directory_flush = EINVAL}}),
    [](const auto& weakness) { return weakness.param.name; });

TEST_P(WeakFileSystemSyncTest, EachFileIsStoredOnceAndRemoved) {
  Capture("arm", 3);
  CaptureImage("cam", 10);
  Drop("notes.txt", "text");
  Start();
  LetAge();
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  EXPECT_EQ(OnDisk(), "");
  EXPECT_EQ(Uploaded(), "arm:1,2,3 cam:10B notes.txt");
}

TEST_P(WeakFileSystemSyncTest, WhatIsRefusedIsSetAsideAndPutBackAndNothingIsOverwritten) {
  const std::string notes = Drop("notes.txt", "text");
  WriteFile(files_ + "/failed/notes.txt", "older");
  server_->FailNext(1, absl::StatusCode::kInvalidArgument);
  Start();
  LetAge();
  SyncNow(Wait::kUploaded).IgnoreError();  // It returns that a file was refused.
  EXPECT_EQ(OnDisk(), "failed/notes.txt failed/notes.txt.1");
  EXPECT_EQ(ReadFile(files_ + "/failed/notes.txt"), "older");
  SyncContext context(options_);
  const auto root = FindRoot(FileOps::System(), files_, DirectorySummary::Role::kAdditional);
  ASSERT_TRUE(root.ok()) << root.status();
  // The worker that set it aside may not have released it yet.
  uint64_t moved = 0;
  EXPECT_TRUE(WaitUntil([&] {
    moved += RetryFailedFiles(context, {*root}, {}).moved;
    return moved == 2;
  }));
  EXPECT_EQ(OnDisk(), "notes.txt notes.txt.1");
}

TEST_P(WeakFileSystemSyncTest, AnUploadToDatasetsIsWrittenStoredAndRemoved) {
  Start();
  for (int i = 0; i < 2; ++i) {
    const UploadLabels labels{.tags = {std::to_string(i)}};
    const absl::Status status = sync_->UploadToDatasets("bytes", labels, "image/png", {});
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(OnDisk(), "");
  EXPECT_EQ(server_->stored().size(), 2U);
}

TEST_P(WeakFileSystemSyncTest, ANameThatWasOnlyReservedHoldsNothingUp) {
  CaptureBytes("arm", "");
  Start();
  LetAge();
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  EXPECT_EQ(OnDisk(), "");
  EXPECT_EQ(Uploaded(), "");
}

using RemovedWhileOpenTest = SyncFixture;

TEST_F(RemovedWhileOpenTest, WhatWasRemovedWhileOpenIsNotUploaded) {
  Drop(".fuse_hidden0000000200000001", "removed");
  Drop(".nfs00000000000000120000000a", "removed");
  Drop(".fuse_hidden", "somebody's");
  Drop(".nfs-server.conf", "somebody's");
  config_.scheduled = false;
  Start();
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  EXPECT_EQ(Uploaded(), ".fuse_hidden .nfs-server.conf");
}

TEST(CoarseTimesTest, AFileWithTimesOfWholeSecondsWaitsUntilAChangeWouldShow) {
  using namespace std::chrono_literals;
  FileAges ages;
  const MonotonicTime now{1000s};
  const WallTime modified{2000s};
  struct stat info {};
  info.st_size = 1;
  info.st_mtim = {.tv_sec = 2000, .tv_nsec = 0};
  info.st_ctim = {.tv_sec = 2000, .tv_nsec = 0};
  EXPECT_FALSE(ages.IsOldEnough(info, 10ms, modified + 1999ms, now));
  EXPECT_TRUE(ages.IsOldEnough(info, 10ms, modified + 2s, now + 1ms));
  info.st_ctim.tv_nsec = 1;
  EXPECT_TRUE(FileAges().IsOldEnough(info, 10ms, modified + 10ms, now));
}

}  // namespace
}  // namespace datamanager::sync
