// Watches the disk: makes room, counts what lies there, says what does not get away.
#ifndef DATAMANAGER_SRC_SYNC_DISK_H_
#define DATAMANAGER_SRC_SYNC_DISK_H_

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "config/effective_config.h"
#include "datamanager/clock.h"
#include "datamanager/data_manager.h"
#include "datamanager/stats.h"
#include "sync/sync_context.h"

namespace datamanager::sync {

struct DiskOptions {
  // The reference's figures.
  std::chrono::milliseconds retention_interval = std::chrono::seconds(30);
  std::chrono::milliseconds summary_interval = std::chrono::minutes(1);
};

// Two threads, so that a directory on a volume that hangs does not keep the other from making room:
// one that evicts when the disk is full, the first time one interval after the start and only while
// capture is enabled; and one that counts, at once and then each interval. Works without a cloud
// too: a machine that only captures fills its disk all the sooner.
//
// Calls of Reconfigure take turns, which is the caller's to see to; the rest may be called from any
// thread at any time.
class Disk {
 public:
  // Starts nothing. Made before anything is captured in this run: what lies on disk by then counts
  // as older than all that comes.
  explicit Disk(std::shared_ptr<SyncContext> context, DiskOptions options = {});
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // Puts these configs in force; if they equal the last ones, nothing changes. After a change, the
  // old capture directory is walked on as a former root. Ends what is under way, and waits for that
  // until `deadline`; if a thread has not ended by then, "disk" is added to `still_running`. An
  // error: nothing is evicted or counted; the same config tries again.
  absl::Status Reconfigure(const config::SyncConfig& config,
                           const config::RetentionConfig& retention, MonotonicTime deadline,
                           std::vector<std::string>* still_running = nullptr) DM_EXCLUDES(mutex_);

  // See DataManager::RetryFailed.
  absl::StatusOr<RetriedFiles> RetryFailed() DM_EXCLUDES(mutex_);

  // Asks everything to end, for good. Does not block.
  void RequestStop() DM_EXCLUDES(mutex_);
  // The same, and waits for it. DEADLINE_EXCEEDED if a thread hangs in the disk.
  absl::Status Close(MonotonicTime deadline) DM_EXCLUDES(mutex_);

  DiskStats Stats() const;

 private:
  struct State;
  class Watch;

  absl::Status Stop(MonotonicTime deadline) DM_EXCLUDES(mutex_);

  const std::shared_ptr<State> state_;  // Co-owned by threads that hang.
  const DiskOptions options_;
  std::stop_source closing_;
  mutable Mutex mutex_;
  std::optional<config::SyncConfig> config_ DM_GUARDED_BY(mutex_);
  std::shared_ptr<Watch> watch_ DM_GUARDED_BY(mutex_);  // Of whoever takes it from here to join it.
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_DISK_H_
