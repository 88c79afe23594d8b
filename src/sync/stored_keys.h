// Which files a server has stored although they could not be removed.
#ifndef DATAMANAGER_SRC_SYNC_STORED_KEYS_H_
#define DATAMANAGER_SRC_SYNC_STORED_KEYS_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/file_ops.h"
#include "base/mutex.h"

namespace datamanager::sync {

// Remembers the upload keys of such files, so that only their removal is tried again: a file that
// is immutable, or on which something is mounted, is not sent again, neither with the next try nor
// after a restart. A key names the content, so this holds also for a file that is moved.
//
// Keeps them in <capture_dir>/stored-not-removed.prog, a log with a line for each change:
//
//   +<key>   stored, not removed
//   -<key>   removed since
//
// It is removed with the last key. A line is one write(2), with a line break before it in case that
// the last one was cut short, and is flushed before Add returns. Bounded: beyond kMost keys the
// oldest is forgotten, and that file sent again. Thread-safe. Calls block on the disk, but never
// while they hold the lock; if two processes or threads rewrite the log at the same time, a line
// may be lost, and one file is sent again after a restart.
class StoredKeys {
 public:
  static constexpr size_t kMost = 4096;

  explicit StoredKeys(FileOps& ops) : ops_(ops) {}

  // What was noted in `capture_dir` is read at the first call that names it.
  bool Contains(const std::string& capture_dir, const std::string& key) DM_EXCLUDES(mutex_);
  // `is_new`: whether it was not noted before. An error: it is noted in memory only.
  absl::Status Add(const std::string& capture_dir, const std::string& key, bool* is_new)
      DM_EXCLUDES(mutex_);
  void Remove(const std::string& capture_dir, const std::string& key) DM_EXCLUDES(mutex_);

 private:
  void Load(const std::string& capture_dir) DM_EXCLUDES(mutex_);
  void Insert(const std::string& key) DM_REQUIRES(mutex_);
  absl::Status Append(const std::string& capture_dir, const std::string& line);
  absl::Status Rewrite(const std::string& capture_dir) DM_EXCLUDES(mutex_);

  FileOps& ops_;
  std::atomic<size_t> lines_ = 0;  // In the log.
  Mutex mutex_;
  std::string loaded_ DM_GUARDED_BY(mutex_);  // The directory.
  std::set<std::string> keys_ DM_GUARDED_BY(mutex_);
  std::deque<std::string> oldest_first_ DM_GUARDED_BY(mutex_);  // May name what is gone.
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_STORED_KEYS_H_
