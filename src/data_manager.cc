#include "datamanager/data_manager.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <stop_token>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/callback_scope.h"
#include "base/caught.h"
#include "base/logger.h"
#include "base/longest_span.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "base/thread.h"
#include "capture/capture.h"
#include "config/effective_config.h"
#include "create_data_manager.h"
#include "sync/disk.h"
#include "sync/sync.h"

namespace datamanager {
namespace {

// Close takes no longer than this, plus close_timeout; what its parts are sure to get adds up to
// it, and files are flushed in what they leave.
constexpr std::chrono::milliseconds kCloseLimit{1000};
constexpr std::chrono::milliseconds kCloseTurn{100};  // For calls under way to end.
constexpr std::chrono::milliseconds kCloseSync{200};  // For uploads to end.
constexpr std::chrono::milliseconds kCloseLog{300};
// How long Flush waits for files to be finished.
constexpr std::chrono::seconds kFlushLimit{2};
// How long Reconfigure waits for a source that hangs.
constexpr std::chrono::seconds kReconfigureLimit{1};

absl::Status InsideCallback(const char* call) {
  return absl::FailedPreconditionError(absl::StrCat(
      call, " was called from inside a source or a log sink, for which it would have to wait"));
}

// Returns the result of `work`, or the status of what it throws.
template <typename Work>
auto Guarded(const char* part, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (...) {
    return CaughtStatus(part);
  }
}

absl::Status Closed() { return absl::FailedPreconditionError("the data manager is closed"); }

class Implementation final : public DataManager {
 public:
  Implementation(DataManagerOptions options, std::shared_ptr<Logger> logger,
                 std::shared_ptr<capture::Capture> capture, std::shared_ptr<sync::Sync> sync)
      : options_(std::move(options)),
        logger_(std::move(logger)),
        capture_(std::move(capture)),
        sync_(std::move(sync)),
        disk_(sync_->context()) {}

  ~Implementation() override {
    if (!CallbackScope::Active()) Close().IgnoreError();  // Whoever cares has called Close.
  }

  absl::StatusOr<ReconfigureResult> Reconfigure(const Config& config,
                                                const Sources& sources) override;
  absl::Status Sync(SyncOptions options) override;
  absl::Status Flush(std::stop_token stop) override;
  absl::Status UploadBinaryDataToDatasets(std::string_view data, const UploadLabels& labels,
                                          std::string_view mime_type,
                                          UploadOptions options) override;
  absl::Status UploadImageToDatasets(std::string_view image, const UploadLabels& labels,
                                     std::string_view mime_type, UploadOptions options) override;
  UploadedFiles UploadDataFromPath(const std::string& path, const UploadLabels& labels,
                                   UploadOptions options) override;
  absl::StatusOr<RetriedFiles> RetryFailed() override;
  absl::Status Close() override;
  ManagerStats Stats() const override;

 private:
  absl::StatusOr<ReconfigureResult> Apply(const Config& config, const Sources& sources);
  absl::Status CloseParts();
  // Runs `work` as a call that Close ends and waits for, unless it must not begin.
  template <typename Work>
  std::invoke_result_t<Work> Call(const char* name, const Work& work) DM_EXCLUDES(mutex_);
  absl::Status BeginCall(const char* name) DM_EXCLUDES(mutex_);
  void EndCall() DM_EXCLUDES(mutex_);
  bool Closing() const DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return closing_;
  }
  MonotonicTime Now() const { return Clock::System().MonotonicNow(); }

  const DataManagerOptions options_;
  const std::shared_ptr<Logger> logger_;
  const std::shared_ptr<capture::Capture> capture_;
  const std::shared_ptr<sync::Sync> sync_;
  sync::Disk disk_;
  std::stop_source close_requested_;

  // What is under way. Nothing is done under the lock: whoever comes second waits for the state.
  mutable Mutex mutex_;
  CondVar changed_;
  bool reconfiguring_ DM_GUARDED_BY(mutex_) = false;
  int calls_ DM_GUARDED_BY(mutex_) = 0;  // Begun by BeginCall.
  bool closing_ DM_GUARDED_BY(mutex_) = false;
  bool closed_ DM_GUARDED_BY(mutex_) = false;
  absl::Status close_result_ DM_GUARDED_BY(mutex_);
  std::string capture_dir_ DM_GUARDED_BY(mutex_);
};

absl::StatusOr<ReconfigureResult> Implementation::Reconfigure(const Config& config,
                                                              const Sources& sources) {
  if (CallbackScope::Active()) return InsideCallback("Reconfigure");
  {
    MutexLock lock(mutex_);
    changed_.Wait(mutex_, [this] {
      mutex_.AssertHeld();
      return closing_ || !reconfiguring_;
    });
    if (closing_) return Closed();
    reconfiguring_ = true;
  }
  absl::StatusOr<ReconfigureResult> result = Guarded("Reconfigure", [&] {
    // The embedder's code may run on this thread, such as the destructors of old sources.
    const CallbackScope scope;
    return Apply(config, sources);
  });
  MutexLock lock(mutex_);
  reconfiguring_ = false;
  changed_.NotifyAll();
  return result;
}

absl::StatusOr<ReconfigureResult> Implementation::Apply(const Config& config,
                                                        const Sources& sources) {
  absl::StatusOr<config::EffectiveConfig> effective =
      config::Resolve(config, config::Environment::OfProcess(options_.untrusted_environment));
  if (!effective.ok()) return effective.status();
  if (absl::Status status = capture_->Check(effective->capture); !status.ok()) return status;

  for (std::string& warning : effective->warnings) logger_->Warning(std::move(warning));
  ReconfigureResult result;
  for (std::string& error : effective->errors) {
    result.refused.push_back(
        {error.substr(0, error.find(':')), absl::InvalidArgumentError(ToAbsl(error))});
    logger_->Error(std::move(error));
  }
  {
    MutexLock lock(mutex_);
    capture_dir_ = effective->capture.directory;
  }
  // Close overtakes: no step begins after it was called.
  // Capture, the disk's threads and sync have this limit each: a source that hangs must not take
  // the time that the others need to end.
  const MonotonicTime deadline = Now() + kReconfigureLimit;
  if (Closing()) return Closed();
  absl::Status captured = Guarded("capture", [&] {
    return capture_->Reconfigure(effective->capture, sources, deadline,
                                 close_requested_.get_token(), &result)
               ? absl::OkStatus()
               : Closed();
  });
  if (Closing()) return Closed();
  absl::Status selective = Guarded("selective_syncer_name", [&] {
    return capture_->SetSelectiveSensor(effective->sync.selective_sensor, sources, deadline,
                                        close_requested_.get_token(), &result.still_running);
  });
  if (Closing()) return Closed();
  if (!selective.ok()) {
    effective->sync.scheduled = false;
    logger_->Error(
        absl::StrCat("selective_syncer_name: ", selective.message(), "; scheduled sync stays off"));
    result.refused.push_back({"selective_syncer_name", std::move(selective)});
  }
  // From here on the new config is in force: a fault goes to the result, not to the call's status.
  const auto refuse = [this, &result](const char* part, absl::Status status, const char* means) {
    if (status.ok()) return;
    logger_->Error(absl::StrCat(part, ": ", status.message(), means));
    result.refused.push_back({part, std::move(status)});
  };
  absl::Status watched = Guarded("disk", [&] {
    return disk_.Reconfigure(effective->sync, effective->retention, Now() + kReconfigureLimit,
                             &result.still_running);
  });
  absl::Status synced = Guarded("sync", [&] {
    return sync_->Reconfigure(effective->sync, Now() + kReconfigureLimit, &result.still_running);
  });
  if (Closing()) return Closed();
  refuse("capture", std::move(captured), "; not all collectors run");
  refuse("disk", std::move(watched), "; nothing is evicted, and its usage is not known");
  refuse("sync", std::move(synced), "; nothing is uploaded");
  return result;
}

absl::Status Implementation::BeginCall(const char* name) {
  if (CallbackScope::Active()) return InsideCallback(name);
  MutexLock lock(mutex_);
  if (closing_) return Closed();
  ++calls_;
  return absl::OkStatus();
}

void Implementation::EndCall() {
  MutexLock lock(mutex_);
  --calls_;
  changed_.NotifyAll();
}

template <typename Work>
std::invoke_result_t<Work> Implementation::Call(const char* name, const Work& work) {
  if (absl::Status status = BeginCall(name); !status.ok()) return status;
  auto result = Guarded(name, work);
  EndCall();
  return result;
}

absl::Status Implementation::Sync(SyncOptions options) {
  return Call("Sync", [&] {
    return sync_->SyncNow(
        options.wait_for == SyncWait::kUploaded ? sync::Wait::kUploaded : sync::Wait::kHandedOver,
        std::move(options.stop));
  });
}

absl::Status Implementation::Flush(std::stop_token stop) {
  return Call("Flush", [&] {
    std::stop_source either;
    const std::stop_callback on_caller(stop, [&either] { either.request_stop(); });
    const std::stop_callback on_close(close_requested_.get_token(),
                                      [&either] { either.request_stop(); });
    return capture_->Flush(Now() + kFlushLimit, either.get_token());
  });
}

absl::Status Implementation::UploadBinaryDataToDatasets(std::string_view data,
                                                        const UploadLabels& labels,
                                                        std::string_view mime_type,
                                                        UploadOptions options) {
  return Call("UploadBinaryDataToDatasets",
              [&] { return sync_->UploadToDatasets(data, labels, mime_type, options); });
}

absl::Status Implementation::UploadImageToDatasets(std::string_view image,
                                                   const UploadLabels& labels,
                                                   std::string_view mime_type,
                                                   UploadOptions options) {
  std::string_view begins;
  if (mime_type == "image/png") {
    begins = "\x89PNG\r\n\x1a\n";
  } else if (mime_type == "image/jpeg") {
    begins = "\xff\xd8\xff";
  } else {
    return absl::InvalidArgumentError("mime type must be either png or jpeg for images");
  }
  if (!image.starts_with(begins)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the data is no ", ToAbsl(mime_type), ": it does not begin like one"));
  }
  return UploadBinaryDataToDatasets(image, labels, mime_type, std::move(options));
}

UploadedFiles Implementation::UploadDataFromPath(const std::string& path,
                                                 const UploadLabels& labels,
                                                 UploadOptions options) {
  if (absl::Status status = BeginCall("UploadDataFromPath"); !status.ok()) {
    return {.status = std::move(status)};
  }
  UploadedFiles result;
  result.status = Guarded("UploadDataFromPath", [&] {
    result = sync_->UploadPath(path, labels, options);
    return result.status;
  });
  EndCall();
  return result;
}

absl::StatusOr<RetriedFiles> Implementation::RetryFailed() {
  return Call("RetryFailed", [&] { return disk_.RetryFailed(); });
}

absl::Status Implementation::Close() {
  if (CallbackScope::Active()) return InsideCallback("Close");
  {
    MutexLock lock(mutex_);
    if (closing_) {
      changed_.Wait(mutex_, [this] {
        mutex_.AssertHeld();
        return closed_;
      });
      return close_result_;
    }
    closing_ = true;
    changed_.NotifyAll();
  }
  close_requested_.request_stop();
  absl::Status result = Guarded("Close", [&] {
    const CallbackScope scope;  // As in Reconfigure.
    return CloseParts();
  });
  logger_->Close();
  MutexLock lock(mutex_);
  closed_ = true;
  close_result_ = result;
  changed_.NotifyAll();
  return result;
}

absl::Status Implementation::CloseParts() {
  const MonotonicTime begin = Now();
  const MonotonicTime sources = begin + options_.close_timeout;
  const MonotonicTime end = sources + kCloseLimit - kCloseLog;
  // Uploads and calls of Sync end while capture closes.
  sync_->RequestStop();
  disk_.RequestStop();
  {
    MutexLock lock(mutex_);
    changed_.WaitUntil(mutex_, begin + kCloseTurn, [this] {
      mutex_.AssertHeld();
      return !reconfiguring_;
    });
  }
  absl::Status captured = capture_->Close(sources, end - kCloseSync - kCloseTurn);
  absl::Status synced = sync_->Close(end - kCloseTurn);
  if (absl::Status watched = disk_.Close(end - kCloseTurn); synced.ok()) synced = watched;
  {
    MutexLock lock(mutex_);
    changed_.WaitUntil(mutex_, end, [this] {
      mutex_.AssertHeld();
      return calls_ == 0;
    });
  }
  if (captured.ok()) return synced;
  if (synced.ok()) return captured;
  return absl::Status(captured.code(), absl::StrCat(captured.message(), "; ", synced.message()));
}

FileCount Sum(const FileCount& a, const FileCount& b) {
  return {.files = a.files + b.files, .bytes = a.bytes + b.bytes};
}
SalvageStats Sum(const SalvageStats& a, const SalvageStats& b) {
  return {.records = a.records + b.records,
          .unfinished_records = a.unfinished_records + b.unfinished_records,
          .kept_remainders = Sum(a.kept_remainders, b.kept_remainders),
          .removed_remainders = Sum(a.removed_remainders, b.removed_remainders)};
}

ManagerStats Implementation::Stats() const {
  ManagerStats stats{.collectors = capture_->Stats(),
                     .published_files = capture_->keeper().counters().published,
                     .recovered_files = capture_->keeper().counters().recovered,
                     .unflushed_files = capture_->keeper().counters().unflushed,
                     .failed_flushes = capture_->keeper().counters().failed_flushes,
                     .flush = capture_->keeper().counters().Flush(),
                     .lost_files = capture_->keeper().counters().lost,
                     .salvage = Sum(capture_->keeper().salvage(), sync_->Salvage()),
                     .dropped_log_messages = logger_->dropped(),
                     .control = capture_->ControlStats(),
                     .sync = sync_->Stats(),
                     .disk = disk_.Stats(),
                     .connection = sync_->Connection()};
  MutexLock lock(mutex_);
  stats.capture_dir = capture_dir_;
  return stats;
}

}  // namespace

std::string_view CollectorStateName(CollectorState state) {
  switch (state) {
    case CollectorState::kRunning:
      return "running";
    case CollectorState::kDisabled:
      return "disabled";
    case CollectorState::kRefused:
      return "refused";
    case CollectorState::kStopping:
      return "stopping";
  }
  return "unknown";
}

std::string_view PauseStateName(PauseState state) {
  switch (state) {
    case PauseState::kPaused:
      return "paused";
    case PauseState::kProbeDue:
      return "probe due";
    case PauseState::kProbing:
      return "probing";
  }
  return "unknown";
}

std::string_view PauseReasonName(PauseReason reason) {
  switch (reason) {
    case PauseReason::kRefused:
      return "refused";
    case PauseReason::kFailed:
      return "failed";
    case PauseReason::kAsked:
      return "asked";
  }
  return "unknown";
}

absl::StatusOr<std::unique_ptr<DataManager>> DataManager::Create(DataManagerOptions options) {
  return Guarded("Create",
                 [&] { return CreateDataManager(std::move(options), FileOps::System()); });
}

absl::StatusOr<std::unique_ptr<DataManager>> CreateDataManager(DataManagerOptions options,
                                                               FileOps& ops) {
  if (options.close_timeout.count() < 0 || options.connect_timeout.count() < 0 ||
      options.upload_stall_timeout.count() <= 0) {
    return absl::InvalidArgumentError(
        "close_timeout and connect_timeout can't be negative, and upload_stall_timeout must be "
        "positive");
  }
  if (options.source_stack_bytes != 0 && options.source_stack_bytes < kOwnStackBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "source_stack_bytes must be 0, or at least ", kOwnStackBytes,
        ", which the library itself needs; current value: ", options.source_stack_bytes));
  }
  options.close_timeout = Clamped(options.close_timeout);
  options.connect_timeout = Clamped(options.connect_timeout);
  options.upload_stall_timeout = Clamped(options.upload_stall_timeout);
  absl::StatusOr<std::shared_ptr<Logger>> logger = Logger::Create(options.logger);
  if (!logger.ok()) return logger.status();

  // Capture and sync know each other only by callbacks.
  auto hints = std::make_shared<std::weak_ptr<sync::Sync>>();
  absl::StatusOr<std::unique_ptr<capture::Capture>> created =
      capture::Capture::Create({.logger = *logger,
                                .ops = &ops,
                                .on_published =
                                    [hints](const std::string& path) {
                                      if (const std::shared_ptr<sync::Sync> sync = hints->lock())
                                        sync->Hint(path);
                                    },
                                .on_disk_full =
                                    [hints](int error) {
                                      if (const std::shared_ptr<sync::Sync> sync = hints->lock()) {
                                        sync->context()->disk_full.Raise(error);
                                      }
                                    },
                                .source_stack_bytes = options.source_stack_bytes});
  if (!created.ok()) return created.status();
  std::shared_ptr<capture::Capture> capture = *std::move(created);
  std::shared_ptr<sync::Uploader> uploader;
  if (options.cloud != nullptr) {
    uploader = std::shared_ptr<sync::Uploader>(options.cloud, &options.cloud->uploader());
  }
  auto sync = std::make_shared<sync::Sync>(sync::SyncOptions{
      .uploader = std::move(uploader),
      .logger = *logger,
      .ops = &ops,
      .flush = [capture](
                   MonotonicTime deadline,
                   std::stop_token stop) { return capture->Flush(deadline, std::move(stop)); },
      .should_sync =
          [capture](MonotonicTime deadline, std::stop_token stop) {
            return capture->ShouldSync(deadline, std::move(stop));
          },
      .stall_timeout = options.upload_stall_timeout,
      .connect_timeout = options.connect_timeout});
  *hints = sync;
  return std::make_unique<Implementation>(std::move(options), *std::move(logger),
                                          std::move(capture), std::move(sync));
}

}  // namespace datamanager
