#include "sync/sync.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "sync/connection.h"
#include "sync/dataset_file.h"
#include "sync/direct_upload.h"
#include "sync/dispatcher.h"
#include "sync/leftover.h"

namespace datamanager::sync {
namespace {

// How long the looks for files that are not yet stored lie apart, at first and at most.
constexpr std::chrono::milliseconds kFirstLook{20};
constexpr std::chrono::milliseconds kLongestLook{1000};

std::string LeftAlone(int threads) {
  return absl::StrCat("the disk hangs: ", threads,
                      " threads of sync were left alone, and their files stay");
}

// Another server may have taken the place of the last one, or the same one works again.
void OnConnection(SyncContext& context) {
  const MonotonicTime now = context.options.clock->MonotonicNow();
  const std::string address = context.options.uploader->Status().address;
  bool new_address = false;
  {
    MutexLock lock(context.mutex);
    new_address = std::exchange(context.address, address) != address;
  }
  context.message_limit.Forget();
  context.breaker.OnConnection(new_address, now);
  context.retries.OnConnection(new_address, now);
}

}  // namespace

Sync::Sync(SyncOptions options) : context_(std::make_shared<SyncContext>(std::move(options))) {
  if (context_->options.uploader == nullptr) {
    context_->options.logger->Info(
        "datamanager can't sync as the robot is not cloud managed; it only captures");
    return;
  }
  std::string address = context_->options.uploader->Status().address;
  {
    MutexLock lock(context_->mutex);
    context_->address = std::move(address);
  }
  context_->options.uploader->SetReadyListener([context = context_.get()](bool ready) {
    const MonotonicTime now = context->options.clock->MonotonicNow();
    if (ready) {
      OnConnection(*context);
    } else {
      context->retries.MarkOffline(now);
      if (context->breaker.OnConnectionLost(now)) context->retries.MakeRestingDue(now);
      ++context->offline_pauses;
    }
    context->Wake();
  });
}

Sync::~Sync() {
  if (context_->options.uploader != nullptr) context_->options.uploader->SetReadyListener(nullptr);
  Stop(context_->options.clock->MonotonicNow()).IgnoreError();  // Whoever cares has called Close.
}

std::shared_ptr<Scheduler> Sync::current() const {
  MutexLock lock(mutex_);
  return scheduler_;
}

absl::Status Sync::Reconfigure(const config::SyncConfig& config, MonotonicTime deadline,
                               std::vector<std::string>* still_running) {
  if (context_->options.uploader == nullptr) return absl::OkStatus();
  std::shared_ptr<Scheduler> before;
  {
    MutexLock lock(mutex_);
    if (closed_) return absl::CancelledError("sync is closed");
    before = scheduler_;
    if (before != nullptr && before->config() == config) return absl::OkStatus();
    replacing_ = true;
  }
  const absl::Status replaced = Replace(before, config, deadline, still_running);
  MutexLock lock(mutex_);
  replacing_ = false;
  changed_.NotifyAll();
  return replaced;
}

absl::Status Sync::Replace(const std::shared_ptr<Scheduler>& before,
                           const config::SyncConfig& config, MonotonicTime deadline,
                           std::vector<std::string>* still_running) {
  if (before != nullptr) {
    context_->options.logger->Info("sync config changes: sync starts anew");
    // Stays current until it is replaced, so that a call of SyncNow in between is cancelled too.
    // A thread that hangs in the disk goes on to hold its file; the others are there for the rest.
    before->RequestStop();
    if (const int hanging = before->Join(deadline); hanging > 0) {
      context_->options.logger->Warning(LeftAlone(hanging));
      if (still_running != nullptr) still_running->push_back("sync");
    }
    // What is no longer walked is not to be uploaded either, and what a pass began is not gone on
    // with once passes are switched off. The next pass meets all else.
    if (before->config().capture_directory != config.capture_directory ||
        before->config().additional_paths != config.additional_paths ||
        (before->config().scheduled && !config.scheduled)) {
      context_->retries.Clear();
    }
  }
  // Current before it starts, so that whoever closes sync from here on stops it, too.
  auto scheduler = std::make_shared<Scheduler>(context_, config);
  {
    MutexLock lock(mutex_);
    if (closed_) return absl::CancelledError("sync was closed meanwhile");
    scheduler_ = scheduler;
  }
  absl::Status started = scheduler->Start();
  if (started.ok()) return started;
  scheduler->RequestStop();
  scheduler->Join(deadline);
  MutexLock lock(mutex_);
  scheduler_ = nullptr;
  return started;
}

absl::Status Sync::SyncNow(Wait wait, std::stop_token stop) {
  const std::shared_ptr<Scheduler> scheduler = current();
  if (context_->options.uploader == nullptr) return NotConnected({}, {});
  if (scheduler == nullptr) return absl::FailedPreconditionError("sync is not running");
  // Ends with the caller's wish, and with what it works on.
  std::stop_source either;
  const std::stop_callback on_caller(stop, [&either] { either.request_stop(); });
  const std::stop_callback on_restart(scheduler->stop_token(),
                                      [&either] { either.request_stop(); });

  if (absl::Status status = WaitForConnection(*context_, either.get_token()); !status.ok())
    return status;
  const Clock& clock = *context_->options.clock;
  absl::Status flushed =
      context_->options.flush(clock.MonotonicNow() + kFlushLimit, either.get_token());
  if (!flushed.ok() && !absl::IsCancelled(flushed)) {
    context_->options.logger->Warning(flushed.ToString());
  }
  context_->retries.MakeDueForCall(clock.MonotonicNow());
  context_->breaker.MakeDueForCall(clock.MonotonicNow());
  absl::Status done = wait == Wait::kUploaded ? UploadAll(scheduler, either.get_token())
                                              : HandOverAll(*scheduler, either.get_token());
  return done.ok() ? flushed : done;
}

absl::Status Sync::WaitForDisk(Scheduler& scheduler, const std::string& path,
                               const std::stop_token& stop) {
  if (scheduler.dispatcher().stuck().HangsFor(path, StuckRoots::kLongPatience)) {
    return DiskHangs(path);
  }
  context_->WaitForWake(Clock::System().MonotonicNow() + StuckRoots::kPatience, stop);
  return stop.stop_requested() ? absl::CancelledError("sync was stopped") : absl::OkStatus();
}

absl::Status Sync::HandOverAll(Scheduler& scheduler, const std::stop_token& stop) {
  std::string stuck_path;
  while (true) {
    switch (scheduler.dispatcher().RunPass(
        stop, [](const FoundFile&, const struct stat&) { return true; }, /*awaited=*/true,
        stuck_path)) {
      case PassEnd::kComplete:
        return absl::OkStatus();
      case PassEnd::kStuck:
        if (absl::Status status = WaitForDisk(scheduler, stuck_path, stop); !status.ok()) {
          return status;
        }
        break;
      case PassEnd::kBroken:
        return absl::InternalError(
            "a walk of the directories ended early, so that not all files are with a worker: the "
            "log "
            "says why; call Sync again");
      case PassEnd::kStopped:
        return absl::CancelledError("sync was stopped");
      case PassEnd::kOffline:
        if (absl::Status status = WaitForConnection(*context_, stop); !status.ok()) return status;
    }
  }
}

absl::Status Sync::UploadAll(const std::shared_ptr<Scheduler>& scheduler,
                             const std::stop_token& stop) {
  const Clock& clock = *context_->options.clock;
  // A file's ctime changes when it is published, so that what was there at the call is what has not
  // changed since.
  const WallTime cutoff = clock.WallNow();
  const auto was_there = [cutoff](const FoundFile&, const struct stat& info) {
    return ChangedAt(info) <= cutoff;
  };
  const uint64_t refused_before = context_->refused();
  std::optional<MonotonicTime> in_use_until;
  Leftover left;
  std::chrono::milliseconds pause = kFirstLook;
  while (true) {
    // Also when everything waits for a retry, so that a pass has nothing to offer.
    if (!context_->options.uploader->Ready()) {
      if (absl::Status status = WaitForConnection(*context_, stop); !status.ok()) return status;
    }
    std::string stuck_path;
    // The uploads are waited for in any case.
    const PassEnd end =
        scheduler->dispatcher().RunPass(stop, was_there, /*awaited=*/false, stuck_path);
    if (end == PassEnd::kStuck) {
      if (absl::Status status = WaitForDisk(*scheduler, stuck_path, stop); !status.ok()) {
        return status;
      }
      continue;
    }
    if (end == PassEnd::kStopped) return absl::CancelledError("sync was stopped");
    if (end == PassEnd::kOffline) continue;
    const bool busy = context_->tracker.size() > 0;
    absl::StatusOr<Leftover> look = LookForLeftover(context_, scheduler, was_there, stop);
    if (!look.ok()) return look.status();
    left = *std::move(look);
    // While something is uploaded, a rest may be about to end.
    if (!left.any && !(busy && left.resting > 0)) {
      if (left.in_use == 0) break;
      if (!in_use_until.has_value()) {
        in_use_until = clock.MonotonicNow() + context_->options.in_use_timeout;
      }
      if (clock.MonotonicNow() >= *in_use_until) break;
    }
    // What is left is with a worker, in use elsewhere, or waits for a retry, which the scheduler
    // sees to.
    const MonotonicTime next_look = clock.MonotonicNow() + pause;
    if (busy) {
      context_->tracker.WaitUntilIdle(next_look, stop);
    } else {
      context_->WaitForWake(next_look, stop);
    }
    if (stop.stop_requested()) return absl::CancelledError("sync was stopped");
    pause = std::min(pause * 2, kLongestLook);
  }
  context_->WaitUntilSettled(stop);
  if (stop.stop_requested()) return absl::CancelledError("sync was stopped");
  return ResultOf(left, context_->refused() - refused_before);
}

absl::Status Sync::UploadToDatasets(std::string_view data, const UploadLabels& labels,
                                    std::string_view mime_type, const UploadOptions& options) {
  const absl::StatusOr<DatasetFile> file = DatasetFile::Make(data, labels, mime_type);
  if (!file.ok()) return file.status();
  const std::shared_ptr<Scheduler> scheduler = current();
  if (absl::Status status = CheckRunning(scheduler.get()); !status.ok()) return status;
  return DirectUploads(*context_, *scheduler, options).ToDatasets(*file);
}

UploadedFiles Sync::UploadPath(const std::string& path, const UploadLabels& labels,
                               const UploadOptions& options) {
  const std::shared_ptr<Scheduler> scheduler = current();
  if (absl::Status status = CheckRunning(scheduler.get()); !status.ok()) return {.status = status};
  return DirectUploads(*context_, *scheduler, options).FromPath(path, labels);
}

absl::Status Sync::CheckRunning(const Scheduler* scheduler) const {
  if (Connection().state == ConnectionState::kNotManaged) {
    return absl::FailedPreconditionError(
        "the robot is not cloud managed, so that nothing can be uploaded");
  }
  if (scheduler == nullptr) return absl::FailedPreconditionError("sync is not running");
  return absl::OkStatus();
}

void Sync::Hint(const std::string& path) {
  if (const std::shared_ptr<Scheduler> scheduler = current()) scheduler->dispatcher().Hint(path);
}

absl::Status Sync::Stop(MonotonicTime deadline) {
  std::shared_ptr<Scheduler> scheduler;
  {
    MutexLock lock(mutex_);
    const bool free = changed_.WaitUntil(mutex_, deadline, [this] {
      mutex_.AssertHeld();
      return !replacing_;
    });
    if (!free) {
      return absl::DeadlineExceededError(
          "the disk hangs: a change of the config waits for threads of sync, which were left "
          "alone");
    }
    scheduler = std::exchange(scheduler_, nullptr);
  }
  if (scheduler == nullptr) return absl::OkStatus();
  scheduler->RequestStop();
  const int hanging = scheduler->Join(deadline);
  if (hanging == 0) return absl::OkStatus();
  return absl::DeadlineExceededError(LeftAlone(hanging));
}

void Sync::RequestStop() {
  std::shared_ptr<Scheduler> scheduler;
  {
    MutexLock lock(mutex_);
    closed_ = true;
    scheduler = scheduler_;
  }
  if (scheduler != nullptr) scheduler->RequestStop();
}

absl::Status Sync::Close(MonotonicTime deadline) {
  RequestStop();
  return Stop(deadline);
}

SyncStats Sync::Stats() const {
  const MonotonicTime now = context_->options.clock->MonotonicNow();
  SyncStats stats{.tabular = context_->tabular.Read(),
                  .binary = context_->binary.Read(),
                  .arbitrary = context_->arbitrary.Read(),
                  .sequences = context_->sequences.Read(),
                  .unreadable = context_->unreadable.refused,
                  .passes = context_->passes,
                  .unselected = context_->unselected,
                  .uploading = context_->uploads_under_way,
                  .resent = context_->resent,
                  .stalled = context_->stalled,
                  .offline_pauses = context_->offline_pauses,
                  .refusal_pauses = context_->breaker.refusal_pauses(),
                  .failure_pauses = context_->breaker.failure_pauses(),
                  .asked_pauses = context_->breaker.asked_pauses(),
                  .waiting_retries = context_->retries.size(),
                  .waiting_busy = context_->retries.CountBusy(),
                  .retries = context_->retries.Summary(now),
                  .paused = context_->breaker.Paused(now),
                  .not_removed = context_->not_removed,
                  .blocked_files = context_->blocked_files,
                  .blocked_directories = context_->blocked_directories};
  MutexLock lock(context_->mutex);
  stats.last_error = context_->last_error;
  return stats;
}

SalvageStats Sync::Salvage() const {
  const capture_file::Remainders& remainders = context_->remainders;
  return {.records = context_->salvaged_records,
          .unfinished_records = context_->unfinished_records,
          .kept_remainders = {remainders.kept_files(), remainders.kept_bytes()},
          .removed_remainders = {remainders.removed_files(), remainders.removed_bytes()}};
}

ConnectionStatus Sync::Connection() const {
  return context_->options.uploader == nullptr ? ConnectionStatus{}
                                               : context_->options.uploader->Status();
}

}  // namespace datamanager::sync
