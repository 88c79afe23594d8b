#include "base/file_ops.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "base/read_file.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/sanitizers.h"
#include "tests/support/temp_dir.h"

namespace datamanager {
namespace {

using testing::Exists;
using testing::FaultyFileOps;
using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;

class FileOpsTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return temp_.path() + "/" + name; }
  static mode_t ModeOf(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  }

  const TempDir temp_{testing::DiskDirectory()};
  FileOps& ops_ = FileOps::System();
};

TEST_F(FileOpsTest, OpensForThisProcessOnly) {
  const UniqueFd fd(ops_.Open(Path("file").c_str(), O_RDWR | O_CREAT, 0600));
  ASSERT_TRUE(fd.valid());
  EXPECT_NE(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

// Closes the standard stream of that number while it lives.
class ClosedStream {
 public:
  explicit ClosedStream(int fd) : fd_(fd), kept_(::fcntl(fd, F_DUPFD_CLOEXEC, 10)) {
    if (kept_ >= 0) ::close(fd);
  }
  ClosedStream(const ClosedStream&) = delete;
  ClosedStream& operator=(const ClosedStream&) = delete;
  ~ClosedStream() {
    if (kept_ < 0) return;
    ::dup2(kept_, fd_);
    ::close(kept_);
  }

 private:
  const int fd_;
  const int kept_;
};

TEST_F(FileOpsTest, NothingGetsTheDescriptorOfAClosedStandardStream) {
  WriteFile(Path("file"), "text");
  for (int stream = 0; stream <= 2; ++stream) {
    const ClosedStream closed(stream);
    const auto above = [](int fd) { return UniqueFd(fd).get() > 2; };
    EXPECT_TRUE(above(ops_.Open(Path("file").c_str(), O_RDWR, 0))) << stream;
    EXPECT_TRUE(above(ops_.Open(Path("file").c_str(), O_PATH, 0))) << stream;
    EXPECT_TRUE(above(ops_.OpenWithoutLinks(Path("file").c_str(), O_RDONLY))) << stream;
    EXPECT_TRUE(above(OpenStepByStep(Path("file").c_str(), O_RDONLY))) << stream;
    const DirectoryStream directory = OpenDirectory(ops_, AT_FDCWD, temp_.path().c_str(), 0);
    ASSERT_NE(directory, nullptr);
    EXPECT_GT(::dirfd(directory.get()), 2);
    EXPECT_EQ(*datamanager::ReadFile(Path("file"), 100), "text");
    EXPECT_EQ(::fcntl(stream, F_GETFD), -1) << "nothing takes its place either";
  }
}

TEST_F(FileOpsTest, AMovedDescriptorKeepsItsLockAndStaysWithThisProcess) {
  const ClosedStream closed(2);
  const UniqueFd fd(ops_.Open(Path("file").c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
  ASSERT_GT(fd.get(), 2);
  EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(ops_.TryLock(fd.get()), 0);
  const UniqueFd other(ops_.Open(Path("file").c_str(), O_RDWR, 0));
  EXPECT_EQ(ops_.TryLock(other.get()), -1);
}

TEST_F(FileOpsTest, WithoutADescriptorAboveTheStandardStreamsNoFileIsMade) {
  if (testing::kNeedsMemoryAndDescriptors) GTEST_SKIP() << "the sanitizer needs them";
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const ClosedStream closed(2);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const int fd = ops_.Open(Path("file").c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  const int error = errno;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(fd, -1);
  EXPECT_EQ(error, EMFILE);
  EXPECT_FALSE(Exists(Path("file")));
}

TEST_F(FileOpsTest, OpenFileFollowsNoLinkAndWaitsForNobody) {
  WriteFile(Path("file"), "x");
  EXPECT_TRUE(OpenFile(ops_, Path("file"), O_RDONLY).ok());
  ASSERT_EQ(::symlink(Path("file").c_str(), Path("link").c_str()), 0);
  EXPECT_FALSE(OpenFile(ops_, Path("link"), O_RDONLY).ok());
  ASSERT_EQ(::mkfifo(Path("fifo").c_str(), 0600), 0);
  EXPECT_TRUE(OpenFile(ops_, Path("fifo"), O_RDONLY).ok());
  const absl::Status gone = OpenFile(ops_, Path("gone"), O_RDONLY).status();
  EXPECT_EQ(gone.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(gone.message().find("open " + Path("gone")), std::string::npos) << gone;
}

TEST_F(FileOpsTest, LocksAnOpenFileAgainstEveryOther) {
  const UniqueFd first(ops_.Open(Path("file").c_str(), O_RDWR | O_CREAT, 0600));
  const UniqueFd second(ops_.Open(Path("file").c_str(), O_RDWR, 0));
  EXPECT_EQ(ops_.TryLock(first.get()), 0);
  EXPECT_EQ(ops_.TryLock(second.get()), -1);
  EXPECT_EQ(errno, EWOULDBLOCK);
}

TEST_F(FileOpsTest, RenameNeverOverwrites) {
  WriteFile(Path("from"), "new");
  WriteFile(Path("to"), "old");
  EXPECT_EQ(ops_.RenameNoReplace(Path("from").c_str(), Path("to").c_str()), -1);
  EXPECT_EQ(errno, EEXIST);
  EXPECT_EQ(ReadFile(Path("from")), "new");
  EXPECT_EQ(ReadFile(Path("to")), "old");
  EXPECT_EQ(ops_.RenameNoReplace(Path("from").c_str(), Path("free").c_str()), 0);
  EXPECT_FALSE(Exists(Path("from")));
  EXPECT_EQ(ReadFile(Path("free")), "new");
}

// With the kernel's help and without.
class OpenWithoutLinksTest : public FileOpsTest, public ::testing::WithParamInterface<bool> {
 protected:
  OpenWithoutLinksTest() {
    EXPECT_TRUE(MakeDirectories(ops_, Path("root/a/b")).ok());
    WriteFile(Path("root/a/b/file"), "x");
    WriteFile(Path("outside"), "y");
  }
  UniqueFd Open(const std::string& path, int flags = O_RDONLY) {
    return UniqueFd(GetParam() ? ops_.OpenWithoutLinks(path.c_str(), flags)
                               : OpenStepByStep(path.c_str(), flags));
  }
  void Link(const std::string& target, const std::string& name) {
    EXPECT_EQ(::symlink(target.c_str(), Path(name).c_str()), 0);
  }
};

TEST_P(OpenWithoutLinksTest, OpensWhatIsThere) {
  const UniqueFd fd = Open(Path("root/a/b/file"));
  ASSERT_TRUE(fd.valid());
  EXPECT_NE(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_TRUE(Open(Path("root/a/b"), O_PATH | O_DIRECTORY).valid());
  EXPECT_TRUE(Open("/", O_PATH | O_DIRECTORY).valid());
  EXPECT_FALSE(Open(Path("root/a/c/file")).valid());
  EXPECT_EQ(errno, ENOENT);
}

TEST_P(OpenWithoutLinksTest, FollowsNoLinkOnTheWayOrAtTheEnd) {
  Link("b", "root/a/in");
  Link("../../outside", "root/a/out");
  Link(Path("root/a"), "root/absolute");
  for (const char* path : {"a/in/file", "a/out", "absolute/b/file", "absolute"}) {
    EXPECT_FALSE(Open(Path("root/") + path).valid()) << path;
    EXPECT_TRUE(errno == ELOOP || errno == ENOTDIR) << path << ": " << strerror(errno);
  }
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutOpenat2, OpenWithoutLinksTest, ::testing::Bool());

TEST_F(FileOpsTest, ALeaseTellsWhetherSomebodyElseHasTheFileOpen) {
  WriteFile(Path("file"), "x");
  const UniqueFd ours(ops_.Open(Path("file").c_str(), O_RDONLY, 0));
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  EXPECT_EQ(ops_.TryLease(ours.get(), F_RDLCK), 0) << strerror(errno);
  EXPECT_EQ(ops_.TryLease(ours.get(), F_WRLCK), 0) << strerror(errno);
  {
    const UniqueFd reader(ops_.Open(Path("file").c_str(), O_RDONLY, 0));
    EXPECT_EQ(ops_.TryLease(ours.get(), F_RDLCK), 0) << strerror(errno);
    EXPECT_EQ(ops_.TryLease(ours.get(), F_WRLCK), -1);
    EXPECT_EQ(errno, EAGAIN);
  }
  const UniqueFd writer(ops_.Open(Path("file").c_str(), O_WRONLY, 0));
  EXPECT_EQ(ops_.TryLease(ours.get(), F_RDLCK), -1);
  EXPECT_EQ(errno, EAGAIN);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// Reads at most three bytes at a time, as a signal or a network file system may make it.
class TricklingOps : public FileOps {
 public:
  ssize_t Pread(int fd, void* data, size_t size, off_t offset) override {
    return FileOps::Pread(fd, data, std::min<size_t>(size, 3), offset);
  }
};

TEST_F(FileOpsTest, ReadExactlyGoesOnAfterAShortRead) {
  TricklingOps ops;
  WriteFile(Path("file"), "0123456789");
  const UniqueFd fd(ops.Open(Path("file").c_str(), O_RDONLY, 0));
  std::string out(8, '\0');
  EXPECT_TRUE(ReadExactly(ops, fd.get(), 1, 8, out.data()).ok());
  EXPECT_EQ(out, "12345678");
  EXPECT_TRUE(ReadExactly(ops, fd.get(), 10, 0, out.data()).ok());
  const absl::Status short_file = ReadExactly(ops, fd.get(), 5, 8, out.data());
  EXPECT_EQ(short_file.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(short_file.message(), "read: the file ends 3 bytes too early");
}

TEST_F(FileOpsTest, ReadExactlyPassesTheDisksErrorOn) {
  FaultyFileOps ops;
  WriteFile(Path("file"), "0123456789");
  const UniqueFd fd(ops.Open(Path("file").c_str(), O_RDONLY, 0));
  std::string out(8, '\0');
  ops.Fail(FaultyFileOps::Call::kPread, EIO);
  const absl::Status status = ReadExactly(ops, fd.get(), 0, 8, out.data());
  EXPECT_NE(status.message().find("Input/output error"), std::string::npos) << status;
}

TEST_F(FileOpsTest, MakeDirectoriesMakesWhatIsMissing) {
  EXPECT_TRUE(MakeDirectories(ops_, Path("a/b/c")).ok());
  EXPECT_TRUE(std::filesystem::is_directory(Path("a/b/c")));
  EXPECT_EQ(ModeOf(Path("a")), 0700U);
  EXPECT_EQ(ModeOf(Path("a/b/c")), 0700U);
  EXPECT_TRUE(MakeDirectories(ops_, Path("a/b/c")).ok()) << "it is there already";
  EXPECT_TRUE(MakeDirectories(ops_, Path("a/d/")).ok()) << "a slash at the end is no name";
  EXPECT_TRUE(MakeDirectories(ops_, "/").ok());
}

TEST_F(FileOpsTest, MakeDirectoriesTakesALinkToADirectory) {
  ASSERT_TRUE(MakeDirectories(ops_, Path("real")).ok());
  ASSERT_EQ(::symlink(Path("real").c_str(), Path("link").c_str()), 0);
  EXPECT_TRUE(MakeDirectories(ops_, Path("link")).ok());
  EXPECT_TRUE(MakeDirectories(ops_, Path("link/below")).ok());
  EXPECT_TRUE(std::filesystem::is_directory(Path("real/below")));
}

TEST_F(FileOpsTest, MakeDirectoriesNamesAFileInTheWay) {
  WriteFile(Path("file"), "x");
  for (const std::string& path : {Path("file"), Path("file/below"), Path("file/far/below")}) {
    const absl::Status status = MakeDirectories(ops_, path);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find("create directory " + Path("file")), std::string::npos)
        << status;
    EXPECT_NE(status.message().find("Not a directory"), std::string::npos) << status;
  }
  EXPECT_EQ(ReadFile(Path("file")), "x");
  EXPECT_FALSE(MakeDirectories(ops_, "").ok());
}

TEST_F(FileOpsTest, MakeDirectoriesPassesTheDisksErrorOn) {
  FaultyFileOps ops;
  ops.Fail(FaultyFileOps::Call::kMkdir, EROFS);
  const absl::Status status = MakeDirectories(ops, Path("a/b"));
  EXPECT_NE(status.message().find("Read-only file system"), std::string::npos) << status;
}

TEST_F(FileOpsTest, SyncDirectoryFlushesADirectoryOnly) {
  FaultyFileOps ops;
  EXPECT_TRUE(SyncDirectory(ops_, temp_.path()).ok());
  EXPECT_TRUE(SyncDirectory(ops, temp_.path()).ok());
  EXPECT_EQ(ops.Count(FaultyFileOps::Call::kFsync), 1);
  WriteFile(Path("file"), "x");
  EXPECT_FALSE(SyncDirectory(ops, Path("file")).ok());
  ops.Fail(FaultyFileOps::Call::kFsync, EIO);
  EXPECT_NE(SyncDirectory(ops, temp_.path()).message().find(temp_.path()), std::string::npos);
}

TEST_F(FileOpsTest, FileIdsFollowTheFileAndNotTheName) {
  const auto id = [&](const std::string& name) {
    struct stat info {};
    EXPECT_EQ(ops_.Lstat(Path(name).c_str(), &info), 0);
    return FileId::Of(info);
  };
  WriteFile(Path("a"), "x");
  WriteFile(Path("b"), "x");
  const FileId a = id("a");
  EXPECT_NE(a, id("b"));
  ASSERT_EQ(ops_.RenameNoReplace(Path("a").c_str(), Path("c").c_str()), 0);
  EXPECT_EQ(a, id("c"));
}

TEST(PathTest, SplitsAtTheLastSlash) {
  const std::vector<std::tuple<std::string, std::string, std::string>> table = {
      {"/a/b", "/a", "b"}, {"/a", "/", "a"}, {"a/b", "a", "b"},
      {"a", ".", "a"},     {"/", "/", ""},   {"", ".", ""},
  };
  for (const auto& [path, parent, base] : table) {
    EXPECT_EQ(ParentPath(path), parent) << path;
    EXPECT_EQ(BaseName(path), base) << path;
  }
}

TEST(UniqueFdTest, ClosesOnce) {
  int raw = -1;
  {
    UniqueFd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    raw = first.get();
    UniqueFd second = std::move(first);
    EXPECT_FALSE(first.valid());  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(second.get(), raw);
    UniqueFd third;
    third = std::move(second);
    EXPECT_EQ(third.get(), raw);
  }
  EXPECT_EQ(fcntl(raw, F_GETFD), -1);
  UniqueFd released(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int fd = released.Release();
  released.Reset();
  EXPECT_NE(fcntl(fd, F_GETFD), -1);
  ::close(fd);
}

}  // namespace
}  // namespace datamanager
