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

// The sequences that have a resource whose files lie in one directory, by their places in a list.
using Indices = std::vector<size_t>;

// Sets `waits` of those whose data lie in the directory.
void LookInto(FileOps& ops, const std::string& directory,
              const std::vector<capture_file::Sequence>& sequences, const Indices& indices,
              std::vector<bool>& waits) {
  const DirectoryStream stream = Open(ops, directory);
  if (stream == nullptr) return;
  while (const dirent* entry = ops.ReadDirectory(stream.get())) {
    const std::optional<WallTime> begun = capture_file::ParseStamp(entry->d_name);
    if (!begun.has_value()) continue;
    std::optional<WallTime> modified;
    for (const size_t index : indices) {
      const capture_file::Sequence& sequence = sequences[index];
      const WallTime end = sequence.end.value_or(WallTime::max() - kSlack);
      if (waits[index] || *begun > end + kSlack) continue;
      if (!modified.has_value()) {
        struct stat info {};
        if (ops.LstatAt(dirfd(stream.get()), entry->d_name, &info) != 0) break;
        modified = ModifiedAt(info);
      }
      waits[index] = *modified + kSlack >= sequence.start;
    }
  }
}

}  // namespace

std::vector<bool> DataWaits(FileOps& ops, const std::string& root,
                            const std::vector<capture_file::Sequence>& sequences) {
  std::vector<bool> waits(sequences.size());
  const DirectoryStream apis = Open(ops, root);
  if (apis == nullptr) return waits;
  absl::flat_hash_map<std::string, Indices> by_resource;
  for (size_t i = 0; i < sequences.size(); ++i) {
    for (const capture_file::SequenceResource& resource : sequences[i].resources) {
      by_resource[capture_file::ResourceSegments(resource.name, resource.method)].push_back(i);
    }
  }
  while (const dirent* api = ops.ReadDirectory(apis.get())) {
    const std::string_view name = api->d_name;
    if (name == "." || name == ".." || (api->d_type != DT_DIR && api->d_type != DT_UNKNOWN)) {
      continue;
    }
    for (const auto& [resource, indices] : by_resource) {
      LookInto(ops, absl::StrCat(root, "/", api->d_name, "/", resource), sequences, indices, waits);
    }
  }
  return waits;
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
