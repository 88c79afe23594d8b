// Locks on files where the file system has none.
#ifndef DATAMANAGER_SRC_BASE_PROCESS_LOCKS_H_
#define DATAMANAGER_SRC_BASE_PROCESS_LOCKS_H_

#include <atomic>
#include <cstddef>

namespace datamanager {

// Who in this process has which file: one open descriptor has a file's lock until it is closed.
// Other processes neither see these locks nor have any. Thread-safe.
class ProcessLocks {
 public:
  // Takes the lock of the file behind `fd`. 0, also if `fd` has it already; -1 with EWOULDBLOCK if
  // another descriptor has it, or with what fstat(2) says.
  static int Take(int fd);
  // Gives back what `fd` has. Before it is closed.
  static void Release(int fd) {
    if (held_.load(std::memory_order_relaxed) > 0) ReleaseHeld(fd);
  }

 private:
  static void ReleaseHeld(int fd);

  // On nearly every machine there are none: closing a descriptor should not cost a lock.
  static inline std::atomic<size_t> held_ = 0;
};

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_PROCESS_LOCKS_H_
