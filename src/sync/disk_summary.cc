#include "sync/disk_summary.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "capture_file/file_name.h"
#include "sync/file_tree.h"
#include "sync/roots.h"

namespace datamanager::sync {
namespace {

void Count(FileCount& count, const struct stat& info) {
  ++count.files;
  count.bytes += static_cast<uint64_t>(info.st_size);
}

std::string CountText(const FileCount& count, std::string_view what) {
  return absl::StrCat(count.files, " ", ToAbsl(what), " (", count.bytes, " bytes)");
}

std::string AgeText(std::chrono::milliseconds age) {
  return absl::StrFormat("%.1f min", std::chrono::duration<double, std::ratio<60>>(age).count());
}

// Counts one file after another.
class Counter {
 public:
  Counter(SyncContext& context, Timeline& timeline, DirectorySummary& summary)
      : ops_(*context.options.ops), timeline_(timeline), summary_(summary) {}

  void Add(const TreeFile& file) {
    const Area area = AreaOf(file.relative);
    struct stat info {};
    if (area == Area::kOther || ops_.LstatAt(file.directory, file.name, &info) != 0) return;
    if (area == Area::kFailed) {
      Count(summary_.failed, info);
      return;
    }
    const WallTime time = capture_file::ParseStamp(file.name).value_or(ChangeTime(info));
    if (capture_file::IsInProgress(file.name)) {
      Count(summary_.in_progress, info);
      std::optional<WallTime>& oldest = summary_.oldest_in_progress;
      oldest = std::min(oldest.value_or(time), time);
      return;
    }
    // Of the others, empty ones are not uploaded.
    if (!capture_file::IsComplete(file.name) && info.st_size == 0) return;
    Count(summary_.waiting, info);
    const auto age =
        std::chrono::duration_cast<std::chrono::milliseconds>(timeline_.AgeOf(file.path, time));
    if (summary_.oldest_waiting.has_value() && age <= summary_.oldest_waiting_age) return;
    summary_.oldest_waiting = time;
    summary_.oldest_waiting_age = age;
  }

 private:
  FileOps& ops_;
  Timeline& timeline_;
  DirectorySummary& summary_;
};

}  // namespace

std::optional<std::vector<DirectorySummary>> Summarize(SyncContext& context, Timeline& timeline,
                                                       const config::SyncConfig& config,
                                                       const std::stop_token& stop) {
  const std::vector<Root> roots = RootsOf(*context.options.ops, config, context.former_roots);
  std::vector<FileId> ids;
  for (const Root& root : roots) ids.push_back(root.id);
  std::vector<DirectorySummary> summaries;
  for (const Root& root : roots) {
    DirectorySummary summary{.path = root.path, .role = root.role};
    struct statvfs volume {};
    if (context.options.ops->Statvfs(summary.path.c_str(), &volume) == 0) {
      summary.volume_bytes = volume.f_blocks * volume.f_frsize;
      summary.volume_available_bytes = volume.f_bavail * volume.f_frsize;
    }
    Counter counter(context, timeline, summary);
    const bool whole = WalkTree({.ops = context.options.ops,
                                 .root = summary.path,
                                 .other_roots = ids,
                                 .visit =
                                     [&counter](const TreeFile& file) {
                                       counter.Add(file);
                                       return true;
                                     },
                                 .complain =
                                     [&](const absl::Status& status) {
                                       summary.complete = false;
                                       context.options.logger->Debug(
                                           absl::StrCat("disk summary: ", status.ToString()));
                                     },
                                 .stop = stop});
    if (!whole) return std::nullopt;
    summaries.push_back(std::move(summary));
  }
  return summaries;
}

bool IsEmpty(const DirectorySummary& summary) {
  return summary.complete && summary.waiting.files == 0 && summary.in_progress.files == 0 &&
         summary.failed.files == 0;
}

std::string Describe(const DirectorySummary& summary) {
  std::string text = absl::StrCat(
      summary.path, summary.role == DirectorySummary::Role::kFormer ? " (former capture_dir)" : "",
      ": ", CountText(summary.waiting, "files wait"), ", ",
      CountText(summary.in_progress, "in progress"), ", ", CountText(summary.failed, "failed"));
  if (summary.oldest_waiting.has_value()) {
    absl::StrAppend(&text, ", the oldest for ", AgeText(summary.oldest_waiting_age));
  }
  constexpr double kGiB = 1 << 30;
  const auto size = static_cast<double>(summary.volume_bytes);
  const auto available = static_cast<double>(summary.volume_available_bytes);
  if (size > 0) {
    absl::StrAppendFormat(&text, "; volume: %.2f of %.2f GiB available (%.1f %%)", available / kGiB,
                          size / kGiB, available / size * 100);
  }
  return text;
}

std::chrono::milliseconds StaleAge(std::chrono::milliseconds sync_interval) {
  constexpr int kIntervals = 10;
  constexpr std::chrono::minutes kLeast{3};
  return std::max<std::chrono::milliseconds>(kIntervals * sync_interval, kLeast);
}

std::optional<std::string> StaleWarning(const std::vector<DirectorySummary>& summary,
                                        std::chrono::milliseconds sync_interval,
                                        std::optional<MonotonicTime> said, MonotonicTime now) {
  if (said.has_value() && now - *said < kStaleWarningInterval) return std::nullopt;
  const DirectorySummary* oldest = nullptr;
  uint64_t files = 0;
  for (const DirectorySummary& directory : summary) {
    files += directory.waiting.files;
    if (!directory.oldest_waiting.has_value()) continue;
    if (oldest == nullptr || directory.oldest_waiting_age > oldest->oldest_waiting_age) {
      oldest = &directory;
    }
  }
  if (oldest == nullptr || oldest->oldest_waiting_age <= StaleAge(sync_interval)) {
    return std::nullopt;
  }
  return absl::StrCat("Capture data may not be syncing: oldest file is ",
                      AgeText(oldest->oldest_waiting_age), " old, in ", oldest->path, "; ", files,
                      " files are waiting");
}

}  // namespace datamanager::sync
