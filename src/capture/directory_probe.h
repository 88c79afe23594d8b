// Finding out what a capture directory's file system can do.
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
  bool complete = false;          // Else the disk failed in between: to be tried again.
  std::vector<std::string> lost;  // What is done in place of what it lacks, and what that costs.
};

// Does in `directory` what capture and sync will do there: makes a file, locks it, appends to it,
// cuts, flushes, renames and removes it. FAILED_PRECONDITION says what cannot be done by any means.
// A disk that is full or broken is no reason: capture goes on by itself when that ends.
//
// Its files are named .probe-<process>-<number>.prog, which neither recovery nor sync takes; what a
// killed process has left is removed first. Without `flushes` nothing is flushed. Any thread;
// blocks on the disk.
absl::StatusOr<DirectoryProbe> ProbeDirectory(FileOps& ops, const std::string& directory,
                                              bool flushes);

// Whether `directory` takes `name`, of a directory of ours, by making a file of nearly that name.
// FAILED_PRECONDITION if not; OK where that cannot be found out now. Names of letters, digits, '-',
// '_' and single dots are taken everywhere, and not tried.
absl::Status ProbeName(FileOps& ops, const std::string& directory, std::string_view name);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_DIRECTORY_PROBE_H_
