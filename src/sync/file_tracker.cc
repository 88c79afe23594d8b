#include "sync/file_tracker.h"

#include <utility>

namespace datamanager::sync {

FileTracker::Claim& FileTracker::Claim::operator=(Claim&& other) noexcept {
  if (this != &other) {
    Release();
    tracker_ = std::exchange(other.tracker_, nullptr);
    id_ = other.id_;
  }
  return *this;
}

void FileTracker::Claim::Release() {
  if (tracker_ == nullptr) return;
  MutexLock lock(tracker_->mutex_);
  tracker_->claimed_.erase(id_);
  tracker_->changed_.NotifyAll();
  tracker_ = nullptr;
}

std::optional<FileTracker::Claim> FileTracker::TryClaim(FileId id) {
  MutexLock lock(mutex_);
  if (!claimed_.insert(id).second) return std::nullopt;
  return Claim(this, id);
}

bool FileTracker::IsClaimed(FileId id) const {
  MutexLock lock(mutex_);
  return claimed_.contains(id);
}

bool FileTracker::WaitUntilFree(FileId id, MonotonicTime deadline, std::stop_token stop) {
  MutexLock lock(mutex_);
  return changed_.WaitUntil(mutex_, stop, deadline, [this, id] {
    mutex_.AssertHeld();
    return !claimed_.contains(id);
  });
}

size_t FileTracker::size() const {
  MutexLock lock(mutex_);
  return claimed_.size();
}

bool FileTracker::WaitUntilIdle(MonotonicTime deadline, std::stop_token stop) {
  MutexLock lock(mutex_);
  return changed_.WaitUntil(mutex_, stop, deadline, [this] {
    mutex_.AssertHeld();
    return claimed_.empty();
  });
}

}  // namespace datamanager::sync
