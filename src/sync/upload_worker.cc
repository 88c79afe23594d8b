#include "sync/upload_worker.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::sync {

UploadWorker::UploadWorker(SyncContext& context, const config::SyncConfig& config)
    : context_(context), config_(config), random_(std::random_device()()) {}

void UploadWorker::Run(Channel<Job>& channel, std::stop_token stop) {
  while (std::optional<Job> job = channel.Receive(stop)) Process(*job, stop);
}

void UploadWorker::Process(const Job& job, std::stop_token stop) {
  absl::StatusOr<LocalFile> file = LocalFile::Open(*context_.options.ops, job.file);
  if (!file.ok()) {
    OnFailed(job, {.error = {.status = file.status(), .origin = ErrorOrigin::kFile},
                   .step = "open",
                   .resume_offset = job.state.resume_offset});
    return;
  }
  // It may have waited long for a worker, or for its next try, and be in use again. The next pass
  // meets it.
  const Clock& clock = *context_.options.clock;
  if (!context_.ages.IsReady(job.file.kind, file->info(), config_.min_file_age, clock.WallNow(),
                             clock.MonotonicNow())) {
    return;
  }
  if (!file->known_complete() &&
      !context_.ages.IsOldEnough(file->info(), config_.min_file_age, clock.WallNow(),
                                 clock.MonotonicNow())) {
    WaitWhileBusy(job, job.state.resume_offset, "it was changed a short while ago");
    return;
  }
  const uint64_t resume_offset =
      FileVersion::Of(file->info()) == job.file.version ? job.state.resume_offset : 0;
  const UploadContext upload{.uploader = *context_.options.uploader,
                             .stall_timeout = context_.options.stall_timeout,
                             .tags = config_.tags,
                             .stop = std::move(stop)};
  const UploadResult result = job.file.kind == FileKind::kCapture
                                  ? UploadCaptureFile(upload, *file, resume_offset)
                                  : UploadArbitraryFile(upload, *file);
  if (result.error.status.ok()) {
    OnStored(job, *file, result);
  } else if (Judge(result.error) == Verdict::kRefused) {
    OnRefused(job, *file, result);
  } else {
    OnFailed(job, result);
  }
}

void UploadWorker::OnStored(const Job& job, LocalFile& file, const UploadResult& result) {
  const SyncContext::Settling settling(context_);
  Logger& logger = *context_.options.logger;
  std::string rest;
  absl::Status removed = file.CheckUnchanged();
  if (removed.ok() && result.torn_at.has_value()) {
    absl::StatusOr<std::string> kept = file.SetRestAside(result.metadata_size, *result.torn_at);
    if (!kept.ok()) {
      RetryLater(job, Verdict::kTransient, result.kind, result.resume_offset,
                 Wrap(kept.status(), "its whole records are stored, but not its rest").ToString());
      return;
    }
    rest = *std::move(kept);
  }
  if (removed.ok()) removed = file.Remove();
  if (!removed.ok()) {
    // The next try keeps the rest anew.
    if (!rest.empty()) file.DropRest();
    // Gone already: as good. Changed: what is there now has not been uploaded.
    if (absl::IsNotFound(removed)) return;
    if (absl::IsUnavailable(removed)) {
      WaitWhileBusy(job, result.resume_offset, removed.message());
      return;
    }
    RetryLater(job, Verdict::kTransient, result.kind,
               absl::IsAborted(removed) ? 0 : result.resume_offset,
               Wrap(removed, "stored, but not removed").ToString());
    return;
  }
  if (!rest.empty()) {
    logger.Warning(absl::StrCat("uploaded the whole records of ", job.file.path,
                                "; the rest is no record (", result.torn.message(),
                                ") and is kept as ", rest));
  }
  if (result.empty) {
    logger.Warning(absl::StrCat("ignoring and deleting empty capture file without syncing it: ",
                                job.file.path));
    return;
  }
  UploadCounters& counters = context_.CountersOf(result.kind);
  ++counters.files;
  counters.bytes += file.size();
  logger.Debug(absl::StrCat(
      "uploaded ", job.file.path, " (", file.size(), " bytes)",
      job.state.attempts == 0 ? "" : absl::StrCat(" after ", job.state.attempts, " failed tries")));
}

void UploadWorker::OnRefused(const Job& job, LocalFile& file, const UploadResult& result) {
  const SyncContext::Settling settling(context_);
  const std::string reason = absl::StrCat(result.step, ": ", result.error.status.ToString());
  absl::StatusOr<std::string> moved = file.SetAside();
  if (!moved.ok()) {
    if (absl::IsNotFound(moved.status())) return;
    RetryLater(job, Verdict::kTransient, result.kind, result.resume_offset,
               absl::StrCat(reason, "; and it cannot be set aside: ", moved.status().ToString()));
    return;
  }
  ++context_.CountersOf(result.kind).refused;
  context_.SetLastError(absl::StrCat(job.file.path, ": ", reason));
  context_.options.logger->Warning(
      absl::StrCat("moving file that data manager failed to sync due to err: ", reason, "; it was ",
                   job.file.path, " and is ", *moved));
}

void UploadWorker::OnFailed(const Job& job, const UploadResult& result) {
  const Verdict verdict = Judge(result.error);
  if (verdict == Verdict::kGone) return;
  if (verdict == Verdict::kBusy) {
    WaitWhileBusy(job, result.resume_offset, result.error.status.message());
    return;
  }
  if (verdict == Verdict::kStopped) {
    if (job.state.attempts > 0 || job.state.busy_looks > 0 || result.resume_offset > 0) {
      RetryState state = job.state;
      state.resume_offset = result.resume_offset;
      context_.retries.Put({job.file, state});
    }
    return;
  }
  RetryLater(job, verdict, result.kind, result.resume_offset,
             absl::StrCat(result.step, ": ", result.error.status.ToString()));
}

void UploadWorker::WaitWhileBusy(const Job& job, uint64_t resume_offset, absl::string_view why) {
  const RetryState state =
      AfterBusy(job.state, resume_offset, context_.options.clock->MonotonicNow());
  if (state.busy_looks == 1) {
    context_.options.logger->Debug(absl::StrCat(job.file.path, " waits: ", why));
  }
  context_.retries.Put({job.file, state});  // A full table leaves it to the next pass.
  context_.Wake();
}

void UploadWorker::RetryLater(const Job& job, Verdict verdict, DataKind kind,
                              uint64_t resume_offset, const std::string& what) {
  const MonotonicTime now = context_.options.clock->MonotonicNow();
  const double random = std::uniform_real_distribution<double>(0, 1)(random_);
  const RetryState state = AfterFailure(job.state, verdict, resume_offset, now, random);
  ++context_.CountersOf(kind).retries;
  context_.SetLastError(absl::StrCat(job.file.path, ": ", what));
  const bool waits = context_.retries.Put({job.file, state});
  if (!waits) context_.table_was_full = true;
  const auto delay = std::chrono::duration_cast<std::chrono::milliseconds>(state.due - now);
  context_.options.logger->Info(absl::StrCat(
      "upload of ", job.file.path, " failed: ", what,
      "; connectivity: ", verdict == Verdict::kOffline ? "offline" : "online",
      "; failed tries: ", state.attempts, "; next try ",
      waits ? absl::StrCat("in ", delay.count(), " ms") : std::string("with the next pass")));
  if (verdict == Verdict::kOffline) {
    context_.options.uploader->RequestConnect();
    // Back already, so that no change is going to cut this wait short.
    if (context_.options.uploader->Ready()) context_.retries.MakeOfflineDue(now);
  }
  context_.Wake();
}

}  // namespace datamanager::sync
