#include "sync/sequence_hold.h"

#include <fcntl.h>

#include <optional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "capture_file/file_name.h"

namespace datamanager::sync {
namespace {

// A record is older than the file that it begins, and the kernel's stamps are coarse.
constexpr std::chrono::seconds kSlack{1};

// The directory `path`; null if there is none, or a link on the way.
DirectoryStream Open(FileOps& ops, const std::string& path) {
  const absl::StatusOr<UniqueFd> fd = OpenDirectoryWithoutLinks(ops, path, O_PATH);
  if (!fd.ok()) return DirectoryStream(nullptr, ::closedir);
  return OpenDirectory(ops, fd->get(), ".", 0);
}

bool WaitsIn(FileOps& ops, const std::string& directory, const capture_file::Sequence& sequence) {
  const DirectoryStream stream = Open(ops, directory);
  if (stream == nullptr) return false;
  const WallTime end = sequence.end.value_or(WallTime::max() - kSlack);
  while (const dirent* entry = ops.ReadDirectory(stream.get())) {
    const std::optional<WallTime> begun = capture_file::ParseStamp(entry->d_name);
    struct stat info {};
    if (begun.has_value() && *begun <= end + kSlack &&
        ops.LstatAt(dirfd(stream.get()), entry->d_name, &info) == 0 &&
        ModifiedAt(info) + kSlack >= sequence.start) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool DataWaits(FileOps& ops, const std::string& root, const capture_file::Sequence& sequence) {
  const DirectoryStream apis = Open(ops, root);
  if (apis == nullptr) return false;
  while (const dirent* api = ops.ReadDirectory(apis.get())) {
    const std::string_view name = api->d_name;
    if (name == "." || name == ".." || (api->d_type != DT_DIR && api->d_type != DT_UNKNOWN)) {
      continue;
    }
    for (const capture_file::SequenceResource& resource : sequence.resources) {
      const std::string directory =
          absl::StrCat(root, "/", api->d_name, "/",
                       capture_file::ResourceSegments(resource.name, resource.method));
      if (WaitsIn(ops, directory, sequence)) return true;
    }
  }
  return false;
}

bool IsHeld(bool data_waits, MonotonicTime since, MonotonicTime now) {
  return data_waits && now - since < kLongestHold;
}

bool SequenceHolds::Holds(const FileId& file, bool data_waits, MonotonicTime now) {
  MutexLock lock(mutex_);
  if (!data_waits) {
    since_.erase(file);
    return false;
  }
  const auto known = since_.find(file);
  if (known != since_.end()) return IsHeld(data_waits, known->second, now);
  if (since_.size() >= limit_) {
    // Those that have had their time; among them, files that somebody took away.
    absl::erase_if(since_,
                   [now](const auto& entry) { return now - entry.second >= 2 * kLongestHold; });
    if (since_.size() >= limit_) return true;
  }
  since_[file] = now;
  return true;
}

}  // namespace datamanager::sync
