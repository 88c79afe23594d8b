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
  FileTracker& tracker = *std::exchange(tracker_, nullptr);
  const Place place = PlaceOf(id_);
  MutexLock lock(tracker.mutex_);
  const auto claimed = tracker.claimed_.find(place.neighbours);
  claimed->second &= ~place.bit;
  if (claimed->second == 0) tracker.claimed_.erase(claimed);
  --tracker.size_;
  tracker.changed_.NotifyAll();
}

bool FileTracker::Has(FileId id) const {
  const Place place = PlaceOf(id);
  const auto claimed = claimed_.find(place.neighbours);
  return claimed != claimed_.end() && (claimed->second & place.bit) != 0;
}

std::optional<FileTracker::Claim> FileTracker::TryClaim(FileId id) {
  MutexLock lock(mutex_);
  const Place place = PlaceOf(id);
  uint64_t& claimed = claimed_[place.neighbours];
  if ((claimed & place.bit) != 0) return std::nullopt;
  claimed |= place.bit;
  ++size_;
  return Claim(this, id);
}

bool FileTracker::IsClaimed(FileId id) const {
  if (size_ == 0) return false;
  MutexLock lock(mutex_);
  return Has(id);
}

bool FileTracker::WaitUntilFree(FileId id, MonotonicTime deadline, std::stop_token stop) {
  MutexLock lock(mutex_);
  return changed_.WaitUntil(mutex_, stop, deadline, [this, id] {
    mutex_.AssertHeld();
    return !Has(id);
  });
}

bool FileTracker::WaitUntilIdle(MonotonicTime deadline, std::stop_token stop) {
  MutexLock lock(mutex_);
  return changed_.WaitUntil(mutex_, stop, deadline, [this] {
    mutex_.AssertHeld();
    return size_ == 0;
  });
}

}  // namespace datamanager::sync
