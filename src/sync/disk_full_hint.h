// How writers report that the disk is full to the thread that makes room.
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

// The numbers that a file system gives of itself do not show every limit: a quota, and space that
// only its administrator may use, show when a write is refused. So each refused write starts a look
// at the disk at once. Thread-safe.
class DiskFullHint {
 public:
  // A write failed with `error`; only ENOSPC and EDQUOT count. Until the last report was taken this
  // is one atomic operation, and never more than a wake-up beyond it.
  void Raise(int error) DM_EXCLUDES(mutex_) {
    if (error != ENOSPC && error != EDQUOT) return;
    if (error_.exchange(error) != 0) return;
    MutexLock lock(mutex_);
    changed_.NotifyAll();
  }

  // The same for a step on the disk that ended with `status`.
  void RaiseFor(const absl::Status& status) {
    // That may also be a want of descriptors; whoever takes the report measures what there is.
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
