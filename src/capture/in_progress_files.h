// Finding the files in progress below a capture directory.
#ifndef DATAMANAGER_SRC_CAPTURE_IN_PROGRESS_FILES_H_
#define DATAMANAGER_SRC_CAPTURE_IN_PROGRESS_FILES_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "base/file_ops.h"

namespace datamanager::capture {

// Calls `visit` with the path of each .prog file where collectors put theirs,
// <root>/<api>/<resource>/<method>/. Below `root` no link is followed. Calls `keep_going` before
// each entry of a directory, so that it may do something else between them; false ends the walk
// with CANCELLED. The first directory that is there but cannot be read is the error; the others are
// still visited. Memory does not grow with what lies there.
absl::Status ForEachInProgressFile(FileOps& ops, const std::string& root,
                                   const std::function<void(const std::string& path)>& visit,
                                   const std::function<bool()>& keep_going);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_IN_PROGRESS_FILES_H_
