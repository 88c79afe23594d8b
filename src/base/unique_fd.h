// A file descriptor with one owner, which no forked child shares.
#ifndef DATAMANAGER_SRC_BASE_UNIQUE_FD_H_
#define DATAMANAGER_SRC_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

#include "base/fork_guard.h"

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
    if (fd_ >= 0) ::close(Release());
  }

 private:
  int fd_ = -1;
};

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_UNIQUE_FD_H_
