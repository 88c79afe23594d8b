// Looks at everything that lies below a directory.
#ifndef DATAMANAGER_SRC_SYNC_FILE_TREE_H_
#define DATAMANAGER_SRC_SYNC_FILE_TREE_H_

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/file_ops.h"
#include "datamanager/clock.h"

namespace datamanager::sync {

// What a file below a root is there for.
enum class Area : uint8_t {
  kWaiting,  // To be uploaded.
  kFailed,   // Set aside below failed/.
  kOther,    // Below `sequences` or `datasetUpload`, which sync does not walk.
};

// By the directory directly below the root; `relative` is the path from there. Pure.
Area AreaOf(std::string_view relative);

// When the file was published, moved, written to or otherwise changed. Pure.
WallTime ChangeTime(const struct stat& info);

// A regular file, while it is being looked at.
struct TreeFile {
  int directory;              // Descriptor of the directory that holds it.
  const char* name;           // In that directory.
  std::string_view path;      // Absolute.
  std::string_view relative;  // Below the root, without a slash in front.
};

struct TreeOptions {
  FileOps* ops = &FileOps::System();
  std::string root;  // Resolved; may be missing.
  // Directories with a walk of their own: not entered below the root.
  std::vector<FileId> other_roots;
  // Only this directory directly below the root; empty: all.
  std::string_view only;
  // Receives each regular file; false ends the walk.
  std::function<bool(const TreeFile&)> visit;
  // Receives what could not be read; the walk goes on.
  std::function<void(const absl::Status&)> complain;
  std::stop_token stop;  // Ends the walk, however little there is to visit.
};

// Streams: memory grows with the depth of the tree only. Follows no links. False if `visit` or the
// stop ended the walk.
bool WalkTree(const TreeOptions& options);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_FILE_TREE_H_
