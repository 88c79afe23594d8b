// Finds what is ready to be uploaded.
#ifndef DATAMANAGER_SRC_SYNC_DIRECTORY_WALKER_H_
#define DATAMANAGER_SRC_SYNC_DIRECTORY_WALKER_H_

#include <sys/stat.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file_ops.h"
#include "datamanager/clock.h"
#include "sync/found_file.h"

namespace datamanager::sync {

struct WalkOptions {
  FileOps* ops = &FileOps::System();
  std::string capture_directory;
  std::vector<std::string> additional_paths;
  // How long an arbitrary file must have been left alone.
  std::chrono::milliseconds min_file_age{0};
  // Asked before anything is known of a file but its name and id: false passes it over.
  std::function<bool(const FoundFile&)> wanted;
  // Receives each ready file; false ends the walk.
  std::function<bool(FoundFile, const struct stat& info)> visit;
  // Receives what could not be read; the walk goes on.
  std::function<void(const absl::Status&)> complain;
  std::stop_token stop;  // Ends the walk, however little there is to visit.
};

// Whether a file that is not in progress may be uploaded: a complete capture file at once, another
// when it is not empty and has been left alone for `min_age`. Pure.
bool IsReady(FileKind kind, const struct stat& info, std::chrono::milliseconds min_age,
             WallTime now);

// Walks the capture directory, then the additional paths. Streams: memory grows with the depth of
// the tree only. Follows no links below a root, stays out of `failed`, `sequences` and
// `datasetUpload` directly below each root, and enters a root only as a root, so that overlapping
// paths are walked once. A root that does not exist is passed over. In-progress files are never
// ready; hard links to another user's file are not ours to remove.
//
// False if `visit` or the stop ended the walk.
bool Walk(const WalkOptions& options, WallTime now);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_DIRECTORY_WALKER_H_
