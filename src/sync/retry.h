// When a file whose upload failed is tried again.
#ifndef DATAMANAGER_SRC_SYNC_RETRY_H_
#define DATAMANAGER_SRC_SYNC_RETRY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/file_ops.h"
#include "base/mutex.h"
#include "datamanager/clock.h"
#include "sync/found_file.h"
#include "sync/upload_error.h"

namespace datamanager::sync {

// The wait after the n-th failed try in a row: 200 ms, doubled, at most 1 h (the reference's
// figures), times `random` of [0, 1): full jitter, so that what failed together is not tried
// together. Pure.
std::chrono::milliseconds RetryDelay(int attempt, double random);

// What is known of a file that failed before.
struct RetryState {
  int attempts = 0;
  bool offline = false;        // Whether the last try ended offline.
  uint64_t resume_offset = 0;  // Of a capture file: what lies before it is stored.
  int busy_looks = 0;          // How often in a row somebody else was at work on it.
  MonotonicTime due;
};

// How a failed try changes the state. A second offline verdict in a row counts as transient: the
// file itself may be what breaks the connection. Pure.
RetryState AfterFailure(const RetryState& before, Verdict verdict, uint64_t resume_offset,
                        MonotonicTime now, double random);

// How finding the file in use by another process changes the state: no try, and a short wait that
// grows from 200 ms to a minute. Pure.
RetryState AfterBusy(const RetryState& before, uint64_t resume_offset, MonotonicTime now);

// The files that wait for their next try. Bounded: a file that finds it full has no entry, and only
// the next pass meets it again. Thread-safe; no call blocks.
class RetryTable {
 public:
  static constexpr size_t kLimit = 4096;

  struct Entry {
    FoundFile file;
    RetryState state;
  };

  // False if the table is full.
  bool Put(Entry entry) DM_EXCLUDES(mutex_);
  // Whether `file` waits and is not due. An entry of another file, with the same inode used again,
  // is forgotten.
  bool IsWaiting(const FoundFile& file, MonotonicTime now) DM_EXCLUDES(mutex_);
  // Removes and returns what is known of `file`: nothing, if it never failed.
  RetryState Take(const FoundFile& file) DM_EXCLUDES(mutex_);
  // The file that has been due longest.
  std::optional<FoundFile> NextDue(MonotonicTime now) const DM_EXCLUDES(mutex_);
  // When the next file becomes due.
  std::optional<MonotonicTime> NextDueTime() const DM_EXCLUDES(mutex_);
  void MakeAllDue(MonotonicTime now) DM_EXCLUDES(mutex_);
  // Forgets everything: the next pass meets the files anew.
  void Clear() DM_EXCLUDES(mutex_);
  // Cuts short the waits that began offline.
  void MakeOfflineDue(MonotonicTime now) DM_EXCLUDES(mutex_);
  size_t size() const DM_EXCLUDES(mutex_);
  // Whether `file` waits since another process is at work on it.
  bool IsBusy(const FoundFile& file) const DM_EXCLUDES(mutex_);
  // How many do.
  size_t CountBusy() const DM_EXCLUDES(mutex_);

 private:
  using Key = std::pair<dev_t, ino_t>;
  static Key KeyOf(FileId id) { return {id.device, id.inode}; }
  template <typename Condition>
  void MakeDue(MonotonicTime now, Condition condition) DM_REQUIRES(mutex_);
  void Erase(std::map<Key, Entry>::iterator entry) DM_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<Key, Entry> entries_ DM_GUARDED_BY(mutex_);
  std::set<std::pair<MonotonicTime, Key>> by_due_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_RETRY_H_
