#include "capture/keeper.h"

#include <fcntl.h>

#include <cerrno>
#include <deque>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/repeat_filter.h"
#include "base/strings.h"
#include "base/thread.h"
#include "capture_file/file_name.h"
#include "capture_file/recovery.h"

namespace datamanager::capture {
namespace {

// Each queued file holds a descriptor; a robot's limit is often 1,024.
constexpr size_t kQueueLimit = 128;
// Directories that are recovered; sync's figure for former ones, and the one in use.
constexpr size_t kRootLimit = 9;

// Calls `visit` with the path of each entry of `directory`; stops when it returns false. `flags`
// are added to those that open it.
template <typename Visit>
bool ForEachEntry(FileOps& ops, const std::string& directory, int flags, Visit visit) {
  // Null: not there yet, not a directory, or gone.
  const DirectoryStream stream = OpenDirectory(ops, AT_FDCWD, directory.c_str(), flags);
  if (stream == nullptr) return true;
  while (const dirent* entry = ops.ReadDirectory(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (!visit(absl::StrCat(directory, "/", ToAbsl(name)))) return false;
  }
  return true;
}

}  // namespace

// Co-owned by the thread, which may outlive the Keeper when the disk hangs.
struct Keeper::State {
  explicit State(KeeperOptions keeper_options) : options(std::move(keeper_options)) {}

  const KeeperOptions options;
  std::atomic<uint64_t> published{0};
  std::atomic<uint64_t> recovered{0};
  std::atomic<uint64_t> unflushed{0};

  Mutex mutex;
  CondVar changed;
  std::deque<std::unique_ptr<capture_file::Writer>> queue DM_GUARDED_BY(mutex);
  uint64_t accepted DM_GUARDED_BY(mutex) = 0;  // Files ever queued.
  uint64_t done DM_GUARDED_BY(mutex) = 0;      // Of these, files dealt with.
  std::set<std::string> live DM_GUARDED_BY(mutex);
  // The last one is captured to; those before it stay until nothing is in progress in them.
  std::vector<std::string> recovery_roots DM_GUARDED_BY(mutex);
  std::optional<MonotonicTime> recovery_due DM_GUARDED_BY(mutex);
  bool closing DM_GUARDED_BY(mutex) = false;
  Thread thread;  // The Keeper's only.

  RepeatFilter filter DM_GUARDED_BY(mutex);

  void Run();
  void PublishQueued();
  std::unique_ptr<capture_file::Writer> TakeQueued();
  void RecoverTree(const std::string& root, bool former);
  bool RecoverOne(const std::string& path);
  bool IsLive(const std::string& path) {
    MutexLock lock(mutex);
    return live.contains(path);
  }
  void Forget(const std::string& path) {
    MutexLock lock(mutex);
    live.erase(path);
  }
  // Each file has a name of its own: what failed counts as the same error, not where.
  void Complain(std::string_view what, const absl::Status& status) {
    std::optional<std::string> text;
    {
      MutexLock lock(mutex);
      text = filter.Pass(absl::StrCat(ToAbsl(what), " ", static_cast<int>(status.code())),
                         status.ToString(), options.clock->MonotonicNow());
    }
    if (text.has_value()) options.logger->Error(*std::move(text));
  }
  // Looks soon for what nobody owns any more.
  void RecoverSoon() {
    MutexLock lock(mutex);
    const MonotonicTime soon = options.clock->MonotonicNow() + options.given_up_delay;
    if (!recovery_due.has_value() || *recovery_due > soon) recovery_due = soon;
    changed.NotifyAll();
  }
  bool Closing() {
    MutexLock lock(mutex);
    return closing;
  }
};

void Keeper::State::Run() {
  while (true) {
    std::vector<std::string> roots;
    {
      MutexLock lock(mutex);
      const std::optional<MonotonicTime> due = recovery_due;
      const auto awake = [this, due] {
        mutex.AssertHeld();
        return closing || !queue.empty() || recovery_due != due;
      };
      if (due.has_value()) {
        changed.WaitUntil(mutex, *due, awake);
      } else {
        changed.Wait(mutex, awake);
      }
      if (queue.empty()) {
        if (closing) return;
        if (!recovery_due.has_value() || *recovery_due > options.clock->MonotonicNow()) continue;
        recovery_due.reset();
        roots = recovery_roots;
      }
    }
    if (roots.empty()) PublishQueued();
    for (const std::string& root : roots) RecoverTree(root, /*former=*/root != roots.back());
  }
}

std::unique_ptr<capture_file::Writer> Keeper::State::TakeQueued() {
  MutexLock lock(mutex);
  if (queue.empty()) return nullptr;
  std::unique_ptr<capture_file::Writer> file = std::move(queue.front());
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
  uint64_t count = 0;
  std::vector<std::string> paths;
  std::set<std::string> directories;
  for (; count < batch; ++count) {
    std::unique_ptr<capture_file::Writer> file = TakeQueued();
    if (file == nullptr) break;
    // What cannot be flushed is published all the same: it is as good as it will ever be, and the
    // upload that follows reads it back.
    if (absl::Status status = file->Flush(); !status.ok()) {
      ++unflushed;
      Complain("flush", status);
    }
    const std::string in_progress = file->path();
    absl::StatusOr<std::string> path = file->Publish();
    // Closed before the hint, so that its upload does not find it open.
    file.reset();
    Forget(in_progress);
    if (path.ok()) {
      directories.insert(ParentPath(*path));
      paths.push_back(*std::move(path));
    } else {
      // Nobody's file now: recovery publishes it when the disk allows.
      Complain("publish", path.status());
      RecoverSoon();
    }
  }
  for (const std::string& directory : directories) {
    if (absl::Status status = SyncDirectory(*options.ops, directory); !status.ok()) {
      Complain("flush directory", status);
    }
  }
  published += paths.size();
  {
    MutexLock lock(mutex);
    done += count;
    changed.NotifyAll();
  }
  if (options.on_published) {
    for (const std::string& path : paths) options.on_published(path);
  }
}

void Keeper::State::RecoverTree(const std::string& root, bool former) {
  bool skipped = false;
  FileOps& ops = *options.ops;
  // <root>/<api>/<resource>/<method>/<file>
  ForEachEntry(ops, root, 0, [&](const std::string& api) {
    return ForEachEntry(ops, api, O_NOFOLLOW, [&](const std::string& resource) {
      return ForEachEntry(ops, resource, O_NOFOLLOW, [&](const std::string& method) {
        return ForEachEntry(ops, method, O_NOFOLLOW, [&](const std::string& path) {
          if (!capture_file::IsInProgress(path)) return true;
          PublishQueued();
          if (Closing()) return false;
          // A collector that was told to end may still write to a former directory.
          skipped = !RecoverOne(path) || (former && IsLive(path)) || skipped;
          return true;
        });
      });
    });
  });
  MutexLock lock(mutex);
  if (skipped) {
    if (!recovery_due.has_value()) {
      recovery_due = options.clock->MonotonicNow() + options.recovery_interval;
    }
  } else if (former && !closing && recovery_roots.back() != root) {
    std::erase(recovery_roots, root);
  }
}

// False: to be looked at again.
bool Keeper::State::RecoverOne(const std::string& path) {
  if (IsLive(path)) return true;
  absl::StatusOr<capture_file::Recovery> recovery =
      capture_file::RecoverFile(*options.ops, path, options.clock->WallNow());
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

void Keeper::Announce(const std::string& path) {
  MutexLock lock(state_->mutex);
  state_->live.insert(path);
}

void Keeper::Publish(std::unique_ptr<capture_file::Writer> file) {
  {
    MutexLock lock(state_->mutex);
    if (!state_->closing && state_->queue.size() < kQueueLimit) {
      state_->queue.push_back(std::move(file));
      ++state_->accepted;
      state_->changed.NotifyAll();
      return;
    }
  }
  const std::string in_progress = file->path();
  absl::StatusOr<std::string> path = file->Publish();
  file.reset();
  state_->Forget(in_progress);
  if (!path.ok()) {
    state_->Complain("publish", path.status());
    state_->RecoverSoon();
    return;
  }
  ++state_->unflushed;
  ++state_->published;
  if (state_->options.on_published) state_->options.on_published(*path);
}

void Keeper::Abandon(std::unique_ptr<capture_file::Writer> file) {
  const std::string path = file->path();
  const bool broken = file->broken();
  if (!broken && !file->has_records()) file->Discard();
  file.reset();
  state_->Forget(path);
  if (broken) state_->RecoverSoon();
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
  state_->recovery_due = state_->options.clock->MonotonicNow();
  state_->changed.NotifyAll();
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
  std::deque<std::unique_ptr<capture_file::Writer>> left;
  {
    MutexLock lock(state_->mutex);
    left.swap(state_->queue);
  }
  const size_t count = left.size();
  for (std::unique_ptr<capture_file::Writer>& file : left) Publish(std::move(file));
  MutexLock lock(state_->mutex);
  state_->done += count;
  state_->changed.NotifyAll();
}

uint64_t Keeper::published() const { return state_->published; }
uint64_t Keeper::recovered() const { return state_->recovered; }
uint64_t Keeper::unflushed() const { return state_->unflushed; }

}  // namespace datamanager::capture
