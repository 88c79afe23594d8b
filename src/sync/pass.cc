#include "sync/pass.h"

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "config/directories.h"
#include "sync/directory_walker.h"

namespace datamanager::sync {
namespace {

// How often a wait for a worker looks up.
constexpr std::chrono::seconds kPause{1};
// A file in the retry table has an owner only for the moment in which it is put there or taken.
constexpr std::chrono::milliseconds kHandOverLimit{10};
// Hints are only that: what does not fit is found by the next pass.
constexpr size_t kHintLimit = 256;

}  // namespace

PassEnd Passes::Run(const std::stop_token& stop, const FileFilter& filter,
                    const std::function<void()>& pause) {
  {
    MutexLock lock(hints_mutex_);
    ++under_way_;
  }
  PassEnd end = PassEnd::kComplete;
  const bool whole = WalkAll(
      [&](const FoundFile& file) {
        return !context_.tracker.IsClaimed(file.id) && !context_.retries.IsWaiting(file, Now()) &&
               !context_.refusals.Rests(ParentPath(file.path), Now());
      },
      [&](FoundFile file, const struct stat& info) {
        // They take turns, so that none of them holds up the others.
        if (filter(file, info)) end = Offer(std::move(file), stop, pause);
        if (end == PassEnd::kComplete) end = OfferHint(stop, pause);
        if (end == PassEnd::kComplete) end = OfferRetry(stop, pause);
        pause();
        return end == PassEnd::kComplete;
      },
      stop);
  if (!whole && end == PassEnd::kComplete) end = PassEnd::kStopped;
  if (end == PassEnd::kComplete) ++context_.passes;
  MutexLock lock(hints_mutex_);
  if (--under_way_ == 0) hints_.clear();
  return end;
}

bool Passes::WalkAll(Wanted wanted, Visit visit, const std::stop_token& stop) const {
  std::vector<std::string> further = config_.additional_paths;
  for (std::string& path : context_.former_roots.Paths()) further.push_back(std::move(path));
  return Walk({.ops = context_.options.ops,
               .capture_directory = config_.capture_directory,
               .additional_paths = std::move(further),
               .min_file_age = config_.min_file_age,
               .wanted = std::move(wanted),
               .visit = std::move(visit),
               .complain =
                   [this](const absl::Status& status) {
                     context_.options.logger->Debug(absl::StrCat("walk: ", status.ToString()));
                   },
               .stop = stop},
              context_.options.clock->WallNow());
}

bool Passes::AnyReady(const FileFilter& filter, const std::stop_token& stop) const {
  bool any = false;
  WalkAll([](const FoundFile&) { return true; },
          [&](const FoundFile& file, const struct stat& info) {
            any = filter(file, info);
            return !any;
          },
          stop);
  return any;
}

PassEnd Passes::Offer(FoundFile file, const std::stop_token& stop,
                      const std::function<void()>& pause) {
  std::optional<FileTracker::Claim> claim = context_.tracker.TryClaim(file.id);
  if (!claim.has_value()) return PassEnd::kComplete;
  const RetryState state = context_.retries.Take(file);
  Job job{.file = std::move(file), .claim = *std::move(claim), .state = state};
  const auto give_back = [&](PassEnd end) {
    if (job.state.attempts > 0) context_.retries.Put({job.file, job.state});
    return end;
  };
  while (true) {
    if (!context_.options.uploader->Ready()) return give_back(PassEnd::kOffline);
    switch (channel_.Send(job, Now() + kPause, stop)) {
      case Channel<Job>::Sent::kTaken:
        return PassEnd::kComplete;
      case Channel<Job>::Sent::kStopped:
        return give_back(PassEnd::kStopped);
      case Channel<Job>::Sent::kTimedOut:
        pause();
        break;
    }
  }
}

PassEnd Passes::OfferHint(const std::stop_token& stop, const std::function<void()>& pause) {
  FoundFile file{.root = config_.capture_directory, .kind = FileKind::kCapture};
  {
    MutexLock lock(hints_mutex_);
    if (hints_.empty()) return PassEnd::kComplete;
    file.path = std::move(hints_.front());
    hints_.pop_front();
  }
  struct stat info {};
  if (context_.options.ops->Lstat(file.path.c_str(), &info) != 0) return PassEnd::kComplete;
  file.id = FileId::Of(info);
  if (context_.retries.IsWaiting(file, Now())) return PassEnd::kComplete;
  return Offer(std::move(file), stop, pause);
}

PassEnd Passes::OfferRetry(const std::stop_token& stop, const std::function<void()>& pause) {
  std::optional<FoundFile> file = context_.retries.NextDue(Now());
  if (!file.has_value()) return PassEnd::kComplete;
  context_.tracker.WaitUntilFree(file->id, Now() + kHandOverLimit, stop);
  return Offer(*std::move(file), stop, pause);
}

void Passes::Hint(const std::string& path) {
  // A collector of an earlier config may still finish a file in a former capture directory.
  if (!config::IsSameOrInside(path, config_.capture_directory)) return;
  MutexLock lock(hints_mutex_);
  if (under_way_ > 0 && hints_.size() < kHintLimit) hints_.push_back(path);
}

}  // namespace datamanager::sync
