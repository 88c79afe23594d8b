#include "sync/directory_walker.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/file_name.h"
#include "sync/permission.h"

namespace datamanager::sync {
namespace {

// Each level holds a descriptor.
constexpr size_t kMaxDepth = 64;

bool Contains(const std::vector<Root>& roots, FileId id) {
  return std::any_of(roots.begin(), roots.end(), [&](const Root& root) { return root.id == id; });
}

// What a user put below our own directories is not ours, whatever it is.
Area AreaBelow(Area area) {
  return area == Area::kDatasetUpload || area == Area::kSequences ? Area::kOther : area;
}

Area AreaOfFile(Area area, std::string_view name) {
  const bool other = (area == Area::kDatasetUpload && !capture_file::IsDatasetUpload(name)) ||
                     (area == Area::kSequences &&
                      !capture_file::SequenceId(name, capture_file::kSequenceSuffix).has_value());
  return other ? Area::kOther : area;
}

FileKind KindOf(Area area, std::string_view name) {
  if (area == Area::kDatasetUpload) return FileKind::kDatasetUpload;
  if (area == Area::kSequences) return FileKind::kSequence;
  return capture_file::IsComplete(name) ? FileKind::kCapture : FileKind::kArbitrary;
}

}  // namespace

Area AreaOf(std::string_view directory) {
  if (directory == capture_file::kFailedDirectory) return Area::kFailed;
  if (directory == capture_file::kDatasetUploadDirectory) return Area::kDatasetUpload;
  if (directory == capture_file::kSequencesDirectory) return Area::kSequences;
  return Area::kWaiting;
}

const DirectoryWalker::Entry* DirectoryWalker::Next() {
  while (!stop_.stop_requested()) {
    if (levels_.empty()) {
      if (next_root_ == roots_.size()) return nullptr;
      const Root& next = roots_[next_root_++];
      if (options_.enters && !options_.enters(next)) continue;
      path_ = next.path;
      Enter(AT_FDCWD, path_.c_str(), 0, Area::kWaiting);
      continue;
    }
    const dirent* entry = ops_.ReadDirectory(levels_.back().stream.get());
    if (entry == nullptr) {
      if (errno != 0) complain_(ErrnoStatus(errno, "read directory", path_));
      path_.resize(levels_.back().parent_length);
      levels_.pop_back();
    } else if (Look(*entry)) {
      return &entry_;
    }
  }
  return nullptr;
}

void DirectoryWalker::Enter(int parent, const char* name, size_t parent_length, Area area) {
  Level level{.stream = OpenDirectory(ops_, parent, name, O_NOFOLLOW),
              .info = {},
              .parent_length = parent_length,
              .area = area};
  bool entered = false;
  if (level.stream == nullptr) {
    // Gone meanwhile, or something else has taken its place.
    if (errno != ENOENT && errno != ELOOP && errno != ENOTDIR) {
      complain_(ErrnoStatus(errno, "open directory", path_));
    }
  } else if (ops_.Fstat(dirfd(level.stream.get()), &level.info) != 0) {
    complain_(ErrnoStatus(errno, "look at", path_));
  } else if (levels_.empty()) {
    // A root may have been replaced since it was resolved.
    entered = FileId::Of(level.info) == root().id;
  } else if (levels_.size() > kMaxDepth) {
    complain_(absl::OutOfRangeError(
        absl::StrCat("directory too deep: ", path_, " is not walked; move it nearer to its root")));
  } else {
    entered = !Contains(roots_, FileId::Of(level.info));
  }
  if (entered) {
    levels_.push_back(std::move(level));
  } else {
    path_.resize(parent_length);
  }
}

bool DirectoryWalker::Look(const dirent& entry) {
  const std::string_view name = entry.d_name;
  if (name == "." || name == "..") return false;
  Level& level = levels_.back();
  const int parent = dirfd(level.stream.get());
  unsigned char type = entry.d_type;
  if (type == DT_UNKNOWN) {
    struct stat info {};
    if (ops_.LstatAt(parent, entry.d_name, &info) != 0) return false;
    type = IFTODT(info.st_mode);
  }
  if (type != DT_DIR && type != DT_REG) return false;
  const bool uploads = options_.what == WalkOf::kUploads;
  if (type == DT_REG && uploads &&
      (capture_file::IsInProgress(name) || capture_file::IsRemovedWhileOpen(name))) {
    return false;
  }
  if (path_.size() + 1 + name.size() >= PATH_MAX) {
    if (type == DT_REG) ++blocked_files_;
    complain_(absl::OutOfRangeError(
        absl::StrCat("path too long: not all in ", path_, " is uploaded; use shorter names")));
    return false;
  }
  if (type == DT_DIR) {
    const Area area = levels_.size() == 1 ? AreaOf(name) : AreaBelow(level.area);
    if (uploads && (area == Area::kFailed || area == Area::kOther)) return false;
    if (options_.what == WalkOf::kFailed && area != Area::kFailed) return false;
    const size_t length = path_.size();
    absl::StrAppend(&path_, "/", ToAbsl(name));
    Enter(parent, entry.d_name, length, area);
    return false;
  }
  const Area area = AreaOfFile(level.area, name);
  if (options_.what == WalkOf::kFailed && area != Area::kFailed) return false;
  if (uploads && area == Area::kOther) return false;
  if (uploads && !CanRemoveFrom(level)) {
    ++blocked_files_;
    return false;
  }
  entry_ = {
      .root = &root(),
      .directory = &path_,
      .name = entry.d_name,
      .area = area,
      .kind = KindOf(area, name),
      .id = {level.info.st_dev, entry.d_ino},
      .parent = parent,
      .directory_info = &level.info,
      .note = &level.note,
  };
  return true;
}

bool DirectoryWalker::CanRemoveFrom(Level& level) {
  if (level.removal == Level::Removal::kUnknown) {
    const absl::Status status = CheckDirectory(ops_, dirfd(level.stream.get()), path_);
    level.removal = status.ok() ? Level::Removal::kPossible : Level::Removal::kImpossible;
    if (!status.ok()) {
      ++blocked_directories_;
      complain_(status);
    }
  }
  return level.removal == Level::Removal::kPossible;
}

}  // namespace datamanager::sync
