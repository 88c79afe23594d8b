#include "sync/scheduler.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "sync/dataset_file.h"
#include "sync/roots.h"

namespace datamanager::sync {
namespace {

// How long a flush may hold up a pass.
constexpr std::chrono::seconds kFlushLimit{2};
// How long a pass waits for the selective sensor.
constexpr std::chrono::seconds kSelectiveLimit{1};
// The distance of passes after the retry table was full.
constexpr std::chrono::minutes kFullTableInterval{1};
// A pass only to find a file for the breaker to try: at least so long after the last pass, and so
// many times as long as that took.
constexpr std::chrono::seconds kProbePassDistance{1};
constexpr int kProbePassShare = 4;
// The same news is told once in this time (the reference's figure).
constexpr std::chrono::minutes kNewsInterval{1};

}  // namespace

Scheduler::Scheduler(std::shared_ptr<SyncContext> context, config::SyncConfig config)
    : context_(std::move(context)),
      config_(std::move(config)),
      passes_(*context_, config_, channel_),
      selective_filter_(kNewsInterval) {}

absl::Status Scheduler::Start() {
  context_->options.logger->Info(
      absl::StrCat("starting sync worker pool of size: ", config_.workers));
  for (int i = 0; i < config_.workers; ++i) {
    absl::StatusOr<Thread> worker =
        Thread::Start("dm-upload", kOwnStackBytes, [self = shared_from_this()] {
          UploadWorker(*self->context_, self->config_).Run(self->channel_, self->stop_.get_token());
        });
    if (!worker.ok()) return worker.status();
    workers_.push_back(*std::move(worker));
  }
  absl::StatusOr<Thread> thread =
      Thread::Start("dm-sync", kOwnStackBytes, [self = shared_from_this()] { self->Run(); });
  if (!thread.ok()) return thread.status();
  thread_ = *std::move(thread);
  return absl::OkStatus();
}

int Scheduler::Join(MonotonicTime deadline) {
  int hanging = thread_.JoinUntil(deadline) ? 0 : 1;
  for (Thread& worker : workers_) hanging += worker.JoinUntil(deadline) ? 0 : 1;
  return hanging;
}

void Scheduler::Run() {
  const MonotonicTime begin = Now();
  // A fleet that starts together does not stay together.
  next_pass_ = begin + std::chrono::duration_cast<MonotonicTime::duration>(
                           config_.interval * context_->options.random());
  next_flush_ = next_pass_;
  next_statistics_ = begin + kNewsInterval;
  offline_said_ = unselected_said_ = begin - kNewsInterval;
  if (!config_.scheduled) context_->options.logger->Info("Sync Disabled");

  const std::stop_token stop = stop_.get_token();
  RemoveAbandoned(stop);
  uint64_t wakes = 0;
  bool skipped = false;  // A pass was due while offline.
  while (!stop.stop_requested()) {
    const bool ready = context_->options.uploader->Ready();
    MonotonicTime wake = next_statistics_;
    if (context_->left_resting.exchange(false)) probe_pass_ = ProbePassTime();
    if (config_.scheduled) wake = std::min(wake, next_pass_);
    if (config_.scheduled && ready) wake = std::min(wake, probe_pass_);
    if (ready) wake = std::min(wake, context_->retries.NextDueTime().value_or(wake));
    {
      MutexLock lock(context_->mutex);
      context_->changed.WaitUntil(context_->mutex, stop, wake, [this, wakes] {
        context_->mutex.AssertHeld();
        return context_->wakes != wakes;
      });
      wakes = context_->wakes;
    }
    if (stop.stop_requested()) break;
    if (Now() >= next_statistics_) SayStatistics();
    if (context_->table_was_full.exchange(false)) {
      earliest_pass_ = pass_ended_ + kFullTableInterval;
      next_pass_ = std::max(next_pass_, earliest_pass_);
      probe_pass_ = std::max(probe_pass_, earliest_pass_);
    }
    if (!context_->options.uploader->Ready()) {
      const bool pass_due = config_.scheduled && Now() >= next_pass_;
      if (pass_due || context_->retries.size() > 0) context_->options.uploader->RequestConnect();
      if (!pass_due) continue;
      SayOffline();
      skipped = true;
      while (next_pass_ <= Now()) next_pass_ += config_.interval;
      continue;
    }
    if (config_.scheduled && (skipped || Now() >= next_pass_)) {
      if (ShouldSync()) {
        skipped = Tick() == PassEnd::kOffline;
      } else {
        skipped = false;
        while (next_pass_ <= Now()) next_pass_ += config_.interval;
      }
    }
    OfferDueRetries(stop);
    if (config_.scheduled && Now() >= probe_pass_) {
      probe_pass_ = MonotonicTime::max();
      if (ShouldSync()) RunPass();
    }
  }
}

void Scheduler::RemoveAbandoned(const std::stop_token& stop) {
  FileOps& ops = *context_->options.ops;
  const std::vector<Root> roots = RootsOf(ops, config_, context_->former_roots,
                                          [](const absl::Status&) {});  // A pass complains.
  RemoveAbandonedDatasetFiles(ops, roots, stop, [this](const std::string& path) {
    context_->options.logger->Info(
        absl::StrCat("removed ", path, ", which a dead process had begun to write"));
  });
}

bool Scheduler::ShouldSync() {
  if (config_.selective_sensor.empty()) return true;
  const absl::StatusOr<bool> should =
      context_->options.should_sync(Now() + kSelectiveLimit, stop_.get_token());
  if (should.ok() && *should) return true;
  if (stop_.stop_requested()) return false;
  ++context_->unselected;
  if (!should.ok()) {
    const std::string key = absl::StrCat("code ", static_cast<int>(should.status().code()));
    auto text = selective_filter_.Pass(
        key,
        absl::StrCat("selective_syncer_name: sensor ", config_.selective_sensor,
                     " does not say whether to sync, so that no scheduled sync begins: ",
                     should.status().ToString()),
        Now());
    if (text.has_value()) context_->options.logger->Error(*std::move(text));
  } else if (IsNews(unselected_said_)) {
    context_->options.logger->Info(
        "data manager: NOT syncing data to the cloud as it's selective sync sensor is not ready to "
        "sync");
  }
  return false;
}

PassEnd Scheduler::Tick() {
  const MonotonicTime begin = Now();
  offline_said_ = unselected_said_ = begin - kNewsInterval;
  next_flush_ = begin;
  FlushIfDue();
  const PassEnd end = RunPass();
  while (next_pass_ <= pass_ended_) next_pass_ += config_.interval;
  return end;
}

PassEnd Scheduler::RunPass() {
  pass_began_ = Now();
  const PassEnd end = passes_.Run(
      stop_.get_token(), [](const FoundFile&, const struct stat&) { return true; },
      [this] { LookUp(); });
  pass_ended_ = Now();
  return end;
}

MonotonicTime Scheduler::ProbePassTime() const {
  const std::optional<MonotonicTime> next_try = context_->breaker.NextTry();
  const auto least = std::max<MonotonicTime::duration>(
      kProbePassDistance, (pass_ended_ - pass_began_) * kProbePassShare);
  return std::max({next_try.value_or(pass_ended_), pass_ended_ + least, earliest_pass_});
}

void Scheduler::OfferDueRetries(const std::stop_token& stop) {
  // A pass that becomes due meanwhile comes first; it gives the retries their turns.
  while (!config_.scheduled || Now() < next_pass_) {
    const std::optional<MonotonicTime> due = context_->retries.NextDueTime();
    if (!due.has_value() || *due > Now()) return;
    if (passes_.OfferRetry(stop, [this] { LookUp(); }) != PassEnd::kComplete) return;
  }
}

void Scheduler::LookUp() {
  FlushIfDue();
  if (Now() >= next_statistics_) SayStatistics();
}

void Scheduler::FlushIfDue() {
  if (!config_.scheduled || Now() < next_flush_ || !context_->options.uploader->Ready()) return;
  while (next_flush_ <= Now()) next_flush_ += config_.interval;
  absl::Status status = context_->options.flush(Now() + kFlushLimit, stop_.get_token());
  if (status.ok() || absl::IsCancelled(status)) return;
  if (auto text = filter_.Pass(status.ToString(), Now())) {
    context_->options.logger->Warning(*std::move(text));
  }
}

bool Scheduler::IsNews(MonotonicTime& said) {
  if (Now() - said < kNewsInterval) return false;
  said = Now();
  return true;
}

void Scheduler::SayOffline() {
  if (!IsNews(offline_said_)) return;
  const ConnectionStatus status = context_->options.uploader->Status();
  if (status.state == ConnectionState::kNotManaged) return;  // It was told when it began.
  const bool bad =
      status.state == ConnectionState::kUnhealthy || status.state == ConnectionState::kClosed;
  context_->options.logger->Log(
      bad ? LogLevel::kInfo : LogLevel::kDebug,
      absl::StrCat("data manager: Not syncing to cloud. cloud connection is in state ",
                   ToAbsl(ConnectionStateName(status.state)), ", waiting for READY",
                   status.last_error.empty() ? "" : absl::StrCat(": ", status.last_error)));
}

void Scheduler::SayStatistics() {
  while (next_statistics_ <= Now()) next_statistics_ += kNewsInterval;
  const auto count = [](const char* name, uint64_t total, uint64_t before) {
    return absl::StrCat(" ", name, "=", total, " (+", total - before, ")");
  };
  std::string text = "uploads since start (and in the last interval):";
  bool news = false;
  const auto add = [&](const char* kind, const UploadStats& now, UploadStats& before) {
    absl::StrAppend(&text, " ", kind, count("files", now.files, before.files),
                    count("bytes", now.bytes, before.bytes),
                    count("refused", now.refused, before.refused),
                    count("retries", now.retries, before.retries), ";");
    news = news || now.files != before.files || now.refused != before.refused ||
           now.retries != before.retries;
    before = now;
  };
  add("tabular", context_->tabular.Read(), said_.tabular);
  add("binary", context_->binary.Read(), said_.binary);
  add("arbitrary", context_->arbitrary.Read(), said_.arbitrary);
  add("sequences", context_->sequences.Read(), said_.sequences);
  if (!news) return;
  absl::StrAppend(&text, " resent=", context_->resent.load(), " stalled=", context_->stalled.load(),
                  " waiting for a retry=", context_->retries.size());
  const WaitingRetries waiting = context_->retries.Summary(Now());
  if (!waiting.most_tried.empty()) {
    const WaitingRetry& retry = waiting.most_tried.front();
    absl::StrAppend(&text, "; ", retry.path, " failed ", retry.tries, " times, at last with ",
                    retry.last_error);
  }
  context_->options.logger->Info(std::move(text));
}

}  // namespace datamanager::sync
