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

// Small files take more than their size.
uint64_t BytesOnDisk(const struct stat& info) {
  constexpr uint64_t kStatBlock = 512;
  return static_cast<uint64_t>(info.st_blocks) * kStatBlock;
}

// Returns the need by one of the two measures, bytes or inodes.
Need NeedBy(const config::RetentionConfig& config, double used, double captured_share) {
  if (used < config.disk_threshold) return Need::kNone;
  return captured_share < config.capture_threshold ? Need::kOthersFillIt : Need::kEvict;
}

Need NeedOfBytes(const config::RetentionConfig& config, const DiskUsage& usage) {
  if (usage.size == 0) return Need::kNone;
  return NeedBy(config, usage.used(), usage.captured_share());
}

Need NeedOfInodes(const config::RetentionConfig& config, const DiskUsage& usage) {
  if (usage.inodes == 0) return Need::kNone;
  return NeedBy(config, usage.inodes_used(), usage.captured_inode_share());
}

}  // namespace

std::string_view LimitName(Limit limit) {
  switch (limit) {
    case Limit::kNone:
      return "nothing";
    case Limit::kBytes:
      return "disk space";
    case Limit::kInodes:
      return "inodes";
    case Limit::kQuota:
      return "quota";
    case Limit::kUnknown:
      return "space that the file system does not report";
  }
  return "unknown";
}

Need NeedOf(const config::RetentionConfig& config, const DiskUsage& usage, int refused) {
  if (refused != 0) return Need::kEvict;
  return std::max(NeedOfBytes(config, usage), NeedOfInodes(config, usage));
}

Limit LimitOf(const config::RetentionConfig& config, const DiskUsage& usage, int refused) {
  const Need need = NeedOf(config, usage);
  if (refused == EDQUOT) return Limit::kQuota;
  if (refused != 0) {
    if (usage.size > 0 && usage.available == 0) return Limit::kBytes;
    if (usage.inodes > 0 && usage.inodes_available == 0) return Limit::kInodes;
    if (need == Need::kNone) return Limit::kUnknown;
  }
  if (need == Need::kNone) return Limit::kNone;
  return NeedOfBytes(config, usage) == need ? Limit::kBytes : Limit::kInodes;
}

Step NextStep(const config::RetentionConfig& config, const DiskUsage& usage, bool set_aside,
              uint64_t index, int refused) {
  if (NeedOf(config, usage, refused) != Need::kEvict) return Step::kStop;
  if (set_aside || index % static_cast<uint64_t>(config.every_nth) == 0) return Step::kEvict;
  return Step::kKeep;
}

RetentionPass::RetentionPass(SyncContext& context, Timeline& timeline,
                             const config::SyncConfig& walked,
                             const config::RetentionConfig& config, std::stop_token stop,
                             RefusedWrites refused, size_t batch)
    : context_(context),
      ops_(*context.options.ops),
      timeline_(timeline),
      capture_directory_(walked.capture_directory),
      config_(config),
      stop_(std::move(stop)),
      batch_(batch),
      reported_(refused) {
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
  const absl::StatusOr<DiskUsage> read = ReadDiskUsage(ops_, capture_directory_);
  if (!read.ok()) return read.status();
  const DiskUsage before = std::exchange(usage_, *read);
  usage_.captured = before.captured;
  usage_.captured_files = before.captured_files;
  // Some file systems that do not count inodes report none available. A new file shows which it is.
  if (usage_.inodes > 0 && usage_.inodes_available == 0 && refused_ == 0 &&
      !MeasureRoom(ops_, capture_directory_).full()) {
    usage_.inodes = 0;
  }
  return absl::OkStatus();
}

void RetentionPass::LookAtRefusals() {
  if (reported_.error == 0) return;
  room_ = MeasureRoom(ops_, capture_directory_);
  refused_ = room_.full() ? room_.error : 0;
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
  uint64_t files = 0;
  const std::function<void(uint64_t)> add = [&](uint64_t bytes) {
    captured += bytes;
    ++files;
  };
  if (!Walk(take, first ? add : nullptr)) return {};
  if (first) {
    usage_.captured = captured;
    usage_.captured_files = files;
  }
  std::sort_heap(oldest.begin(), oldest.end());
  return oldest;
}

RetentionPass::Outcome RetentionPass::Evict(const Candidate& candidate) {
  const std::string& root = roots_[candidate.root].path;
  FoundFile file{.root = root,
                 .path = absl::StrCat(root, "/", candidate.relative),
                 .kind = FileKind::kCapture};
  struct stat info {};
  if (ops_.Lstat(file.path.c_str(), &info) != 0) return Outcome::kPassedOver;  // Uploaded by now.
  file.id = FileId::Of(info);
  const std::optional<FileTracker::Claim> claim = context_.tracker.TryClaim(file.id);
  if (!claim.has_value()) return Outcome::kPassedOver;
  absl::Status status;
  {
    absl::StatusOr<LocalFile> opened = LocalFile::Open(ops_, file);
    status = opened.ok() ? opened->Evict() : opened.status();
  }
  if (!status.ok()) {
    // Gone, or another process has it: that is no fault.
    if (absl::IsNotFound(status) || absl::IsUnavailable(status)) return Outcome::kPassedOver;
    result_.error = Wrap(status, "evict");
    return Outcome::kFailed;
  }
  context_.retries.Take(file);
  usage_.captured -= std::min(usage_.captured, BytesOnDisk(info));
  usage_.captured_files -= std::min<uint64_t>(usage_.captured_files, 1);
  FileCount& count =
      candidate.waiting ? result_.evicted[ParentPath(candidate.relative)] : result_.set_aside;
  ++count.files;
  count.bytes += static_cast<uint64_t>(info.st_size);
  return Outcome::kEvicted;
}

void RetentionPass::Measure() {
  if (absl::Status status = ReadUsage(); !status.ok()) result_.error = std::move(status);
  if (refused_ != 0) LookAtRefusals();
}

// Free space counts with the file system's reserve: root may have written into the reserve, and
// then `available` stays at zero for a while.
bool RetentionPass::Gained() const {
  const bool bytes = usage_.free > step_usage_.free || usage_.available > step_usage_.available;
  const bool inodes = usage_.inodes_available > step_usage_.inodes_available;
  switch (result_.limit) {
    case Limit::kBytes:
      return bytes;
    case Limit::kInodes:
      return inodes;
    case Limit::kQuota:
    case Limit::kUnknown:
    case Limit::kNone:
      break;
  }
  return bytes || inodes || room_.bytes > step_room_.bytes;
}

bool RetentionPass::EndStep() {
  in_step_ = 0;
  const bool was_refused = refused_ != 0;
  Measure();
  if (!Gained() && (refused_ != 0 || !was_refused)) {
    SettleRemovals(ops_, capture_directory_);
    Measure();
  }
  const bool gained = Gained() || (was_refused && refused_ == 0);
  gained_ = gained_ || gained;
  fruitless_steps_ = gained ? 0 : fruitless_steps_ + 1;
  blind_steps_ = room_.bytes > step_room_.bytes ? 0 : blind_steps_ + 1;
  step_usage_ = usage_;
  step_room_ = room_;
  if (reported_.insist && gained) return false;
  const bool blind = refused_ != 0 && blind_steps_ >= kBlindSteps &&
                     (result_.limit == Limit::kQuota || result_.limit == Limit::kUnknown);
  result_.fruitless = fruitless_steps_ >= kFruitlessSteps || blind;
  return !result_.fruitless;
}

// Returns false if the pass must end.
bool RetentionPass::EvictBatch(std::vector<Candidate>& batch) {
  for (Candidate& candidate : batch) {
    if (stop_.stop_requested()) return false;
    const Step step = NextStep(config_, usage_, !candidate.waiting, index_,
                               reported_.insist ? reported_.error : refused_);
    if (step == Step::kStop) return false;
    const Outcome outcome = step == Step::kEvict ? Evict(candidate) : Outcome::kPassedOver;
    // A file in use does not count: the next one is evicted instead.
    if (candidate.waiting && (step == Step::kKeep || outcome == Outcome::kEvicted)) ++index_;
    last_ = std::move(candidate);
    if (outcome != Outcome::kPassedOver && ++in_step_ == kStepFiles && !EndStep()) return false;
  }
  return true;
}

absl::StatusOr<RetentionResult> RetentionPass::Run() {
  if (roots_.empty()) return result_;
  RememberAhead();
  LookAtRefusals();
  if (absl::Status status = ReadUsage(); !status.ok()) return status;
  // If the look itself failed, the state of the capture directory is unknown.
  result_.refused_elsewhere = reported_.error != 0 && room_.error == 0;
  reported_.insist = reported_.insist && result_.refused_elsewhere;
  const int refused = reported_.insist ? reported_.error : refused_;
  // What the capture directory takes is not known yet; without this there is no need to know.
  const bool full = (usage_.size > 0 && usage_.used() >= config_.disk_threshold) ||
                    (usage_.inodes > 0 && usage_.inodes_used() >= config_.disk_threshold);
  if (!full && refused == 0) return result_;
  std::vector<Candidate> batch = NextBatch(/*first=*/true);
  step_usage_ = result_.before = usage_;
  step_room_ = room_;
  result_.need = NeedOf(config_, usage_, refused);
  result_.limit = LimitOf(config_, usage_, refused);
  while (!batch.empty() && EvictBatch(batch) && last_ < newest_) batch = NextBatch(/*first=*/false);
  if (absl::Status status = ReadUsage(); !status.ok()) result_.error = std::move(status);
  if (refused_ != 0) LookAtRefusals();
  result_.after = usage_;
  result_.room = room_;
  result_.need_after = NeedOf(config_, usage_, refused_);
  if (in_step_ > 0 && Gained()) gained_ = true;
  const bool need = result_.need_after == Need::kEvict || reported_.insist;
  const bool in_vain = result_.fruitless || !gained_;
  result_.fruitless = need && in_vain && !stop_.stop_requested();
  return result_;
}

}  // namespace datamanager::sync
