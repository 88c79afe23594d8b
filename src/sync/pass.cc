#include "sync/pass.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/file_name.h"
#include "capture_file/sequence.h"
#include "sync/directory_walker.h"

namespace datamanager::sync {
namespace {

// How often a wait for a worker looks up.
constexpr std::chrono::seconds kPause{1};
// A file in the retry table has an owner only for the moment in which it is put there or taken.
constexpr std::chrono::milliseconds kHandOverLimit{10};
// Hints are only that: what does not fit is found by the next pass.
constexpr size_t kHintLimit = 256;
// What a pass keeps of the backlog's limit when there is another one with the whole.
constexpr size_t kSmallerShare = 4;
// Directories of the backlog are kept open, since its files take turns between the collectors: to
// open one anew for each file costs four times what the look at the file does. So many at most, and
// no more than this part of the descriptors that the process may have.
constexpr size_t kMostOpenDirectories = 1024;
constexpr size_t kDescriptorShare = 8;

size_t OpenDirectoryLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  return std::clamp<size_t>(limit.rlim_cur / kDescriptorShare, 1, kMostOpenDirectories);
}

}  // namespace

class Passes::Pass {
 public:
  Pass(Passes& passes, const std::stop_token& stop, const FileFilter& filter,
       const std::function<void()>& pause)
      : passes_(passes),
        ops_(*passes.context_.options.ops),
        stop_(stop),
        filter_(filter),
        pause_(pause),
        roots_(passes.Roots(complain_)),
        backlog_(passes.limits_) {}
  ~Pass() {
    if (passes_.largest_ == this) passes_.largest_ = nullptr;
  }
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  PassEnd Run() {
    DirectoryWalker walker(ops_, roots_, complain_, stop_);
    CollectBacklog(walker);
    blocked_files_ = walker.blocked_files();
    blocked_directories_ = walker.blocked_directories();
    if (others_) other_walker_.emplace(ops_, roots_, complain_, stop_);
    // Hints alone do not keep it going: it would not end while anything is captured.
    bool waiting = true;
    while (waiting && GoesOn()) {
      OfferHint();
      waiting = GoesOn() && OfferOldest();
      waiting = (GoesOn() && OfferOther()) || waiting;
      if (GoesOn()) end_ = passes_.OfferRetry(sender_, stop_, pause_);
      pause_();
    }
    end_ = passes_.Finish(sender_, end_, stop_, pause_);
    if (!GoesOn()) return end_;
    passes_.complaints_.Settle(heard_);
    passes_.context_.blocked_files = blocked_files_;
    passes_.context_.blocked_directories = blocked_directories_;
    return PassEnd::kComplete;
  }

 private:
  bool GoesOn() {
    if (end_ == PassEnd::kComplete && stop_.stop_requested()) end_ = PassEnd::kStopped;
    return end_ == PassEnd::kComplete;
  }
  // How many files of the backlog the next walk keeps.
  size_t MostFiles();
  // Reads through the directories for what is oldest, and for whether there are others.
  void CollectBacklog(DirectoryWalker& walker);
  // The stamp of a file that belongs to the backlog. `add`: of one that may come to.
  std::optional<capture_file::CompleteStamp> StampOf(const DirectoryWalker::Entry& entry, bool add);

  // Each gives one file its turn. False: none is left.
  void OfferHint();
  bool OfferOldest();
  bool OfferOther();
  // Offers file_, which lies in the directory.
  void OfferIfReady(const OpenedDirectory& directory);
  // Of the backlog. Without a descriptor, if nothing can be offered from it.
  OpenedDirectory Open(int directory);

  Passes& passes_;
  FileOps& ops_;
  const std::stop_token& stop_;
  const FileFilter& filter_;
  const std::function<void()>& pause_;
  Complaints::Heard heard_;
  const Complain complain_ = [this](const absl::Status& status) {
    if (passes_.complaints_.Hear(ToStd(status.message()), heard_)) {
      passes_.context_.options.logger->Warning(std::string(status.message()));
    }
  };
  const std::vector<Root> roots_;
  Backlog backlog_;
  Sender sender_{passes_.channel_};
  bool others_ = false;  // Whether there are files that are not the backlog's.
  std::optional<DirectoryWalker> other_walker_;
  FoundFile file_;  // Whose turn it is; kept for the storage of its strings.
  uint64_t blocked_files_ = 0;
  uint64_t blocked_directories_ = 0;
  PassEnd end_ = PassEnd::kComplete;

  struct Opened {
    int directory = -1;
    UniqueFd fd;
    struct stat info {};
  };
  const size_t most_open_ = OpenDirectoryLimit();
  std::vector<Opened> opened_;
  const uid_t user_ = ::geteuid();
};

std::optional<capture_file::CompleteStamp> Passes::Pass::StampOf(
    const DirectoryWalker::Entry& entry, bool add) {
  constexpr int kNone = -2;
  if (entry.kind != FileKind::kCapture) return std::nullopt;
  if (*entry.note == -1) {
    *entry.note = (add ? backlog_.AddDirectory(entry.root->path, *entry.directory)
                       : backlog_.FindDirectory(*entry.directory))
                      .value_or(kNone);
  }
  if (*entry.note == kNone) return std::nullopt;
  return capture_file::ParseComplete(entry.name);
}

size_t Passes::Pass::MostFiles() {
  const Pass* largest = nullptr;
  passes_.largest_.compare_exchange_strong(largest, this);
  const bool whole = largest == nullptr || largest == this;
  return whole ? passes_.limits_.files : std::max<size_t>(passes_.limits_.files / kSmallerShare, 1);
}

void Passes::Pass::CollectBacklog(DirectoryWalker& walker) {
  backlog_.KeepAtMost(MostFiles());
  while (const DirectoryWalker::Entry* entry = walker.Next()) {
    // Whoever has it sees to it.
    if (passes_.context_.tracker.IsClaimed(entry->id)) continue;
    const auto stamp = StampOf(*entry, true);
    if (!stamp.has_value() || !backlog_.Add(*entry->note, *stamp)) others_ = true;
  }
  backlog_.Sort();
}

void Passes::Pass::OfferHint() {
  const std::optional<std::string> hint = passes_.TakeHint();
  const std::string& directory = passes_.config_.capture_directory;
  if (!hint.has_value() || !hint->starts_with(directory + "/")) return;
  const absl::StatusOr<Root> root = FindRoot(ops_, directory, DirectorySummary::Role::kCapture);
  if (!root.ok()) return;
  FoundFile file{.root = root->path, .path = root->path + hint->substr(directory.size())};
  const Look look = passes_.LookAt(file);
  if (look.ready && passes_.IsFree(file))
    end_ = passes_.Offer(std::move(file), sender_, stop_, pause_);
}

bool Passes::Pass::OfferOldest() {
  std::optional<Backlog::File> oldest = backlog_.Take();
  if (!oldest.has_value() && backlog_.more()) {
    backlog_.GoOn();
    DirectoryWalker walker(ops_, roots_, complain_, stop_);
    CollectBacklog(walker);
    if (!GoesOn()) return false;
    oldest = backlog_.Take();
  }
  if (!oldest.has_value()) return backlog_.more();
  const Backlog::Directory& directory = backlog_.directory(oldest->directory);
  file_.root = directory.root;
  file_.path.assign(directory.path).append("/").append(oldest->name);
  file_.kind = FileKind::kCapture;
  file_.id = {};
  OfferIfReady(Open(oldest->directory));
  return true;
}

bool Passes::Pass::OfferOther() {
  if (!other_walker_.has_value()) return false;
  while (const DirectoryWalker::Entry* entry = other_walker_->Next()) {
    const auto stamp = StampOf(*entry, false);
    if (stamp.has_value() && backlog_.Takes(*entry->note, *stamp)) continue;
    file_.root = entry->root->path;
    entry->PutPath(file_.path);
    file_.kind = entry->kind;
    file_.id = entry->id;
    OfferIfReady({.fd = entry->parent, .info = entry->directory_info, .user = user_});
    return true;
  }
  other_walker_.reset();
  return false;
}

void Passes::Pass::OfferIfReady(const OpenedDirectory& directory) {
  // Before it is looked at, if the directory has told which it is.
  if (directory.fd < 0 || (file_.id != FileId{} && !passes_.IsFree(file_))) return;
  const Look look = passes_.LookAt(directory, file_);
  if (!look.blocked.ok()) {
    ++blocked_files_;
    complain_(look.blocked);
  }
  if (!look.ready || !passes_.IsFree(file_) || !filter_(file_, look.info)) return;
  end_ = passes_.Offer(file_, sender_, stop_, pause_);
}

OpenedDirectory Passes::Pass::Open(int directory) {
  const size_t slot = static_cast<size_t>(directory) % most_open_;
  if (slot >= opened_.size()) opened_.resize(slot + 1);
  Opened& opened = opened_[slot];
  if (opened.directory != directory) {
    const std::string& path = backlog_.directory(directory).path;
    opened.directory = directory;
    opened.fd.Reset();
    absl::StatusOr<UniqueFd> fd = OpenDirectoryWithoutLinks(ops_, path, O_PATH);
    absl::Status status = fd.status();
    if (fd.ok()) status = CheckDirectory(ops_, fd->get(), path);
    if (status.ok() && ops_.Fstat(fd->get(), &opened.info) == 0) opened.fd = *std::move(fd);
    if (!status.ok() && !absl::IsNotFound(status)) complain_(status);
  }
  return {.fd = opened.fd.get(), .info = &opened.info, .user = user_};
}

PassEnd Passes::Run(const std::stop_token& stop, const FileFilter& filter,
                    const std::function<void()>& pause) {
  {
    MutexLock lock(hints_mutex_);
    ++under_way_;
  }
  const PassEnd end = Pass(*this, stop, filter, pause).Run();
  if (end == PassEnd::kComplete) ++context_.passes;
  MutexLock lock(hints_mutex_);
  if (--under_way_ > 0) return end;
  hints_.clear();
  hinted_ = false;
  return end;
}

bool Passes::AnyReady(const FileFilter& filter, const std::stop_token& stop) {
  const Complain silently = [](const absl::Status&) {};  // A pass complains.
  FileOps& ops = *context_.options.ops;
  const std::vector<Root> roots = Roots(silently);
  const uid_t user = ::geteuid();
  DirectoryWalker walker(ops, roots, silently, stop);
  FoundFile file;
  while (const DirectoryWalker::Entry* entry = walker.Next()) {
    file.root = entry->root->path;
    entry->PutPath(file.path);
    file.kind = entry->kind;
    const Look look =
        LookAt({.fd = entry->parent, .info = entry->directory_info, .user = user}, file);
    if (look.ready && filter(file, look.info)) return true;
  }
  return false;
}

PassEnd Passes::OfferRetry(const std::stop_token& stop, const std::function<void()>& pause) {
  Sender sender(channel_);
  return Finish(sender, OfferRetry(sender, stop, pause), stop, pause);
}

PassEnd Passes::OfferRetry(Sender& sender, const std::stop_token& stop,
                           const std::function<void()>& pause) {
  if (context_.retries.size() == 0) return PassEnd::kComplete;  // The usual case, after each file.
  const std::optional<FoundFile> due = context_.retries.NextDue(Now());
  if (!due.has_value()) return PassEnd::kComplete;
  context_.tracker.WaitUntilFree(due->id, Now() + kHandOverLimit, stop);
  FoundFile file = *due;
  if (LookAt(file).ready && file.id == due->id) return Offer(std::move(file), sender, stop, pause);
  context_.retries.Take(*due);  // If it is still there, the next pass meets it.
  return PassEnd::kComplete;
}

Passes::Look Passes::LookAt(const OpenedDirectory& directory, FoundFile& file) {
  FileOps& ops = *context_.options.ops;
  const char* const name = file.path.c_str() + file.path.rfind('/') + 1;
  Look look;
  if (ops.LstatAt(directory.fd, name, &look.info) != 0 || !S_ISREG(look.info.st_mode)) return look;
  file.id = FileId::Of(look.info);
  file.version = FileVersion::Of(look.info);
  look.blocked = CheckFile(ops, directory, file.path, look.info);
  look.ready = look.blocked.ok() && IsReady(file.kind, look.info);
  if (look.ready && file.kind == FileKind::kSequence) {
    look.ready = !IsHeld(directory.fd, name, look.info, file);
  }
  return look;
}

bool Passes::IsReady(FileKind kind, const struct stat& info) {
  if (!FileAges::HasAge(kind)) return true;  // Without a look at the clocks.
  const Clock& clock = *context_.options.clock;
  return context_.ages.IsReady(kind, info, config_.min_file_age, clock.WallNow(),
                               clock.MonotonicNow());
}

bool Passes::IsHeld(int directory, const std::string& name, const struct stat& info,
                    const FoundFile& file) {
  FileOps& ops = *context_.options.ops;
  const UniqueFd fd(
      ops.OpenAt(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0));
  const auto sequence =
      capture_file::ReadSequence(ops, fd.get(), static_cast<uint64_t>(info.st_size));
  // One that cannot be read is the upload's to judge.
  const bool data_waits = sequence.ok() && DataWaits(ops, file.root, *sequence);
  return context_.sequence_holds.Holds(file.id, data_waits, Now());
}

Passes::Look Passes::LookAt(FoundFile& file) {
  FileOps& ops = *context_.options.ops;
  const std::string directory = ParentPath(file.path);
  const absl::StatusOr<UniqueFd> fd = OpenDirectoryWithoutLinks(ops, directory, O_PATH);
  struct stat info {};
  if (!fd.ok() || ops.Fstat(fd->get(), &info) != 0) return {};
  if (absl::Status status = CheckDirectory(ops, fd->get(), directory); !status.ok()) {
    return {.blocked = status};
  }
  return LookAt({.fd = fd->get(), .info = &info}, file);
}

bool Passes::IsFree(const FoundFile& file) const {
  // In this order: whoever has it puts it into the table before it lets go.
  if (context_.tracker.IsClaimed(file.id)) return false;
  // As a rule there is nothing to wait for, and no need of the time.
  if (context_.retries.size() == 0 && !context_.breaker.MayRest()) return true;
  const MonotonicTime now = Now();
  if (context_.retries.IsWaiting(file, now)) return false;
  if (!context_.breaker.Rests(CircuitBreaker::Candidate::Of(file.path, /*tried=*/false), now)) {
    return true;
  }
  context_.left_resting = true;
  return false;
}

PassEnd Passes::Offer(FoundFile file, Sender& sender, const std::stop_token& stop,
                      const std::function<void()>& pause) {
  std::optional<FileTracker::Claim> claim = context_.tracker.TryClaim(file.id);
  if (!claim.has_value()) return PassEnd::kComplete;
  const RetryState state = context_.retries.Take(file);
  Job job{.file = std::move(file), .claim = *std::move(claim), .state = state};
  if (!context_.options.uploader->Ready()) {
    GiveBack(job);
    return PassEnd::kOffline;
  }
  sender.HoldOut(std::move(job));
  return Await([&] { return sender.AwaitRoom(Now() + kPause, stop); }, pause);
}

PassEnd Passes::Finish(Sender& sender, PassEnd end, const std::stop_token& stop,
                       const std::function<void()>& pause) {
  if (end == PassEnd::kComplete) {
    end = Await([&] { return sender.AwaitAll(Now() + kPause, stop); }, pause);
  }
  for (const Job& job : sender.TakeBack()) GiveBack(job);
  return end;
}

template <typename Step>
PassEnd Passes::Await(const Step& step, const std::function<void()>& pause) const {
  while (true) {
    switch (step()) {
      case Sent::kTaken:
        return PassEnd::kComplete;
      case Sent::kStopped:
        return PassEnd::kStopped;
      case Sent::kTimedOut:
        pause();
        break;
    }
    if (!context_.options.uploader->Ready()) return PassEnd::kOffline;
  }
}

void Passes::GiveBack(const Job& job) {
  if (job.state.attempts == 0 && job.state.busy_looks == 0) return;
  context_.retries.Put({job.file, job.state});
}

Passes::OfferEnd Passes::OfferNow(FoundFile file, std::shared_ptr<const DirectUpload> direct,
                                  MonotonicTime deadline, const std::stop_token& stop) {
  std::optional<FileTracker::Claim> claim;
  while (!(claim = context_.tracker.TryClaim(file.id)).has_value()) {
    if (context_.tracker.WaitUntilFree(file.id, deadline, stop)) continue;
    return stop.stop_requested() ? OfferEnd::kStopped : OfferEnd::kTimedOut;
  }
  Job job{.file = std::move(file), .claim = *std::move(claim), .direct = std::move(direct)};
  if (job.direct == nullptr) job.state = context_.retries.Take(job.file);
  OfferEnd end = OfferEnd::kTimedOut;
  while (true) {
    if (!context_.options.uploader->Ready()) {
      end = OfferEnd::kOffline;
      break;
    }
    const auto sent = channel_.Send(job, std::min(Now() + kPause, deadline), stop);
    if (sent == Channel<Job>::Sent::kTaken) return OfferEnd::kTaken;
    if (sent == Channel<Job>::Sent::kStopped) end = OfferEnd::kStopped;
    if (end == OfferEnd::kStopped || Now() >= deadline) break;
  }
  GiveBack(job);
  return end;
}

void Passes::Hint(const std::string& path) {
  MutexLock lock(hints_mutex_);
  if (under_way_ == 0 || hints_.size() >= kHintLimit) return;
  hints_.push_back(path);
  hinted_ = true;
}

std::optional<std::string> Passes::TakeHint() {
  if (!hinted_) return std::nullopt;
  MutexLock lock(hints_mutex_);
  if (hints_.empty()) return std::nullopt;
  std::string path = std::move(hints_.front());
  hints_.pop_front();
  hinted_ = !hints_.empty();
  return path;
}

std::vector<Root> Passes::Roots(const Complain& complain) const {
  return RootsOf(*context_.options.ops, config_, context_.former_roots, complain);
}

}  // namespace datamanager::sync
