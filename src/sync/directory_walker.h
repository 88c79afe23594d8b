// Finds the files below directories, by their names.
#ifndef DATAMANAGER_SRC_SYNC_DIRECTORY_WALKER_H_
#define DATAMANAGER_SRC_SYNC_DIRECTORY_WALKER_H_

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/file_ops.h"
#include "sync/found_file.h"
#include "sync/roots.h"

namespace datamanager::sync {

// What lies below a directory directly below a root, or as a file in the root itself.
enum class Area : uint8_t {
  kWaiting,        // For upload.
  kDatasetUpload,  // Directly in `datasetUpload`: for upload, if its name was made here.
  kSequences,      // Directly in `sequences`: for upload, those that have ended.
  kFailed,         // Set aside below failed/.
  kOther,          // Whatever else is below these two: not for upload.
};
// By the directory's name. An additional path may be the capture directory of another data manager,
// so the names count below every root. Pure.
Area AreaOf(std::string_view directory);

// Which files a walk is about.
enum class WalkOf : uint8_t {
  kUploads,     // What may be uploaded: complete files to be waited for no longer.
  kFailed,      // What was set aside.
  kEverything,  // Each regular file.
};

struct WalkOptions {
  WalkOf what = WalkOf::kUploads;
  std::function<bool(const Root&)> enters;  // Which roots are walked; all, if it is empty.
};

// Walks roots in their order, and streams: memory grows only with the depth of the tree, and no
// file is looked at. Follows no links below a root, and enters a root only as a root, so that
// overlapping paths are walked once. A walk for uploads leaves out what is not for upload,
// in-progress files, files that were removed while open, and directories from which nothing can be
// removed. One thread.
class DirectoryWalker {
 public:
  // All must outlive it. The stop ends it, however little there is to be told of.
  DirectoryWalker(FileOps& ops, const std::vector<Root>& roots, const Complain& complain,
                  std::stop_token stop, WalkOptions options = {})
      : ops_(ops),
        roots_(roots),
        complain_(complain),
        stop_(std::move(stop)),
        options_(std::move(options)) {}

  // What the directory tells of a file.
  struct Entry {
    const Root* root = nullptr;
    const std::string* directory = nullptr;  // Absolute.
    const char* name = nullptr;
    Area area = Area::kWaiting;
    FileKind kind = FileKind::kCapture;
    FileId id;        // Some file systems list other inodes than they report.
    int parent = -1;  // Open on the directory,
    const struct stat* directory_info = nullptr;  // and what that says.
    int* note = nullptr;  // The caller's, one for each directory; -1 at first.

    std::string Path() const {
      std::string path;
      PutPath(path);
      return path;
    }
    // Into a string that may have its storage already.
    void PutPath(std::string& path) const { path.assign(*directory).append("/").append(name); }
    // Below the root, without a slash in front.
    std::string RelativePath() const {
      return Path().substr(root->path == "/" ? 1 : root->path.size() + 1);
    }
  };
  // The next file; valid until the next call. Null at the end, and after the stop.
  const Entry* Next();

  // What is being walked, once Next was called.
  const Root& root() const { return roots_[next_root_ - 1]; }
  // Of what was walked so far: files passed over since nothing can be removed from their directory
  // or since their path is too long, and how many such directories there are.
  uint64_t blocked_files() const { return blocked_files_; }
  uint64_t blocked_directories() const { return blocked_directories_; }

 private:
  struct Level {
    DirectoryStream stream;
    struct stat info;
    size_t parent_length = 0;  // Of the path of the directory above.
    Area area = Area::kWaiting;
    enum class Removal : uint8_t { kUnknown, kPossible, kImpossible } removal = Removal::kUnknown;
    int note = -1;
  };

  void Enter(int parent, const char* name, size_t parent_length, Area area);
  // Whether the entry is a file to be told of; enters directories.
  bool Look(const dirent& entry);
  bool CanRemoveFrom(Level& level);

  FileOps& ops_;
  const std::vector<Root>& roots_;
  const Complain& complain_;
  const std::stop_token stop_;
  const WalkOptions options_;
  size_t next_root_ = 0;
  std::vector<Level> levels_;
  std::string path_;  // Of the innermost directory.
  Entry entry_;
  uint64_t blocked_files_ = 0;
  uint64_t blocked_directories_ = 0;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_DIRECTORY_WALKER_H_
