// What the parts of sync share.
#ifndef DATAMANAGER_SRC_SYNC_SYNC_CONTEXT_H_
#define DATAMANAGER_SRC_SYNC_SYNC_CONTEXT_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/logger.h"
#include "base/mutex.h"
#include "base/random.h"
#include "capture_file/remainders.h"
#include "datamanager/clock.h"
#include "datamanager/stats.h"
#include "sync/circuit_breaker.h"
#include "sync/content_digest.h"
#include "sync/disk_full_hint.h"
#include "sync/failure_log.h"
#include "sync/file_ages.h"
#include "sync/file_tracker.h"
#include "sync/former_roots.h"
#include "sync/message_limit.h"
#include "sync/resume_points.h"
#include "sync/retry.h"
#include "sync/sequence_hold.h"
#include "sync/stored_keys.h"
#include "sync/upload_outcomes.h"
#include "sync/uploads.h"
#include "uploader/uploader.h"

namespace datamanager::sync {

// How long a flush may hold up a pass, or a call of Sync.
inline constexpr std::chrono::seconds kFlushLimit{2};

struct SyncOptions {
  std::shared_ptr<Uploader> uploader;  // Null: the machine is not cloud-managed.
  std::shared_ptr<Logger> logger;
  FileOps* ops = &FileOps::System();
  const Clock* clock = &Clock::System();
  // Finishes the files being captured to, so that a pass finds them. Blocks at most until the
  // deadline.
  std::function<absl::Status(MonotonicTime deadline, std::stop_token stop)> flush;
  // Asks the selective sensor, if the config names one; an error says why it is not known. Blocks
  // at most until the deadline.
  std::function<absl::StatusOr<bool>(MonotonicTime deadline, std::stop_token stop)> should_sync;
  std::chrono::milliseconds stall_timeout{30000};
  std::chrono::milliseconds connect_timeout{5000};
  size_t most_retries = RetryTable::kLimit;
  // How long a call that waits for all uploads waits for files that another process uses.
  std::chrono::milliseconds in_use_timeout{5000};
  // A number of [0, 1), for what must not happen on all robots of a fleet at once. Thread-safe.
  std::function<double()> random = RandomFraction;
};

// Counts of one kind of file. Thread-safe.
struct UploadCounters {
  std::atomic<uint64_t> files{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> refused{0};
  std::atomic<uint64_t> retries{0};

  UploadStats Read() const {
    return {.files = files, .bytes = bytes, .refused = refused, .retries = retries};
  }
};

// Lives as long as any thread of sync, over every change of the config. Thread-safe.
struct SyncContext {
  explicit SyncContext(SyncOptions sync_options) : options(std::move(sync_options)) {}

  const SyncOptions options;
  FileTracker tracker;
  RetryTable retries{options.most_retries};
  ResumePoints resume_points;
  CircuitBreaker breaker;
  MessageLimit message_limit;
  FailureLog failure_log;  // Of uploads,
  FailureLog pause_log;    // and of the pauses that they led to.
  FormerRoots former_roots;
  FileAges ages;
  ContentDigests digests;
  StoredKeys stored_keys{*options.ops};
  UploadOutcomes outcomes;  // Of what somebody may wait for.
  SequenceHolds sequence_holds;
  DiskFullHint disk_full;
  UploadCounters tabular;
  UploadCounters binary;
  UploadCounters arbitrary;
  UploadCounters sequences;
  UploadCounters unreadable;
  capture_file::Remainders remainders{*options.ops};
  std::atomic<uint64_t> salvaged_records{0};
  std::atomic<uint64_t> unfinished_records{0};
  std::atomic<uint64_t> passes{0};
  // Never fewer than the files that are claimed for an upload.
  std::atomic<uint64_t> uploads_under_way{0};
  std::atomic<uint64_t> unselected{0};
  std::atomic<uint64_t> resent{0};
  std::atomic<uint64_t> not_removed{0};
  std::atomic<uint64_t> stalled{0};
  std::atomic<uint64_t> offline_pauses{0};
  // Of the last pass.
  std::atomic<uint64_t> blocked_files{0};
  std::atomic<uint64_t> blocked_directories{0};
  // Set when a failed file found the retry table full: only a pass meets it again, and passes then
  // keep their distance.
  std::atomic<bool> table_was_full{false};
  // Set when a pause of the breaker left a file to a later pass.
  std::atomic<bool> left_resting{false};

  // Wakes the scheduler and callers: a wait has been cut short or begun, the connection has
  // changed.
  void Wake() DM_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    ++wakes;
    changed.NotifyAll();
  }
  // A pass has begun or ended. Not for callers: each of several would begin its next pass as soon
  // as another one has ended its own.
  void WakeScheduler() DM_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    ++scheduler_wakes;
    changed.NotifyAll();
  }
  // Until the next Wake, the deadline or the stop.
  void WaitForWake(MonotonicTime deadline, std::stop_token stop) DM_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    changed.WaitUntil(mutex, std::move(stop), deadline, [this, before = wakes] {
      mutex.AssertHeld();
      return wakes != before;
    });
  }
  // Held while a file is removed or set aside and until that is counted.
  class Settling {
   public:
    explicit Settling(SyncContext& context) : context_(context) {
      MutexLock lock(context_.mutex);
      ++context_.settling;
    }
    ~Settling() {
      MutexLock lock(context_.mutex);
      if (--context_.settling == 0) context_.settled.NotifyAll();
    }
    Settling(const Settling&) = delete;
    Settling& operator=(const Settling&) = delete;

   private:
    SyncContext& context_;
  };
  // Waits, at most for the disk, until whatever is no longer in its place has been counted.
  void WaitUntilSettled(std::stop_token stop) DM_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    settled.Wait(mutex, std::move(stop), [this] {
      mutex.AssertHeld();
      return settling == 0;
    });
  }
  void SetLastError(std::string error) DM_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    last_error = std::move(error);
  }
  UploadCounters& CountersOf(DataKind kind) {
    switch (kind) {
      case DataKind::kTabular:
        return tabular;
      case DataKind::kBinary:
        return binary;
      case DataKind::kArbitrary:
        return arbitrary;
      case DataKind::kSequence:
        return sequences;
      case DataKind::kUnreadable:
        break;
    }
    return unreadable;
  }
  uint64_t refused() const {
    return tabular.refused + binary.refused + arbitrary.refused + sequences.refused +
           unreadable.refused;
  }

  Mutex mutex;
  CondVar changed;
  CondVar settled;  // Apart, so that no file that is stored wakes the scheduler.
  uint64_t wakes DM_GUARDED_BY(mutex) = 0;
  uint64_t scheduler_wakes DM_GUARDED_BY(mutex) = 0;
  int settling DM_GUARDED_BY(mutex) = 0;
  std::string address DM_GUARDED_BY(mutex);  // Of the last connection.
  std::string last_error DM_GUARDED_BY(mutex);
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_SYNC_CONTEXT_H_
