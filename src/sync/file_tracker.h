// Who owns which file.
#ifndef DATAMANAGER_SRC_SYNC_FILE_TRACKER_H_
#define DATAMANAGER_SRC_SYNC_FILE_TRACKER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>

#include "absl/container/flat_hash_map.h"
#include "base/file_ops.h"
#include "base/mutex.h"
#include "datamanager/clock.h"

namespace datamanager::sync {

// A file has one owner at a time: whoever uploads, moves or evicts it holds its claim. Files are
// known by device and inode, so that two spellings of a path are one file. Thread-safe; outlives
// its claims.
class FileTracker {
 public:
  // Ownership of one file, given back by the destructor.
  class Claim {
   public:
    Claim(Claim&& other) noexcept
        : tracker_(std::exchange(other.tracker_, nullptr)), id_(other.id_) {}
    Claim& operator=(Claim&& other) noexcept;
    ~Claim() { Release(); }

    FileId id() const { return id_; }
    void Release();

   private:
    friend class FileTracker;
    Claim(FileTracker* tracker, FileId id) : tracker_(tracker), id_(id) {}

    FileTracker* tracker_;
    FileId id_;
  };

  // nullopt if somebody has it.
  std::optional<Claim> TryClaim(FileId id) DM_EXCLUDES(mutex_);
  bool IsClaimed(FileId id) const DM_EXCLUDES(mutex_);
  // Waits until nobody has that file. False: not by the deadline, or not before the stop.
  bool WaitUntilFree(FileId id, MonotonicTime deadline, std::stop_token stop) DM_EXCLUDES(mutex_);
  // Files claimed at this moment.
  size_t size() const { return size_; }
  // Waits until nothing is claimed. False: not by the deadline, or not before the stop.
  bool WaitUntilIdle(MonotonicTime deadline, std::stop_token stop) DM_EXCLUDES(mutex_);

 private:
  // File systems hand out inodes in runs, and directories list them so: a bit for each of 64
  // neighbours has a walk over many claimed files find them in the cache.
  struct Place {
    FileId neighbours;
    uint64_t bit;
  };
  static Place PlaceOf(FileId id) {
    return {.neighbours = {id.device, id.inode / 64}, .bit = uint64_t{1} << (id.inode % 64)};
  }
  bool Has(FileId id) const DM_REQUIRES(mutex_);

  mutable Mutex mutex_;
  CondVar changed_;
  absl::flat_hash_map<FileId, uint64_t> claimed_ DM_GUARDED_BY(mutex_);
  // Changed under the lock only; read without it where a pass asks about each file.
  std::atomic<size_t> size_ = 0;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_FILE_TRACKER_H_
