// The signal that a limit on the size of files brings with it.
#ifndef DATAMANAGER_SRC_BASE_FILE_SIZE_SIGNAL_H_
#define DATAMANAGER_SRC_BASE_FILE_SIZE_SIGNAL_H_

#include <signal.h>

#include <cerrno>
#include <ctime>

namespace datamanager {

// A write beyond RLIMIT_FSIZE fails with EFBIG and sends SIGXFSZ to its thread, which by default
// ends the process. The library's own threads block all signals. A write on a thread of the
// embedder, whose handlers must not change, happens while an object of this class lives, which
// blocks the signal and discards one that the write raised.
class FileSizeSignalBlocked {
 public:
  FileSizeSignalBlocked() {
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGXFSZ);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGXFSZ) == 1;
    pthread_sigmask(SIG_BLOCK, &signal_, &before_);
  }
  ~FileSizeSignalBlocked() {
    if (sigismember(&before_, SIGXFSZ) == 1) return;
    const int error = errno;  // The write's.
    constexpr timespec kAtOnce{};
    if (!was_pending_) sigtimedwait(&signal_, nullptr, &kAtOnce);
    errno = error;
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  FileSizeSignalBlocked(const FileSizeSignalBlocked&) = delete;
  FileSizeSignalBlocked& operator=(const FileSizeSignalBlocked&) = delete;

 private:
  sigset_t signal_;
  sigset_t before_;
  bool was_pending_ = false;
};

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_FILE_SIZE_SIGNAL_H_
