#include "sync/failed_files.h"

#include <gtest/gtest.h>
#include <sys/file.h>

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

class FailedFilesTest : public ::testing::Test {
 protected:
  static std::string Bytes(int value) {
    return CaptureFileBytes(TabularMetadata(), {Reading(value)});
  }
  std::string At(const std::string& relative) const { return root_ + "/" + relative; }
  RetriedFiles Retry(std::stop_token stop = {}) {
    const absl::StatusOr<Root> root = FindRoot(ops_, root_, DirectorySummary::Role::kCapture);
    EXPECT_TRUE(root.ok()) << root.status();
    const std::vector<Root> roots = {*root};
    return RetryFailedFiles(*context_, roots, stop);
  }
  static std::string FirstError(const RetriedFiles& result) {
    return result.errors.empty() ? "" : result.errors.front();
  }

  const testing::TempDir dir_;
  const std::string root_ = dir_.path();
  const std::string stamp_ = "2026-01-02T03_04_05.000006Z.capture";
  const std::string file_ = "api/arm/Readings/" + stamp_;
  testing::FaultyFileOps ops_;
  testing::LogCapture log_;
  const std::shared_ptr<SyncContext> context_ = std::make_shared<SyncContext>(
      SyncOptions{.logger = *Logger::Create(log_.sink()), .ops = &ops_});
};

TEST_F(FailedFilesTest, PutsFilesBackWhereTheyWere) {
  WriteFile(At("failed/" + file_), Bytes(1));
  WriteFile(At("failed/notes of today.txt"), "x");
  const RetriedFiles result = Retry();
  EXPECT_EQ(result.moved, 2u);
  EXPECT_EQ(result.left, 0u);
  EXPECT_EQ(FirstError(result), "");
  EXPECT_EQ(Join(FilesBelow(root_)), file_ + " notes of today.txt");
  EXPECT_EQ(ReadFile(At(file_)), Bytes(1));
}

TEST_F(FailedFilesTest, WithoutAnyThereIsNothingToDo) {
  WriteFile(At("failed"), "a file by that name");
  EXPECT_EQ(Retry().moved, 0u);
  EXPECT_TRUE(std::filesystem::exists(At("failed")));
}

TEST_F(FailedFilesTest, NeverOverwrites) {
  WriteFile(At(file_), Bytes(1));
  WriteFile(At("failed/" + file_), Bytes(2));
  WriteFile(At("failed/" + file_ + ".1"), Bytes(3));
  WriteFile(At("notes.txt"), "mine");
  WriteFile(At("failed/notes.txt"), "yours");
  WriteFile(At("failed/notes.txt.1"), "theirs");
  const RetriedFiles result = Retry();
  EXPECT_EQ(result.moved, 3u);
  EXPECT_EQ(result.left, 1u);
  EXPECT_NE(FirstError(result).find(At("failed/notes.txt")), std::string::npos)
      << FirstError(result);
  EXPECT_EQ(ReadFile(At(file_)), Bytes(1));
  EXPECT_EQ(ReadFile(At("notes.txt")), "mine");
  EXPECT_EQ(ReadFile(At("failed/notes.txt")), "yours");
  EXPECT_EQ(ReadFile(At("notes.txt.1")), "theirs");
  // All three captured files have a name that capture gives.
  size_t complete = 0;
  for (const std::string& path : FilesBelow(At("api"))) {
    EXPECT_TRUE(capture_file::ParseStamp(BaseName(path)).has_value()) << path;
    ++complete;
  }
  EXPECT_EQ(complete, 3u);
}

// What is left of a damaged file, even if it looks like a capture file.
TEST_F(FailedFilesTest, RemaindersStay) {
  WriteFile(At("failed/" + file_ + ".cut-at-83.prog"), Bytes(1));
  WriteFile(At("failed/" + file_ + ".cut-at-83.1.prog"), Bytes(1));
  const RetriedFiles result = Retry();
  EXPECT_EQ(result.moved, 0u);
  EXPECT_EQ(result.left, 2u);
  EXPECT_EQ(FilesBelow(At("failed")).size(), 2u);
}

TEST_F(FailedFilesTest, WhatHoldsNoRecordStays) {
  WriteFile(At("failed/" + file_), Framed(TabularMetadata()) + "\x20torn");
  WriteFile(At("failed/b.capture"), "nonsense");
  const RetriedFiles result = Retry();
  EXPECT_EQ(result.moved, 0u);
  EXPECT_EQ(result.left, 2u);
  EXPECT_EQ(result.errors.size(), 2u);
  EXPECT_EQ(FilesBelow(At("failed")).size(), 2u);
}

TEST_F(FailedFilesTest, FollowsNoLinks) {
  const testing::TempDir elsewhere;
  WriteFile(At("failed/" + file_), Bytes(1));
  std::filesystem::create_directory_symlink(elsewhere.path(), At("api"));
  WriteFile(elsewhere.path() + "/victim.txt", "x");
  std::filesystem::create_directory_symlink(elsewhere.path(), At("failed/linked"));
  std::filesystem::create_symlink(elsewhere.path() + "/victim.txt", At("failed/link.txt"));
  const RetriedFiles result = Retry();
  EXPECT_EQ(result.moved, 0u);
  EXPECT_EQ(result.left, 1u);
  EXPECT_EQ(Join(FilesBelow(elsewhere.path())), "victim.txt");
  EXPECT_TRUE(std::filesystem::exists(At("failed/" + file_)));
}

TEST_F(FailedFilesTest, WhatIsInUseStays) {
  WriteFile(At("failed/a.txt"), "x");
  WriteFile(At("failed/b.txt"), "x");
  const auto claim = context_->tracker.TryClaim(Found(root_, At("failed/a.txt")).id);
  const UniqueFd fd(open(At("failed/b.txt").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(fd.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(Retry().left, 2u);
}

TEST_F(FailedFilesTest, AFailureNamesTheFileAndEndsNothing) {
  WriteFile(At("failed/a.txt"), "x");
  WriteFile(At("failed/b.txt"), "x");
  ops_.Fail(testing::FaultyFileOps::Call::kRename, EROFS, 1, "a.txt");
  const RetriedFiles result = Retry();
  EXPECT_EQ(result.moved, 1u);
  EXPECT_NE(FirstError(result).find(At("failed/a.txt")), std::string::npos) << FirstError(result);
}

TEST_F(FailedFilesTest, AStopEndsIt) {
  WriteFile(At("failed/a.txt"), "x");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(Retry(stop.get_token()).moved, 0u);
}

}  // namespace
}  // namespace datamanager::sync
