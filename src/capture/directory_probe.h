// Finds out which operations a capture directory's file system supports.
#ifndef DATAMANAGER_SRC_CAPTURE_DIRECTORY_PROBE_H_
#define DATAMANAGER_SRC_CAPTURE_DIRECTORY_PROBE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"

namespace datamanager::capture {

struct DirectoryProbe {
  bool complete = false;          // False: the disk failed during the probe; try again.
  std::vector<std::string> lost;  // Each fallback for an operation that is missing, and its cost.
};

// Tries in `directory` the operations of capture and sync: makes a file, locks it, appends to it,
// cuts, flushes, renames and removes it. FAILED_PRECONDITION names an operation that cannot be done
// by any means. A full or broken disk is not an error: capture continues when that ends.
//
// Its files are named .probe-<process>-<number>.prog, which neither recovery nor sync takes; those
// of a killed process are removed first. Without `flushes` nothing is flushed. Any thread; blocks
// on the disk.
absl::StatusOr<DirectoryProbe> ProbeDirectory(FileOps& ops, const std::string& directory,
                                              bool flushes);

// Checks that `directory` takes the directory name `name`, by making a file of nearly that name.
// FAILED_PRECONDITION if not; OK if that cannot be found out at present. Names of letters, digits,
// '-', '_' and single dots are accepted everywhere, and not tried.
absl::Status ProbeName(FileOps& ops, const std::string& directory, std::string_view name);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_DIRECTORY_PROBE_H_
