#include "sync/disk.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/repeat_filter.h"
#include "base/strings.h"
#include "base/thread.h"
#include "sync/disk_room.h"
#include "sync/disk_summary.h"
#include "sync/failed_files.h"
#include "sync/retention.h"
#include "sync/roots.h"
#include "sync/timeline.h"

namespace datamanager::sync {
namespace {

// After evicting in vain, a rise by one part in this many of the volume's size counts as a change.
constexpr uint64_t kNoticedShare = 1000;
constexpr char kThreadHangs[] = "a look at the disk hangs in it; its thread was left alone";
constexpr size_t kCollectorLimit = 1024;  // In Stats.
constexpr size_t kNamedCollectors = 10;   // In one line of the log.
// How often the same bad state of the disk is logged, and after which evicting in vain is tried
// again: another process that took all the room may have stopped, which no number shows.
constexpr std::chrono::minutes kNewsInterval{5};
// The least time between looks at the disk that refused writes start: kLookAgain after a pass that
// made room, kLookLater after any other, and never less than kLookShare times the last look.
constexpr std::chrono::milliseconds kLookAgain{100};
constexpr std::chrono::milliseconds kLookLater{1000};
constexpr int kLookShare = 4;
// Refused writes that return within this time, although a new file is taken, start a small
// eviction; kInsistLimit such passes in a row count as in vain.
constexpr std::chrono::seconds kInsistWithin{30};
constexpr int kInsistLimit = 8;

std::string Percent(double share) { return absl::StrFormat("%.1f %%", share * 100); }

std::string CountText(const FileCount& count) {
  return absl::StrCat(count.files, " files (", count.bytes, " bytes)");
}

void Add(FileCount& sum, const FileCount& count) {
  sum.files += count.files;
  sum.bytes += count.bytes;
}

FileCount SumOf(const RetentionResult& result) {
  FileCount sum = result.set_aside;
  for (const auto& [collector, count] : result.evicted) Add(sum, count);
  return sum;
}

// Those that lost most come first.
std::string WhoseText(const RetentionResult& result) {
  std::vector<std::pair<FileCount, std::string>> all;
  for (const auto& [collector, count] : result.evicted) all.emplace_back(count, collector);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.first.bytes != b.first.bytes ? a.first.bytes > b.first.bytes : a.second < b.second;
  });
  std::vector<std::string> parts;
  if (result.set_aside.files > 0) {
    parts.push_back(absl::StrCat("failed/ ", CountText(result.set_aside)));
  }
  for (size_t i = 0; i < all.size() && i < kNamedCollectors; ++i) {
    parts.push_back(absl::StrCat(all[i].second, " ", CountText(all[i].first)));
  }
  if (all.size() > kNamedCollectors) {
    parts.push_back(absl::StrCat(all.size() - kNamedCollectors, " more collectors"));
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace

// What outlives a change of the config.
struct Disk::State {
  explicit State(std::shared_ptr<SyncContext> sync_context)
      : context(std::move(sync_context)), timeline(*context->options.clock) {}

  const std::shared_ptr<SyncContext> context;
  Timeline timeline;

  mutable Mutex mutex;
  DiskStats stats DM_GUARDED_BY(mutex);
  MonotonicTime looked DM_GUARDED_BY(mutex);
  std::optional<MonotonicTime> stale_said DM_GUARDED_BY(mutex);
};

// The two threads, for one config.
class Disk::Watch : public std::enable_shared_from_this<Watch> {
 public:
  Watch(std::shared_ptr<State> state, config::SyncConfig config, config::RetentionConfig retention,
        DiskOptions options)
      : state_(std::move(state)),
        config_(std::move(config)),
        retention_config_(retention),
        options_(options),
        logger_(*state_->context->options.logger) {}

  absl::Status Start() {
    absl::StatusOr<Thread> summary =
        Thread::Start("dm-summary", kOwnStackBytes, [self = shared_from_this()] {
          self->Each(std::chrono::milliseconds(0), self->options_.summary_interval,
                     [&self] { self->Look(); });
        });
    if (!summary.ok()) return summary.status();
    summary_ = *std::move(summary);
    if (!retention_config_.enabled) return absl::OkStatus();
    absl::StatusOr<Thread> retention = Thread::Start(
        "dm-retention", kOwnStackBytes, [self = shared_from_this()] { self->WatchRoom(); });
    if (!retention.ok()) return retention.status();
    retention_ = *std::move(retention);
    return absl::OkStatus();
  }
  void RequestStop() { stop_.request_stop(); }
  bool Join(MonotonicTime deadline) {
    const bool summary = !summary_.joinable() || summary_.JoinUntil(deadline);
    const bool retention = !retention_.joinable() || retention_.JoinUntil(deadline);
    return summary && retention;
  }
  const config::SyncConfig& config() const { return config_; }
  const config::RetentionConfig& retention() const { return retention_config_; }

 private:
  MonotonicTime Now() const { return state_->context->options.clock->MonotonicNow(); }

  template <typename Work>
  void Each(std::chrono::milliseconds first, std::chrono::milliseconds interval, Work work) {
    MonotonicTime next = Now() + first;
    while (true) {
      {
        MutexLock lock(wait_mutex_);
        stopped_.WaitUntil(wait_mutex_, stop_.get_token(), next, [] { return false; });
      }
      if (stop_.stop_requested()) return;
      if (Now() < next) continue;
      work();
      // No burst after a long one.
      while (next <= Now()) next += interval;
    }
  }

  void WatchRoom();
  void MakeRoom(int refused);
  // Whether another eviction may help, after a pass that made no room.
  bool HasChanged();
  // Remembers the facts of a pass that the next one needs.
  void Remember(const RetentionResult& result, int refused);
  void Count(const RetentionResult& result);
  static std::string UsedText(const RetentionResult& result, const DiskUsage& usage);
  std::string UsageText(const RetentionResult& result) const;
  void Tell(const RetentionResult& result);
  void Look();
  void DropEmptyFormerRoots(const std::vector<DirectorySummary>& directories);
  void WarnIfStale(const std::vector<DirectorySummary>& directories);

  const std::shared_ptr<State> state_;
  const config::SyncConfig config_;
  const config::RetentionConfig retention_config_;
  const DiskOptions options_;
  Logger& logger_;
  std::stop_source stop_;
  Mutex wait_mutex_;
  CondVar stopped_;
  Thread summary_;
  Thread retention_;

  // The state of the disk after a pass that made no room.
  struct Fruitless {
    Limit limit = Limit::kNone;
    DiskUsage usage;
    Room room;
    MonotonicTime at;
  };

  // The retention thread's only.
  std::optional<Fruitless> fruitless_;
  std::optional<MonotonicTime> refused_elsewhere_;
  int insisted_ = 0;        // Such passes in a row.
  MonotonicTime earliest_;  // Refused writes start no pass before this time.
  Need need_told_ = Need::kNone;
  MonotonicTime told_;
  RepeatFilter filter_;
};

void Disk::Watch::WatchRoom() {
  DiskFullHint& hint = state_->context->disk_full;
  // Waits go by the system's clock; a test's may be ahead of it.
  const auto on_system = [this](MonotonicTime time) {
    return Clock::System().MonotonicNow() + (time - Now());
  };
  MonotonicTime next = Now() + options_.retention_interval;
  while (true) {
    if (Now() < earliest_) {
      MutexLock lock(wait_mutex_);
      stopped_.WaitUntil(wait_mutex_, stop_.get_token(), on_system(std::min(earliest_, next)),
                         [] { return false; });
    } else {
      hint.WaitUntil(on_system(next), stop_.get_token());
    }
    if (stop_.stop_requested()) return;
    const MonotonicTime begin = Now();
    int refused = 0;
    if (begin >= earliest_) refused = hint.Take();
    if (refused == 0 && begin < next) continue;
    MakeRoom(refused);
    const MonotonicTime end = Now();
    earliest_ = std::max(earliest_, end + (end - begin) * kLookShare);
    // After a long pass, passes that were missed are left out.
    while (next <= end) next += options_.retention_interval;
  }
}

bool Disk::Watch::HasChanged() {
  const MonotonicTime now = Now();
  if (now - fruitless_->at >= kNewsInterval) return true;
  FileOps& ops = *state_->context->options.ops;
  const absl::StatusOr<DiskUsage> usage = ReadDiskUsage(ops, config_.capture_directory);
  if (!usage.ok()) return true;
  // A small change, such as another process removing a small file, does not count: it would cost a
  // few more files each time, in vain.
  const auto rose = [](uint64_t now_there, uint64_t before, uint64_t of) {
    return now_there > before && now_there - before >= std::max<uint64_t>(of / kNoticedShare, 1);
  };
  const DiskUsage& before = fruitless_->usage;
  if (usage->size != before.size) return true;
  if (fruitless_->limit == Limit::kInodes) {
    if (rose(usage->inodes_available, before.inodes_available, usage->inodes)) return true;
  } else if (rose(usage->free, before.free, usage->size) ||
             rose(usage->available, before.available, usage->size)) {
    return true;
  }
  // Where no write was refused, a file has room all the time.
  if (!fruitless_->room.full()) return false;
  const Room room = MeasureRoom(ops, config_.capture_directory);
  return room.bytes > fruitless_->room.bytes || !room.full();
}

void Disk::Watch::MakeRoom(int refused) {
  if (fruitless_.has_value() && !HasChanged()) {
    earliest_ = Now() + kLookLater;
    MutexLock lock(state_->mutex);
    ++state_->stats.retention_passes;
    return;
  }
  fruitless_.reset();
  const bool again = refused_elsewhere_.has_value() && Now() - *refused_elsewhere_ < kInsistWithin;
  absl::StatusOr<RetentionResult> result =
      RetentionPass(*state_->context, state_->timeline, config_, retention_config_,
                    stop_.get_token(), {.error = refused, .insist = refused != 0 && again})
          .Run();
  if (!result.ok()) {
    earliest_ = Now() + kLookLater;
    if (auto text = filter_.Pass(result.status().ToString(), Now())) {
      logger_.Warning(*std::move(text));
    }
    return;
  }
  Remember(*result, refused);
  Count(*result);
  Tell(*result);
}

void Disk::Watch::Remember(const RetentionResult& result, int refused) {
  const MonotonicTime now = Now();
  if (refused != 0 && result.refused_elsewhere) {
    insisted_ = result.need == Need::kEvict ? insisted_ + 1 : 0;
    refused_elsewhere_ = now;
  } else if (refused != 0) {
    insisted_ = 0;
    refused_elsewhere_.reset();
  }
  const bool in_vain = result.fruitless || insisted_ >= kInsistLimit;
  if (in_vain) {
    fruitless_ =
        Fruitless{.limit = result.limit, .usage = result.after, .room = result.room, .at = now};
    insisted_ = 0;
    refused_elsewhere_.reset();
  }
  const bool gained = SumOf(result).files > 0 && !in_vain;
  if (refused != 0 || in_vain) earliest_ = now + (gained ? kLookAgain : kLookLater);
}

void Disk::Watch::Count(const RetentionResult& result) {
  MutexLock lock(state_->mutex);
  DiskStats& stats = state_->stats;
  ++stats.retention_passes;
  if (result.fruitless) ++stats.fruitless_passes;
  Add(stats.evicted_failed, result.set_aside);
  for (const auto& [collector, count] : result.evicted) {
    Add(stats.evicted, count);
    const bool room = stats.evicted_by_collector.contains(collector) ||
                      stats.evicted_by_collector.size() < kCollectorLimit;
    Add(stats.evicted_by_collector[room ? collector : "others"], count);
  }
  const uint64_t files = SumOf(result).files;
  switch (result.limit) {
    case Limit::kNone:
      break;
    case Limit::kBytes:
      stats.evicted_by_limit.bytes += files;
      break;
    case Limit::kInodes:
      stats.evicted_by_limit.inodes += files;
      break;
    case Limit::kQuota:
      stats.evicted_by_limit.quota += files;
      break;
    case Limit::kUnknown:
      stats.evicted_by_limit.unknown += files;
      break;
  }
}

// Returns the used share of what the limit is about.
std::string Disk::Watch::UsedText(const RetentionResult& result, const DiskUsage& usage) {
  return Percent(result.limit == Limit::kInodes ? usage.inodes_used() : usage.used());
}

std::string Disk::Watch::UsageText(const RetentionResult& result) const {
  std::string text = absl::StrCat("current ", result.limit == Limit::kInodes ? "inode" : "disk",
                                  " usage of the volume of ", config_.capture_directory, " is ",
                                  UsedText(result, result.before));
  if (result.limit == Limit::kQuota) {
    absl::StrAppend(&text, ", and writes are refused because a quota is used up");
  } else if (result.limit == Limit::kUnknown) {
    absl::StrAppend(&text, ", and writes are refused because there is no space left");
  } else {
    absl::StrAppend(&text, " and exceeds the threshold of ",
                    Percent(retention_config_.disk_threshold));
  }
  return text;
}

void Disk::Watch::Tell(const RetentionResult& result) {
  if (!result.error.ok()) {
    // Each file has a name of its own: what failed counts as the same error, not where.
    const auto key = absl::StrCat("evict ", static_cast<int>(result.error.code()));
    if (auto text = filter_.Pass(key, result.error.ToString(), Now())) {
      logger_.Warning(*std::move(text));
    }
  }
  const FileCount evicted = SumOf(result);
  const Need need =
      stop_.stop_requested() ? Need::kNone : (result.fruitless ? Need::kEvict : result.need_after);
  const bool news = evicted.files > 0 ||
                    (need != Need::kNone && (need != need_told_ || Now() - told_ >= kNewsInterval));
  need_told_ = need;
  if (!news) return;
  told_ = Now();
  std::string text = UsageText(result);
  if (evicted.files > 0) {
    absl::StrAppend(&text, "; evicted ", CountText(evicted),
                    " that were not uploaded: ", WhoseText(result), "; it is ",
                    UsedText(result, result.after), " now");
  }
  if (result.fruitless) {
    absl::StrAppend(
        &text,
        evicted.files > 0 ? "; evicting made no room"
                          : "; it still exceeds it, and nothing is left to evict",
        " (limit: ", ToAbsl(LimitName(result.limit)),
        "): another process may be filling the disk, or a snapshot may hold what is removed; "
        "nothing more is evicted until something changes");
  } else if (need == Need::kOthersFillIt) {
    absl::StrAppend(&text, "; the data capture directory takes ",
                    Percent(result.limit == Limit::kInodes ? result.after.captured_inode_share()
                                                           : result.after.captured_share()),
                    " of it, below ", Percent(retention_config_.capture_threshold),
                    ", so nothing more is evicted");
  } else if (need == Need::kEvict) {
    absl::StrAppend(&text, "; it still exceeds it, and the next pass goes on");
  }
  logger_.Warning(std::move(text));
}

void Disk::Watch::Look() {
  std::optional<std::vector<DirectorySummary>> directories =
      Summarize(*state_->context, state_->timeline, config_, stop_.get_token());
  if (!directories.has_value()) return;
  std::vector<std::string> lines;
  for (const DirectorySummary& directory : *directories) lines.push_back(Describe(directory));
  {
    MutexLock lock(state_->mutex);
    state_->stats.directories = *directories;
    ++state_->stats.looks;
    state_->looked = Now();
  }
  for (std::string& line : lines) logger_.Info(absl::StrCat("on disk: ", line));
  DropEmptyFormerRoots(*directories);
  WarnIfStale(*directories);
}

void Disk::Watch::DropEmptyFormerRoots(const std::vector<DirectorySummary>& directories) {
  FormerRoots& former = state_->context->former_roots;
  for (const std::string& path : former.Paths()) {
    const absl::StatusOr<Root> root =
        FindRoot(*state_->context->options.ops, path, DirectorySummary::Role::kFormer);
    const auto summary = std::find_if(directories.begin(), directories.end(),
                                      [&](const DirectorySummary& candidate) {
                                        return root.ok() && candidate.path == root->path;
                                      });
    const bool gone = absl::IsNotFound(root.status());
    const bool empty = summary != directories.end() && IsEmpty(*summary);
    if (!gone && !empty) continue;
    former.Drop(path);
    logger_.Info(absl::StrCat("nothing is left in the former capture_dir ", path,
                              ", which is not walked any more"));
  }
}

void Disk::Watch::WarnIfStale(const std::vector<DirectorySummary>& directories) {
  const MonotonicTime now = Now();
  std::optional<MonotonicTime> said;
  {
    MutexLock lock(state_->mutex);
    said = state_->stale_said;
  }
  std::optional<std::string> text = StaleWarning(directories, config_.interval, said, now);
  if (!text.has_value()) return;
  const bool should_sync = config_.scheduled && state_->context->options.uploader != nullptr;
  logger_.Log(should_sync ? LogLevel::kWarning : LogLevel::kDebug, *std::move(text));
  MutexLock lock(state_->mutex);
  state_->stale_said = now;
}

Disk::Disk(std::shared_ptr<SyncContext> context, DiskOptions options)
    : state_(std::make_shared<State>(std::move(context))), options_(options) {}

Disk::~Disk() {
  // Whoever cares has called Close.
  Close(state_->context->options.clock->MonotonicNow()).IgnoreError();
}

absl::Status Disk::Reconfigure(const config::SyncConfig& config,
                               const config::RetentionConfig& retention, MonotonicTime deadline,
                               std::vector<std::string>* still_running) {
  Logger& logger = *state_->context->options.logger;
  std::shared_ptr<Watch> before;
  {
    MutexLock lock(mutex_);
    if (watch_ != nullptr && watch_->config() == config && watch_->retention() == retention) {
      return absl::OkStatus();
    }
    before = std::exchange(watch_, nullptr);
    config_ = config;
  }
  if (before != nullptr) {
    before->RequestStop();
    if (!before->Join(deadline)) {
      logger.Warning(kThreadHangs);
      if (still_running != nullptr) still_running->push_back("disk");
    }
    const std::string& old = before->config().capture_directory;
    if (old != config.capture_directory) {
      logger.Info(absl::StrCat("capture_dir changes from ", old, " to ", config.capture_directory,
                               ": what waits in the former is uploaded from there"));
    }
    const std::string left = state_->context->former_roots.Move(before->config(), config);
    if (!left.empty()) {
      logger.Warning(absl::StrCat("too many former capture directories: ", left,
                                  " is not walked any more; add it to additional_sync_paths if "
                                  "anything waits in it"));
    }
  }
  auto watch = std::make_shared<Watch>(state_, config, retention, options_);
  absl::Status started = watch->Start();
  bool closed = false;
  {
    MutexLock lock(mutex_);
    closed = closing_.stop_requested();
    if (!closed && started.ok()) watch_ = watch;
  }
  if (!closed && started.ok()) return started;
  watch->RequestStop();
  watch->Join(deadline);
  if (!closed) return started;
  return absl::CancelledError("the disk's watch was closed meanwhile");
}

absl::StatusOr<RetriedFiles> Disk::RetryFailed() {
  std::optional<config::SyncConfig> config;
  {
    MutexLock lock(mutex_);
    config = config_;
  }
  if (!config.has_value()) {
    return absl::FailedPreconditionError("there is no config yet that says where to look");
  }
  SyncContext& context = *state_->context;
  const std::stop_token stop = closing_.get_token();
  std::vector<std::string> unreachable;
  const std::vector<Root> roots =
      RootsOf(*context.options.ops, *config, context.former_roots,
              [&](const absl::Status& status) { unreachable.push_back(status.ToString()); });
  RetriedFiles result = RetryFailedFiles(context, roots, stop);
  result.errors.insert(result.errors.begin(), unreachable.begin(), unreachable.end());
  if (stop.stop_requested()) return absl::CancelledError("the data manager is being closed");
  // Whoever asks for it has reason to believe that the server takes them.
  if (result.moved > 0) context.breaker.MakeDue(context.options.clock->MonotonicNow());
  if (result.moved + result.left > 0) {
    context.options.logger->Info(absl::StrCat("put ", result.moved, " files back from failed/, ",
                                              result.left, " stay there"));
  }
  return result;
}

absl::Status Disk::Stop(MonotonicTime deadline) {
  std::shared_ptr<Watch> watch;
  {
    MutexLock lock(mutex_);
    watch = std::exchange(watch_, nullptr);
  }
  if (watch == nullptr) return absl::OkStatus();
  watch->RequestStop();
  if (watch->Join(deadline)) return absl::OkStatus();
  return absl::DeadlineExceededError(kThreadHangs);
}

void Disk::RequestStop() {
  closing_.request_stop();
  std::shared_ptr<Watch> watch;
  {
    MutexLock lock(mutex_);
    watch = watch_;
  }
  if (watch != nullptr) watch->RequestStop();
}

absl::Status Disk::Close(MonotonicTime deadline) {
  RequestStop();
  return Stop(deadline);
}

DiskStats Disk::Stats() const {
  const MonotonicTime now = state_->context->options.clock->MonotonicNow();
  MutexLock lock(state_->mutex);
  DiskStats stats = state_->stats;
  if (stats.looks > 0) {
    stats.age = std::chrono::duration_cast<std::chrono::milliseconds>(now - state_->looked);
  }
  return stats;
}

}  // namespace datamanager::sync
