#include "sync/local_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "tests/support/faulty_file_ops.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"
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

// Something happens after the file was opened, and before it is locked.
class BeforeTheLock final : public FileOps {
 public:
  explicit BeforeTheLock(std::function<void()> happens) : happens_(std::move(happens)) {}
  int TryLock(int fd) override {
    happens_();
    return FileOps::TryLock(fd);
  }

 private:
  const std::function<void()> happens_;
};

TEST_F(LocalFileTest, WhatAnotherOneRemovedBeforeItWasLockedIsNotFound) {
  // In the same tick of the file system's clock, as a rule.
  for (int i = 0; i < 50; ++i) {
    WriteFile(path_, "0123456789");
    const FoundFile found = Found(dir_.path(), path_);
    BeforeTheLock ops([&] { std::filesystem::remove(path_); });
    EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(ops, found).status()));
  }
}

TEST_F(LocalFileTest, WhatAnotherOneSetAsideBeforeItWasLockedIsNotFound) {
  const FoundFile found = Found(dir_.path(), path_);
  // So that the clock of the file system has moved on.
  EXPECT_TRUE(testing::WaitUntil([&] {
    WriteFile(path_ + ".new", "other");
    return Found(dir_.path(), path_ + ".new").version.changed_ns != found.version.changed_ns;
  }));
  BeforeTheLock ops([&] { std::filesystem::rename(path_, path_ + ".aside"); });
  EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(ops, found).status()));
}

TEST_F(LocalFileTest, WhatAnotherOneChangedBeforeItWasLockedIsOpened) {
  const FoundFile found = Found(dir_.path(), path_);
  BeforeTheLock ops([&] { WriteFile(path_, "another text"); });
  const auto file = LocalFile::Open(ops, found);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->size(), 12U);
}

TEST_F(LocalFileTest, LinksAreNotFollowed) {
  const FoundFile found = Found(dir_.path(), path_);
  std::filesystem::rename(path_, path_ + ".real");
  std::filesystem::create_symlink(path_ + ".real", path_);
  EXPECT_FALSE(LocalFile::Open(ops_, found).ok());
}

TEST_F(LocalFileTest, WhatIsNoRegularFileAnyLongerIsNotFoundAndNotWaitedFor) {
  const FoundFile found = Found(dir_.path(), path_);
  std::filesystem::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);  // A plain open would wait for a writer.
  EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(ops_, found).status()));
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(ops_, found).status()));
  std::filesystem::remove(path_);
  ASSERT_EQ(mknod(path_.c_str(), S_IFSOCK | 0600, 0), 0);
  EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(ops_, found).status()));
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

TEST_F(LocalFileTest, AFileThatIsOpenForWritingElsewhereIsUnavailable) {
  const std::string path = dir_.path() + "/a.bin";
  WriteFile(path, "0123456789");
  const FoundFile found = Found(dir_.path(), path);
  UniqueFd writer(open(path.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_TRUE(absl::IsUnavailable(LocalFile::Open(ops_, found).status()));
  writer.Reset();
  auto file = LocalFile::Open(ops_, found);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->known_complete());
  // A reader is in nobody's way; a writer is, even if it has not written yet.
  const UniqueFd reader(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(file->CheckNoWriter().ok());
  writer = UniqueFd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_TRUE(absl::IsUnavailable(file->CheckNoWriter()));
  EXPECT_TRUE(absl::IsUnavailable(file->Remove()));
  EXPECT_TRUE(absl::IsUnavailable(file->SetAside().status()));
  EXPECT_EQ(ReadFile(path), "0123456789");
  writer.Reset();
  EXPECT_TRUE(file->Remove().ok());
}

// Its name tells that it is complete, and its writer's lock until then; who writes to it all the
// same is met before it is removed or moved.
TEST_F(LocalFileTest, ACaptureFileIsAskedForWritersOnlyBeforeItGoes) {
  UniqueFd writer(open(path_.c_str(), O_RDWR | O_CLOEXEC));
  LocalFile file = Open();
  EXPECT_TRUE(file.known_complete());
  EXPECT_TRUE(absl::IsUnavailable(file.Remove()));
  EXPECT_TRUE(absl::IsUnavailable(file.SetAside().status()));
  EXPECT_EQ(OnDisk(), "sensor/arm/a.capture");
  writer.Reset();
  EXPECT_TRUE(file.Remove().ok());
}

// Where other processes do not see the lock, it says nothing of them.
TEST_F(LocalFileTest, WithoutLocksACaptureFileIsAskedForWritersWhenItIsOpened) {
  class WithoutLocks : public FileOps {
   public:
    int Flock(int) override {
      errno = ENOSYS;
      return -1;
    }
  } ops;
  const UniqueFd writer(open(path_.c_str(), O_RDWR | O_CLOEXEC));
  const absl::Status status = LocalFile::Open(ops, Found(dir_.path(), path_)).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

// A robot has thousands of them: what each costs at the disk decides how fast they go.
TEST_F(LocalFileTest, ACaptureFileTakesNoMoreCallsThanItMust) {
  class Counting : public FileOps {
   public:
    int OpenAt(int dir, const char* path, int flags, mode_t mode) override {
      return ++calls, FileOps::OpenAt(dir, path, flags, mode);
    }
    int OpenWithoutLinks(const char* path, int flags) override {
      return ++calls, FileOps::OpenWithoutLinks(path, flags);
    }
    int Fstat(int fd, struct stat* result) override { return ++calls, FileOps::Fstat(fd, result); }
    int LstatAt(int dir, const char* path, struct stat* result) override {
      return ++calls, FileOps::LstatAt(dir, path, result);
    }
    int Flock(int fd) override { return ++calls, FileOps::Flock(fd); }
    int TryLease(int fd, int type) override { return ++calls, FileOps::TryLease(fd, type); }
    int UnlinkAt(int dir, const char* path) override {
      return ++calls, FileOps::UnlinkAt(dir, path);
    }
    int calls = 0;
  } ops;
  LocalFile file = *LocalFile::Open(ops, Found(dir_.path(), path_));
  EXPECT_EQ(ops.calls, 3);  // Open, lock, look.
  EXPECT_TRUE(file.CheckContents().ok());
  EXPECT_EQ(ops.calls, 4);
  EXPECT_TRUE(file.Remove().ok());
  EXPECT_EQ(ops.calls, 8);  // Lease, directory, look, unlink.
}

TEST_F(LocalFileTest, ADirectoryThatWasMovedAwayTakesItsFilesWithIt) {
  LocalFile file = Open();
  std::filesystem::rename(dir_.path() + "/sensor", dir_.path() + "/elsewhere");
  EXPECT_TRUE(absl::IsNotFound(file.Remove()));
  EXPECT_TRUE(absl::IsNotFound(file.SetAside().status()));
  // Nor is a file by the same path the same.
  WriteFile(path_, "0123456789");
  EXPECT_TRUE(absl::IsAborted(file.Remove()));
  EXPECT_TRUE(absl::IsAborted(file.SetAside().status()));
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
