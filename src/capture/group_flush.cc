#include "capture/group_flush.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::capture {
namespace {

using capture_file::Writer;

// How many files that were published unflushed are remembered by name; further ones are only
// counted. A medium that hangs while that many files are made will not hold much.
constexpr size_t kOutstandingLimit = 65536;

std::chrono::milliseconds Since(MonotonicTime begin, MonotonicTime end) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(end - begin);
}

}  // namespace

FlushStats KeeperCounters::Flush() const {
  return {.rounds = rounds,
          .files = files,
          .bytes = bytes,
          .last_files = last_files,
          .last_bytes = last_bytes,
          .last_duration = std::chrono::milliseconds(last_millis),
          .late_rounds = late_rounds,
          .outstanding = outstanding};
}

struct GroupFlush::Group {
  std::vector<LiveFiles::File> live;
  std::vector<FinishedFile> finished;
  std::vector<Published> outstanding;
  // The files to be committed: those in progress, then the finished, then the outstanding ones.
  std::vector<Committer::File> files;
  std::vector<uint64_t> sizes;  // The sizes of the files in progress.
  uint64_t new_bytes = 0;
};

GroupFlush::GroupFlush(GroupFlushOptions options)
    : options_(std::move(options)), committer_(options_.committer) {}

void GroupFlush::Complain(std::string_view what, const absl::Status& status) {
  std::optional<std::string> text;
  {
    MutexLock lock(mutex_);
    // The text names a different file each time; errors with the same code count as the same one.
    text = filter_.Pass(absl::StrCat(ToAbsl(what), " ", static_cast<int>(status.code())),
                        status.ToString(absl::StatusToStringMode::kWithNoExtraData), Now());
  }
  if (text.has_value()) options_.logger->Error(*std::move(text));
}

RoundResult GroupFlush::Run(std::vector<FinishedFile> finished, bool live,
                            const FlushPolicy& policy, bool last) {
  RoundResult result;
  const MonotonicTime begin = Now();
  size_t files = 0;
  uint64_t bytes = 0;
  std::map<dev_t, Group> groups = GroupByDevice(std::move(finished), live, policy, result);
  for (auto& [device, group] : groups) {
    FlushGroup(device, group, policy, last, result);
    files += group.files.size();
    bytes += group.new_bytes;
  }
  options_.counters->outstanding = outstanding_.size();
  if (files > 0) NoteRound(files, bytes, begin, live, policy);
  return result;
}

void GroupFlush::NoteRound(size_t files, uint64_t bytes, MonotonicTime begin, bool live,
                           const FlushPolicy& policy) {
  KeeperCounters& counters = *options_.counters;
  const std::chrono::milliseconds took = Since(begin, Now());
  ++counters.rounds;
  counters.files += files;
  counters.bytes += bytes;
  counters.last_files = files;
  counters.last_bytes = bytes;
  counters.last_millis = took.count();
  if (!live || policy.durability != Durability::kPeriodic || took <= policy.interval) return;
  ++counters.late_rounds;
  auto text = late_filter_.Pass(
      "late",
      absl::StrCat("flushing ", files, " files to the medium took ", took.count(),
                   " ms, longer than durability_interval_millis (", policy.interval.count(),
                   "): a power cut may lose the records of ", (took + policy.interval).count(),
                   " ms; raise the interval, capture less, or use a faster medium"),
      Now());
  if (text.has_value()) options_.logger->Warning(*std::move(text));
}

std::map<dev_t, GroupFlush::Group> GroupFlush::GroupByDevice(std::vector<FinishedFile> finished,
                                                             bool live, const FlushPolicy& policy,
                                                             RoundResult& result) {
  std::map<dev_t, Group> groups;
  for (FinishedFile& file : finished) {
    if (!CopyIfRemoved(file, result)) continue;
    const dev_t device = file.file->id().device;
    groups[device].finished.push_back(std::move(file));
  }
  for (const auto& [device, published] : outstanding_) groups[device];
  if (!live || policy.durability != Durability::kPeriodic) return groups;
  const MonotonicTime now = Now();
  for (LiveFiles::File& file : options_.live->Written()) {
    struct stat info {};
    if (options_.ops->Fstat(file.descriptor->get(), &info) != 0) {
      ++options_.counters->failed_flushes;
      Complain("look at", ErrnoStatus(errno, "look at", file.path));
      continue;
    }
    const auto size = static_cast<uint64_t>(info.st_size);
    // A removed file is finished after the check of the names finds it.
    if (size == file.flushed_size || info.st_nlink == 0) {
      if (size == file.flushed_size) options_.live->NoteUnchanged(file, now);
      continue;
    }
    Group& group = groups[file.id.device];
    group.sizes.push_back(size);
    group.live.push_back(std::move(file));
  }
  return groups;
}

void GroupFlush::FlushGroup(dev_t device, Group& group, const FlushPolicy& policy, bool last,
                            RoundResult& result) {
  KeeperCounters& counters = *options_.counters;
  if (policy.durability == Durability::kProcess) {
    for (FinishedFile& file : group.finished) {
      if (const auto published = Rename(file, result)) Settle(file, *published, result);
    }
    return;
  }
  if (committer_.Hangs(device)) {
    counters.failed_flushes += group.live.size();
    for (FinishedFile& file : group.finished) Hold(std::move(file), last, result);
    return;
  }

  std::vector<FinishedFile> flushable;
  for (FinishedFile& file : group.finished) {
    if (file.flush_failed) {
      CopyAfterFailedFlush(std::move(file), absl::DataLossError("an earlier flush of it failed"),
                           result);
    } else {
      flushable.push_back(std::move(file));
    }
  }
  group.finished = std::move(flushable);
  const MonotonicTime since = Now();
  for (size_t i = 0; i < group.live.size(); ++i) {
    const LiveFiles::File& file = group.live[i];
    group.files.push_back({.descriptor = file.descriptor, .path = file.path});
    group.new_bytes += group.sizes[i] - std::min(group.sizes[i], file.flushed_size);
  }
  for (const FinishedFile& file : group.finished) {
    group.files.push_back({.descriptor = file.file->descriptor(), .path = file.file->path()});
    group.new_bytes += file.file->size();
  }
  AddOutstanding(device, group);
  const Committer::Outcomes data = committer_.CommitFiles(device, group.files);

  // Files whose names are still to be made durable, by their directory.
  struct Named {
    std::vector<size_t> live;
    std::vector<Published> published;
    std::vector<FinishedFile> finished;
  };
  using Extent = Committer::Outcomes::Extent;
  std::map<std::string, Named> directories;
  size_t next = 0;
  for (size_t i = 0; i < group.live.size(); ++i) {
    const Committer::Outcome& outcome = data.each[next++];
    const LiveFiles::File& file = group.live[i];
    if (outcome.has_value() && outcome->ok()) {
      if (data.extent == Extent::kDataAndNames || (data.extent == Extent::kData && file.named)) {
        options_.live->NoteFlushed(file, group.sizes[i], since);
      } else {
        directories[ParentPath(file.path)].live.push_back(i);
      }
      continue;
    }
    ++counters.failed_flushes;
    if (!outcome.has_value()) continue;
    Complain("flush in progress", *outcome);
    if (options_.live->NoteFailed(file)) options_.live->AskToFinish(file);
  }
  for (FinishedFile& file : group.finished) {
    const Committer::Outcome& outcome = data.each[next++];
    if (!outcome.has_value()) {
      Hold(std::move(file), last, result);
    } else if (!outcome->ok()) {
      CopyAfterFailedFlush(std::move(file), *outcome, result);
    } else if (const auto published = Rename(file, result)) {
      Named& named = directories[ParentPath(published->path)];
      named.published.push_back(*published);
      named.finished.push_back(std::move(file));
    }
  }
  for (Published& published : group.outstanding) {
    const Committer::Outcome& outcome = data.each[next++];
    if (!outcome.has_value()) {
      Remember(device, published);
    } else if (outcome->ok()) {
      directories[ParentPath(published.path)].published.push_back(published);
    } else {
      Complain("flush", *outcome);  // No later flush makes it more durable.
    }
  }

  std::vector<std::string> paths;
  for (const auto& [path, named] : directories) paths.push_back(path);
  const std::vector<Committer::Outcome> names = committer_.CommitNames(device, paths, data.extent);
  // The commit of all files failed: each is flushed by itself, so that errors are known by file.
  const bool again = data.extent == Extent::kWithNames && !names.empty() &&
                     names.front().has_value() && !names.front()->ok();
  Group rest;
  next = 0;
  for (auto& [path, named] : directories) {
    const Committer::Outcome& outcome = names[next++];
    const bool durable = outcome.has_value() && outcome->ok();
    if (outcome.has_value() && !durable) Complain("flush directory", *outcome);
    for (const size_t i : named.live) {
      if (durable) {
        options_.live->NoteFlushed(group.live[i], group.sizes[i], since);
      } else if (again) {
        rest.live.push_back(group.live[i]);
        rest.sizes.push_back(group.sizes[i]);
      } else {
        ++counters.failed_flushes;
      }
    }
    for (size_t i = 0; i < named.published.size(); ++i) {
      if (!durable) Remember(device, named.published[i]);
      if (i >= named.finished.size()) continue;  // These were published in an earlier round.
      if (!durable) ++counters.unflushed;
      Settle(named.finished[i], named.published[i], result);
    }
  }
  // The published files are among the outstanding ones now.
  if (again) FlushGroup(device, rest, policy, last, result);
}

void GroupFlush::AddOutstanding(dev_t device, Group& group) {
  std::erase_if(outstanding_, [&](std::pair<dev_t, Published>& entry) {
    if (entry.first != device) return false;
    Published& published = entry.second;
    absl::StatusOr<UniqueFd> fd = OpenFile(*options_.ops, published.path, O_RDONLY);
    struct stat info {};
    // The file was uploaded or moved, and no longer belongs to this class.
    if (!fd.ok()) return absl::IsNotFound(fd.status());
    if (options_.ops->Fstat(fd->get(), &info) != 0) return false;
    if (FileId::Of(info) != published.id) return true;
    group.files.push_back(
        {.descriptor = std::make_shared<const UniqueFd>(*std::move(fd)), .path = published.path});
    group.outstanding.push_back(std::move(published));
    return true;
  });
}

bool GroupFlush::CopyIfRemoved(FinishedFile& file, RoundResult& result) {
  if (!file.file->removed()) return true;
  absl::StatusOr<std::unique_ptr<Writer>> copy = file.file->CopyRemoved();
  if (!copy.ok()) {
    GiveUp(std::move(file), copy.status(), result);
    return false;
  }
  options_.logger->Warning(absl::StrCat("publish ", file.file->path(),
                                        ": it was removed while records were in it; they are "
                                        "copied to ",
                                        (*copy)->path()));
  options_.live->Remove(file.file->path());
  file.file = *std::move(copy);
  return true;
}

void GroupFlush::CopyAfterFailedFlush(FinishedFile file, const absl::Status& why,
                                      RoundResult& result) {
  Complain("flush", why);
  file.flush_failed = true;
  if (file.original != nullptr) {
    PublishUnflushed(std::move(file), "the flush of a copy of it failed, too", result);
    return;
  }
  absl::StatusOr<std::unique_ptr<Writer>> copy = file.file->CopyAfterFailedFlush();
  if (!copy.ok()) {
    Complain("copy", copy.status());
    PublishUnflushed(std::move(file), "a flush of it failed, and it could not be copied", result);
    return;
  }
  options_.logger->Warning(absl::StrCat("flush ", file.file->path(),
                                        " failed; its records are copied to ", (*copy)->path()));
  options_.live->Remove(file.file->path());
  file.original = std::exchange(file.file, *std::move(copy));
  file.flush_failed = false;
  result.again.push_back(std::move(file));
}

void GroupFlush::Hold(FinishedFile file, bool last, RoundResult& result) {
  if (last) {
    ++options_.counters->left_in_progress;
    options_.live->Remove(file.file->path());
    return;  // Closing it leaves it to the next run. Waiting callers get no result.
  }
  if (Now() - file.handed_over >= options_.committer.patience) {
    PublishUnflushed(
        std::move(file),
        absl::StrCat("its flush has hung for ", options_.committer.patience.count(), " ms"),
        result);
    return;
  }
  result.held.push_back(std::move(file));
}

void GroupFlush::PublishUnflushed(FinishedFile file, std::string_view why, RoundResult& result) {
  const dev_t device = file.file->id().device;
  const auto published = Rename(file, result);
  if (published == nullptr) return;
  ++options_.counters->unflushed;
  // After a failed flush the medium has lost the data: no later flush restores it.
  const bool remembered = !file.flush_failed && file.original == nullptr;
  if (remembered) Remember(device, *published);
  std::optional<std::string> text;
  {
    MutexLock lock(mutex_);
    text = filter_.Pass(
        why,
        absl::StrCat(published->path, " is published without a flush: ", ToAbsl(why),
                     "; a power cut may lose it", remembered ? " until a flush succeeds" : ""),
        Now());
  }
  if (text.has_value()) options_.logger->Warning(*std::move(text));
  Settle(file, *published, result);
}

void GroupFlush::Remember(dev_t device, const Published& published) {
  if (outstanding_.size() < kOutstandingLimit) outstanding_.emplace_back(device, published);
}

std::unique_ptr<GroupFlush::Published> GroupFlush::Rename(FinishedFile& file, RoundResult& result) {
  absl::StatusOr<std::string> path = file.file->Publish();
  if (path.ok()) {
    return std::make_unique<Published>(Published{*std::move(path), file.file->id()});
  }
  if (!file.file->removed()) {
    GiveUp(std::move(file), path.status(), result);
  } else if (CopyIfRemoved(file, result)) {
    result.again.push_back(std::move(file));
  }
  return nullptr;
}

void GroupFlush::Settle(FinishedFile& file, const Published& published, RoundResult& result) {
  const std::string in_progress = file.file->path();
  // The file is closed before the hint, so that its upload does not find it open.
  options_.live->Remove(in_progress);
  file.file = nullptr;
  // Remove the original only after its copy has its name: until then recovery needs it.
  if (file.original != nullptr && !file.original->Discard()) {
    Complain("remove",
             absl::FailedPreconditionError(absl::StrCat(file.original->path(),
                                                        " cannot be removed, so that what is "
                                                        "in it is stored twice: ",
                                                        published.path, " is its copy")));
  }
  if (file.recovered) {
    ++options_.counters->recovered;
    options_.logger->Info(absl::StrCat("recovered ", published.path,
                                       ", left in progress by a process that ended", file.note));
  } else {
    ++options_.counters->published;
  }
  result.settled.emplace_back(file.ticket, absl::OkStatus());
  // Sync does not upload files that were moved away.
  if (ParentPath(published.path) == ParentPath(in_progress)) {
    result.hints.push_back(published.path);
  }
}

// A file that could not be published then has no owner, and recovery publishes it when the disk
// allows. Recovery does not find a file without a name: it is kept, and tried again.
void GroupFlush::GiveUp(FinishedFile file, const absl::Status& why, RoundResult& result) {
  Complain("publish", why);
  result.settled.emplace_back(file.ticket, why);
  if (file.file->removed()) {
    result.removed.push_back(std::move(file));
    return;
  }
  options_.live->Remove(file.file->path());
  result.recover = true;
}

}  // namespace datamanager::capture
