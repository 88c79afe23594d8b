#include "sync/disk_summary.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "capture_file/file_name.h"
#include "sync/directory_walker.h"
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

size_t IndexOf(const std::vector<Root>& roots, const Root& root) {
  return static_cast<size_t>(&root - roots.data());
}

// Counts one file after another.
class Counter {
 public:
  Counter(SyncContext& context, Timeline& timeline, DirectorySummary& summary)
      : ops_(*context.options.ops), timeline_(timeline), summary_(summary) {}

  void Add(const DirectoryWalker::Entry& file) {
    struct stat info {};
    if (file.area == Area::kOther || ops_.LstatAt(file.parent, file.name, &info) != 0) return;
    if (file.area == Area::kFailed) {
      Count(summary_.failed, info);
      if (capture_file::IsRemainder(file.name)) Count(summary_.remainders, info);
      return;
    }
    if (file.area == Area::kSequences) {
      Count(summary_.sequences, info);
      return;
    }
    const WallTime time = capture_file::ParseStamp(file.name).value_or(ChangedAt(info));
    if (file.name == capture_file::kStoredKeysName) return;
    if (capture_file::IsInProgress(file.name)) {
      Count(summary_.in_progress, info);
      std::optional<WallTime>& oldest = summary_.oldest_in_progress;
      oldest = std::min(oldest.value_or(time), time);
      return;
    }
    // Of the others, empty ones are not uploaded.
    if (file.kind == FileKind::kArbitrary && info.st_size == 0) return;
    Count(summary_.waiting, info);
    const auto age =
        std::chrono::duration_cast<std::chrono::milliseconds>(timeline_.AgeOf(file.Path(), time));
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
  FileOps& ops = *context.options.ops;
  std::vector<DirectorySummary> summaries;
  const DirectoryWalker* walker = nullptr;
  std::vector<Root> roots;
  const Complain complain = [&](const absl::Status& status) {
    if (walker != nullptr) summaries[IndexOf(roots, walker->root())].complete = false;
    context.options.logger->Debug(absl::StrCat("disk summary: ", status.ToString()));
  };
  roots = RootsOf(ops, config, context.former_roots, complain);
  for (const Root& root : roots) {
    DirectorySummary summary{.path = root.path, .role = root.role};
    struct statvfs volume {};
    if (ops.Statvfs(summary.path.c_str(), &volume) == 0) {
      summary.volume_bytes = volume.f_blocks * volume.f_frsize;
      summary.volume_available_bytes = volume.f_bavail * volume.f_frsize;
      summary.volume_inodes = volume.f_files;
      summary.volume_available_inodes = volume.f_favail;
    }
    summaries.push_back(std::move(summary));
  }
  DirectoryWalker everything(ops, roots, complain, stop, {.what = WalkOf::kEverything});
  walker = &everything;
  while (const DirectoryWalker::Entry* file = everything.Next()) {
    Counter(context, timeline, summaries[IndexOf(roots, *file->root)]).Add(*file);
  }
  if (stop.stop_requested()) return std::nullopt;
  return summaries;
}

bool IsEmpty(const DirectorySummary& summary) {
  return summary.complete && summary.waiting.files == 0 && summary.in_progress.files == 0 &&
         summary.failed.files == 0 && summary.sequences.files == 0;
}

std::string Describe(const DirectorySummary& summary) {
  std::string text = absl::StrCat(
      summary.path, summary.role == DirectorySummary::Role::kFormer ? " (former capture_dir)" : "",
      ": ", CountText(summary.waiting, "files wait"), ", ",
      CountText(summary.in_progress, "in progress"), ", ", CountText(summary.failed, "failed"));
  if (summary.sequences.files > 0) {
    absl::StrAppend(&text, ", ", CountText(summary.sequences, "sequences wait"));
  }
  if (summary.oldest_waiting.has_value()) {
    absl::StrAppend(&text, ", the oldest for ", AgeText(summary.oldest_waiting_age));
  }
  constexpr double kGiB = 1 << 30;
  const auto size = static_cast<double>(summary.volume_bytes);
  const auto available = static_cast<double>(summary.volume_available_bytes);
  if (size > 0) {
    absl::StrAppendFormat(&text, "; volume: %.2f of %.2f GiB available (%.1f %%)", available / kGiB,
                          size / kGiB, available / size * 100);
    if (summary.volume_inodes > 0) {
      absl::StrAppend(&text, ", ", summary.volume_available_inodes, " of ", summary.volume_inodes,
                      " inodes");
    }
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
