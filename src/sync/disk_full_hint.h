// How writers report a full disk to the thread that makes room.
#ifndef DATAMANAGER_SRC_SYNC_DISK_FULL_HINT_H_
#define DATAMANAGER_SRC_SYNC_DISK_FULL_HINT_H_

#include <atomic>
#include <cerrno>
#include <stop_token>
#include <utility>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "datamanager/clock.h"

namespace datamanager::sync {

// Not every limit shows in the numbers of a file system: a quota, and space reserved for its
// administrator, show only when a write is refused. So each refused write starts a look at the disk
// at once. Thread-safe.
class DiskFullHint {
 public:
  // Reports that a write failed with `error`; only ENOSPC and EDQUOT count. While a report waits to
  // be taken this is one atomic operation; otherwise it adds one wake-up.
  void Raise(int error) DM_EXCLUDES(mutex_) {
    if (error != ENOSPC && error != EDQUOT) return;
    if (error_.exchange(error) != 0) return;
    MutexLock lock(mutex_);
    changed_.NotifyAll();
  }

  // Reports a step on the disk that ended with `status`.
  void RaiseFor(const absl::Status& status) {
    // The cause may also be a lack of descriptors: the thread that takes the report measures the
    // room.
    if (absl::IsResourceExhausted(status)) Raise(ENOSPC);
  }

  // Takes the last report: its error, or 0 if there is none.
  int Take() { return error_.exchange(0); }

  // Waits for a report, until `deadline` or `stop`.
  void WaitUntil(MonotonicTime deadline, std::stop_token stop) DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    changed_.WaitUntil(mutex_, std::move(stop), deadline, [this] { return error_ != 0; });
  }

 private:
  std::atomic<int> error_{0};
  Mutex mutex_;
  CondVar changed_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_DISK_FULL_HINT_H_
