#include "sync/local_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <filesystem>
#include <optional>
#include <string>

#include "tests/support/faulty_file_ops.h"
#include "tests/support/temp_dir.h"
#include "tests/sync/test_files.h"

namespace datamanager::sync {
namespace {

class LocalFileTest : public ::testing::Test {
 protected:
  LocalFileTest() { WriteFile(path_, "0123456789"); }

  LocalFile Open() { return *LocalFile::Open(ops_, Found(dir_.path(), path_)); }
  std::string OnDisk() const { return Join(FilesBelow(dir_.path())); }

  testing::TempDir dir_{testing::DiskDirectory()};
  FileOps& ops_ = FileOps::System();
  const std::string path_ = dir_.path() + "/sensor/arm/a.capture";
};

TEST_F(LocalFileTest, IsLockedWhileItIsOpen) {
  const FoundFile found = Found(dir_.path(), path_);
  {
    const auto file = LocalFile::Open(ops_, found);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->size(), 10U);
    const auto second = LocalFile::Open(ops_, found);
    EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
  }
  EXPECT_TRUE(LocalFile::Open(ops_, found).ok());
}

TEST_F(LocalFileTest, GoneOrReplacedIsNotFound) {
  const FoundFile found = Found(dir_.path(), path_);
  WriteFile(path_ + ".new", "other");
  std::filesystem::rename(path_ + ".new", path_);
  EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(ops_, found).status()));
  std::filesystem::remove(path_);
  EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(ops_, found).status()));
}

TEST_F(LocalFileTest, LinksAreNotFollowed) {
  const FoundFile found = Found(dir_.path(), path_);
  std::filesystem::rename(path_, path_ + ".real");
  std::filesystem::create_symlink(path_ + ".real", path_);
  EXPECT_FALSE(LocalFile::Open(ops_, found).ok());
}

TEST_F(LocalFileTest, WhatIsNoRegularFileIsNotEvenOpened) {
  // Devices may do things when they are opened.
  class Watch : public FileOps {
   public:
    int OpenAt(int dir, const char* path, int flags, mode_t mode) override {
      EXPECT_STRNE(path, "a.capture");
      return FileOps::OpenAt(dir, path, flags, mode);
    }
  } watch;
  std::filesystem::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(watch, Found(dir_.path(), path_)).status()));
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(ops_, Found(dir_.path(), path_)).status()));
}

TEST_F(LocalFileTest, AHardLinkToAnothersFileIsNotFound) {
  WriteFile(dir_.path() + "/theirs", "theirs");
  if (chown((dir_.path() + "/theirs").c_str(), 65534, 65534) != 0) {
    GTEST_SKIP() << "only root can give files away";
  }
  std::filesystem::remove(path_);
  std::filesystem::create_hard_link(dir_.path() + "/theirs", path_);
  EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(ops_, Found(dir_.path(), path_)).status()));
}

TEST_F(LocalFileTest, ReadsAStretch) {
  const LocalFile file = Open();
  std::string bytes(4, '\0');
  ASSERT_TRUE(file.Read(3, 4, bytes.data()).ok());
  EXPECT_EQ(bytes, "3456");
  EXPECT_TRUE(absl::IsAborted(file.Read(8, 4, bytes.data())));
}

TEST_F(LocalFileTest, RemovesWhatIsUnchanged) {
  LocalFile file = Open();
  EXPECT_TRUE(file.CheckUnchanged().ok());
  EXPECT_TRUE(file.Remove().ok());
  EXPECT_EQ(OnDisk(), "");
  EXPECT_TRUE(absl::IsNotFound(file.Remove()));
}

TEST_F(LocalFileTest, LeavesWhatHasChanged) {
  LocalFile file = Open();
  AppendToFile(path_, "x");
  EXPECT_TRUE(absl::IsAborted(file.CheckUnchanged()));
  EXPECT_TRUE(absl::IsAborted(file.Remove()));
  EXPECT_TRUE(absl::IsAborted(file.SetAside().status()));
  EXPECT_EQ(OnDisk(), "sensor/arm/a.capture");
}

TEST_F(LocalFileTest, LeavesWhatTookItsName) {
  LocalFile file = Open();
  WriteFile(path_ + ".new", "0123456789");
  std::filesystem::rename(path_ + ".new", path_);
  EXPECT_TRUE(absl::IsAborted(file.Remove()));
  EXPECT_TRUE(absl::IsAborted(file.SetAside().status()));
  EXPECT_EQ(OnDisk(), "sensor/arm/a.capture");
}

TEST_F(LocalFileTest, SetsAsideWithItsPathBelowTheRoot) {
  const auto aside = Open().SetAside();
  ASSERT_TRUE(aside.ok()) << aside.status();
  EXPECT_EQ(*aside, dir_.path() + "/failed/sensor/arm/a.capture");
  EXPECT_EQ(OnDisk(), "failed/sensor/arm/a.capture");
  EXPECT_EQ(ReadFile(*aside), "0123456789");
}

TEST_F(LocalFileTest, SettingAsideNeverOverwrites) {
  WriteFile(dir_.path() + "/failed/sensor/arm/a.capture", "first");
  WriteFile(dir_.path() + "/failed/sensor/arm/a.capture.1", "second");
  const auto aside = Open().SetAside();
  ASSERT_TRUE(aside.ok()) << aside.status();
  EXPECT_EQ(*aside, dir_.path() + "/failed/sensor/arm/a.capture.2");
  EXPECT_EQ(ReadFile(dir_.path() + "/failed/sensor/arm/a.capture"), "first");
}

TEST_F(LocalFileTest, OpenForWritingElsewhereIsUnavailable) {
  const FoundFile found = Found(dir_.path(), path_);
  UniqueFd writer(open(path_.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_TRUE(absl::IsUnavailable(LocalFile::Open(ops_, found).status()));
  writer.Reset();
  auto file = LocalFile::Open(ops_, found);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->known_complete());
  // A reader is in nobody's way; a writer is, even if it has not written yet.
  const UniqueFd reader(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(file->CheckUnchanged().ok());
  writer = UniqueFd(open(path_.c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_TRUE(absl::IsUnavailable(file->Remove()));
  EXPECT_EQ(OnDisk(), "sensor/arm/a.capture");
  writer.Reset();
  EXPECT_TRUE(file->Remove().ok());
}

TEST_F(LocalFileTest, ADirectoryThatWasMovedAwayTakesItsFilesWithIt) {
  LocalFile file = Open();
  std::filesystem::rename(dir_.path() + "/sensor", dir_.path() + "/elsewhere");
  EXPECT_TRUE(absl::IsNotFound(file.Remove()));
  EXPECT_TRUE(absl::IsNotFound(file.SetAside().status()));
  // Nor is a directory of the same name the same.
  WriteFile(path_, "0123456789");
  EXPECT_TRUE(absl::IsNotFound(file.Remove()));
  EXPECT_EQ(OnDisk(), "elsewhere/arm/a.capture sensor/arm/a.capture");
}

TEST_F(LocalFileTest, ADirectoryThatBecameALinkLeadsNowhere) {
  const FoundFile found = Found(dir_.path(), path_);
  LocalFile file = Open();
  std::filesystem::rename(dir_.path() + "/sensor", dir_.path() + "/elsewhere");
  std::filesystem::create_directory_symlink(dir_.path() + "/elsewhere", dir_.path() + "/sensor");
  // It would even be the same file.
  EXPECT_TRUE(absl::IsNotFound(file.Remove()));
  EXPECT_TRUE(absl::IsNotFound(file.SetAside().status()));
  EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(ops_, found).status()));
  EXPECT_EQ(OnDisk(), "elsewhere/arm/a.capture");
}

TEST_F(LocalFileTest, FailedThatIsALinkOrAFileIsNamed) {
  testing::TempDir outside;
  const std::string failed = dir_.path() + "/failed";
  const auto expect_named = [&](const std::string& path) {
    ASSERT_EQ(ReadFile(path_), "0123456789");
    LocalFile file = Open();
    const absl::Status status = file.SetAside().status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_NE(status.message().find(path + " is a link, or no directory: remove it"),
              std::string::npos)
        << status;
    EXPECT_EQ(ReadFile(path_), "0123456789");
    EXPECT_EQ(Join(FilesBelow(outside.path())), "");
  };
  std::filesystem::create_directory_symlink(outside.path(), failed);
  expect_named(failed);
  std::filesystem::remove(failed);
  WriteFile(failed, "");
  expect_named(failed);
  std::filesystem::remove(failed);
  std::filesystem::create_directory(failed);
  std::filesystem::create_directory_symlink(outside.path(), failed + "/sensor");
  expect_named(failed + "/sensor");
}

TEST_F(LocalFileTest, TheLongestNamesGiveWayToTheirNumber) {
  const std::string name = std::string(NAME_MAX - 8, 'n') + ".capture";
  const std::string path = dir_.path() + "/" + name;
  WriteFile(path, "again");
  WriteFile(dir_.path() + "/failed/" + name, "first");
  const auto aside = LocalFile::Open(ops_, Found(dir_.path(), path))->SetAside();
  ASSERT_TRUE(aside.ok()) << aside.status();
  EXPECT_EQ(BaseName(*aside).size(), size_t{NAME_MAX});
  EXPECT_TRUE(aside->ends_with(".1")) << *aside;
  EXPECT_EQ(ReadFile(dir_.path() + "/failed/" + name), "first");
  EXPECT_EQ(ReadFile(*aside), "again");
}

// A directory of the root may be a mount point.
TEST_F(LocalFileTest, SetsAsideAcrossFileSystemsByACopy) {
  testing::FaultyFileOps ops;
  ops.Fail(testing::FaultyFileOps::Call::kRename, EXDEV);
  const auto aside = LocalFile::Open(ops, Found(dir_.path(), path_))->SetAside();
  ASSERT_TRUE(aside.ok()) << aside.status();
  EXPECT_EQ(OnDisk(), "failed/sensor/arm/a.capture");
  EXPECT_EQ(ReadFile(*aside), "0123456789");
}

// The reply of a network file system may be lost.
TEST_F(LocalFileTest, ARemovalThatFailsAfterItHasHappenedLeavesTheCopy) {
  class LosesReplies : public FileOps {
   public:
    int RenameNoReplaceAt(int, const char*, int, const char*) override {
      errno = EXDEV;
      return -1;
    }
    int UnlinkAt(int dir, const char* path) override {
      FileOps::UnlinkAt(dir, path);
      errno = EIO;
      return -1;
    }
  } ops;
  const auto aside = LocalFile::Open(ops, Found(dir_.path(), path_))->SetAside();
  ASSERT_TRUE(aside.ok()) << aside.status();
  EXPECT_EQ(ReadFile(*aside), "0123456789");
  EXPECT_EQ(OnDisk(), "failed/sensor/arm/a.capture");
}

// Whatever the disk says, the file is whole in one place, and nothing half-done in another.
TEST_F(LocalFileTest, AFailureWhileItIsSetAsideLosesNothing) {
  using Call = testing::FaultyFileOps::Call;
  for (const bool copy : {false, true}) {
    for (const Call call : {Call::kMkdir, Call::kRename, Call::kWrite, Call::kFdatasync,
                            Call::kFsync, Call::kUnlink, Call::kPread, Call::kOpen}) {
      for (const int error : {ENOSPC, EIO}) {
        // Opened when all is well: nothing of what fails then is about moving.
        testing::FaultyFileOps ops;
        LocalFile file = *LocalFile::Open(ops, Found(dir_.path(), path_));
        ops.Fail(call, error);
        if (copy) ops.Fail(Call::kRename, EXDEV);
        const absl::Status status = file.SetAside().status();
        if (status.ok()) {
          EXPECT_EQ(ReadFile(dir_.path() + "/failed/sensor/arm/a.capture"), "0123456789");
          std::filesystem::rename(dir_.path() + "/failed/sensor/arm/a.capture", path_);
        }
        EXPECT_EQ(ReadFile(path_), "0123456789") << status;
        // What cannot be removed again is whole.
        for (const std::string& path : FilesBelow(dir_.path())) {
          EXPECT_TRUE(path == "sensor/arm/a.capture" || call == Call::kUnlink) << path << status;
          EXPECT_EQ(ReadFile(dir_.path() + "/" + path), "0123456789") << path;
        }
        std::filesystem::remove_all(dir_.path() + "/failed");
      }
    }
  }
}

}  // namespace
}  // namespace datamanager::sync
