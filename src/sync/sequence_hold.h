// When a sequence may be uploaded: after its data.
#ifndef DATAMANAGER_SRC_SYNC_SEQUENCE_HOLD_H_
#define DATAMANAGER_SRC_SYNC_SEQUENCE_HOLD_H_

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/file_ops.h"
#include "base/mutex.h"
#include "capture_file/sequence.h"
#include "datamanager/clock.h"

namespace datamanager::sync {

// For each sequence, whether a capture file below `root` may hold data of it that is not stored
// yet: one of its resources, in progress or complete, begun before its end and written to after its
// start. What was set aside does not wait. Reads each directory once, however many sequences there
// are. Blocks on the disk; follows no links.
std::vector<bool> DataWaits(FileOps& ops, const std::string& root,
                            const std::vector<capture_file::Sequence>& sequences);

// How long a sequence is held at most: the longest wait between two tries of a file. Data that
// takes longer than that may have a sequence there before it.
inline constexpr std::chrono::hours kLongestHold{1};

// Whether a sequence is held back that was first found waiting for its data at `since`. Pure.
bool IsHeld(bool data_waits, MonotonicTime since, MonotonicTime now);

// Since when each waits. Bounded: those beyond are held until there is room. Thread-safe.
class SequenceHolds {
 public:
  explicit SequenceHolds(size_t limit = 4096) : limit_(limit) {}

  // Whether the sequence in that file is held back, by what was just found out about its data.
  bool Holds(const FileId& file, bool data_waits, MonotonicTime now) DM_EXCLUDES(mutex_);

 private:
  const size_t limit_;
  Mutex mutex_;
  absl::flat_hash_map<FileId, MonotonicTime> since_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_SEQUENCE_HOLD_H_
