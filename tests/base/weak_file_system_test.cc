// The seam to the disk on file systems that lack features.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/durable_names.h"
#include "base/file_ops.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/weak_file_ops.h"

namespace datamanager {
namespace {

using testing::Exists;
using testing::FilesBelow;
using testing::Lacking;
using testing::ReadFile;
using testing::TempDir;
using testing::WeakFileOps;
using testing::WriteFile;

class WeakFileSystemTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return temp_.path() + "/" + name; }
  UniqueFd Open(FileOps& ops, const std::string& name, int flags = O_RDWR | O_CREAT) {
    UniqueFd fd(ops.Open(Path(name).c_str(), flags, 0600));
    EXPECT_TRUE(fd.valid());
    return fd;
  }
  int Rename(FileOps& ops, const std::string& from, const std::string& to) {
    return ops.RenameNoReplace(Path(from).c_str(), Path(to).c_str());
  }
  void Age(const std::string& name) {
    const timespec times[] = {{.tv_sec = 1000, .tv_nsec = 0}, {.tv_sec = 1000, .tv_nsec = 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, Path(name).c_str(), times, 0), 0);
  }

  const TempDir temp_;
};

// The flag is refused as the kernel does it, and as a sandbox does.
class RenameWithoutFlagTest : public WeakFileSystemTest, public ::testing::WithParamInterface<int> {
 protected:
  WeakFileOps ops_{{.exclusive_rename = GetParam()}};
};
INSTANTIATE_TEST_SUITE_P(Errors, RenameWithoutFlagTest,
                         ::testing::Values(EINVAL, ENOSYS, EOPNOTSUPP, EPERM));

TEST_P(RenameWithoutFlagTest, NeverOverwrites) {
  WriteFile(Path("from"), "new");
  WriteFile(Path("to"), "old");
  EXPECT_EQ(Rename(ops_, "from", "to"), -1);
  EXPECT_EQ(errno, EEXIST);
  EXPECT_EQ(ReadFile(Path("from")), "new");
  EXPECT_EQ(ReadFile(Path("to")), "old");
  std::filesystem::create_directory(Path("directory"));
  std::filesystem::create_symlink("nowhere", Path("link"));
  for (const char* taken : {"directory", "link"}) {
    EXPECT_EQ(Rename(ops_, "from", taken), -1) << taken;
    EXPECT_EQ(errno, EEXIST) << taken;
  }
}

TEST_P(RenameWithoutFlagTest, MovesAndLeavesOneNameAndNothingElse) {
  WriteFile(Path("from"), "new");
  EXPECT_EQ(Rename(ops_, "from", "to"), 0);
  EXPECT_EQ(FilesBelow(temp_.path()), std::vector<std::string>{Path("to")});
  EXPECT_EQ(ReadFile(Path("to")), "new");
  struct stat info {};
  ASSERT_EQ(::stat(Path("to").c_str(), &info), 0);
  EXPECT_EQ(info.st_nlink, 1U) << "a crash would leave two names";
}

TEST_P(RenameWithoutFlagTest, LeavesNothingWhereItFails) {
  EXPECT_EQ(Rename(ops_, "missing", "to"), -1);
  EXPECT_EQ(errno, ENOENT);
  WriteFile(Path("from"), "new");
  EXPECT_EQ(Rename(ops_, "from", "missing/to"), -1);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(FilesBelow(temp_.path()), std::vector<std::string>{Path("from")});
}

TEST_P(RenameWithoutFlagTest, TakesTheEmptyFileThatADeadProcessLeft) {
  WriteFile(Path("from"), "new");
  WriteFile(Path("to"), "");
  EXPECT_EQ(Rename(ops_, "from", "to"), 0);
  EXPECT_EQ(ReadFile(Path("to")), "new");
}

TEST_P(RenameWithoutFlagTest, LeavesAnEmptyFileThatSomebodyHas) {
  WriteFile(Path("from"), "new");
  UniqueFd theirs = Open(FileOps::System(), "to");
  EXPECT_EQ(Rename(ops_, "from", "to"), -1);
  EXPECT_EQ(errno, EEXIST);
  ASSERT_EQ(ops_.TryLock(theirs.get()), 0);
  EXPECT_EQ(Rename(ops_, "from", "to"), -1);
  EXPECT_EQ(errno, EEXIST);
  EXPECT_EQ(ReadFile(Path("from")), "new");
}

TEST_F(WeakFileSystemTest, WithoutLeasesAnEmptyFileIsLeftOverByItsAge) {
  WeakFileOps ops({.exclusive_rename = EINVAL, .leases = EINVAL});
  WriteFile(Path("from"), "new");
  WriteFile(Path("to"), "");
  EXPECT_EQ(Rename(ops, "from", "to"), -1);
  EXPECT_EQ(errno, EEXIST);
  // The modification times can be set, the change time cannot.
  Age("to");
  EXPECT_EQ(Rename(ops, "from", "to"), -1);
  EXPECT_EQ(errno, EEXIST);
}

// The reply of a network file system may be lost.
TEST_F(WeakFileSystemTest, ARenameThatFailsAfterItHasHappenedLosesNothing) {
  class LosesReplies : public FileOps {
   public:
    int RenameAt(int from_dir, const char* from, int to_dir, const char* to,
                 unsigned flags) override {
      if (flags != 0) return Fail(EINVAL);
      if (happens) FileOps::RenameAt(from_dir, from, to_dir, to, flags);
      return Fail(EIO);
    }
    static int Fail(int error) {
      errno = error;
      return -1;
    }
    bool happens = true;
  } ops;
  WriteFile(Path("from"), "new");
  EXPECT_EQ(Rename(ops, "from", "to"), 0);
  EXPECT_EQ(ReadFile(Path("to")), "new");
  EXPECT_FALSE(Exists(Path("from")));
  ops.happens = false;
  WriteFile(Path("from"), "newer");
  EXPECT_EQ(Rename(ops, "from", "other"), -1);
  EXPECT_EQ(errno, EIO);
  EXPECT_EQ(ReadFile(Path("from")), "newer");
  EXPECT_FALSE(Exists(Path("other"))) << "the name is free again";
}

TEST_F(WeakFileSystemTest, OfManyWhoRenameToOneNameOneWinsAndNothingIsLost) {
  WeakFileOps ops({.exclusive_rename = EINVAL});
  constexpr int kThreads = 4;
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kThreads; ++i) WriteFile(Path(absl::StrCat("from", i)), absl::StrCat(i));
    const std::string target = absl::StrCat("to", round);
    std::atomic<int> won{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        if (Rename(ops, absl::StrCat("from", i), target) == 0) ++won;
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_LE(won, 1);
    int left = 0;
    for (int i = 0; i < kThreads; ++i) left += Exists(Path(absl::StrCat("from", i))) ? 1 : 0;
    ASSERT_EQ(left, kThreads - won);
    if (won == 1) {
      ASSERT_EQ(ReadFile(Path(target)).size(), 1U);
    }
  }
}

class NoLocksTest : public WeakFileSystemTest, public ::testing::WithParamInterface<int> {
 protected:
  WeakFileOps ops_{{.locks = GetParam()}};
};
INSTANTIATE_TEST_SUITE_P(Errors, NoLocksTest,
                         ::testing::Values(ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL, EBADF));

TEST_P(NoLocksTest, OneDescriptorOfThisProcessHasAFileUntilItIsClosed) {
  UniqueFd first = Open(ops_, "file");
  UniqueFd second = Open(ops_, "file");
  UniqueFd other = Open(ops_, "other");
  EXPECT_EQ(ops_.TryLock(first.get()), 0);
  EXPECT_EQ(ops_.TryLock(first.get()), 0) << "its own";
  EXPECT_EQ(ops_.TryLock(other.get()), 0);
  EXPECT_EQ(ops_.TryLock(second.get()), -1);
  EXPECT_EQ(errno, EWOULDBLOCK);
  UniqueFd moved = std::move(first);
  EXPECT_EQ(ops_.TryLock(second.get()), -1) << "it has only another owner";
  moved.Reset();
  EXPECT_EQ(ops_.TryLock(second.get()), 0);
}

TEST_P(NoLocksTest, TheNameDoesNotMatter) {
  const UniqueFd first = Open(ops_, "file");
  ASSERT_EQ(ops_.TryLock(first.get()), 0);
  std::filesystem::rename(Path("file"), Path("moved"));
  const UniqueFd second = Open(ops_, "moved", O_RDONLY);
  EXPECT_EQ(ops_.TryLock(second.get()), -1);
}

TEST_P(NoLocksTest, ADescriptorClosedByOtherMeansHasNothing) {
  UniqueFd first = Open(ops_, "file");
  ASSERT_EQ(ops_.TryLock(first.get()), 0);
  ::close(first.Release());
  const UniqueFd between = Open(ops_, "other");
  const UniqueFd second = Open(ops_, "file");
  EXPECT_EQ(ops_.TryLock(second.get()), 0);
}

TEST_F(WeakFileSystemTest, ALockThatFailsOtherwiseFails) {
  WeakFileOps ops({.locks = EIO});
  const UniqueFd fd = Open(ops, "file");
  EXPECT_EQ(ops.TryLock(fd.get()), -1);
  EXPECT_EQ(errno, EIO);
}

TEST_F(WeakFileSystemTest, WithoutItsOwnFlushTheWholeFileSystemIsFlushed) {
  WeakFileOps ops({.file_flush = EINVAL, .directory_flush = EINVAL});
  const UniqueFd fd = Open(ops, "file");
  EXPECT_EQ(ops.Fdatasync(fd.get()), 0);
  EXPECT_EQ(ops.whole_flushes(), 1);
  EXPECT_TRUE(SyncDirectory(ops, temp_.path()).ok());
  EXPECT_EQ(ops.whole_flushes(), 2);
  EXPECT_TRUE(DurableNames(ops).Flush(temp_.path()).ok());
  EXPECT_GT(ops.whole_flushes(), 2);
}

TEST_F(WeakFileSystemTest, WhereNothingCanBeFlushedEverythingElseGoesOn) {
  WeakFileOps ops(WeakFileOps::Everything());
  EXPECT_TRUE(SyncDirectory(ops, temp_.path()).ok());
  EXPECT_TRUE(MakeDirectoriesBelow(ops, temp_.path(), "a/b").ok());
}

TEST_F(WeakFileSystemTest, AFlushThatFailsOtherwiseFails) {
  WeakFileOps ops({.file_flush = EIO, .directory_flush = EIO});
  const UniqueFd fd = Open(ops, "file");
  EXPECT_EQ(ops.Fdatasync(fd.get()), -1);
  EXPECT_EQ(errno, EIO);
  EXPECT_FALSE(SyncDirectory(ops, temp_.path()).ok());
  WeakFileOps broken({.directory_flush = EINVAL, .whole_flush = EIO});
  EXPECT_FALSE(SyncDirectory(broken, temp_.path()).ok());
  EXPECT_EQ(ops.whole_flushes(), 0);
}

// Every directory has the inode number of the last one by that name, as ext4 assigns them.
class ReusedInodes : public FileOps {
 public:
  int Fstat(int fd, struct stat* result) override {
    const int failed = FileOps::Fstat(fd, result);
    if (failed == 0) result->st_ino = std::hash<std::string>()(PathOf(fd));
    return failed;
  }
  int FsyncOnly(int fd) override {
    ++flushes[PathOf(fd)];
    return 0;
  }
  std::string Incarnation(int fd) override { return tells ? FileOps::Incarnation(fd) : ""; }

  std::map<std::string, int> flushes;
  bool tells = true;

 private:
  static std::string PathOf(int fd) {
    char path[4096];
    const ssize_t size = ::readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), path, sizeof(path));
    return std::string(path, static_cast<size_t>(std::max<ssize_t>(size, 0)));
  }
};

TEST_F(WeakFileSystemTest, ADirectoryMadeAgainUnderTheSameInodeIsAnotherOne) {
  ReusedInodes ops;
  DurableNames names(ops);
  const std::string parent = Path("parent");
  std::filesystem::create_directories(parent + "/directory");
  ASSERT_TRUE(names.Flush(parent + "/directory").ok());
  ASSERT_TRUE(names.Flush(parent + "/directory").ok());
  EXPECT_EQ(ops.flushes[parent + "/directory"], 2);
  EXPECT_EQ(ops.flushes[parent], 1) << "known to be durable";
  EXPECT_EQ(ops.flushes[temp_.path()], 1);
  // Not removed first, so that the next real inode number differs.
  std::filesystem::rename(parent, Path("moved"));
  std::filesystem::create_directories(parent + "/directory");
  ASSERT_TRUE(names.Flush(parent + "/directory").ok());
  EXPECT_EQ(ops.flushes[parent + "/directory"], 3);
  EXPECT_EQ(ops.flushes[parent], 2);
  EXPECT_EQ(ops.flushes[temp_.path()], 2);
}

TEST_F(WeakFileSystemTest, WhereThatCannotBeToldTheNameIsFlushedEachTime) {
  ReusedInodes ops;
  ops.tells = false;
  DurableNames names(ops);
  ASSERT_TRUE(names.Flush(temp_.path()).ok());
  const int before = ops.flushes[ParentPath(temp_.path())];
  ASSERT_TRUE(names.Flush(temp_.path()).ok());
  EXPECT_EQ(ops.flushes[ParentPath(temp_.path())], before + 1);
}

TEST_F(WeakFileSystemTest, TheSystemTellsDirectoriesApartThatHadOneInodeNumber) {
  FileOps& ops = FileOps::System();
  // If the number is not reused, nothing has to be told apart.
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(::mkdir(Path("directory").c_str(), 0700), 0);
    struct stat first {};
    struct stat second {};
    std::string incarnation;
    {
      const UniqueFd fd = Open(ops, "directory", O_RDONLY | O_DIRECTORY);
      ASSERT_EQ(ops.Fstat(fd.get(), &first), 0);
      incarnation = ops.Incarnation(fd.get());
      EXPECT_EQ(ops.Incarnation(fd.get()), incarnation);
    }
    ASSERT_EQ(::rmdir(Path("directory").c_str()), 0);
    ASSERT_EQ(::mkdir(Path("directory").c_str(), 0700), 0);
    const UniqueFd fd = Open(ops, "directory", O_RDONLY | O_DIRECTORY);
    ASSERT_EQ(ops.Fstat(fd.get(), &second), 0);
    if (!incarnation.empty()) {
      EXPECT_NE(ops.Incarnation(fd.get()), incarnation);
    }
    if (first.st_ino == second.st_ino) return;
    ASSERT_EQ(::rmdir(Path("directory").c_str()), 0);
  }
}

}  // namespace
}  // namespace datamanager
