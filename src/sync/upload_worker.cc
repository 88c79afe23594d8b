#include "sync/upload_worker.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/caught.h"
#include "base/strings.h"
#include "capture_file/file_name.h"
#include "capture_file/salvage.h"
#include "sync/hopeless.h"
#include "sync/pause_text.h"

namespace datamanager::sync {
namespace {

Task<UploadResult> UploadByKind(const UploadContext& upload, const LocalFile& file,
                                uint64_t resume_offset) {
  switch (file.found().kind) {
    case FileKind::kCapture:
      return UploadCaptureFile(upload, file, resume_offset);
    case FileKind::kDatasetUpload:
      return UploadDatasetFile(upload, file);
    case FileKind::kSequence:
      return UploadSequence(upload, file);
    case FileKind::kArbitrary:
      break;
  }
  return UploadArbitraryFile(upload, file);
}

// The part that is obeyed of the wait that the server asks for.
std::optional<std::chrono::milliseconds> WaitAskedFor(const UploadError& error) {
  if (!error.pushback.has_value() || Judge(error) != Verdict::kTransient) return std::nullopt;
  return std::min<std::chrono::milliseconds>(*error.pushback, CircuitBreaker::kLongestPushback);
}

UploadWindow::Outcome WindowOutcomeOf(const UploadError& answer) {
  if (answer.stalled) return UploadWindow::Outcome::kStalled;
  const bool stored = answer.origin == ErrorOrigin::kServer && answer.status.ok();
  return stored ? UploadWindow::Outcome::kStored : UploadWindow::Outcome::kOther;
}

// Empty if all is well.
std::string NotedText(const absl::Status& noted) {
  if (noted.ok()) return "";
  return absl::StrCat(" until this process ends, since that cannot be noted: ", noted.message());
}

// Empty without any.
std::string TextOf(const UploadLabels& labels) {
  std::string text;
  for (const std::string& tag : labels.tags) absl::StrAppend(&text, "tag", tag.size(), ":", tag);
  for (const std::string& id : labels.dataset_ids) {
    absl::StrAppend(&text, "dataset", id.size(), ":", id);
  }
  return text;
}

}  // namespace

UploadWorker::UploadWorker(SyncContext& context, const config::SyncConfig& config)
    : context_(context), config_(config) {}

Task<UploadWindow::Outcome> UploadWorker::Process(const Job& job, CallQueue& calls,
                                                  std::stop_token stop) {
  if (job.direct != nullptr) co_return WindowOutcomeOf(co_await UploadDirectly(job, calls, stop));
  MonotonicTime rests_until;
  const std::optional<CircuitBreaker::Permit> permit = context_.breaker.Begin(
      CircuitBreaker::Candidate::Of(job.file.path, job.state.attempts > 0), Now(), &rests_until);
  if (!permit.has_value()) {
    Rest(job, rests_until);
    co_return UploadWindow::Outcome::kOther;
  }
  UploadError answer{.origin = ErrorOrigin::kFile};
  std::exception_ptr thrown;
  try {
    answer = co_await Upload(job, calls, std::move(stop));
  } catch (...) {
    thrown = std::current_exception();
    RetryLater(job, {.sent = job.state.sent, .what = CaughtStatus("the upload").ToString()});
  }
  Report(*permit, answer);
  if (thrown != nullptr) std::rethrow_exception(thrown);
  co_return WindowOutcomeOf(answer);
}

Task<UploadError> UploadWorker::Upload(const Job& job, CallQueue& calls, std::stop_token stop) {
  const UploadError nothing{.origin = ErrorOrigin::kFile};
  absl::StatusOr<LocalFile> file = LocalFile::Open(*context_.options.ops, job.file);
  if (!file.ok()) {
    const Verdict verdict = Judge({.status = file.status(), .origin = ErrorOrigin::kFile});
    if (verdict == Verdict::kBusy) {
      WaitWhileBusy(job, file.status().message());
    } else if (verdict != Verdict::kGone) {
      RetryLater(
          job, {.sent = job.state.sent, .what = absl::StrCat("open: ", file.status().ToString())});
    }
    Tell(job, {.status = file.status(), .origin = ErrorOrigin::kFile}, {});
    co_return nothing;
  }
  // It may have waited long for its next try, and be in use again. The next pass meets it.
  const WallTime wall_now = context_.options.clock->WallNow();
  if (!context_.ages.IsReady(job.file.kind, file->info(), config_.min_file_age, wall_now, Now())) {
    co_return nothing;
  }
  if (!file->known_complete() && job.file.kind != FileKind::kDatasetUpload &&
      !context_.ages.IsOldEnough(file->info(), config_.min_file_age, wall_now, Now())) {
    WaitWhileBusy(job, "it was changed a short while ago");
    co_return nothing;
  }
  if (job.state.sent) ++context_.resent;
  const std::chrono::milliseconds stall_timeout = context_.options.stall_timeout;
  UploadProgress progress(job.file.path, file->size(), *context_.options.clock,
                          *context_.options.logger);
  const MonotonicTime begin = Now();
  const UploadSession session = context_.options.uploader->NewSession();
  const UploadContext upload{.calls = calls,
                             .message_limit = context_.message_limit,
                             .part_id = session.part_id,
                             .connection = session.connection,
                             .stall_timeout = stall_timeout,
                             .reply_timeout = ReplyTimeout(stall_timeout, job.state.stalls),
                             .tags = config_.tags,
                             .stop = std::move(stop),
                             .progress = &progress,
                             .digests = &context_.digests,
                             .is_stored = [this](const std::string& key) {
                               return context_.stored_keys.Contains(config_.capture_directory, key);
                             }};
  const FileVersion version = FileVersion::Of(file->info());
  const uint64_t resume_offset = context_.resume_points.Find(job.file.id, version, session.cloud);
  const UploadResult result = co_await UploadByKind(upload, *file, resume_offset);
  if (result.error.stalled) ++context_.stalled;
  // Also after a success: if the file cannot be removed yet, its records are not sent again.
  context_.resume_points.Put(job.file.id, version, session.cloud, result.resume_offset);
  if (result.error.status.ok()) {
    OnStored(job, *file, result, progress, upload.stop);
    // Of an empty file the server has heard nothing.
    if (result.empty) co_return nothing;
  } else if (Judge(result.error) == Verdict::kRefused) {
    const bool damaged = result.torn_at.has_value() && result.error.origin == ErrorOrigin::kFile;
    if (!damaged || !OnDamaged(job, *file, result, upload.stop)) OnRefused(job, *file, result);
  } else {
    OnFailed(job, result, Now() - begin);
  }
  Tell(job, result.error, result);
  co_return result.error;
}

Task<UploadError> UploadWorker::UploadDirectly(const Job& job, CallQueue& calls,
                                               std::stop_token stop) {
  UploadOutcome outcome{.file = job.file.id};
  absl::StatusOr<LocalFile> file = LocalFile::Open(*context_.options.ops, job.file);
  if (!file.ok()) {
    outcome.status = file.status();
    outcome.verdict = Judge({.status = file.status(), .origin = ErrorOrigin::kFile});
    context_.outcomes.Report(job.file.path, job.direct.get(), outcome);
    co_return UploadError{.origin = ErrorOrigin::kFile};
  }
  std::stop_source either;
  const std::stop_callback on_own(stop, [&either] { either.request_stop(); });
  const std::stop_callback on_caller(job.direct->stop, [&either] { either.request_stop(); });
  UploadProgress progress(job.file.path, file->size(), *context_.options.clock,
                          *context_.options.logger);
  const UploadSession session = context_.options.uploader->NewSession();
  const UploadContext upload{.calls = calls,
                             .message_limit = context_.message_limit,
                             .part_id = session.part_id,
                             .connection = session.connection,
                             .stall_timeout = context_.options.stall_timeout,
                             .reply_timeout = context_.options.stall_timeout,
                             .tags = job.direct->labels.tags,
                             .dataset_ids = job.direct->labels.dataset_ids,
                             .stop = either.get_token(),
                             .progress = &progress,
                             .digests = &context_.digests,
                             .asked = TextOf(job.direct->labels)};
  MonotonicTime rests_until;
  const std::optional<CircuitBreaker::Permit> permit = context_.breaker.Begin(
      CircuitBreaker::Candidate::Of(job.file.path, /*tried=*/false), Now(), &rests_until);
  const UploadResult result = co_await UploadArbitraryFile(upload, *file);
  outcome.status = result.error.status;
  outcome.verdict = Judge(result.error);
  // A caller's file stays in its place if it is refused, so it is no reason for a long pause.
  if (permit.has_value()) {
    Report(*permit, outcome.verdict == Verdict::kRefused ? UploadError{.origin = ErrorOrigin::kFile}
                                                         : result.error);
  }
  if (result.error.stalled) ++context_.stalled;
  if (outcome.status.ok()) {
    outcome.binary_data_id = result.binary_data_id;
    outcome.bytes = file->size();
    outcome.removed = file->Remove();
    if (absl::IsNotFound(outcome.removed)) outcome.removed = absl::OkStatus();
    CountStored(*file, result);
    context_.options.logger->Info(
        absl::StrCat("uploaded ", job.file.path, ": ", progress.Summary()));
  }
  context_.outcomes.Report(job.file.path, job.direct.get(), outcome);
  co_return result.error;
}

void UploadWorker::Tell(const Job& job, const UploadError& error, const UploadResult& result) {
  if (job.file.kind != FileKind::kDatasetUpload) return;
  const UploadOutcome outcome{.file = job.file.id,
                              .status = error.status,
                              .verdict = Judge(error),
                              .binary_data_id = result.binary_data_id};
  // Of a file that is busy another look follows, one that is gone may have a successor by the same
  // name, and a stop ends those who wait, too.
  if (outcome.verdict == Verdict::kBusy || outcome.verdict == Verdict::kGone ||
      outcome.verdict == Verdict::kStopped) {
    return;
  }
  context_.outcomes.Report(job.file.path, nullptr, outcome);
}

void UploadWorker::Report(const CircuitBreaker::Permit& permit, const UploadError& answer) {
  const MonotonicTime now = Now();
  const std::string error = answer.status.ToString();
  CircuitBreaker::Outcome outcome = OutcomeOf(answer);
  if (outcome == CircuitBreaker::Outcome::kUnavailable && !context_.options.uploader->Ready()) {
    outcome = CircuitBreaker::Outcome::kUndecided;
  }
  CircuitBreaker::Effect effect =
      context_.breaker.End(permit, outcome, error, now, context_.options.random());
  // The loss may have been told meanwhile, before the failure counted.
  if (outcome == CircuitBreaker::Outcome::kUnavailable && !context_.options.uploader->Ready()) {
    effect.ends = context_.breaker.OnConnectionLost(now);
    if (effect.ends) effect.begins.reset();
  }
  if (effect.ends) {
    context_.retries.MakeRestingDue(now);
    context_.Wake();
  }
  std::optional<CircuitBreaker::Pause> pause = effect.begins;
  if (answer.pushback.has_value() && !answer.status.ok()) {
    pause = context_.breaker.PushBack(*answer.pushback, error, now);
  }
  if (!pause.has_value()) return;
  // Each pause has its line, but a server may ask for many short ones.
  const bool asked = pause->reason == PauseReason::kAsked;
  const std::string cause = asked ? "asked" : absl::StrCat(pause->directory, " ", pause->failures);
  auto line = context_.pause_log.Pass(cause, PauseText(*pause, error), now);
  if (!line.has_value()) return;
  context_.options.logger->Log(
      pause->reason == PauseReason::kRefused ? LogLevel::kError : LogLevel::kWarning,
      *std::move(line));
}

void UploadWorker::Rest(const Job& job, MonotonicTime until) {
  Tell(job,
       {.status = absl::UnavailableError("the server failed so many uploads in a row, or asked for "
                                         "a pause, so that uploads rest")},
       {});
  // What never failed is met by the next pass.
  if (job.state.attempts == 0) {
    context_.left_resting = true;
    return;
  }
  RetryState state = job.state;
  state.resting = true;
  state.due = until;
  if (!context_.retries.Put({job.file, std::move(state)})) context_.table_was_full = true;
}

void UploadWorker::CountStored(const LocalFile& file, const UploadResult& result) {
  UploadCounters& counters = context_.CountersOf(result.kind);
  ++counters.files;
  counters.bytes += file.size();
}

void UploadWorker::OnStored(const Job& job, LocalFile& file, const UploadResult& result,
                            const UploadProgress& progress, const std::stop_token& stop) {
  const SyncContext::Settling settling(context_);
  Logger& logger = *context_.options.logger;
  if (result.torn_at.has_value()) {
    OnDamaged(job, file, result, stop);
    return;
  }
  // A removal may have happened although it returned an error.
  absl::Status removed = file.Remove();
  if (!removed.ok() && (absl::IsNotFound(removed) || !absl::IsNotFound(file.CheckUnchanged()))) {
    OnNotRemoved(job, result, removed);
    return;
  }
  context_.resume_points.Forget(job.file.id);
  context_.stored_keys.Remove(config_.capture_directory, result.key);
  if (result.empty) {
    logger.Warning(absl::StrCat("ignoring and deleting empty capture file without syncing it: ",
                                job.file.path));
    return;
  }
  CountStored(file, result);
  if (logger.Wants(LogLevel::kDebug)) {
    logger.Debug(absl::StrCat("uploaded ", job.file.path, " (", file.size(), " bytes)",
                              job.state.attempts == 0
                                  ? ""
                                  : absl::StrCat(" after ", job.state.attempts, " failed tries")));
  }
  if (progress.told()) {
    logger.Info(absl::StrCat("uploaded ", job.file.path, ": ", progress.Summary()));
  }
}

void UploadWorker::OnNotRemoved(const Job& job, const UploadResult& result,
                                const absl::Status& removed) {
  // Already gone: nothing is left to do. Changed: the file's content has not been uploaded.
  if (absl::IsNotFound(removed)) return;
  if (absl::IsUnavailable(removed)) {
    WaitWhileBusy(job, removed.message());
    return;
  }
  // Damaged files have other ways.
  bool is_new = false;
  absl::Status noted;
  if (!absl::IsAborted(removed) && !result.key.empty() && !result.torn_at.has_value()) {
    noted = context_.stored_keys.Add(config_.capture_directory, result.key, &is_new);
  }
  if (is_new) {
    ++context_.not_removed;
    context_.options.logger->Warning(
        absl::StrCat(job.file.path, " is stored, but cannot be removed: ", removed.message(),
                     "; it is not sent again, only its removal is tried again", NotedText(noted),
                     "; is it immutable (lsattr), or is something mounted on it?"));
  }
  RetryLater(job,
             {.kind = result.kind, .what = Wrap(removed, "stored, but not removed").ToString()});
}

bool UploadWorker::OnDamaged(const Job& job, LocalFile& file, const UploadResult& result,
                             const std::stop_token& stop) {
  const capture_file::KeepGoing keep_going = [&stop] { return !stop.stop_requested(); };
  const bool stored = result.error.status.ok();
  const std::string& path = job.file.path;
  std::optional<capture_file::FurtherFile> further;
  std::string remainder;
  const auto fail = [&](const absl::Status& status) {
    if (absl::IsCancelled(status)) {
      context_.retries.Put({job.file, job.state});
      return true;
    }
    context_.disk_full.RaiseFor(status);
    RetryLater(
        job,
        {.kind = result.kind,
         .what =
             Wrap(status, "its whole records are stored, but not what follows them").ToString()});
    return true;
  };
  absl::Status status = file.CheckNoWriter();
  if (status.ok()) status = file.CheckUnchanged();
  if (!status.ok()) {
    OnNotRemoved(job, result, status);
    return true;
  }
  absl::StatusOr<capture_file::Salvage> salvage =
      capture_file::FindWholeRecords(file.ops(), file.fd(), file.size(),
                                     {.begun = capture_file::ParseStamp(BaseName(path)),
                                      .changed = ModifiedAt(file.info()),
                                      .damaged_at = *result.torn_at,
                                      .keep_going = keep_going});
  if (!salvage.ok()) return fail(salvage.status());
  if (!stored && salvage->runs.empty()) return false;
  if (!salvage->remainders.empty()) {
    absl::StatusOr<std::string> kept = context_.remainders.Keep(
        job.file.root, path, file.fd(), salvage->whole_end, salvage->remainders, keep_going);
    if (!kept.ok()) return fail(kept.status());
    remainder = *std::move(kept);
  }
  if (!salvage->runs.empty()) {
    absl::StatusOr<capture_file::FurtherFile> written = file.WriteFurther(*salvage, keep_going);
    if (!written.ok()) return fail(written.status());
    further = *std::move(written);
  }
  absl::Status removed = file.Remove();
  // A removal may have happened although it returned an error.
  if (!removed.ok() && !absl::IsNotFound(file.CheckUnchanged())) {
    if (further.has_value()) further->Drop(file.ops());
    OnNotRemoved(job, result, removed);
    return true;
  }
  std::string published;
  if (further.has_value()) {
    absl::StatusOr<std::string> name = further->Publish(file.ops(), /*first_name=*/true);
    context_.salvaged_records += salvage->run_records;
    published = name.ok() ? *name : name.status().ToString();
  }
  if (salvage->unfinished.size > 0) ++context_.unfinished_records;
  if (stored && removed.ok()) CountStored(file, result);
  context_.options.logger->Warning(absl::StrCat(
      stored ? "uploaded the whole records of " : "damaged from its first record on: ", path,
      stored ? absl::StrCat(" before it is damaged (", result.torn.message(), ")")
             : absl::StrCat(" (", result.torn.message(), ")"),
      further.has_value() ? absl::StrCat("; ", salvage->run_records,
                                         " whole records behind the damage wait as ", published)
                          : "",
      remainder.empty() ? ""
                        : absl::StrCat("; ", salvage->remainder_bytes(),
                                       " bytes that are no whole record are kept as ", remainder),
      salvage->unfinished.size > 0 ? "; its last record was never finished" : ""));
  return true;
}

void UploadWorker::OnRefused(const Job& job, LocalFile& file, const UploadResult& result) {
  const SyncContext::Settling settling(context_);
  const std::string reason = absl::StrCat(result.step, ": ", result.error.status.ToString());
  absl::StatusOr<std::string> moved = file.SetAside();
  if (!moved.ok()) {
    if (absl::IsNotFound(moved.status())) return;
    if (absl::IsUnavailable(moved.status())) {
      WaitWhileBusy(job, moved.status().message());
      return;
    }
    context_.disk_full.RaiseFor(moved.status());
    RetryLater(job, {.kind = result.kind,
                     .sent = result.error.sent,
                     .what = absl::StrCat(
                         reason, "; and it cannot be set aside: ", moved.status().ToString())});
    return;
  }
  ++context_.CountersOf(result.kind).refused;
  context_.SetLastError(absl::StrCat(job.file.path, ": ", reason));
  context_.options.logger->Warning(
      absl::StrCat("moving file that data manager failed to sync due to err: ", reason, "; it was ",
                   job.file.path, " and is ", *moved));
}

void UploadWorker::OnFailed(const Job& job, const UploadResult& result,
                            MonotonicTime::duration took) {
  const Verdict verdict = Judge(result.error);
  if (verdict == Verdict::kGone) return;
  if (verdict == Verdict::kBusy) {
    WaitWhileBusy(job, result.error.status.message());
    return;
  }
  if (verdict == Verdict::kStopped) {
    if (job.state.attempts > 0 || job.state.busy_looks > 0) {
      context_.retries.Put({job.file, job.state});
    }
    return;
  }
  RetryLater(job, {.verdict = verdict,
                   .kind = result.kind,
                   .sent = result.error.sent,
                   .stalled = result.error.stalled,
                   .may_be_offline =
                       verdict == Verdict::kTransient && absl::IsUnavailable(result.error.status),
                   .what = absl::StrCat(result.step, ": ", result.error.status.ToString()),
                   .failed_try = {.hopeless = IsHopeless(result.error),
                                  .took = took,
                                  .pushback = WaitAskedFor(result.error)},
                   .advice = AdviceFor(result.error, result.step,
                                       context_.options.uploader->Status().address)});
}

void UploadWorker::WaitWhileBusy(const Job& job, absl::string_view why) {
  RetryState state = AfterBusy(job.state, Now());
  if (state.busy_looks == 1) {
    context_.options.logger->Debug(absl::StrCat(job.file.path, " waits: ", why));
  }
  context_.retries.Put({job.file, std::move(state)});  // A full table leaves it to the next pass.
  context_.Wake();
}

void UploadWorker::RetryLater(const Job& job, const Failure& failure) {
  const MonotonicTime now = Now();
  FailedTry failed_try = failure.failed_try;
  failed_try.verdict = failure.verdict;
  RetryState state = AfterFailure(job.state, failed_try, now, context_.options.random());
  state.version = job.file.version;
  state.sent = failure.sent;
  if (failure.stalled) ++state.stalls;
  if (failure.may_be_offline) state.settles = now + kStateLag;
  state.error = failure.what;
  state.advice = failure.advice;
  const int tries = state.attempts;
  const auto delay = std::chrono::duration_cast<std::chrono::milliseconds>(state.due - now);
  ++context_.CountersOf(failure.kind).retries;
  context_.SetLastError(absl::StrCat(job.file.path, ": ", failure.what));
  const bool waits = context_.retries.Put({job.file, std::move(state)});
  if (!waits) context_.table_was_full = true;
  const bool offline = failure.verdict == Verdict::kOffline;
  const std::string line = absl::StrCat(
      "upload of ", job.file.path, " failed: ", failure.what, failure.advice.empty() ? "" : "; ",
      failure.advice, "; connectivity: ", offline ? "offline" : "online", "; failed tries: ", tries,
      "; next try ",
      waits ? absl::StrCat("in ", delay.count(), " ms") : std::string("with the next pass"));
  const std::string cause =
      absl::StrCat(offline ? "offline " : "", CauseOf(failure.what, job.file.path));
  if (auto passed = context_.failure_log.Pass(cause, line, now)) {
    context_.options.logger->Log(failure.advice.empty() ? LogLevel::kInfo : LogLevel::kWarning,
                                 *std::move(passed));
  }
  if (failure.may_be_offline && !context_.options.uploader->Ready()) {
    context_.retries.MarkOffline(now);
  }
  if (offline) {
    context_.options.uploader->RequestConnect();
    // Back already, so that no change is going to cut this wait short.
    if (context_.options.uploader->Ready()) context_.retries.MakeOfflineDue(now);
  }
  context_.Wake();
}

}  // namespace datamanager::sync
