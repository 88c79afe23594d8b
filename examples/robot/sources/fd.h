// A file descriptor that is closed with its owner.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_FD_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_FD_H_

#include <unistd.h>

#include <utility>

namespace robot {

class Fd {
 public:
  Fd() = default;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Reset(-1); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Returns the descriptor, which the caller must close.
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_FD_H_
