// Finding the files in progress below a capture directory.
#ifndef DATAMANAGER_SRC_CAPTURE_IN_PROGRESS_FILES_H_
#define DATAMANAGER_SRC_CAPTURE_IN_PROGRESS_FILES_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "base/file_ops.h"

namespace datamanager::capture {

// Calls `visit` with the path of each .prog file in the directories of collectors,
// <root>/<api>/<resource>/<method>/. Follows no link below `root`. Calls `keep_going` before each
// entry of a directory, so that the caller can do other work in between; false ends the walk with
// CANCELLED. Returns the error of the first directory that exists but cannot be read; still visits
// the others. Memory does not grow with the number of entries.
absl::Status ForEachInProgressFile(FileOps& ops, const std::string& root,
                                   const std::function<void(const std::string& path)>& visit,
                                   const std::function<bool()>& keep_going);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_IN_PROGRESS_FILES_H_
