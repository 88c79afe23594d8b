// What a DataManager counts. All counters start at zero when it is created and only grow.
#ifndef DATAMANAGER_STATS_H_
#define DATAMANAGER_STATS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "datamanager/cloud.h"

namespace datamanager {

enum class CollectorState : uint8_t {
  kRunning,
  kDisabled,  // By the config: `disabled`, no frequency, or capture_disabled.
  kRefused,   // Its config is at fault; `reason` says how.
  kStopping,  // Removed or replaced, but its source has not returned.
};

// "running", "disabled", "refused" or "stopping".
std::string_view CollectorStateName(CollectorState state);

// One collector. Counters belong to (API, name, method, parameters) and survive a restart of it.
// While it runs, ticks_due = captured + missed + failed + (0 or 1 under way).
struct CollectorStats {
  std::string api;
  std::string name;
  std::string method;
  CollectorState state = CollectorState::kRunning;
  std::string reason;  // Why it is disabled or refused.

  uint64_t ticks_due = 0;
  uint64_t captured = 0;  // Ticks whose records are in a file.
  uint64_t missed = 0;    // Ticks that passed while an earlier one was under way.
  uint64_t failed = 0;    // Source errors, refused records and failed writes.
  uint64_t source_errors = 0;
  uint64_t write_errors = 0;
  uint64_t records = 0;  // Written; several a tick where a source returns several.
  uint64_t bytes = 0;    // Written, framing included.
  uint64_t files = 0;    // Finished, and handed over to be published.
  std::string last_error;
};

// What was uploaded, for one kind of file.
struct UploadStats {
  uint64_t files = 0;    // Stored by the server, and removed here.
  uint64_t bytes = 0;    // Their size on disk.
  uint64_t refused = 0;  // Moved to failed/.
  uint64_t retries = 0;  // Tries that ended in a transient failure.
};

struct SyncStats {
  UploadStats tabular;
  UploadStats binary;
  UploadStats arbitrary;
  uint64_t unreadable = 0;       // Capture files moved to failed/ because they are none.
  uint64_t passes = 0;           // Walks that came to their end.
  uint64_t uploading = 0;        // Files with a worker at this moment.
  uint64_t waiting_retries = 0;  // Files in the retry table at this moment.
  uint64_t waiting_busy = 0;     // Of these, files that another process has open for writing.
  // What the last pass that came to its end left alone, for a reason that the log tells once: files
  // that could not be removed after their upload, cannot be read, or are another user's; and the
  // directories from which nothing can be removed.
  uint64_t blocked_files = 0;
  uint64_t blocked_directories = 0;
  std::string last_error;        // Of the last upload that failed.
};

struct ManagerStats {
  std::string capture_dir;
  std::vector<CollectorStats> collectors;
  uint64_t published_files = 0;  // Finished files that became visible to sync.
  uint64_t recovered_files = 0;  // Left by a dead process, and published.
  uint64_t unflushed_files = 0;  // Published without a flush to media.
  uint64_t dropped_log_messages = 0;
  SyncStats sync;
  ConnectionStatus connection;
};

}  // namespace datamanager

#endif  // DATAMANAGER_STATS_H_
