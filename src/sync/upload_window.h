// How many uploads may be under way.
#ifndef DATAMANAGER_SRC_SYNC_UPLOAD_WINDOW_H_
#define DATAMANAGER_SRC_SYNC_UPLOAD_WINDOW_H_

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/mutex.h"

namespace datamanager::sync {

// Grows while uploads succeed, up to `most`: at first by one for each, so that it doubles each
// round; after a stall by one a round. A stall halves it: what is under way is more than the link
// carries. Those that hang in the disk take no place. Thread-safe; no call blocks.
class UploadWindow {
 public:
  // `first` are allowed at first.
  UploadWindow(int first, int most) : most_(most), allowed_(std::min(first, most)) {}

  // Whether another upload may begin; it counts until End.
  bool Begin() DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (under_way_ - stuck_ >= static_cast<int>(allowed_)) {
      refused_ = true;
      return false;
    }
    ++under_way_;
    return true;
  }
  enum class Outcome : uint8_t { kStored, kStalled, kOther };
  // Whether another has been refused since the last End: it may ask again.
  bool End(Outcome outcome) DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    --under_way_;
    if (outcome == Outcome::kStored) {
      allowed_ = std::min<double>(allowed_ + (stalled_ ? 1 / allowed_ : 1), most_);
    } else if (outcome == Outcome::kStalled) {
      stalled_ = true;
      allowed_ = std::max(allowed_ / 2, 1.0);
    }
    return std::exchange(refused_, false);
  }
  // There was nothing to upload. One that was refused meanwhile is not told: it would find nothing.
  void GiveBack() DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    --under_way_;
  }
  // One of those under way hangs in the disk, until Free. Returns the same as End.
  bool SetAside() DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ++stuck_;
    return std::exchange(refused_, false);
  }
  void Free() DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    --stuck_;
  }
  int under_way() const DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return under_way_;
  }

 private:
  const int most_;
  mutable Mutex mutex_;
  int under_way_ DM_GUARDED_BY(mutex_) = 0;
  int stuck_ DM_GUARDED_BY(mutex_) = 0;  // Of these.
  double allowed_ DM_GUARDED_BY(mutex_);
  bool stalled_ DM_GUARDED_BY(mutex_) = false;
  bool refused_ DM_GUARDED_BY(mutex_) = false;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_UPLOAD_WINDOW_H_
