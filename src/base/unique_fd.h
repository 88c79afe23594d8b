// File descriptors with an owner, which forked children do not share; and their lowest number.
#ifndef DATAMANAGER_SRC_BASE_UNIQUE_FD_H_
#define DATAMANAGER_SRC_BASE_UNIQUE_FD_H_

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/fork_guard.h"
#include "base/process_locks.h"

namespace datamanager {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) { GuardFromFork(fd_); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() {
    UnguardFromFork(fd_);
    return std::exchange(fd_, -1);
  }
  // Nothing that we rely on is left to close(2): what must reach the disk was flushed before.
  void Reset() {
    if (fd_ < 0) return;
    ProcessLocks::Release(fd_);
    ::close(Release());
  }

 private:
  int fd_ = -1;
};

// Moves a descriptor that was just opened above those of the standard streams, and closes the old
// one. A process that was started with a standard stream closed gets that number for the next file
// that it opens, and output to the stream then goes into that file. -1 passes through; returns -1
// with EMFILE if there is no other number.
inline int AboveStandardStreams(int fd) {
  if (fd < 0 || fd > STDERR_FILENO) return fd;
  const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  ::close(fd);
  if (moved < 0) errno = EMFILE;
  return moved;
}

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_UNIQUE_FD_H_
