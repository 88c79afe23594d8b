#include "sync/leftover.h"

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/caught.h"
#include "base/mutex.h"
#include "sync/local_file.h"
#include "sync/stuck_roots.h"

namespace datamanager::sync {
namespace {

// How often a call asks whether the disk hangs.
constexpr std::chrono::milliseconds kHangCheck{500};

// A look, of the thread that looks and the call that waits for it.
struct Look {
  Mutex mutex;
  CondVar changed;
  std::optional<absl::StatusOr<Leftover>> end DM_GUARDED_BY(mutex);
};

bool IsInUse(SyncContext& context, const FoundFile& file) {
  const auto claim = context.tracker.TryClaim(file.id);
  if (!claim.has_value()) return false;
  const absl::StatusOr<LocalFile> opened = LocalFile::Open(*context.options.ops, file);
  return absl::IsUnavailable(opened.ok() ? opened->CheckNoWriter() : opened.status());
}

Leftover LookThrough(SyncContext& context, Dispatcher& dispatcher, const FileFilter& filter,
                     const std::stop_token& stop) {
  Leftover left;
  const auto waits = [&](const FoundFile& file, const struct stat& info) {
    if (!filter(file, info)) return false;
    if (context.breaker.IsRefused(CircuitBreaker::Candidate::Of(file.path, /*tried=*/false),
                                  context.options.clock->MonotonicNow())) {
      if (left.resting++ == 0) left.resting_path = file.path;
      return false;
    }
    if (IsInUse(context, file)) {
      if (left.in_use++ == 0) left.in_use_path = file.path;
      return false;
    }
    return true;
  };
  left.any = dispatcher.AnyReady(waits, stop);
  return left;
}

}  // namespace

absl::StatusOr<Leftover> LookForLeftover(const std::shared_ptr<SyncContext>& context,
                                         const std::shared_ptr<Scheduler>& scheduler,
                                         const FileFilter& filter, const std::stop_token& stop) {
  const auto look = std::make_shared<Look>();
  absl::Status started = scheduler->StartThread("dm-look", [=] {
    absl::StatusOr<Leftover> end;
    try {
      end = LookThrough(*context, scheduler->dispatcher(), filter, stop);
    } catch (...) {
      end = CaughtStatus("the look for files that are left");
    }
    MutexLock lock(look->mutex);
    look->end = std::move(end);
    look->changed.NotifyAll();
  });
  if (!started.ok()) return started;
  while (true) {
    {
      MutexLock lock(look->mutex);
      look->changed.WaitUntil(look->mutex, stop, Clock::System().MonotonicNow() + kHangCheck,
                              [&look] {
                                look->mutex.AssertHeld();
                                return look->end.has_value();
                              });
      // A look that was cut short has seen nothing.
      if (stop.stop_requested()) return absl::CancelledError("sync was stopped");
      if (look->end.has_value()) return *std::move(look->end);
    }
    const std::optional<std::string> hangs =
        scheduler->dispatcher().stuck().Hanging(StuckRoots::kLongPatience);
    if (hangs.has_value()) return DiskHangs(*hangs);
  }
}

absl::Status ResultOf(const Leftover& left, uint64_t refused) {
  std::vector<std::string> texts;
  if (refused > 0) {
    texts.push_back(absl::StrCat("the server refused ", refused, " files; they are under failed/"));
  }
  if (left.resting > 0) {
    texts.push_back(absl::StrCat("the server refuses everything, so that ", left.resting,
                                 " files rest, such as ", left.resting_path));
  }
  if (left.in_use > 0) {
    texts.push_back(absl::StrCat("other processes have ", left.in_use,
                                 " files locked or open for writing, such as ", left.in_use_path,
                                 "; a later pass uploads them"));
  }
  if (texts.empty()) return absl::OkStatus();
  const std::string text = absl::StrJoin(texts, "; ");
  return refused + left.resting > 0 ? absl::InvalidArgumentError(text)
                                    : absl::DeadlineExceededError(text);
}

absl::Status DiskHangs(const std::string& path) {
  return absl::UnavailableError(absl::StrCat(
      "the disk hangs below ", path, ": the files there wait, all others are with a worker"));
}

}  // namespace datamanager::sync
