#include "sync/file_tree.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/file_name.h"

namespace datamanager::sync {
namespace {

// Each level holds a descriptor.
constexpr size_t kMaxDepth = 64;

class TreeWalk {
 public:
  explicit TreeWalk(const TreeOptions& options) : options_(options), path_(options.root) {}

  bool Run() { return Enter(AT_FDCWD, path_.c_str(), 0); }

 private:
  bool Enter(int parent, const char* name, size_t depth) {
    const DirectoryStream directory = OpenDirectory(*options_.ops, parent, name, O_NOFOLLOW);
    if (directory == nullptr) {
      if (errno != ENOENT) options_.complain(ErrnoStatus(errno, "open directory", path_));
      return true;
    }
    if (depth > kMaxDepth) {
      options_.complain(absl::OutOfRangeError(absl::StrCat("directory too deep: ", path_)));
      return true;
    }
    if (depth > 0 && IsOtherRoot(dirfd(directory.get()))) return true;
    return List(directory.get(), depth);
  }

  bool IsOtherRoot(int directory) const {
    struct stat info {};
    if (options_.other_roots.empty() || options_.ops->Fstat(directory, &info) != 0) return false;
    return std::find(options_.other_roots.begin(), options_.other_roots.end(), FileId::Of(info)) !=
           options_.other_roots.end();
  }

  bool List(DIR* directory, size_t depth) {
    const size_t length = path_.size();
    while (!options_.stop.stop_requested()) {
      const dirent* entry = options_.ops->ReadDirectory(directory);
      if (entry == nullptr) {
        if (errno != 0) options_.complain(ErrnoStatus(errno, "read directory", path_));
        return true;
      }
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (depth == 0 && !options_.only.empty() && name != options_.only) continue;
      absl::StrAppend(&path_, "/", ToAbsl(name));
      const bool go_on = Look(dirfd(directory), *entry, depth);
      path_.resize(length);
      if (!go_on) return false;
    }
    return false;
  }

  bool Look(int directory, const dirent& entry, size_t depth) {
    unsigned char type = entry.d_type;
    if (type == DT_UNKNOWN) {
      struct stat info {};
      if (options_.ops->LstatAt(directory, entry.d_name, &info) != 0) return true;
      type = IFTODT(info.st_mode);
    }
    if (type == DT_DIR) return Enter(directory, entry.d_name, depth + 1);
    if (type != DT_REG) return true;
    return options_.visit({.directory = directory,
                           .name = entry.d_name,
                           .path = path_,
                           .relative = std::string_view(path_).substr(options_.root.size() + 1)});
  }

  const TreeOptions& options_;
  std::string path_;  // Of what is being looked at.
};

}  // namespace

Area AreaOf(std::string_view relative) {
  const size_t slash = relative.find('/');
  if (slash == std::string_view::npos) return Area::kWaiting;
  const std::string_view top = relative.substr(0, slash);
  if (top == capture_file::kFailedDirectory) return Area::kFailed;
  if (top == capture_file::kSequencesDirectory || top == capture_file::kDatasetUploadDirectory) {
    return Area::kOther;
  }
  return Area::kWaiting;
}

WallTime ChangeTime(const struct stat& info) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(
      std::chrono::seconds(info.st_ctim.tv_sec) + std::chrono::nanoseconds(info.st_ctim.tv_nsec)));
}

bool WalkTree(const TreeOptions& options) { return TreeWalk(options).Run(); }

}  // namespace datamanager::sync
