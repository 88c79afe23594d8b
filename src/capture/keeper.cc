#include "capture/keeper.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "base/thread.h"
#include "capture/in_progress_files.h"
#include "capture/live_files.h"
#include "capture/sequence_recovery.h"
#include "capture_file/recovery.h"

namespace datamanager::capture {
namespace {

using capture_file::Writer;

// Directories that are recovered; sync's figure for former ones, and the one in use.
constexpr size_t kRootLimit = 9;
// Recovered files that are flushed together: each holds a descriptor until it is published.
constexpr size_t kRecoveredTogether = 64;
// How many failures are remembered for waiting callers.
constexpr size_t kFailuresKept = 64;
// How long after its last flush the keeper stops preventing the unmount of a file system.
constexpr std::chrono::minutes kReleaseAfter{1};

}  // namespace

// Co-owned by the thread, which may outlive the Keeper when the disk hangs.
struct Keeper::State : std::enable_shared_from_this<State> {
  explicit State(KeeperOptions keeper_options)
      : options(std::move(keeper_options)),
        began(options.clock->WallNow()),
        recoverer(*options.ops, *options.clock) {}

  const KeeperOptions options;
  const WallTime began;
  KeeperCounters counters;
  LiveFiles live;
  std::unique_ptr<GroupFlush> group_flush;  // Set before the thread starts.

  Mutex mutex;
  CondVar changed;
  std::deque<FinishedFile> queue DM_GUARDED_BY(mutex);
  // Files whose device hangs.
  std::vector<FinishedFile> held DM_GUARDED_BY(mutex);
  // Finished files that were removed, and that could not be copied yet.
  std::vector<FinishedFile> removed DM_GUARDED_BY(mutex);
  uint64_t last_ticket DM_GUARDED_BY(mutex) = 0;
  std::set<uint64_t> unsettled DM_GUARDED_BY(mutex);  // Tickets of files that are not settled.
  std::deque<std::pair<uint64_t, absl::Status>> failures DM_GUARDED_BY(mutex);
  FlushPolicy policy DM_GUARDED_BY(mutex);
  // The last one is captured to; those before it stay until nothing is in progress in them.
  std::vector<std::string> recovery_roots DM_GUARDED_BY(mutex);
  bool closing DM_GUARDED_BY(mutex) = false;
  bool ended DM_GUARDED_BY(mutex) = false;  // The thread takes nothing more from the queue.
  MonotonicTime close_deadline DM_GUARDED_BY(mutex) = MonotonicTime::max();
  bool poked DM_GUARDED_BY(mutex) = false;    // The time of the next task has changed.
  bool awaited DM_GUARDED_BY(mutex) = false;  // A caller waits for files that were handed over.
  bool back DM_GUARDED_BY(mutex) = false;     // A device that hung has returned.
  // When what is to be done; never, if there is nothing.
  MonotonicTime look_due DM_GUARDED_BY(mutex) = MonotonicTime::max();
  MonotonicTime flush_due DM_GUARDED_BY(mutex) = MonotonicTime::max();
  MonotonicTime held_due DM_GUARDED_BY(mutex) = MonotonicTime::max();
  MonotonicTime removed_due DM_GUARDED_BY(mutex) = MonotonicTime::max();
  MonotonicTime outstanding_due DM_GUARDED_BY(mutex) = MonotonicTime::max();
  MonotonicTime release_due DM_GUARDED_BY(mutex) = MonotonicTime::max();
  MonotonicTime recovery_due DM_GUARDED_BY(mutex) = MonotonicTime::max();
  Thread thread;  // The Keeper's only.

  // The thread's only.
  capture_file::Recoverer recoverer;
  std::vector<FinishedFile> recovered;  // To be flushed in the next round.

  enum class Task : uint8_t { kRound, kLook, kRecover, kRelease, kEnd };

  void Run();
  Task NextTask();
  // Returns the task that is due at this moment; nullopt: only recovery, or none.
  std::optional<Task> DueNow(MonotonicTime now) DM_REQUIRES(mutex);
  void EnqueueDue(MonotonicTime now) DM_REQUIRES(mutex);
  bool LiveFlushIsDue(MonotonicTime now) DM_REQUIRES(mutex);
  void Look();
  void Round();
  void Apply(RoundResult result, bool live, MonotonicTime begin);
  void Settle(uint64_t ticket, absl::Status status) DM_REQUIRES(mutex);
  bool KeepGoing();
  void Recover();
  bool RecoverTree(const std::string& root, bool former);
  bool RecoverSequencesIn(const std::string& root);
  bool RecoverOne(const std::string& root, const std::string& path);
  void LeaveInProgress(std::unique_ptr<Writer> file);

  MonotonicTime Now() const { return options.clock->MonotonicNow(); }
  void Poke() DM_REQUIRES(mutex) {
    poked = true;
    changed.NotifyAll();
  }
  // Schedules an early search for files that have lost their owner.
  void RecoverSoon() DM_REQUIRES(mutex) {
    recovery_due = std::min(recovery_due, Now() + options.given_up_delay);
    Poke();
  }
  void Complain(std::string_view what, const absl::Status& status) {
    group_flush->Complain(what, status);
  }
};

void Keeper::State::Run() {
  while (true) {
    switch (NextTask()) {
      case Task::kRound:
        Round();
        break;
      case Task::kLook:
        Look();
        break;
      case Task::kRecover:
        Recover();
        break;
      case Task::kRelease:
        group_flush->Release();
        break;
      case Task::kEnd:
        return;
    }
  }
}

// Puts files that are due for another attempt back into the queue.
void Keeper::State::EnqueueDue(MonotonicTime now) {
  const auto enqueue = [this](std::vector<FinishedFile>& files, MonotonicTime& due) {
    mutex.AssertHeld();
    for (FinishedFile& file : files) queue.push_back(std::move(file));
    files.clear();
    due = MonotonicTime::max();
  };
  if (closing || removed_due <= now) enqueue(removed, removed_due);
  if (back || held_due <= now || (closing && close_deadline <= now)) {
    back = false;
    enqueue(held, held_due);
  }
}

// A file that was begun after the last round is flushed at the latest one interval after its
// beginning.
bool Keeper::State::LiveFlushIsDue(MonotonicTime now) {
  if (flush_due > now) return false;
  const std::optional<MonotonicTime> oldest = live.OldestUnflushed();
  if (!oldest.has_value()) {
    flush_due = MonotonicTime::max();
    return false;
  }
  if (*oldest + policy.interval <= now) return true;
  flush_due = *oldest + policy.interval;
  return false;
}

std::optional<Keeper::State::Task> Keeper::State::DueNow(MonotonicTime now) {
  EnqueueDue(now);
  if (look_due <= now) {
    look_due = now + options.look_interval;
    return Task::kLook;
  }
  if (!queue.empty() || LiveFlushIsDue(now) || outstanding_due <= now ||
      (awaited && !recovered.empty())) {
    return Task::kRound;
  }
  return std::nullopt;
}

// Waits for the next task. Recovery has the lowest priority: it takes long, and other tasks run
// between its steps.
Keeper::State::Task Keeper::State::NextTask() {
  MutexLock lock(mutex);
  while (true) {
    const MonotonicTime now = Now();
    if (closing) {
      EnqueueDue(now);
      if (!queue.empty()) return Task::kRound;
      if (held.empty()) {
        ended = true;
        return Task::kEnd;
      }
    } else {
      if (const std::optional<Task> due = DueNow(now)) return *due;
      if (release_due <= now) {
        release_due = MonotonicTime::max();
        return Task::kRelease;
      }
      if (recovery_due <= now) {
        recovery_due = MonotonicTime::max();
        return Task::kRecover;
      }
    }
    poked = false;
    const MonotonicTime next = closing ? close_deadline
                                       : std::min({look_due, flush_due, held_due, removed_due,
                                                   outstanding_due, release_due, recovery_due});
    const bool was_closing = closing;
    changed.WaitUntil(mutex, next, [this, was_closing] {
      mutex.AssertHeld();
      return closing != was_closing || poked || back || !queue.empty();
    });
  }
}

// A collector whose file was removed or moved writes data that sync does not find.
void Keeper::State::Look() {
  live.LookForDisplaced(*options.ops);
  if (!live.empty()) return;
  MutexLock lock(mutex);
  if (live.empty()) look_due = MonotonicTime::max();
}

// Flushes and publishes the files that are there.
void Keeper::State::Round() {
  std::vector<FinishedFile> files = std::exchange(recovered, {});
  const MonotonicTime begin = Now();
  FlushPolicy in_force;
  bool live_too = false;
  bool last = false;
  {
    MutexLock lock(mutex);
    for (FinishedFile& file : queue) files.push_back(std::move(file));
    queue.clear();
    in_force = policy;
    live_too = LiveFlushIsDue(begin);
    last = closing && close_deadline <= begin;
    outstanding_due = MonotonicTime::max();
    awaited = false;
  }
  Apply(group_flush->Run(std::move(files), live_too, in_force, last), live_too, begin);
}

void Keeper::State::Apply(RoundResult result, bool live_too, MonotonicTime begin) {
  {
    MutexLock lock(mutex);
    for (auto& [ticket, status] : result.settled) Settle(ticket, std::move(status));
    for (FinishedFile& file : result.again) queue.push_back(std::move(file));
    for (FinishedFile& file : result.held) {
      held_due = std::min(held_due, file.handed_over + options.flush_patience);
      held.push_back(std::move(file));
    }
    for (FinishedFile& file : result.removed) {
      if (!closing) {
        removed_due = std::min(removed_due, Now() + options.given_up_delay);
        removed.push_back(std::move(file));
        continue;
      }
      ++counters.lost;
      options.logger->Error(absl::StrCat("the records in ", file.file->path(),
                                         " are lost: it was removed, and could not be copied"));
    }
    if (result.recover) RecoverSoon();
    if (live_too && policy.durability == Durability::kPeriodic) flush_due = begin + policy.interval;
    if (group_flush->HasOutstanding()) outstanding_due = Now() + options.recovery_interval;
    release_due = Now() + kReleaseAfter;
    changed.NotifyAll();
  }
  if (options.on_published) {
    for (const std::string& path : result.hints) options.on_published(path);
  }
}

void Keeper::State::Settle(uint64_t ticket, absl::Status status) {
  unsettled.erase(ticket);
  if (status.ok()) return;
  failures.emplace_back(ticket, std::move(status));
  if (failures.size() > kFailuresKept) failures.pop_front();
}

// Called between the steps of a recovery. False ends it.
bool Keeper::State::KeepGoing() {
  while (true) {
    std::optional<Task> due;
    {
      MutexLock lock(mutex);
      if (closing) return false;
      due = DueNow(Now());
    }
    if (!due.has_value()) return true;
    if (*due == Task::kLook) {
      Look();
    } else {
      Round();
    }
  }
}

void Keeper::State::Recover() {
  std::vector<std::string> roots;
  {
    MutexLock lock(mutex);
    roots = recovery_roots;
  }
  bool complete = true;
  for (const std::string& root : roots) {
    const bool former = root != roots.back();
    const bool recovered_all = RecoverTree(root, former);
    complete = recovered_all && complete;
    MutexLock lock(mutex);
    if (recovered_all && former && !closing && recovery_roots.back() != root) {
      std::erase(recovery_roots, root);
    }
  }
  if (!recovered.empty()) Round();
  recoverer.EndPass();
  if (complete) return;
  MutexLock lock(mutex);
  recovery_due = std::min(recovery_due, Now() + options.recovery_interval);
}

// False: to be looked at again.
bool Keeper::State::RecoverTree(const std::string& root, bool former) {
  bool complete = RecoverSequencesIn(root);
  absl::Status status = ForEachInProgressFile(
      *options.ops, root,
      [&](const std::string& path) {
        // A collector that is still ending may write to a former directory.
        complete = RecoverOne(root, path) && !(former && live.Contains(path)) && complete;
        if (recovered.size() >= kRecoveredTogether) Round();
      },
      [this] { return KeepGoing(); });
  if (status.ok()) return complete;
  if (!absl::IsCancelled(status)) Complain("recover", Wrap(status, "recover"));
  return false;
}

// False: to be looked at again.
bool Keeper::State::RecoverSequencesIn(const std::string& root) {
  absl::Status status =
      RecoverSequences(*options.ops, root,
                       {.run_began = began,
                        .ended = [this](const std::string& text) { options.logger->Info(text); },
                        .keep_going = [this] { return KeepGoing(); }});
  if (status.ok()) return true;
  if (!absl::IsUnavailable(status) && !absl::IsCancelled(status))
    Complain("sequences", Wrap(status, "recover"));
  return false;
}

// False: to be looked at again.
bool Keeper::State::RecoverOne(const std::string& root, const std::string& path) {
  if (live.Contains(path)) return true;
  absl::StatusOr<capture_file::Recovery> recovery =
      recoverer.Recover(root, path, [this] { return KeepGoing(); });
  if (!recovery.ok()) {
    // Recovery ended because the keeper closes: the next run handles the file, which is unchanged.
    if (!absl::IsCancelled(recovery.status())) Complain(path, Wrap(recovery.status(), "recover"));
    return false;
  }
  const std::string cut =
      recovery->cut_bytes == 0
          ? ""
          : absl::StrCat("; its last ", recovery->cut_bytes, " bytes were no whole record");
  counters.salvaged_records += recovery->salvaged;
  if (recovery->unfinished) ++counters.unfinished_records;
  if (!recovery->further.empty() || !recovery->remainder.empty()) {
    options.logger->Warning(absl::StrCat(
        path, ", left in progress by a process that ended, is damaged (", recovery->damage, ")",
        recovery->further.empty()
            ? ""
            : absl::StrCat("; ", recovery->salvaged, " whole records behind the damage are in ",
                           recovery->further),
        recovery->remainder.empty()
            ? ""
            : absl::StrCat("; ", recovery->remainder_bytes,
                           " bytes that are no whole record are kept in ", recovery->remainder)));
  }
  if (options.on_published && !recovery->further.empty()) options.on_published(recovery->further);
  switch (recovery->outcome) {
    case capture_file::RecoveryOutcome::kRecovered: {
      MutexLock lock(mutex);
      unsettled.insert(++last_ticket);
      recovered.push_back({.file = std::move(recovery->file),
                           .ticket = last_ticket,
                           .handed_over = Now(),
                           .recovered = true,
                           .note = cut});
      return true;
    }
    case capture_file::RecoveryOutcome::kRemovedEmpty:
      options.logger->Info(
          absl::StrCat("removed ", path, ", left without a record by a process that ended", cut));
      return true;
    case capture_file::RecoveryOutcome::kInUse:
      return false;
    case capture_file::RecoveryOutcome::kJustWritten: {
      MutexLock lock(mutex);
      RecoverSoon();
      return false;
    }
    case capture_file::RecoveryOutcome::kNotOurs:
      return true;
  }
  return true;
}

// A file that is closed is left to the next run. One without a name would be lost: it is copied to
// a place where the next run finds it.
void Keeper::State::LeaveInProgress(std::unique_ptr<Writer> file) {
  live.Remove(file->path());
  if (file->removed()) {
    absl::StatusOr<std::unique_ptr<Writer>> copy = file->CopyRemoved();
    if (!copy.ok()) {
      ++counters.lost;
      options.logger->Error(absl::StrCat("the records in ", file->path(),
                                         " are lost: it was removed, and ",
                                         copy.status().message()));
      return;
    }
  }
  ++counters.left_in_progress;
}

absl::StatusOr<std::unique_ptr<Keeper>> Keeper::Start(KeeperOptions options) {
  auto state = std::make_shared<State>(std::move(options));
  const KeeperOptions& own = state->options;
  CommitterOptions committer{.ops = own.ops,
                             .clock = own.clock,
                             .patience = own.flush_patience,
                             .meanwhile_interval = own.look_interval};
  committer.meanwhile = [raw = state.get()] { raw->live.LookForDisplaced(*raw->options.ops); };
  // A thread that may outlive the state calls this. The state co-owns the committer, so this holds
  // only a weak pointer to the state. `on_published` co-owns the objects that the disk's calls
  // need.
  committer.recovered = [weak = state->weak_from_this(), alive = own.on_published] {
    if (const std::shared_ptr<State> there = weak.lock()) {
      MutexLock lock(there->mutex);
      there->back = true;
      there->outstanding_due = there->Now();
      there->Poke();
    }
  };
  state->group_flush = std::make_unique<GroupFlush>(GroupFlushOptions{.ops = own.ops,
                                                                      .clock = own.clock,
                                                                      .logger = own.logger,
                                                                      .counters = &state->counters,
                                                                      .live = &state->live,
                                                                      .committer = committer});
  absl::StatusOr<Thread> thread =
      Thread::Start("dm-keeper", kOwnStackBytes, [state] { state->Run(); });
  if (!thread.ok()) return thread.status();
  state->thread = *std::move(thread);
  return std::unique_ptr<Keeper>(new Keeper(std::move(state)));
}

Keeper::~Keeper() { Close(Clock::System().MonotonicNow()); }

void Keeper::SetFlushPolicy(FlushPolicy policy) {
  MutexLock lock(state_->mutex);
  if (state_->policy == policy) return;
  state_->policy = policy;
  const bool flush = policy.durability == Durability::kPeriodic && !state_->live.empty();
  state_->flush_due = flush ? state_->Now() + policy.interval : MonotonicTime::max();
  state_->Poke();
}

void Keeper::Announce(const Writer& file, std::function<void()> displaced) {
  const MonotonicTime now = state_->Now();
  state_->live.Add(file, std::move(displaced), now);
  MutexLock lock(state_->mutex);
  bool poke = false;
  const auto earlier = [&poke](MonotonicTime& due, MonotonicTime time) {
    if (due != MonotonicTime::max()) return;
    due = time;
    poke = true;
  };
  earlier(state_->look_due, now + state_->options.look_interval);
  if (state_->policy.durability == Durability::kPeriodic) {
    earlier(state_->flush_due, now + state_->policy.interval);
  }
  if (poke) state_->Poke();
}

void Keeper::Publish(std::unique_ptr<Writer> file) {
  const bool failed = state_->live.HasFailed(file->path());
  state_->live.Finish(file->path());
  {
    MutexLock lock(state_->mutex);
    if (!state_->ended) {
      state_->unsettled.insert(++state_->last_ticket);
      state_->queue.push_back({.file = std::move(file),
                               .ticket = state_->last_ticket,
                               .handed_over = state_->Now(),
                               .flush_failed = failed});
      state_->changed.NotifyAll();
      return;
    }
  }
  state_->LeaveInProgress(std::move(file));
}

void Keeper::Abandon(std::unique_ptr<Writer> file) {
  const std::string path = file->path();
  const bool gone = !file->broken() && !file->has_records() && file->Discard();
  file.reset();
  state_->live.Remove(path);
  if (gone) return;
  MutexLock lock(state_->mutex);
  state_->RecoverSoon();
}

uint64_t Keeper::handed_over() const {
  MutexLock lock(state_->mutex);
  return state_->last_ticket;
}

absl::Status Keeper::WaitUntilPublished(MonotonicTime deadline, std::stop_token stop,
                                        uint64_t known) {
  MutexLock lock(state_->mutex);
  state_->awaited = true;
  const uint64_t target = state_->last_ticket;
  const uint64_t first =
      state_->unsettled.empty() ? known + 1 : std::min(known + 1, *state_->unsettled.begin());
  const bool settled = state_->changed.WaitUntil(state_->mutex, stop, deadline, [this, target] {
    state_->mutex.AssertHeld();
    return state_->unsettled.empty() || *state_->unsettled.begin() > target;
  });
  for (const auto& [ticket, status] : state_->failures) {
    if (ticket >= first && ticket <= target) return status;
  }
  if (settled) return absl::OkStatus();
  const size_t left = static_cast<size_t>(
      std::distance(state_->unsettled.begin(), state_->unsettled.upper_bound(target)));
  const std::string text = absl::StrCat(left, " finished files are not flushed to the medium yet");
  if (stop.stop_requested()) return absl::CancelledError(text);
  return absl::DeadlineExceededError(text);
}

void Keeper::Recover(const std::string& capture_dir) {
  MutexLock lock(state_->mutex);
  std::vector<std::string>& roots = state_->recovery_roots;
  std::erase(roots, capture_dir);
  roots.push_back(capture_dir);
  if (roots.size() > kRootLimit) roots.erase(roots.begin());
  state_->recovery_due = state_->Now();
  state_->Poke();
}

void Keeper::Close(MonotonicTime deadline) {
  {
    MutexLock lock(state_->mutex);
    state_->closing = true;
    state_->close_deadline = std::min(state_->close_deadline, deadline);
    state_->changed.NotifyAll();
  }
  state_->group_flush->EndBy(deadline);
  if (state_->thread.JoinUntil(deadline)) return;
  state_->thread.Detach();
  std::deque<FinishedFile> left;
  {
    MutexLock lock(state_->mutex);
    state_->ended = true;
    left.swap(state_->queue);
  }
  for (FinishedFile& file : left) state_->LeaveInProgress(std::move(file.file));
}

const KeeperCounters& Keeper::counters() const { return state_->counters; }

SalvageStats Keeper::salvage() const {
  const capture_file::Remainders& remainders = state_->recoverer.remainders();
  return {.records = state_->counters.salvaged_records,
          .unfinished_records = state_->counters.unfinished_records,
          .kept_remainders = {remainders.kept_files(), remainders.kept_bytes()},
          .removed_remainders = {remainders.removed_files(), remainders.removed_bytes()}};
}

}  // namespace datamanager::capture
