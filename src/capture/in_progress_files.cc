#include "capture/in_progress_files.h"

#include <fcntl.h>

#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/file_name.h"

namespace datamanager::capture {
namespace {

constexpr int kLevels = 3;  // Of directories below the root.

class Walk {
 public:
  Walk(FileOps& ops, const std::function<void(const std::string&)>& visit,
       const std::function<bool()>& keep_going)
      : ops_(ops), visit_(visit), keep_going_(keep_going) {}

  // False ends the walk.
  bool Visit(const std::string& path, int level) {
    if (!keep_going_()) {
      status_ = absl::CancelledError("the walk was ended");
      return false;
    }
    if (level > kLevels) {
      if (capture_file::IsInProgress(path)) visit_(path);
      return true;
    }
    const DirectoryStream stream =
        OpenDirectory(ops_, AT_FDCWD, path.c_str(), level == 0 ? 0 : O_NOFOLLOW);
    if (stream == nullptr) {
      // Not there, or no directory: nothing of ours.
      if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) Fail(path);
      return true;
    }
    while (const dirent* entry = ops_.ReadDirectory(stream.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (!Visit(absl::StrCat(path, "/", ToAbsl(name)), level + 1)) return false;
    }
    if (errno != 0) Fail(path);
    return true;
  }

  const absl::Status& status() const { return status_; }

 private:
  void Fail(const std::string& path) {
    if (status_.ok()) status_ = ErrnoStatus(errno, "read directory", path);
  }

  FileOps& ops_;
  const std::function<void(const std::string&)>& visit_;
  const std::function<bool()>& keep_going_;
  absl::Status status_;
};

}  // namespace

absl::Status ForEachInProgressFile(FileOps& ops, const std::string& root,
                                   const std::function<void(const std::string& path)>& visit,
                                   const std::function<bool()>& keep_going) {
  Walk walk(ops, visit, keep_going);
  walk.Visit(root, 0);
  return walk.status();
}

}  // namespace datamanager::capture
