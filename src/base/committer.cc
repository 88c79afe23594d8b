#include "base/committer.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/thread.h"

namespace datamanager {
namespace {

// How long the properties of a mount are remembered: `mount -o remount` changes its options but not
// its ids.
constexpr std::chrono::minutes kMethodAge{1};

// The size at which an anchor gives way to a new one, well below any limit of a file's size.
constexpr off_t kAnchorLimit = 4096;

constexpr unsigned kWriteAndWait =
    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

absl::Status FlushFile(FileOps& ops, const Committer::File& file) {
  if (ops.Fdatasync(file.descriptor->get()) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, "flush", file.path);
}

bool AllReturned(const std::vector<Committer::Outcome>& outcomes) {
  return std::all_of(outcomes.begin(), outcomes.end(),
                     [](const auto& outcome) { return outcome.has_value(); });
}

}  // namespace

// A file without a name that grows at each commit. It has no data, so that a commit writes nothing
// but the journal.
struct Committer::Anchor {
  UniqueFd fd;
  off_t size = 0;
};

// Steps that several threads share; each thread takes the next one that is left.
struct Committer::Job {
  dev_t device = 0;
  std::vector<Step> steps;
  std::vector<Outcome> outcomes;
  size_t next = 0;
  size_t done = 0;
  bool left_alone = false;  // The caller did not wait for its end.
};

// State that the threads co-own, so that a thread that hangs may outlive the Committer.
struct Committer::Shared {
  explicit Shared(const CommitterOptions& options)
      : ops(*options.ops), recovered(options.recovered), names(*options.ops) {}

  FileOps& ops;
  const std::function<void()> recovered;
  DurableNames names;

  Mutex mutex;
  CondVar changed;
  size_t threads DM_GUARDED_BY(mutex) = 0;
  std::multiset<dev_t> hanging DM_GUARDED_BY(mutex);
  MonotonicTime end DM_GUARDED_BY(mutex) = MonotonicTime::max();

  // Runs steps until none is left.
  void Work(Job& job) DM_EXCLUDES(mutex);
};

void Committer::Shared::Work(Job& job) {
  while (true) {
    size_t step = 0;
    {
      MutexLock lock(mutex);
      if (job.next == job.steps.size()) return;
      step = job.next++;
    }
    // A step holds its file open: it ends before it counts as done, so that who then publishes the
    // file has it closed.
    Step run = std::move(job.steps[step]);
    absl::Status status = run();
    run = nullptr;
    bool back = false;
    {
      MutexLock lock(mutex);
      job.outcomes[step] = std::move(status);
      if (++job.done == job.steps.size()) {
        back = job.left_alone;
        if (back) hanging.erase(hanging.find(job.device));
        changed.NotifyAll();
      }
    }
    if (back) recovered();
  }
}

Committer::Committer(CommitterOptions options)
    : options_(std::move(options)), shared_(std::make_shared<Shared>(options_)) {}

std::vector<Committer::Outcome> Committer::Run(dev_t device, std::vector<Step> steps,
                                               size_t threads) {
  auto job = std::make_shared<Job>();
  job->device = device;
  job->outcomes.resize(steps.size());
  job->steps = std::move(steps);
  size_t started = 0;
  for (; started < threads; ++started) {
    {
      MutexLock lock(shared_->mutex);
      if (shared_->threads >= kMaxThreads) break;
      ++shared_->threads;
    }
    absl::StatusOr<Thread> thread =
        Thread::Start("dm-flush", kOwnStackBytes, [shared = shared_, job] {
          shared->Work(*job);
          MutexLock lock(shared->mutex);
          --shared->threads;
        });
    if (thread.ok()) continue;  // It runs detached, and ends by itself.
    MutexLock lock(shared_->mutex);
    --shared_->threads;
    break;
  }
  if (started == 0) shared_->Work(*job);

  const MonotonicTime patience_ends = options_.clock->MonotonicNow() + options_.patience;
  MonotonicTime look = options_.clock->MonotonicNow() + options_.meanwhile_interval;
  while (true) {
    {
      MutexLock lock(shared_->mutex);
      const MonotonicTime end = std::min(patience_ends, shared_->end);
      shared_->changed.WaitUntil(shared_->mutex, std::min(end, look), [&] {
        shared_->mutex.AssertHeld();
        return job->done == job->steps.size() || shared_->end < end;
      });
      if (job->done == job->steps.size()) return job->outcomes;
      if (options_.clock->MonotonicNow() >= std::min(end, shared_->end)) {
        job->left_alone = true;
        shared_->hanging.insert(device);
        return job->outcomes;
      }
    }
    if (options_.clock->MonotonicNow() >= look) {
      options_.meanwhile();
      look = options_.clock->MonotonicNow() + options_.meanwhile_interval;
    }
  }
}

std::vector<Committer::Outcome> Committer::FlushEach(dev_t device, const std::vector<File>& files,
                                                     size_t threads) {
  FileOps& ops = shared_->ops;
  std::vector<Step> steps;
  if (files.size() > 1 && threads > 1) {
    // Files that are written back together need fewer commits. An error here shows up in the flush.
    for (const File& file : files) {
      steps.emplace_back([&ops, file] {
        ops.SyncFileRange(file.descriptor->get(), SYNC_FILE_RANGE_WRITE);
        return absl::OkStatus();
      });
    }
    if (!AllReturned(Run(device, std::exchange(steps, {}), 1))) {
      return std::vector<Outcome>(files.size());
    }
  }
  for (const File& file : files) {
    steps.emplace_back([&ops, file] { return FlushFile(ops, file); });
  }
  return Run(device, std::move(steps), std::min(threads, files.size()));
}

Committer::Outcomes Committer::CommitTogether(dev_t device, const std::vector<File>& files,
                                              Step then, Outcomes::Extent extent) {
  FileOps& ops = shared_->ops;
  std::vector<Step> steps;
  // Starts to write all files before it waits for any of them. The kernel reports a write error
  // once, to the call that waits.
  for (const unsigned flags : {static_cast<unsigned>(SYNC_FILE_RANGE_WRITE), kWriteAndWait}) {
    for (const File& file : files) {
      steps.emplace_back([&ops, file, flags] {
        if (ops.SyncFileRange(file.descriptor->get(), flags) == 0) return absl::OkStatus();
        if (IsUnsupported(errno)) return absl::UnimplementedError("sync_file_range");
        return ErrnoStatus(errno, "write back", file.path);
      });
    }
  }
  steps.push_back(std::move(then));
  std::vector<Outcome> all = Run(device, std::move(steps), 1);
  const Outcome together = all.back();
  if (!together.has_value()) return {.each = std::vector<Outcome>(files.size())};
  std::vector<Outcome> each(all.begin() + static_cast<std::ptrdiff_t>(files.size()), all.end() - 1);
  if (together->ok() && std::none_of(each.begin(), each.end(), [](const Outcome& outcome) {
        return absl::IsUnimplemented(*outcome);
      })) {
    return {.each = std::move(each), .extent = extent};
  }
  // Flush each file alone, except those with a known error: the kernel would not report it again.
  std::vector<File> left;
  std::vector<size_t> places;
  for (size_t i = 0; i < files.size(); ++i) {
    if (!each[i]->ok() && !absl::IsUnimplemented(*each[i])) continue;
    left.push_back(files[i]);
    places.push_back(i);
  }
  const std::vector<Outcome> flushed = FlushEach(device, left, kMaxThreads);
  for (size_t i = 0; i < left.size(); ++i) each[places[i]] = flushed[i];
  return {.each = std::move(each)};
}

Committer::Step Committer::OpenAnchor(dev_t device, std::shared_ptr<Anchor>& anchor,
                                      const std::string& directory) {
  if (anchor == nullptr) anchor = std::make_shared<Anchor>();
  return [&ops = shared_->ops, anchor, device, directory]() -> absl::Status {
    if (anchor->fd.valid() && anchor->size < kAnchorLimit) return absl::OkStatus();
    UniqueFd fd(ops.Open(directory.c_str(), O_TMPFILE | O_RDWR, 0600));
    struct stat info {};
    if (!fd.valid() || ops.Fstat(fd.get(), &info) != 0) {
      return ErrnoStatus(errno, "make an unnamed file in", directory);
    }
    if (info.st_dev != device) {
      return absl::FailedPreconditionError(absl::StrCat(directory, " is on another device by now"));
    }
    anchor->fd = std::move(fd);
    anchor->size = 0;
    return absl::OkStatus();
  };
}

Committer::Step Committer::FlushAnchor(std::shared_ptr<Anchor> anchor) {
  return [&ops = shared_->ops, anchor = std::move(anchor)]() -> absl::Status {
    // fdatasync has to commit a change of the size, but not one of the times.
    if (ops.Ftruncate(anchor->fd.get(), ++anchor->size) != 0) {
      return absl::ErrnoToStatus(errno, "change the size of an unnamed file");
    }
    if (ops.Fdatasync(anchor->fd.get()) != 0) {
      return absl::ErrnoToStatus(errno, "flush an unnamed file");
    }
    return absl::OkStatus();
  };
}

Committer::Device& Committer::Find(dev_t device, const File& file) {
  Device& found = devices_[device];
  const MonotonicTime now = options_.clock->MonotonicNow();
  const int64_t mount = MountIdOf(file.descriptor->get());
  if (found.mount == mount && found.found > now - kMethodAge) return found;
  const CommitMethod method = shared_->ops.CommitMethodFor(file.descriptor->get());
  if (found.mount != mount || method != found.method) found.anchor = nullptr;
  found.method = method;
  found.mount = mount;
  found.found = now;
  return found;
}

Committer::Outcomes Committer::CommitFiles(dev_t device, const std::vector<File>& files) {
  if (files.empty()) return {};
  Device& known = Find(device, files.front());
  switch (known.method) {
    case CommitMethod::kInTurn:
      return {.each = FlushEach(device, files, 0)};
    case CommitMethod::kAnchor:
      return CommitTogether(device, files,
                            OpenAnchor(device, known.anchor, ParentPath(files.front().path)),
                            Outcomes::Extent::kWithNames);
    case CommitMethod::kWhole:
      if (files.size() < kWholeFrom) break;
      return CommitTogether(
          device, files,
          [&ops = shared_->ops, file = files.front()]() -> absl::Status {
            if (ops.Syncfs(file.descriptor->get()) == 0) return absl::OkStatus();
            return ErrnoStatus(errno, "flush the file system of", file.path);
          },
          Outcomes::Extent::kDataAndNames);
    case CommitMethod::kEach:
      break;
  }
  return {.each = FlushEach(device, files, kMaxThreads)};
}

std::vector<Committer::Outcome> Committer::CommitNames(dev_t device,
                                                       const std::vector<std::string>& directories,
                                                       Outcomes::Extent files) {
  if (directories.empty()) return {};
  const auto known = devices_.find(device);
  const CommitMethod method = known == devices_.end() ? CommitMethod::kEach : known->second.method;
  const auto for_all = [&](Step step) { return Run(device, {std::move(step)}, 1).front(); };
  Outcome all = absl::UnimplementedError("");
  if (method == CommitMethod::kAnchor && known->second.anchor->fd.valid()) {
    all = for_all(FlushAnchor(known->second.anchor));
  } else if (method == CommitMethod::kWhole && directories.size() >= kWholeFrom) {
    all = for_all([&ops = shared_->ops, path = directories.front()]() -> absl::Status {
      const UniqueFd fd(ops.Open(path.c_str(), O_RDONLY | O_DIRECTORY, 0));
      if (fd.valid() && ops.Syncfs(fd.get()) == 0) return absl::OkStatus();
      return ErrnoStatus(errno, "flush the file system of", path);
    });
  }
  if (!all.has_value() || all->ok()) return std::vector<Outcome>(directories.size(), all);
  if (files == Outcomes::Extent::kWithNames) {
    // Until the mount is looked at again.
    known->second.method = CommitMethod::kEach;
    return std::vector<Outcome>(directories.size(), all);
  }
  std::vector<Step> steps;
  for (const std::string& path : directories) {
    steps.emplace_back([shared = shared_, path] { return shared->names.Flush(path); });
  }
  const size_t threads = method == CommitMethod::kInTurn ? 0 : kMaxThreads;
  return Run(device, std::move(steps), std::min(threads, directories.size()));
}

bool Committer::Hangs(dev_t device) const {
  MutexLock lock(shared_->mutex);
  return shared_->hanging.contains(device);
}

void Committer::EndBy(MonotonicTime time) {
  MutexLock lock(shared_->mutex);
  shared_->end = std::min(shared_->end, time);
  shared_->changed.NotifyAll();
}

void Committer::Release() { devices_.clear(); }

}  // namespace datamanager
