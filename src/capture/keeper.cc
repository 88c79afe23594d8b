#include "capture/keeper.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/durable_names.h"
#include "base/mutex.h"
#include "base/repeat_filter.h"
#include "base/strings.h"
#include "base/thread.h"
#include "capture/in_progress_files.h"
#include "capture/sequence_recovery.h"
#include "capture_file/recovery.h"

namespace datamanager::capture {
namespace {

using capture_file::Writer;

// Each queued file holds a descriptor; a robot's limit is often 1,024.
constexpr size_t kQueueLimit = 128;
// Directories that are recovered; sync's figure for former ones, and the one in use.
constexpr size_t kRootLimit = 9;

// A file that a collector writes.
struct LiveFile {
  FileId id;
  std::function<void()> displaced;
  uint64_t flushed_size = 0;
  bool named = false;  // Its name is durable.
};

}  // namespace

// Co-owned by the thread, which may outlive the Keeper when the disk hangs.
struct Keeper::State {
  explicit State(KeeperOptions keeper_options)
      : options(std::move(keeper_options)),
        began(options.clock->WallNow()),
        recoverer(*options.ops, *options.clock),
        names(*options.ops) {}

  const KeeperOptions options;
  const WallTime began;
  std::atomic<uint64_t> published{0};
  std::atomic<uint64_t> recovered{0};
  std::atomic<uint64_t> unflushed{0};
  std::atomic<uint64_t> failed_flushes{0};
  std::atomic<uint64_t> lost{0};

  Mutex mutex;
  CondVar changed;
  std::deque<std::unique_ptr<Writer>> queue DM_GUARDED_BY(mutex);
  uint64_t accepted DM_GUARDED_BY(mutex) = 0;  // Files ever queued.
  uint64_t done DM_GUARDED_BY(mutex) = 0;      // Of these, files dealt with.
  std::map<std::string, LiveFile> live DM_GUARDED_BY(mutex);
  // Finished files that somebody removed, and that could not be copied yet.
  std::vector<std::unique_ptr<Writer>> removed DM_GUARDED_BY(mutex);
  FlushPolicy policy DM_GUARDED_BY(mutex);
  // The last one is captured to; those before it stay until nothing is in progress in them.
  std::vector<std::string> recovery_roots DM_GUARDED_BY(mutex);
  bool closing DM_GUARDED_BY(mutex) = false;
  bool poked DM_GUARDED_BY(mutex) = false;  // What is due when has changed.
  // When what is to be done; never, if there is nothing.
  MonotonicTime look_due DM_GUARDED_BY(mutex) = MonotonicTime::max();
  MonotonicTime flush_due DM_GUARDED_BY(mutex) = MonotonicTime::max();
  MonotonicTime removed_due DM_GUARDED_BY(mutex) = MonotonicTime::max();
  MonotonicTime recovery_due DM_GUARDED_BY(mutex) = MonotonicTime::max();
  Thread thread;  // The Keeper's only.

  RepeatFilter filter DM_GUARDED_BY(mutex);

  // The thread's only.
  capture_file::Recoverer recoverer;
  DurableNames names;

  enum class Task : uint8_t { kPublish, kLookAtLive, kFlushLive, kRecover, kEnd };

  void Run();
  Task NextTask();
  void PublishQueued();
  std::unique_ptr<Writer> TakeQueued();
  absl::StatusOr<std::string> Publish(std::unique_ptr<Writer>& file, bool flush, bool copy);
  void FlushFinished(Writer& file);
  void GiveUp(std::unique_ptr<Writer> file, const absl::Status& why);
  void LookAtLive();
  void FlushLive();
  absl::Status FlushOne(const std::string& path, LiveFile& file);
  void Recover();
  bool RecoverTree(const std::string& root, bool former);
  bool RecoverSequencesIn(const std::string& root);
  bool RecoverOne(const std::string& path);
  bool IsLive(const std::string& path) {
    MutexLock lock(mutex);
    return live.contains(path);
  }

  MonotonicTime Now() const { return options.clock->MonotonicNow(); }
  void Poke() DM_REQUIRES(mutex) {
    poked = true;
    changed.NotifyAll();
  }
  void Forget(const std::string& path) {
    MutexLock lock(mutex);
    live.erase(path);
    if (live.empty()) look_due = flush_due = MonotonicTime::max();
  }
  // The file behind `path`, by the order of their paths, into which its own is put.
  std::optional<FileId> NextLive(std::string& path) {
    MutexLock lock(mutex);
    const auto next = live.upper_bound(path);
    if (next == live.end()) return std::nullopt;
    path = next->first;
    return next->second.id;
  }
  std::map<std::string, LiveFile> LiveFiles() {
    MutexLock lock(mutex);
    return live;
  }
  // Each file has a name of its own: what failed counts as the same error, not where.
  void Complain(std::string_view what, const absl::Status& status) {
    std::optional<std::string> text;
    {
      MutexLock lock(mutex);
      text = filter.Pass(absl::StrCat(ToAbsl(what), " ", static_cast<int>(status.code())),
                         status.ToString(absl::StatusToStringMode::kWithNoExtraData), Now());
    }
    if (text.has_value()) options.logger->Error(*std::move(text));
  }
  // Looks soon for what nobody owns any more.
  void RecoverSoon() {
    MutexLock lock(mutex);
    recovery_due = std::min(recovery_due, Now() + options.given_up_delay);
    Poke();
  }
  // Of finished files.
  bool WantsFlush() {
    MutexLock lock(mutex);
    return policy.durability != Durability::kProcess;
  }
  bool Closing() {
    MutexLock lock(mutex);
    return closing;
  }
};

void Keeper::State::Run() {
  while (true) {
    switch (NextTask()) {
      case Task::kPublish:
        PublishQueued();
        break;
      case Task::kLookAtLive:
        LookAtLive();
        break;
      case Task::kFlushLive:
        FlushLive();
        break;
      case Task::kRecover:
        Recover();
        break;
      case Task::kEnd:
        return;
    }
  }
}

// Waits for it. What is done now and then comes before the queue, which would else keep it from
// ever being done, and has the queue published between its steps.
Keeper::State::Task Keeper::State::NextTask() {
  MutexLock lock(mutex);
  while (true) {
    const MonotonicTime now = Now();
    if (closing || removed_due <= now) {
      for (std::unique_ptr<Writer>& file : removed) {
        queue.push_back(std::move(file));
        ++accepted;
      }
      removed.clear();
      removed_due = MonotonicTime::max();
    }
    if (closing) return queue.empty() ? Task::kEnd : Task::kPublish;
    if (look_due <= now) {
      look_due = now + options.look_interval;
      return Task::kLookAtLive;
    }
    if (flush_due <= now) {
      flush_due = MonotonicTime::max();
      return Task::kFlushLive;
    }
    if (!queue.empty()) return Task::kPublish;
    if (recovery_due <= now) {
      recovery_due = MonotonicTime::max();
      return Task::kRecover;
    }
    poked = false;
    changed.WaitUntil(mutex, std::min({look_due, flush_due, removed_due, recovery_due}), [this] {
      mutex.AssertHeld();
      return closing || poked || !queue.empty();
    });
  }
}

std::unique_ptr<Writer> Keeper::State::TakeQueued() {
  MutexLock lock(mutex);
  if (queue.empty()) return nullptr;
  std::unique_ptr<Writer> file = std::move(queue.front());
  queue.pop_front();
  return file;
}

// A batch is what is queued now. Its files stay in the queue until their turn, so that Close can
// take them from behind a flush that hangs.
void Keeper::State::PublishQueued() {
  size_t batch = 0;
  {
    MutexLock lock(mutex);
    batch = queue.size();
  }
  const bool flush = WantsFlush();
  uint64_t count = 0;
  std::vector<std::string> hints;
  std::set<std::string> directories;
  for (; count < batch; ++count) {
    std::unique_ptr<Writer> file = TakeQueued();
    if (file == nullptr) break;
    const std::string in_progress = file->path();
    absl::StatusOr<std::string> path = Publish(file, flush, /*copy=*/true);
    if (path.ok()) {
      // Closed before the hint, so that its upload does not find it open.
      file.reset();
      ++published;
      directories.insert(ParentPath(*path));
      // What was moved away is no business of sync's.
      if (ParentPath(*path) == ParentPath(in_progress)) hints.push_back(*std::move(path));
    } else {
      GiveUp(std::move(file), path.status());
    }
    Forget(in_progress);
  }
  if (flush) {
    for (const std::string& directory : directories) {
      if (absl::Status status = names.Flush(directory); !status.ok()) {
        Complain("flush directory", status);
      }
    }
  }
  {
    MutexLock lock(mutex);
    done += count;
    changed.NotifyAll();
  }
  if (options.on_published) {
    for (const std::string& path : hints) options.on_published(path);
  }
}

// Renames a finished file, and before that flushes it, if wanted. One that somebody has removed is
// copied, if wanted, and replaced by its copy.
absl::StatusOr<std::string> Keeper::State::Publish(std::unique_ptr<Writer>& file, bool flush,
                                                   bool copy) {
  if (flush) FlushFinished(*file);
  absl::StatusOr<std::string> path = file->Publish();
  if (path.ok() || !copy || !file->removed()) return path;
  absl::StatusOr<std::unique_ptr<Writer>> copied = file->CopyRemoved();
  if (!copied.ok()) return copied.status();
  options.logger->Warning(
      absl::StrCat(path.status().message(), "; they are copied to ", (*copied)->path()));
  file = *std::move(copied);
  if (flush) FlushFinished(*file);
  return file->Publish();
}

// What cannot be flushed is published all the same: it is as good as it will ever be, and the
// upload that follows reads it back.
void Keeper::State::FlushFinished(Writer& file) {
  absl::Status status = file.Flush();
  if (status.ok()) return;
  ++unflushed;
  Complain("flush", status);
}

// What could not be published is nobody's now, and recovery publishes it when the disk allows. What
// has no name, recovery does not find: it is kept, and tried again, as long as there is room.
void Keeper::State::GiveUp(std::unique_ptr<Writer> file, const absl::Status& why) {
  Complain("publish", why);
  if (!file->removed()) {
    file.reset();
    RecoverSoon();
    return;
  }
  const std::string path = file->path();
  {
    MutexLock lock(mutex);
    if (!closing && removed.size() < kQueueLimit) {
      removed.push_back(std::move(file));
      removed_due = std::min(removed_due, Now() + options.given_up_delay);
      Poke();
      return;
    }
  }
  ++lost;
  options.logger->Error(
      absl::StrCat("the records in ", path, " are lost: it was removed, and ", why.message()));
}

// Whoever writes to a file that lost its name would write for nobody.
// Often, and of every collector's file: without a copy of all that is known of them.
void Keeper::State::LookAtLive() {
  std::string path;
  for (std::optional<FileId> id = NextLive(path); id.has_value(); id = NextLive(path)) {
    struct stat info {};
    const bool there = options.ops->Lstat(path.c_str(), &info) == 0;
    if (there ? FileId::Of(info) == *id : errno != ENOENT && errno != ENOTDIR) continue;
    std::function<void()> displaced;
    {
      MutexLock lock(mutex);
      const auto file = live.find(path);
      if (file == live.end() || file->second.id != *id) continue;
      displaced = file->second.displaced;
    }
    displaced();
  }
}

void Keeper::State::FlushLive() {
  for (auto& [path, file] : LiveFiles()) {
    PublishQueued();
    if (Closing()) return;
    if (absl::Status status = FlushOne(path, file); !status.ok()) {
      ++failed_flushes;
      Complain("flush in progress", status);
      continue;
    }
    MutexLock lock(mutex);
    const auto entry = live.find(path);
    if (entry == live.end() || entry->second.id != file.id) continue;
    entry->second.flushed_size = file.flushed_size;
    entry->second.named = file.named;
  }
  MutexLock lock(mutex);
  if (live.empty() || policy.durability != Durability::kPeriodic) return;
  flush_due = std::min(flush_due, Now() + policy.interval);
}

// Flushes a file that has grown, then its name.
absl::Status Keeper::State::FlushOne(const std::string& path, LiveFile& file) {
  FileOps& ops = *options.ops;
  struct stat info {};
  // Published or displaced since: that is somebody else's to see to.
  if (ops.Lstat(path.c_str(), &info) != 0 || FileId::Of(info) != file.id) return absl::OkStatus();
  if (static_cast<uint64_t>(info.st_size) == file.flushed_size) return absl::OkStatus();
  absl::StatusOr<UniqueFd> fd = OpenFile(ops, path, O_RDONLY);
  if (absl::IsNotFound(fd.status())) return absl::OkStatus();
  if (!fd.ok()) return fd.status();
  if (ops.Fstat(fd->get(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (FileId::Of(info) != file.id) return absl::OkStatus();
  if (ops.Fdatasync(fd->get()) != 0) return ErrnoStatus(errno, "flush", path);
  if (!file.named) {
    if (absl::Status status = names.Flush(ParentPath(path)); !status.ok()) return status;
    file.named = true;
  }
  file.flushed_size = static_cast<uint64_t>(info.st_size);
  return absl::OkStatus();
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
  recoverer.EndPass();
  if (complete) return;
  MutexLock lock(mutex);
  recovery_due = std::min(recovery_due, Now() + options.recovery_interval);
}

// False: to be looked at again.
bool Keeper::State::RecoverTree(const std::string& root, bool former) {
  bool complete = RecoverSequencesIn(root);
  absl::Status status = ForEachInProgressFile(*options.ops, root, [&](const std::string& path) {
    PublishQueued();
    if (Closing()) return false;
    // A collector that was told to end may still write to a former directory.
    complete = RecoverOne(path) && !(former && IsLive(path)) && complete;
    return true;
  });
  if (status.ok()) return complete;
  Complain("recover", Wrap(status, "recover"));
  return false;
}

// False: to be looked at again.
bool Keeper::State::RecoverSequencesIn(const std::string& root) {
  absl::Status status = RecoverSequences(
      *options.ops, root, {.run_began = began, .ended = [this](const std::string& text) {
                             options.logger->Info(text);
                           }});
  if (status.ok()) return true;
  if (!absl::IsUnavailable(status)) Complain("sequences", Wrap(status, "recover"));
  return false;
}

// False: to be looked at again.
bool Keeper::State::RecoverOne(const std::string& path) {
  if (IsLive(path)) return true;
  absl::StatusOr<capture_file::Recovery> recovery = recoverer.Recover(path);
  if (!recovery.ok()) {
    Complain(path, Wrap(recovery.status(), "recover"));
    return false;
  }
  const std::string cut =
      recovery->cut_bytes == 0
          ? ""
          : absl::StrCat("; its last ", recovery->cut_bytes, " bytes were no whole record");
  switch (recovery->outcome) {
    case capture_file::RecoveryOutcome::kPublished:
      ++recovered;
      options.logger->Info(absl::StrCat("recovered ", recovery->path,
                                        ", left in progress by a process that ended", cut));
      if (options.on_published) options.on_published(recovery->path);
      return true;
    case capture_file::RecoveryOutcome::kRemovedEmpty:
      options.logger->Info(
          absl::StrCat("removed ", path, ", left without a record by a process that ended", cut));
      return true;
    case capture_file::RecoveryOutcome::kInUse:
      return false;
    case capture_file::RecoveryOutcome::kJustWritten:
      RecoverSoon();
      return false;
    case capture_file::RecoveryOutcome::kNotOurs:
      return true;
  }
  return true;
}

absl::StatusOr<std::unique_ptr<Keeper>> Keeper::Start(KeeperOptions options) {
  auto state = std::make_shared<State>(std::move(options));
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
  MutexLock lock(state_->mutex);
  if (state_->live.empty()) {
    state_->look_due = state_->Now() + state_->options.look_interval;
    if (state_->policy.durability == Durability::kPeriodic) {
      state_->flush_due = state_->Now() + state_->policy.interval;
    }
    state_->Poke();
  }
  state_->live[file.path()] = {.id = file.id(), .displaced = std::move(displaced)};
}

void Keeper::Publish(std::unique_ptr<Writer> file) {
  bool closing = false;
  {
    MutexLock lock(state_->mutex);
    closing = state_->closing;
    if (!closing && state_->queue.size() < kQueueLimit) {
      state_->queue.push_back(std::move(file));
      ++state_->accepted;
      state_->changed.NotifyAll();
      return;
    }
  }
  const std::string in_progress = file->path();
  absl::StatusOr<std::string> path = state_->Publish(file, /*flush=*/false, /*copy=*/closing);
  if (path.ok()) {
    file.reset();
    // Counted only where a flush was asked for.
    if (state_->WantsFlush()) ++state_->unflushed;
    ++state_->published;
    if (state_->options.on_published && ParentPath(*path) == ParentPath(in_progress)) {
      state_->options.on_published(*path);
    }
  } else {
    state_->GiveUp(std::move(file), path.status());
  }
  state_->Forget(in_progress);
}

void Keeper::Abandon(std::unique_ptr<Writer> file) {
  const std::string path = file->path();
  const bool gone = !file->broken() && !file->has_records() && file->Discard();
  file.reset();
  state_->Forget(path);
  if (!gone) state_->RecoverSoon();
}

bool Keeper::WaitUntilPublished(MonotonicTime deadline, std::stop_token stop) {
  MutexLock lock(state_->mutex);
  const uint64_t target = state_->accepted;
  return state_->changed.WaitUntil(state_->mutex, stop, deadline, [this, target] {
    state_->mutex.AssertHeld();
    return state_->done >= target;
  });
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
    state_->changed.NotifyAll();
  }
  if (state_->thread.JoinUntil(deadline)) return;
  state_->thread.Detach();
  // Publish renames at once from here on; so must what still waits behind the hanging flush.
  std::deque<std::unique_ptr<Writer>> left;
  {
    MutexLock lock(state_->mutex);
    left.swap(state_->queue);
  }
  const size_t count = left.size();
  for (std::unique_ptr<Writer>& file : left) Publish(std::move(file));
  MutexLock lock(state_->mutex);
  state_->done += count;
  state_->changed.NotifyAll();
}

uint64_t Keeper::published() const { return state_->published; }
uint64_t Keeper::recovered() const { return state_->recovered; }
uint64_t Keeper::unflushed() const { return state_->unflushed; }
uint64_t Keeper::failed_flushes() const { return state_->failed_flushes; }
uint64_t Keeper::lost() const { return state_->lost; }

}  // namespace datamanager::capture
