// Makes the names of files durable: a flushed file without a name is lost in a power cut too.
#ifndef DATAMANAGER_SRC_BASE_DURABLE_NAMES_H_
#define DATAMANAGER_SRC_BASE_DURABLE_NAMES_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "base/file_ops.h"
#include "base/mutex.h"

namespace datamanager {

// Flushes directories and, once each, the directories above them up to the mount point: the process
// that made those, this one or one that crashed, may not have flushed them. A directory that was
// removed and made again counts as another one, even if it got the inode number of the first.
// Memory grows with the number of directories only. Thread-safe.
class DurableNames {
 public:
  explicit DurableNames(FileOps& ops) : ops_(ops) {}

  // Makes the entries of `directory` durable, and its own.
  absl::Status Flush(const std::string& directory);

 private:
  struct Directory {
    FileId id;
    std::string incarnation;  // Empty: unknown, so its own name is flushed each time.

    friend bool operator==(const Directory&, const Directory&) = default;
  };

  FileOps& ops_;
  Mutex mutex_;
  // The directories whose own entries are durable.
  std::map<std::string, Directory> durable_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_DURABLE_NAMES_H_
