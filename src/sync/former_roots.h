// Capture directories of earlier configs in which something may still wait.
#ifndef DATAMANAGER_SRC_SYNC_FORMER_ROOTS_H_
#define DATAMANAGER_SRC_SYNC_FORMER_ROOTS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "config/effective_config.h"

namespace datamanager::sync {

// They are walked like the capture directory until nothing is left in them. Thread-safe; no call
// blocks.
class FormerRoots {
 public:
  // Each is one more walk.
  static constexpr size_t kLimit = 8;

  // The capture directory changes from that of `before` to that of `after`. What is walked anyhow
  // is not listed; returns the directory that no longer finds room, or nothing.
  std::string Move(const config::SyncConfig& before, const config::SyncConfig& after)
      DM_EXCLUDES(mutex_);
  void Drop(const std::string& path) DM_EXCLUDES(mutex_);
  // In the order in which they were left.
  std::vector<std::string> Paths() const DM_EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::vector<std::string> paths_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_FORMER_ROOTS_H_
