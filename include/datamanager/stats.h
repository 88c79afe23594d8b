// What a DataManager counts. All counters start at zero when it is created and only grow.
#ifndef DATAMANAGER_STATS_H_
#define DATAMANAGER_STATS_H_

#include <chrono>
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

// A file that failed and is to be tried again.
struct WaitingRetry {
  std::string path;
  int tries = 0;
  std::chrono::milliseconds failing_for{0};  // Since its first failed try.
  std::chrono::milliseconds next_due{0};     // From now on; 0: due.
  std::string last_error;
};

// What waits for its next try, at this moment.
struct WaitingRetries {
  uint64_t offline = 0;                   // Files that are tried as soon as the connection is back.
  std::chrono::milliseconds oldest{0};    // Since the first failed try of any of them.
  std::chrono::milliseconds next_due{0};  // From now on until the first of them is due; 0: due.
  std::vector<WaitingRetry> most_tried;   // At most 5.
};

// Uploads that rest because the server refuses them all.
struct RefusalPause {
  std::string directory;  // Of the collector, or of other files; empty: all uploads.
  uint64_t refused = 0;   // In a row.
  std::chrono::milliseconds next_try{0};  // From now on, with one file; 0: it is under way, or due.
  std::string last_error;
};

struct SyncStats {
  UploadStats tabular;
  UploadStats binary;
  UploadStats arbitrary;
  uint64_t unreadable = 0;           // Capture files moved to failed/ because they are none.
  uint64_t passes = 0;               // Walks that came to their end.
  uint64_t uploading = 0;            // Files with a worker at this moment.
  uint64_t resent = 0;               // Requests sent again because no OK came for them.
  uint64_t stalled = 0;              // Calls ended because nothing moved for upload_stall_timeout.
  uint64_t offline_pauses = 0;       // How often uploads rested because the connection was lost.
  uint64_t refusal_pauses = 0;       // How often they rested because the server refused everything.
  uint64_t waiting_retries = 0;      // Files in the retry table at this moment.
  WaitingRetries retries;            // More of them.
  std::vector<RefusalPause> paused;  // What rests at this moment; at most 5.
  std::string last_error;            // Of the last upload that failed.
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
