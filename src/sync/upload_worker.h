// What happens to a file that was offered.
#ifndef DATAMANAGER_SRC_SYNC_UPLOAD_WORKER_H_
#define DATAMANAGER_SRC_SYNC_UPLOAD_WORKER_H_

#include <memory>
#include <stop_token>
#include <string>

#include "absl/strings/string_view.h"
#include "config/effective_config.h"
#include "datamanager/data_manager.h"
#include "sync/channel.h"
#include "sync/file_tracker.h"
#include "sync/found_file.h"
#include "sync/local_file.h"
#include "sync/retry.h"
#include "sync/sync_context.h"

namespace datamanager::sync {

// What somebody asks for with a file of their own, and waits for: one try, after which the file is
// removed if it was stored, and else left as it is.
struct DirectUpload {
  UploadLabels labels;   // In place of the config's tags.
  std::stop_token stop;  // Ends the try.
};

// An offered file, with its ownership and what is known of earlier tries.
struct Job {
  FoundFile file;
  FileTracker::Claim claim;
  RetryState state;
  std::shared_ptr<const DirectUpload> direct = nullptr;
};

// Takes files from the channel and sees each through one try: stored and removed, set aside, or put
// into the retry table. Holds a file only while bytes may flow. One thread.
class UploadWorker {
 public:
  // Both must outlive it.
  UploadWorker(SyncContext& context, const config::SyncConfig& config);

  // Until the stop, which also ends the upload under way.
  void Run(Channel<Job>& channel, std::stop_token stop);
  // One try, on the caller's thread.
  void Process(const Job& job, std::stop_token stop);

 private:
  // A try that failed.
  struct Failure {
    Verdict verdict = Verdict::kTransient;
    DataKind kind = DataKind::kUnreadable;
    ResumePoint resume;
    bool sent = false;  // The next try sends again what this one sent.
    bool stalled = false;
    std::string what;
    FailedTry failed_try = {};  // Beside the verdict.
    std::string advice = "";
  };

  void UploadDirectly(const Job& job, const std::stop_token& stop);
  // The try itself; what the server said of the file, if it said anything.
  UploadError Upload(const Job& job, std::stop_token stop);
  void OnStored(const Job& job, LocalFile& file, const UploadResult& result,
                const UploadProgress& progress, const std::stop_token& stop);
  // Handles a damaged file whose whole beginning, if any, is stored: keeps what is behind the
  // damage and removes the file. False: it holds no whole record, and the caller sets it aside.
  bool OnDamaged(const Job& job, LocalFile& file, const UploadResult& result,
                 const std::stop_token& stop);
  void OnNotRemoved(const Job& job, const LocalFile& file, const UploadResult& result,
                    const absl::Status& removed);
  void CountStored(const LocalFile& file, const UploadResult& result);
  void OnFailed(const Job& job, const LocalFile& file, const UploadResult& result,
                MonotonicTime::duration took);
  void OnRefused(const Job& job, LocalFile& file, const UploadResult& result);
  // Another process is at work on the file.
  void WaitWhileBusy(const Job& job, const ResumePoint& resume, absl::string_view why);
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
