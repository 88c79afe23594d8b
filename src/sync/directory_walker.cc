#include "sync/directory_walker.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/file_name.h"

namespace datamanager::sync {
namespace {

// Each level holds a descriptor.
constexpr size_t kMaxDepth = 64;

struct Root {
  std::string path;
  FileId id;
};

std::chrono::nanoseconds AgeOf(const struct stat& info, WallTime now) {
  const auto modified = WallTime(std::chrono::seconds(info.st_mtim.tv_sec) +
                                 std::chrono::nanoseconds(info.st_mtim.tv_nsec));
  return std::max(now - modified, WallTime::duration::zero());
}

class Walker {
 public:
  Walker(const WalkOptions& options, WallTime now) : options_(options), now_(now) {
    AddRoot(options.capture_directory);
    for (const std::string& path : options.additional_paths) AddRoot(path);
  }

  bool Run() {
    for (const Root& root : roots_) {
      root_ = &root;
      path_ = root.path;
      if (!Enter(AT_FDCWD, root.path.c_str(), 0)) return false;
    }
    return true;
  }

 private:
  void AddRoot(const std::string& path) {
    const std::unique_ptr<char, void (*)(void*)> resolved(realpath(path.c_str(), nullptr),
                                                          &std::free);
    if (resolved == nullptr) {
      if (errno != ENOENT) options_.complain(ErrnoStatus(errno, "resolve", path));
      return;
    }
    struct stat info {};
    if (options_.ops->Lstat(resolved.get(), &info) != 0) return;
    if (!S_ISDIR(info.st_mode)) {
      options_.complain(ErrnoStatus(ENOTDIR, "walk", path));
      return;
    }
    const FileId id = FileId::Of(info);
    if (IsRoot(id)) return;
    roots_.push_back({.path = resolved.get(), .id = id});
  }

  bool IsRoot(FileId id) const {
    return std::any_of(roots_.begin(), roots_.end(),
                       [&](const Root& root) { return root.id == id; });
  }

  // Whether a directory directly below a root is not for upload. An additional path may be the
  // capture directory of another data manager, so the names count below every root.
  static bool IsOffLimits(std::string_view name) {
    return name == capture_file::kFailedDirectory || name == capture_file::kSequencesDirectory ||
           name == capture_file::kDatasetUploadDirectory;
  }

  bool Enter(int parent, const char* name, size_t depth) {
    const DirectoryStream directory = OpenDirectory(*options_.ops, parent, name, O_NOFOLLOW);
    if (directory == nullptr) {
      if (errno != ENOENT) options_.complain(ErrnoStatus(errno, "open directory", path_));
      return true;
    }
    struct stat info {};
    if (options_.ops->Fstat(dirfd(directory.get()), &info) != 0) return true;
    if (depth > 0 && IsRoot(FileId::Of(info))) return true;
    if (depth > kMaxDepth) {
      options_.complain(absl::OutOfRangeError(absl::StrCat("directory too deep: ", path_)));
      return true;
    }
    return List(directory.get(), info.st_dev, depth);
  }

  bool List(DIR* directory, dev_t device, size_t depth) {
    const size_t length = path_.size();
    while (!options_.stop.stop_requested()) {
      const dirent* entry = options_.ops->ReadDirectory(directory);
      if (entry == nullptr) {
        if (errno != 0) options_.complain(ErrnoStatus(errno, "read directory", path_));
        return true;
      }
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      absl::StrAppend(&path_, "/", ToAbsl(name));
      const bool go_on = Look(dirfd(directory), *entry, device, depth);
      path_.resize(length);
      if (!go_on) return false;
    }
    return false;
  }

  bool Look(int parent, const dirent& entry, dev_t device, size_t depth) {
    const std::string_view name = entry.d_name;
    unsigned char type = entry.d_type;
    struct stat info {};
    bool known = false;
    if (type == DT_UNKNOWN) {
      if (options_.ops->LstatAt(parent, entry.d_name, &info) != 0) return true;
      known = true;
      type = IFTODT(info.st_mode);
    }
    if (type == DT_DIR) {
      return depth == 0 && IsOffLimits(name) ? true : Enter(parent, entry.d_name, depth + 1);
    }
    if (type != DT_REG || capture_file::IsInProgress(name)) return true;

    FoundFile file{
        .root = root_->path,
        .path = path_,
        .kind = capture_file::IsComplete(name) ? FileKind::kCapture : FileKind::kArbitrary,
        .id = {device, entry.d_ino}};
    if (!options_.wanted(file)) return true;
    if (!known && options_.ops->LstatAt(parent, entry.d_name, &info) != 0) return true;
    if (!S_ISREG(info.st_mode)) return true;
    // Some file systems list other inodes than they report.
    if (const FileId id = FileId::Of(info); id != file.id) {
      file.id = id;
      if (!options_.wanted(file)) return true;
    }
    if (info.st_nlink > 1 && info.st_uid != geteuid()) return true;
    if (!IsReady(file.kind, info, options_.min_file_age, now_)) return true;
    return options_.visit(std::move(file), info);
  }

  const WalkOptions& options_;
  const WallTime now_;
  std::vector<Root> roots_;
  const Root* root_ = nullptr;
  std::string path_;  // Of what is being looked at.
};

}  // namespace

bool IsReady(FileKind kind, const struct stat& info, std::chrono::milliseconds min_age,
             WallTime now) {
  return kind == FileKind::kCapture || (info.st_size > 0 && AgeOf(info, now) >= min_age);
}

bool Walk(const WalkOptions& options, WallTime now) { return Walker(options, now).Run(); }

}  // namespace datamanager::sync
