#include "base/fork_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "base/file_ops.h"
#include "base/unique_fd.h"
#include "tests/support/temp_dir.h"

namespace datamanager {
namespace {

// A forked child that lives, without exec, until it is released; it reports the state of `fd`.
class Child {
 public:
  explicit Child(int fd) {
    EXPECT_EQ(::pipe(go_), 0);
    EXPECT_EQ(::pipe(report_), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      struct stat info {};
      const char found = ::fstat(fd, &info) != 0 ? 'c'   // Closed.
                         : S_ISCHR(info.st_mode) ? 'n'   // The null device.
                                                 : 'o';  // Still the file.
      char byte = 0;
      ::close(go_[1]);
      const bool told = ::write(report_[1], &found, 1) == 1 && ::read(go_[0], &byte, 1) >= 0;
      ::_exit(told ? 0 : 1);
    }
    EXPECT_EQ(::read(report_[0], &found_, 1), 1);
  }
  ~Child() {
    ::close(go_[1]);
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    EXPECT_EQ(status, 0);
    ::close(go_[0]);
    for (const int fd : report_) ::close(fd);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  char found() const { return found_; }

 private:
  int go_[2] = {-1, -1};
  int report_[2] = {-1, -1};
  pid_t pid_ = -1;
  char found_ = '?';
};

class ForkGuardTest : public ::testing::Test {
 protected:
  int Open(int flags) const { return ::open(path_.c_str(), flags | O_CLOEXEC, 0644); }
  // Whether an upload could have the file now.
  bool IsFree() {
    const UniqueFd fd(Open(O_RDONLY));
    FileOps& ops = FileOps::System();
    return ops.TryLock(fd.get()) == 0 && ops.TryLease(fd.get(), F_RDLCK) == 0;
  }

  const testing::TempDir temp_;
  const std::string path_ = temp_.path() + "/file";
};

TEST_F(ForkGuardTest, AChildHoldsNeitherTheLockNorTheFile) {
  UniqueFd fd(Open(O_RDWR | O_CREAT));
  ASSERT_EQ(::flock(fd.get(), LOCK_EX | LOCK_NB), 0);
  const Child child(fd.get());
  EXPECT_EQ(child.found(), 'n') << "the number stays taken";
  EXPECT_FALSE(IsFree()) << "the parent's is not affected";
  EXPECT_EQ(::write(fd.get(), "x", 1), 1);
  fd.Reset();
  EXPECT_TRUE(IsFree());
}

TEST_F(ForkGuardTest, WithoutItAChildHoldsBoth) {
  const int fd = Open(O_RDWR | O_CREAT);
  ASSERT_EQ(::flock(fd, LOCK_EX | LOCK_NB), 0);
  const Child child(fd);
  EXPECT_EQ(child.found(), 'o');
  ::close(fd);
  EXPECT_FALSE(IsFree());
}

TEST_F(ForkGuardTest, WhatIsGivenAwayIsTheOwners) {
  UniqueFd fd(Open(O_RDWR | O_CREAT));
  UniqueFd moved = std::move(fd);
  const int released = moved.Release();
  {
    const Child child(released);
    EXPECT_EQ(child.found(), 'o');
  }
  ::close(released);
}

}  // namespace
}  // namespace datamanager
