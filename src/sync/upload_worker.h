// What happens to a file that was drawn.
#ifndef DATAMANAGER_SRC_SYNC_UPLOAD_WORKER_H_
#define DATAMANAGER_SRC_SYNC_UPLOAD_WORKER_H_

#include <stop_token>
#include <string>

#include "absl/strings/string_view.h"
#include "base/task.h"
#include "config/effective_config.h"
#include "sync/job.h"
#include "sync/local_file.h"
#include "sync/retry.h"
#include "sync/sync_context.h"
#include "sync/upload_window.h"

namespace datamanager::sync {

// Sees a file through one try: stored and removed, set aside, or put into the retry table. Holds a
// file only while bytes may flow. One thread at a time.
class UploadWorker {
 public:
  // Both must outlive it.
  UploadWorker(SyncContext& context, const config::SyncConfig& config);

  // One try; the stop ends it. The job and the queue must outlive it.
  Task<UploadWindow::Outcome> Process(const Job& job, CallQueue& calls, std::stop_token stop);

 private:
  // A try that failed.
  struct Failure {
    Verdict verdict = Verdict::kTransient;
    DataKind kind = DataKind::kUnreadable;
    bool sent = false;  // The next try sends again what this one sent.
    bool stalled = false;
    bool may_be_offline = false;  // The connection may turn out to be lost.
    std::string what;
    FailedTry failed_try = {};  // Beside the verdict.
    std::string advice = "";
  };

  Task<UploadError> UploadDirectly(const Job& job, CallQueue& calls, std::stop_token stop);
  // The try itself; what the server said of the file, if it said anything.
  Task<UploadError> Upload(const Job& job, CallQueue& calls, std::stop_token stop);
  void OnStored(const Job& job, LocalFile& file, const UploadResult& result,
                const UploadProgress& progress, const std::stop_token& stop);
  // Handles a damaged file whose whole beginning, if any, is stored: keeps what is behind the
  // damage and removes the file. False: it holds no whole record, and the caller sets it aside.
  bool OnDamaged(const Job& job, LocalFile& file, const UploadResult& result,
                 const std::stop_token& stop);
  void OnNotRemoved(const Job& job, const UploadResult& result, const absl::Status& removed);
  void CountStored(const LocalFile& file, const UploadResult& result);
  void OnFailed(const Job& job, const UploadResult& result, MonotonicTime::duration took);
  void OnRefused(const Job& job, LocalFile& file, const UploadResult& result);
  // Another process is at work on the file.
  void WaitWhileBusy(const Job& job, absl::string_view why);
  void RetryLater(const Job& job, const Failure& failure);
  // Its directory's uploads rest.
  void Rest(const Job& job, MonotonicTime until);
  // Tells those who wait for an upload to datasets how the try ended, if it did.
  void Tell(const Job& job, const UploadError& error, const UploadResult& result);
  // Tells the breaker what the server said of a file, and logs the pause that begins with it.
  void Report(const CircuitBreaker::Permit& permit, const UploadError& answer);
  MonotonicTime Now() const { return context_.options.clock->MonotonicNow(); }

  SyncContext& context_;
  const config::SyncConfig& config_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_UPLOAD_WORKER_H_
