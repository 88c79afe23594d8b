// Takes over the files that a dead process left in progress.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_RECOVERY_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_RECOVERY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "datamanager/clock.h"

namespace datamanager::capture_file {

enum class RecoveryOutcome : uint8_t {
  kPublished,     // Cut after its last whole record that parses, and complete.
  kRemovedEmpty,  // It held no record.
  kInUse,         // Somebody has it open, or may have; look again later.
  kNotOurs,       // No name, no kind of file that capture makes.
};

struct Recovery {
  RecoveryOutcome outcome = RecoveryOutcome::kNotOurs;
  std::string path;        // Where it is published.
  uint64_t cut_bytes = 0;  // What was no whole record.
};

// Recovers one in-progress file. Never takes one that another open file description holds, in this
// process or another: the owner's lock tells for ours, and a write lease for those who take no
// lock; where the file system has no leases, a file untouched for 5 minutes counts as left behind.
// Any thread with all signals blocked; blocks on the disk.
absl::StatusOr<Recovery> RecoverFile(FileOps& ops, const std::string& path, WallTime now);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_RECOVERY_H_
