#include "sync/root_pass.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "capture_file/file_name.h"

namespace datamanager::sync {
namespace {

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

RootPass::RootPass(SyncContext& context, const FileCheck& check, Complaints& complaints,
                   std::string path, DirectorySummary::Role role, Options options,
                   std::stop_token stop)
    : context_(context),
      ops_(*context.options.ops),
      check_(check),
      complaints_(complaints),
      path_(std::move(path)),
      role_(role),
      options_(std::move(options)),
      stop_(std::move(stop)),
      backlog_(options_.limits),
      most_open_(OpenDirectoryLimit()),
      user_(::geteuid()) {}

std::optional<Root> RootPass::Resolve() {
  absl::StatusOr<Root> root = FindRoot(ops_, path_, role_);
  if (root.ok()) return *std::move(root);
  if (!absl::IsNotFound(root.status())) {
    complain_(root.status());
  } else if (role_ == DirectorySummary::Role::kAdditional) {
    complain_(absl::NotFoundError(
        absl::StrCat("additional_sync_paths: ", path_,
                     " does not exist: nothing is uploaded from there until it does")));
  }
  return std::nullopt;
}

void RootPass::Begin(std::shared_ptr<const std::vector<Root>> roots, size_t index) {
  roots_ = std::move(roots);
  index_ = index;
  backlog_.KeepAtMost(options_.most_files);
  backlog_walker_.emplace(NewWalker());
}

DirectoryWalker RootPass::NewWalker() const {
  return {
      ops_, *roots_, complain_, stop_, {.enters = [own = (*roots_)[index_].id](const Root& root) {
        return root.id == own;
      }}};
}

std::optional<capture_file::CompleteStamp> RootPass::StampOf(const DirectoryWalker::Entry& entry,
                                                             bool add) {
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

bool RootPass::CollectBacklog() {
  if (!backlog_walker_.has_value()) return true;
  for (int i = 0; i < kStepEntries; ++i) {
    const DirectoryWalker::Entry* const entry = backlog_walker_->Next();
    if (entry == nullptr) {
      if (first_walk_) {
        blocked_files_ = backlog_walker_->blocked_files();
        blocked_directories_ = backlog_walker_->blocked_directories();
        if (others_) other_walker_.emplace(NewWalker());
      }
      first_walk_ = false;
      backlog_walker_.reset();
      backlog_.Sort();
      return true;
    }
    // Whoever has it sees to it.
    if (context_.tracker.IsClaimed(entry->id)) continue;
    const auto stamp = StampOf(*entry, true);
    if (!stamp.has_value() || !backlog_.Add(*entry->note, *stamp)) others_ = true;
  }
  return false;
}

RootPass::Result RootPass::Next(Row row, std::optional<Job>& job) { return Step(row, &job); }

RootPass::Result RootPass::LookAhead(Row row) { return Step(row, nullptr); }

RootPass::Result RootPass::Step(Row row, std::optional<Job>* job) {
  if (!CollectBacklog()) return Result::kNotYet;
  return row == Row::kBacklog ? NextOldest(job) : NextOther(job);
}

RootPass::Result RootPass::NextOldest(std::optional<Job>* job) {
  for (int i = 0; i < kStepEntries; ++i) {
    const std::optional<Backlog::File> oldest =
        left_oldest_.has_value() ? std::exchange(left_oldest_, std::nullopt) : backlog_.Take();
    if (!oldest.has_value()) {
      if (!backlog_.more()) return Result::kNothing;
      backlog_.GoOn();
      backlog_walker_.emplace(NewWalker());
      return Result::kNotYet;
    }
    const Backlog::Directory& directory = backlog_.directory(oldest->directory);
    file_.root = directory.root;
    file_.path.assign(directory.path).append("/").append(oldest->name);
    file_.kind = FileKind::kCapture;
    file_.id = {};
    if (!Claim(Open(oldest->directory), job)) continue;
    if (job == nullptr) left_oldest_ = oldest;
    return Result::kFile;
  }
  return Result::kNotYet;
}

RootPass::Result RootPass::NextOther(std::optional<Job>* job) {
  if (!free_sequences_.empty()) return NextSequence(job);
  if (!other_walker_.has_value()) return Result::kNothing;
  for (int i = 0; i < kStepEntries; ++i) {
    const DirectoryWalker::Entry* const left = std::exchange(left_other_, nullptr);
    const DirectoryWalker::Entry* const entry = left != nullptr ? left : other_walker_->Next();
    if (entry == nullptr) other_walker_.reset();
    if (entry == nullptr || sequences_.size() >= kMostSequences) {
      if (sequences_.empty()) return Result::kNothing;
      left_other_ = entry;
      AskAboutSequences();
      return Result::kNotYet;
    }
    const auto stamp = StampOf(*entry, false);
    if (stamp.has_value() && backlog_.Takes(*entry->note, *stamp)) continue;
    file_.root = entry->root->path;
    entry->PutPath(file_.path);
    file_.kind = entry->kind;
    file_.id = entry->id;
    const OpenedDirectory directory{
        .fd = entry->parent, .info = entry->directory_info, .user = user_};
    if (file_.kind == FileKind::kSequence) {
      struct stat info {};
      if (IsDrawable(directory, info)) sequences_.push_back(file_);
    } else if (Claim(directory, job)) {
      if (job == nullptr) left_other_ = entry;
      return Result::kFile;
    }
  }
  return Result::kNotYet;
}

void RootPass::AskAboutSequences() {
  const std::vector<bool> held = check_.AreHeld(sequences_);
  for (size_t i = sequences_.size(); i-- > 0;) {
    if (!held[i]) free_sequences_.push_back(std::move(sequences_[i]));
  }
  sequences_.clear();
}

RootPass::Result RootPass::NextSequence(std::optional<Job>* job) {
  file_ = std::move(free_sequences_.back());
  free_sequences_.pop_back();
  const FileCheck::Look look = check_.LookAt(file_);
  if (!look.ready || !check_.IsFree(file_) || !options_.filter(file_, look.info)) {
    return Result::kNotYet;
  }
  if (job == nullptr) {
    free_sequences_.push_back(file_);
  } else {
    *job = check_.Claim(file_);
    if (!job->has_value()) return Result::kNotYet;
  }
  return Result::kFile;
}

bool RootPass::IsDrawable(const OpenedDirectory& directory, struct stat& info) {
  // Before it is looked at, if the directory has told which it is.
  if (directory.fd < 0 || (file_.id != FileId{} && !check_.IsFree(file_))) return false;
  const FileCheck::Look look = check_.LookAt(directory, file_);
  if (!look.blocked.ok()) {
    ++blocked_files_;
    complain_(look.blocked);
  }
  info = look.info;
  return look.ready && check_.IsFree(file_);
}

bool RootPass::Claim(const OpenedDirectory& directory, std::optional<Job>* job) {
  struct stat info {};
  if (!IsDrawable(directory, info) || !options_.filter(file_, info)) return false;
  if (job == nullptr) return true;
  *job = check_.Claim(file_);
  return job->has_value();
}

OpenedDirectory RootPass::Open(int directory) {
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

}  // namespace datamanager::sync
