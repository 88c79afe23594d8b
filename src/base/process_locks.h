// Locks files where the file system has no locks.
#ifndef DATAMANAGER_SRC_BASE_PROCESS_LOCKS_H_
#define DATAMANAGER_SRC_BASE_PROCESS_LOCKS_H_

#include <atomic>
#include <cstddef>

namespace datamanager {

// Records which open descriptor of this process holds the lock of which file; it holds it until it
// is closed. Other processes neither see these locks nor take them. Thread-safe.
class ProcessLocks {
 public:
  // Takes the lock of the file behind `fd`. Returns 0, also if `fd` holds it already; -1 with
  // EWOULDBLOCK if another descriptor holds it, or with the errno of fstat(2).
  static int Take(int fd);
  // Whether `fd` holds a lock here, which no other process sees.
  static bool Holds(int fd) { return held_.load(std::memory_order_relaxed) > 0 && IsHeld(fd); }
  // Releases the lock that `fd` holds. Call it before `fd` is closed.
  static void Release(int fd) {
    if (held_.load(std::memory_order_relaxed) > 0) ReleaseHeld(fd);
  }

 private:
  static bool IsHeld(int fd);
  static void ReleaseHeld(int fd);

  // Nearly every machine has no such locks: closing a descriptor should not cost a mutex.
  static inline std::atomic<size_t> held_ = 0;
};

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_PROCESS_LOCKS_H_
