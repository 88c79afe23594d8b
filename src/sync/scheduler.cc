#include "sync/scheduler.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "sync/dataset_file.h"
#include "sync/roots.h"

namespace datamanager::sync {
namespace {

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
// Uploads under way before it is known what the link carries: a large one, and a small one that
// need not wait for it.
constexpr int kFirstUploads = 2;
// Threads beside the workers' own, for those that hang in the disk.
constexpr size_t kMostSubstitutes = 32;
constexpr size_t kOtherThreads = 2;  // The scheduler's, and the one that tidies up.

}  // namespace

Scheduler::Scheduler(std::shared_ptr<SyncContext> context, config::SyncConfig config)
    : context_(std::move(context)),
      config_(std::move(config)),
      dispatcher_(*context_, config_),
      window_(std::max(config_.workers, kFirstUploads),
              config_.workers * config_.uploads_per_worker),
      selective_filter_(kNewsInterval) {}

absl::Status Scheduler::Start() {
  context_->options.logger->Info(
      absl::StrCat("starting sync worker pool of size: ", config_.workers));
  const MonotonicTime begin = Now();
  // A fleet that starts together does not stay together.
  next_pass_ = begin + std::chrono::duration_cast<MonotonicTime::duration>(
                           config_.interval * context_->options.random());
  next_flush_ = next_pass_;
  next_statistics_ = begin + kNewsInterval;
  offline_said_ = unselected_said_ = begin - kNewsInterval;
  for (int i = 0; i < config_.workers; ++i) {
    loops_.push_back(std::make_shared<UploadLoop>(*context_, config_, dispatcher_, window_,
                                                  config_.uploads_per_worker, stop_.get_token()));
    if (absl::Status status = StartWorkerThread(loops_.back()); !status.ok()) return status;
  }
  // On a thread of their own, since the disk may hang.
  absl::Status tidying = StartThread(
      "dm-tidy", [self = shared_from_this()] { self->RemoveAbandoned(self->stop_.get_token()); });
  if (!tidying.ok()) return tidying;
  return StartThread("dm-sync", [self = shared_from_this()] { self->Run(); });
}

absl::Status Scheduler::StartWorkerThread(const std::shared_ptr<UploadLoop>& loop) {
  return StartThread("dm-upload", [self = shared_from_this(), loop] { loop->Run(); });
}

absl::Status Scheduler::StartThread(const char* name, std::function<void()> body) {
  absl::StatusOr<Thread> thread = Thread::Start(name, kOwnStackBytes, std::move(body));
  if (!thread.ok()) return thread.status();
  MutexLock lock(mutex_);
  ForgetEndedThreads();
  threads_.push_back(*std::move(thread));
  return absl::OkStatus();
}

void Scheduler::ForgetEndedThreads() {
  const MonotonicTime now = Clock::System().MonotonicNow();
  std::erase_if(threads_, [now](Thread& thread) { return thread.JoinUntil(now); });
}

int Scheduler::Join(MonotonicTime deadline) {
  std::vector<Thread> threads;
  while (true) {
    {
      MutexLock lock(mutex_);
      std::move(threads_.begin(), threads_.end(), std::back_inserter(threads));
      threads_.clear();
    }
    const MonotonicTime look =
        std::min(deadline, Clock::System().MonotonicNow() + LoopTurn::kPatience);
    std::erase_if(threads, [look](Thread& thread) { return thread.JoinUntil(look); });
    if (threads.empty() || Clock::System().MonotonicNow() >= deadline) break;
    // The scheduler's own thread has ended: who hangs holds up only its own file all the same.
    WatchWorkers();
  }
  return static_cast<int>(threads.size());
}

void Scheduler::Run() {
  if (!config_.scheduled) context_->options.logger->Info("Sync Disabled");

  const std::stop_token stop = stop_.get_token();
  uint64_t wakes = 0;
  while (!stop.stop_requested()) {
    const MonotonicTime wake = NextWake(context_->options.uploader->Ready());
    bool woken = false;
    {
      MutexLock lock(context_->mutex);
      woken = context_->changed.WaitUntil(context_->mutex, stop, wake, [this, wakes] {
        context_->mutex.AssertHeld();
        return context_->wakes + context_->scheduler_wakes != wakes;
      });
      wakes = context_->wakes + context_->scheduler_wakes;
    }
    if (stop.stop_requested()) break;
    if (Now() >= next_statistics_) SayStatistics();
    WatchWorkers();
    // While a root is stuck, others may have become free to be walked.
    if (woken || context_->retries.AnyDue(Now()) || dispatcher_.stuck().Any()) {
      dispatcher_.Notify();
      notified_ = true;
    }
    const bool ready = context_->options.uploader->Ready();
    LookAtPass(ready);
    // What was full during a pass counts from its end.
    if (pass_ == nullptr && context_->table_was_full.exchange(false)) {
      earliest_pass_ = pass_ended_ + kFullTableInterval;
      next_pass_ = std::max(next_pass_, earliest_pass_);
      probe_pass_ = std::max(probe_pass_, earliest_pass_);
    }
    const bool due = config_.scheduled && pass_ == nullptr && Now() >= next_pass_;
    if (!ready) {
      if (due || context_->retries.size() > 0) context_->options.uploader->RequestConnect();
      if (!due) continue;
      SayOffline();
      skipped_ = true;
      PostponePass();
      continue;
    }
    if (due || (skipped_ && pass_ == nullptr)) {
      skipped_ = false;
      if (ShouldSync()) {
        BeginScheduledPass();
      } else {
        PostponePass();
      }
    }
    if (config_.scheduled && pass_ == nullptr && Now() >= probe_pass_) {
      probe_pass_ = MonotonicTime::max();
      if (ShouldSync()) BeginPass();
    }
  }
  if (pass_ != nullptr) dispatcher_.EndPass(pass_);
}

MonotonicTime Scheduler::NextWake(bool ready) {
  MonotonicTime wake = next_statistics_;
  if (context_->left_resting.exchange(false)) probe_pass_ = ProbePassTime();
  if (config_.scheduled && pass_ == nullptr) {
    wake = std::min(wake, next_pass_);
    if (ready) wake = std::min(wake, probe_pass_);
  }
  if (pass_ != nullptr) wake = std::min(wake, next_flush_);
  if (ready) wake = std::min(wake, context_->retries.NextDueTime(Now()).value_or(wake));
  // While workers may be in the disk, or are about to be, they are watched.
  if (std::exchange(notified_, false) || dispatcher_.has_passes() ||
      dispatcher_.stuck().AnyAtWork() || context_->uploads_under_way > 0) {
    wake = std::min(wake, Clock::System().MonotonicNow() + LoopTurn::kPatience);
  }
  return wake;
}

void Scheduler::BeginScheduledPass() {
  const MonotonicTime begin = Now();
  offline_said_ = unselected_said_ = begin - kNewsInterval;
  next_flush_ = begin;
  FlushIfDue();
  BeginPass();
}

void Scheduler::BeginPass() {
  pass_began_ = Now();
  pass_ = dispatcher_.BeginPass([](const FoundFile&, const struct stat&) { return true; });
}

void Scheduler::LookAtPass(bool ready) {
  if (pass_ == nullptr) return;
  // Before its end shows in Stats.
  const MonotonicTime now = Now();
  const std::optional<PassEnd> end = dispatcher_.EndOf(pass_);
  if (!end.has_value() && ready) {
    FlushIfDue();
    return;
  }
  if (!end.has_value()) {
    dispatcher_.EndPass(pass_);
    skipped_ = true;
  }
  pass_ = nullptr;
  pass_ended_ = now;
  PostponePass();
}

void Scheduler::PostponePass() {
  while (next_pass_ <= Now()) next_pass_ += config_.interval;
}

MonotonicTime Scheduler::ProbePassTime() const {
  const std::optional<MonotonicTime> next_try = context_->breaker.NextTry();
  const auto least = std::max<MonotonicTime::duration>(
      kProbePassDistance, (pass_ended_ - pass_began_) * kProbePassShare);
  return std::max({next_try.value_or(pass_ended_), pass_ended_ + least, earliest_pass_});
}

void Scheduler::WatchWorkers() {
  const MonotonicTime now = Clock::System().MonotonicNow();
  for (const std::shared_ptr<UploadLoop>& loop : loops_) {
    if (!loop->TakeFromStuck(now)) continue;
    bool more = false;
    {
      MutexLock lock(mutex_);
      ForgetEndedThreads();
      more =
          threads_.size() < static_cast<size_t>(config_.workers) + kOtherThreads + kMostSubstitutes;
    }
    absl::Status started = absl::ResourceExhaustedError("too many threads hang in the disk");
    if (more) started = StartWorkerThread(loop);
    const std::string text =
        started.ok() ? "the disk hangs: another thread uploads from elsewhere meanwhile"
                     : absl::StrCat("the disk hangs, and a worker with it: ", started.ToString());
    WarnOnce(text);
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

void Scheduler::FlushIfDue() {
  if (!config_.scheduled || Now() < next_flush_ || !context_->options.uploader->Ready()) return;
  while (next_flush_ <= Now()) next_flush_ += config_.interval;
  absl::Status status = context_->options.flush(Now() + kFlushLimit, stop_.get_token());
  if (status.ok() || absl::IsCancelled(status)) return;
  WarnOnce(status.ToString());
}

void Scheduler::WarnOnce(const std::string& text) {
  std::optional<std::string> warning;
  {
    MutexLock lock(mutex_);
    warning = filter_.Pass(text, Now());
  }
  if (warning.has_value()) context_->options.logger->Warning(*std::move(warning));
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
