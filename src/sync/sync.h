// Sync as a whole: finds what waits on disk and uploads it.
#ifndef DATAMANAGER_SRC_SYNC_SYNC_H_
#define DATAMANAGER_SRC_SYNC_SYNC_H_

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "config/effective_config.h"
#include "datamanager/clock.h"
#include "datamanager/data_manager.h"
#include "datamanager/stats.h"
#include "sync/scheduler.h"
#include "sync/sync_context.h"

namespace datamanager::sync {

enum class Wait : uint8_t { kHandedOver, kUploaded };

// Calls of Reconfigure take turns, which is the caller's to see to; the rest may be called from any
// thread at any time.
class Sync {
 public:
  // Starts nothing.
  explicit Sync(SyncOptions options);
  ~Sync();
  Sync(const Sync&) = delete;
  Sync& operator=(const Sync&) = delete;

  // Puts `config` in force; one equal to the last changes nothing. Ends uploads under way, whose
  // files stay, and waits for them until `deadline`; if a thread has not ended by then, "sync" is
  // added to `still_running`. An error: nothing is uploaded; the same config tries again.
  absl::Status Reconfigure(const config::SyncConfig& config, MonotonicTime deadline,
                           std::vector<std::string>* still_running = nullptr) DM_EXCLUDES(mutex_);

  // One pass; see DataManager::Sync.
  absl::Status SyncNow(Wait wait, std::stop_token stop) DM_EXCLUDES(mutex_);

  // See DataManager::UploadBinaryDataToDatasets and UploadDataFromPath.
  absl::Status UploadToDatasets(std::string_view data, const UploadLabels& labels,
                                std::string_view mime_type, const UploadOptions& options)
      DM_EXCLUDES(mutex_);
  UploadedFiles UploadPath(const std::string& path, const UploadLabels& labels,
                           const UploadOptions& options) DM_EXCLUDES(mutex_);

  // A file has just been published. Does not block.
  void Hint(const std::string& path) DM_EXCLUDES(mutex_);

  // Asks everything to end, calls of SyncNow included, for good. Does not block.
  void RequestStop() DM_EXCLUDES(mutex_);
  // The same, and waits for it. DEADLINE_EXCEEDED if a thread hangs in the disk.
  absl::Status Close(MonotonicTime deadline) DM_EXCLUDES(mutex_);

  // What it shares with whoever else handles the files.
  const std::shared_ptr<SyncContext>& context() const { return context_; }

  SyncStats Stats() const;
  SalvageStats Salvage() const;  // Counts of damaged files that were uploaded.
  ConnectionStatus Connection() const;

 private:
  std::shared_ptr<Scheduler> current() const DM_EXCLUDES(mutex_);
  // Whether there is a cloud to upload to, and a scheduler to do it.
  absl::Status CheckRunning(const Scheduler* scheduler) const;
  // After a pass that found a disk that hangs: OK after a while, to try another one, or why not.
  absl::Status WaitForDisk(Scheduler& scheduler, const std::string& path,
                           const std::stop_token& stop);
  absl::Status HandOverAll(Scheduler& scheduler, const std::stop_token& stop);
  absl::Status UploadAll(const std::shared_ptr<Scheduler>& scheduler, const std::stop_token& stop);
  absl::Status Replace(const std::shared_ptr<Scheduler>& before, const config::SyncConfig& config,
                       MonotonicTime deadline, std::vector<std::string>* still_running)
      DM_EXCLUDES(mutex_);
  absl::Status Stop(MonotonicTime deadline) DM_EXCLUDES(mutex_);

  const std::shared_ptr<SyncContext> context_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::shared_ptr<Scheduler> scheduler_ DM_GUARDED_BY(mutex_);
  // Reconfigure waits for the threads of scheduler_: nobody else may.
  bool replacing_ DM_GUARDED_BY(mutex_) = false;
  bool closed_ DM_GUARDED_BY(mutex_) = false;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_SYNC_H_
