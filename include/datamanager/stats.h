// What a DataManager counts. All counters start at zero when it is created and only grow.
#ifndef DATAMANAGER_STATS_H_
#define DATAMANAGER_STATS_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
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

// Records that a source returned and that no file took, by what stood in the way.
struct DroppedRecords {
  uint64_t disk_full = 0;       // No space, or the quota is used up.
  uint64_t io_error = 0;        // The medium failed.
  uint64_t no_descriptors = 0;  // The process, or the machine, has no file descriptor left.
  uint64_t permission = 0;      // The process may not write there.
  uint64_t read_only = 0;       // The file system is, or has become, read-only.
  uint64_t no_directory = 0;    // The directory is gone and cannot be made.
  uint64_t other = 0;           // `last_error` says what.

  uint64_t total() const {
    return disk_full + io_error + no_descriptors + permission + read_only + no_directory + other;
  }
};

// Over all times since the collector was first started, to within an eighth.
struct DurationStats {
  std::chrono::nanoseconds p50{0};  // Half of them took no longer.
  std::chrono::nanoseconds p99{0};
  std::chrono::nanoseconds max{0};  // Exact.
};

// One collector. Its counters belong to (API, name, method, parameters) and survive a restart of
// it. While it is absent from the config, they are kept until 64 others have left it later. While
// it runs, ticks_due = captured + no_data + missed + failed + (0 or 1 under way).
struct CollectorStats {
  std::string api;
  std::string name;
  std::string method;
  CollectorState state = CollectorState::kRunning;
  double frequency_hz = 0;  // At which it runs, or would.
  std::string reason;       // Why it is disabled or refused, or what capture control has changed.

  uint64_t ticks_due = 0;
  uint64_t captured = 0;  // Ticks whose records are in a file.
  uint64_t no_data = 0;   // Ticks at which the source had nothing to store.
  uint64_t missed = 0;    // Ticks that passed while an earlier one was under way.
  uint64_t failed = 0;    // Source errors, refused records and failed writes.
  uint64_t source_errors = 0;
  DroppedRecords dropped;
  uint64_t records = 0;  // Written; several a tick where a source returns several.
  uint64_t bytes = 0;    // Written, framing included.
  uint64_t files = 0;    // Finished, and handed over to be published.
  // Captured ticks a second since it was last started or restarted; 0 if it does not run.
  double achieved_hz = 0;
  DurationStats lateness;     // From when a tick was due until its source is asked.
  DurationStats source_time;  // What the source takes to answer, with an error too.
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
  // What to do, if the server will give the same answer to the same bytes again; otherwise empty.
  std::string advice;
};

// What waits for its next try, at this moment.
struct WaitingRetries {
  uint64_t offline = 0;                   // Files that are tried as soon as the connection is back.
  uint64_t hopeless = 0;                  // Files that have advice; they wait up to a day.
  std::chrono::milliseconds oldest{0};    // Since the first failed try of any of them.
  std::chrono::milliseconds next_due{0};  // From now on until the first of them is due; 0: due.
  std::vector<WaitingRetry> most_tried;   // At most 5, those with advice first.
};

enum class PauseState : uint8_t {
  kPaused,    // Until `next_try`.
  kProbeDue,  // The next file that comes is tried.
  kProbing,   // That file is under way.
};

enum class PauseReason : uint8_t {
  kRefused,  // The server refuses files: more would go to failed/.
  kFailed,   // It fails uploads otherwise, or does not answer.
  kAsked,    // It has asked for the pause (`grpc-retry-pushback-ms`).
};

// "paused", "probe due" or "probing"; "refused", "failed" or "asked".
std::string_view PauseStateName(PauseState state);
std::string_view PauseReasonName(PauseReason reason);

// A pause of uploads: the server refuses or fails one after another, or has asked for a pause. Then
// one file is tried; if it is stored, the others follow.
struct UploadPause {
  std::string directory;  // Of the collector, or of other files; empty: all uploads.
  PauseState state = PauseState::kPaused;
  PauseReason reason = PauseReason::kFailed;
  uint64_t failures = 0;                  // In a row, refusals included.
  uint64_t refused = 0;                   // Of these, files that are under failed/.
  std::chrono::milliseconds next_try{0};  // From now on; 0: it is under way, or due.
  std::string last_error;
};

struct SyncStats {
  UploadStats tabular;
  UploadStats binary;
  UploadStats arbitrary;
  UploadStats sequences;
  uint64_t unreadable = 0;          // Capture files moved to failed/ because they are none.
  uint64_t passes = 0;              // Walks that came to their end.
  uint64_t unselected = 0;          // Walks that the selective sensor did not let begin.
  uint64_t uploading = 0;           // Uploads under way at this moment.
  uint64_t resent = 0;              // Requests sent again because no OK came for them.
  uint64_t stalled = 0;             // Calls ended because nothing moved for upload_stall_timeout.
  uint64_t offline_pauses = 0;      // How often uploads rested because the connection was lost.
  uint64_t refusal_pauses = 0;      // How often they rested because the server refused everything.
  uint64_t failure_pauses = 0;      // How often because it failed one upload after another,
  uint64_t asked_pauses = 0;        // and how often because it asked for a pause.
  uint64_t waiting_retries = 0;     // Files in the retry table at this moment.
  uint64_t waiting_busy = 0;        // Of these, files that another process works on.
  WaitingRetries retries;           // More of them.
  std::vector<UploadPause> paused;  // What rests at this moment; at most 5.
  // Files that are stored but could not be removed: only their removal is tried again.
  uint64_t not_removed = 0;
  // What the last pass that came to its end left alone, for a reason that the log tells once: files
  // that could not be removed after their upload, cannot be read, or are another user's; and the
  // directories from which nothing can be removed.
  uint64_t blocked_files = 0;
  uint64_t blocked_directories = 0;
  std::string last_error;  // Of the last upload that failed.
};

struct FileCount {
  uint64_t files = 0;
  uint64_t bytes = 0;
};

// What lies below one directory, by the last look.
struct DirectorySummary {
  enum class Role : uint8_t {
    kCapture,     // capture_dir.
    kFormer,      // capture_dir of an earlier config, walked until nothing is left in it.
    kAdditional,  // One of additional_sync_paths, or the default's former place.
  };
  std::string path;
  Role role = Role::kCapture;
  FileCount waiting;      // Complete capture files, and other files that are not empty.
  FileCount in_progress;  // *.prog: being written, or left by a dead process and not yet recovered.
  FileCount failed;       // Set aside below failed/.
  FileCount remainders;   // Those of `failed` that are left of damaged files.
  FileCount sequences;    // That have ended, and wait for their data to be uploaded, or to be.
  // Of the oldest that waits, and of the oldest in progress: the time in its name, or when another
  // file was last changed. Empty if there is none.
  std::optional<std::chrono::system_clock::time_point> oldest_waiting;
  std::optional<std::chrono::system_clock::time_point> oldest_in_progress;
  // How old the former is; counted by the monotonic clock for what was made in this run.
  std::chrono::milliseconds oldest_waiting_age{0};
  uint64_t volume_bytes = 0;
  uint64_t volume_available_bytes = 0;  // To who is not privileged.
  uint64_t volume_inodes = 0;           // 0: the file system counts none.
  uint64_t volume_available_inodes = 0;
  bool complete = true;  // False: something could not be read.
};

// Evicted files, by what was used up.
struct EvictedByLimit {
  uint64_t bytes = 0;
  uint64_t inodes = 0;
  uint64_t quota = 0;    // Writes were refused because a quota was used up.
  uint64_t unknown = 0;  // Writes were refused for a lack of space that no number shows.
};

// The disk, looked at each minute, and what was evicted because it was full.
struct DiskStats {
  std::vector<DirectorySummary> directories;  // Empty before the first look.
  std::chrono::milliseconds age{0};           // Since that look.
  uint64_t looks = 0;                         // Looks that came to their end.
  FileCount evicted;                          // Waiting files.
  FileCount evicted_failed;                   // Files below failed/.
  // The former, by the collector's directory below capture_dir: "<api>/<name>/<method>". At most
  // 1,024 of them; what is evicted of others counts under "others".
  std::map<std::string, FileCount> evicted_by_collector;
  EvictedByLimit evicted_by_limit;  // Waiting files and those below failed/.
  uint64_t retention_passes = 0;    // Looks at whether the disk is full.
  uint64_t fruitless_passes = 0;    // Passes that ended because evicting made no room.
};

// The sensor that changes capture at run time.
struct CaptureControlStats {
  std::string sensor;           // Empty: none is asked.
  uint64_t answers = 0;         // Readings that made sense.
  uint64_t broken_answers = 0;  // Errors, and readings of which a part made no sense.
  uint64_t overrides = 0;       // In force at this moment.
  uint64_t open_sequences = 0;
  uint64_t ended_sequences = 0;  // Written, for sync to upload.
  uint64_t failed_writes = 0;    // Of sequences; each is tried again.
  // Never begun, because too many were open, or had begun in too short a time.
  uint64_t refused_sequences = 0;
  uint64_t lost_sequences = 0;  // Ended, then given up: too many waited for the disk.
  std::string last_error;
};

// Flushes to the medium, as `durability` asks for. One round flushes all files that are due.
struct FlushStats {
  uint64_t rounds = 0;
  uint64_t files = 0;  // Flushed in all rounds; a file counts in each round that flushes it.
  uint64_t bytes = 0;  // The bytes of these that no earlier round had flushed.
  uint64_t last_files = 0;
  uint64_t last_bytes = 0;
  std::chrono::milliseconds last_duration{0};
  uint64_t late_rounds = 0;  // Rounds that took longer than durability_interval_millis.
  // Files published without a flush, because it hung. A later flush makes them durable.
  uint64_t outstanding = 0;
};

// Results of the search for whole records in damaged capture files, by recovery and uploads.
struct SalvageStats {
  uint64_t records = 0;             // Whole records from behind damage, put into a further file.
  uint64_t unfinished_records = 0;  // Dropped: unfinished last records, as a kill leaves them.
  FileCount kept_remainders;        // Files of bytes that are no whole record, below failed/.
  FileCount removed_remainders;     // Kept, but removed later because they took too much room.
};

struct ManagerStats {
  std::string capture_dir;
  std::vector<CollectorStats> collectors;
  uint64_t published_files = 0;  // Finished files that became visible to sync.
  uint64_t recovered_files = 0;  // Left by a dead process, and published.
  uint64_t unflushed_files = 0;  // Published without the flush to media that `durability` asks for.
  uint64_t failed_flushes = 0;   // Files in progress, which are then finished and copied.
  FlushStats flush;
  // Files whose records are lost: somebody removed them in progress, and they could not be copied.
  uint64_t lost_files = 0;
  SalvageStats salvage;
  uint64_t dropped_log_messages = 0;
  CaptureControlStats control;
  SyncStats sync;
  DiskStats disk;
  ConnectionStatus connection;
};

}  // namespace datamanager

#endif  // DATAMANAGER_STATS_H_
