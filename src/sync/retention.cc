#include "sync/retention.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/file_name.h"
#include "sync/directory_walker.h"
#include "sync/local_file.h"
#include "sync/roots.h"

namespace datamanager::sync {
namespace {

// After so many evictions the usage is read anew.
constexpr uint64_t kReadUsageEvery = 16;

// Small files take more than their size.
uint64_t BytesOnDisk(const struct stat& info) {
  constexpr uint64_t kStatBlock = 512;
  return static_cast<uint64_t>(info.st_blocks) * kStatBlock;
}

double Share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

double DiskUsage::used() const { return size == 0 ? 0 : 1 - Share(available, size); }
double DiskUsage::captured_share() const { return Share(captured, size); }

Need NeedOf(const config::RetentionConfig& config, const DiskUsage& usage) {
  if (usage.size == 0 || usage.used() < config.disk_threshold) return Need::kNone;
  return usage.captured_share() < config.capture_threshold ? Need::kOthersFillIt : Need::kEvict;
}

Step NextStep(const config::RetentionConfig& config, const DiskUsage& usage, bool set_aside,
              uint64_t index) {
  if (NeedOf(config, usage) != Need::kEvict) return Step::kStop;
  if (set_aside || index % static_cast<uint64_t>(config.every_nth) == 0) return Step::kEvict;
  return Step::kKeep;
}

RetentionPass::RetentionPass(SyncContext& context, Timeline& timeline,
                             const config::SyncConfig& walked,
                             const config::RetentionConfig& config, std::stop_token stop,
                             size_t batch)
    : context_(context),
      ops_(*context.options.ops),
      timeline_(timeline),
      capture_directory_(walked.capture_directory),
      config_(config),
      stop_(std::move(stop)),
      batch_(batch) {
  roots_ = RootsOf(ops_, walked, context.former_roots, complain_);
  // Not there yet.
  if (!roots_.empty() && roots_.front().role != DirectorySummary::Role::kCapture) roots_.clear();
}

// On another volume it takes no room of this one.
bool RetentionPass::IsEvictable(const Root& root) const {
  return root.role != DirectorySummary::Role::kAdditional &&
         root.id.device == roots_.front().id.device;
}

absl::Status RetentionPass::ReadUsage() {
  struct statvfs volume {};
  if (ops_.Statvfs(capture_directory_.c_str(), &volume) != 0) {
    return ErrnoStatus(errno, "read the disk usage of", capture_directory_);
  }
  usage_.size = volume.f_blocks * volume.f_frsize;
  usage_.available = volume.f_bavail * volume.f_frsize;
  return absl::OkStatus();
}

bool RetentionPass::Walk(const std::function<void(Candidate)>& visit,
                         const std::function<void(uint64_t)>& add) {
  DirectoryWalker walker(ops_, roots_, complain_, stop_,
                         {.what = WalkOf::kEverything,
                          .enters = [this](const Root& root) { return IsEvictable(root); }});
  while (const DirectoryWalker::Entry* entry = walker.Next()) {
    struct stat info {};
    const bool set_aside = entry->area == Area::kFailed;
    const bool look_at = add != nullptr || set_aside;
    if (look_at && ops_.LstatAt(entry->parent, entry->name, &info) != 0) continue;  // Gone.
    if (add != nullptr) add(BytesOnDisk(info));
    std::optional<WallTime> stamp;
    if (set_aside) {
      stamp = ChangedAt(info);
    } else if (entry->area == Area::kWaiting && entry->kind == FileKind::kCapture) {
      stamp = capture_file::ParseStamp(entry->name);
    }
    if (!stamp.has_value()) continue;
    const std::string path = entry->Path();
    timeline_.Remember(path, *stamp);
    visit({.waiting = !set_aside,
           .place = timeline_.PlaceOf(path, *stamp),
           .root = static_cast<size_t>(entry->root - roots_.data()),
           .relative = entry->RelativePath()});
  }
  return !stop_.stop_requested();
}

void RetentionPass::RememberAhead() {
  const int64_t period = timeline_.PeriodToRemember();
  if (period == 0) return;
  if (Walk([](const Candidate&) {}, nullptr)) timeline_.AllRemembered(period);
}

std::vector<RetentionPass::Candidate> RetentionPass::NextBatch(bool first) {
  std::vector<Candidate> oldest;  // A heap with the youngest on top.
  const auto take = [&](Candidate candidate) {
    if (first && (!newest_.has_value() || *newest_ < candidate)) newest_ = candidate;
    if (last_.has_value() && candidate <= *last_) return;
    if (!first && *newest_ < candidate) return;
    if (oldest.size() == batch_) {
      if (oldest.front() < candidate) return;
      std::pop_heap(oldest.begin(), oldest.end());
      oldest.pop_back();
    }
    oldest.push_back(std::move(candidate));
    std::push_heap(oldest.begin(), oldest.end());
  };
  uint64_t captured = 0;
  const std::function<void(uint64_t)> add = [&captured](uint64_t bytes) { captured += bytes; };
  if (!Walk(take, first ? add : nullptr)) return {};
  if (first) usage_.captured = captured;
  std::sort_heap(oldest.begin(), oldest.end());
  return oldest;
}

bool RetentionPass::Evict(const Candidate& candidate) {
  const std::string& root = roots_[candidate.root].path;
  FoundFile file{.root = root,
                 .path = absl::StrCat(root, "/", candidate.relative),
                 .kind = FileKind::kCapture};
  struct stat info {};
  if (ops_.Lstat(file.path.c_str(), &info) != 0) return false;  // Uploaded meanwhile.
  file.id = FileId::Of(info);
  const std::optional<FileTracker::Claim> claim = context_.tracker.TryClaim(file.id);
  if (!claim.has_value()) return false;
  absl::Status status;
  {
    absl::StatusOr<LocalFile> opened = LocalFile::Open(ops_, file);
    status = opened.ok() ? opened->Remove() : opened.status();
  }
  if (!status.ok()) {
    // Gone, or another process has it: that is no fault.
    if (!absl::IsNotFound(status) && !absl::IsUnavailable(status)) {
      result_.error = Wrap(status, "evict");
    }
    return false;
  }
  context_.retries.Take(file);
  const uint64_t bytes = BytesOnDisk(info);
  usage_.captured -= std::min(usage_.captured, bytes);
  FileCount& count =
      candidate.waiting ? result_.evicted[ParentPath(candidate.relative)] : result_.set_aside;
  ++count.files;
  count.bytes += static_cast<uint64_t>(info.st_size);
  return true;
}

absl::StatusOr<RetentionResult> RetentionPass::Run() {
  if (roots_.empty()) return result_;
  RememberAhead();
  if (absl::Status status = ReadUsage(); !status.ok()) return status;
  // What the capture directory takes is not known yet; without this there is no need to know.
  if (usage_.size == 0 || usage_.used() < config_.disk_threshold) return result_;
  std::vector<Candidate> batch = NextBatch(/*first=*/true);
  result_.before = usage_;
  result_.need = NeedOf(config_, usage_);
  uint64_t index = 0;
  uint64_t evicted = 0;
  for (bool done = false; !done && !batch.empty() && !stop_.stop_requested();) {
    for (Candidate& candidate : batch) {
      const Step step = NextStep(config_, usage_, !candidate.waiting, index);
      if (done || step == Step::kStop || stop_.stop_requested()) {
        done = true;
        break;
      }
      // One that somebody has does not count.
      if (step == Step::kKeep || Evict(candidate)) index += candidate.waiting ? 1 : 0;
      if (step == Step::kEvict && ++evicted % kReadUsageEvery == 0) done = !ReadUsage().ok();
      last_ = std::move(candidate);
    }
    if (!done && last_ < newest_) {
      batch = NextBatch(/*first=*/false);
    } else {
      done = true;
    }
  }
  if (absl::Status status = ReadUsage(); !status.ok()) result_.error = std::move(status);
  result_.after = usage_;
  result_.need_after = NeedOf(config_, usage_);
  return result_;
}

}  // namespace datamanager::sync
