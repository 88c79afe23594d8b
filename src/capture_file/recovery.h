// Takes over the files that a dead process left in progress.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_RECOVERY_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_RECOVERY_H_

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "capture_file/writer.h"
#include "datamanager/clock.h"

namespace datamanager::capture_file {

enum class RecoveryOutcome : uint8_t {
  kRecovered,     // Cut after its last whole record that parses: to be flushed and published.
  kRemovedEmpty,  // It held no record.
  kInUse,         // Somebody has it open, or may have; look again later.
  kJustWritten,   // Perhaps closed only to be renamed; look again in a second.
  kNotOurs,       // No name, no kind of file that capture makes.
};

struct Recovery {
  RecoveryOutcome outcome = RecoveryOutcome::kNotOurs;
  std::unique_ptr<Writer> file;  // The recovered file, which holds its lock.
  uint64_t cut_bytes = 0;        // What was no whole record.
};

// Recovers in-progress files. Never takes one that another open file description holds, in this
// process or another (see ClaimFile). Where the file system cannot tell, a file that was seen
// unchanged for 5 minutes counts as left behind: by the monotonic clock from when it was first
// seen, since the wall clock may have jumped over its modification time in either direction. A
// writer that takes no lock closes a file before it renames it: one changed in the last 200 ms is
// left alone too.
//
// One thread, with all signals blocked; blocks on the disk.
class Recoverer {
 public:
  Recoverer(FileOps& ops, const Clock& clock) : ops_(ops), clock_(clock) {}

  absl::StatusOr<Recovery> Recover(const std::string& path);
  // To be called when all there is was tried: what was not met since the call before is forgotten.
  void EndPass();

 private:
  struct Sighting {
    struct stat info {};
    MonotonicTime first;
    bool met = false;  // In this pass.
  };

  // For how long the file was seen unchanged.
  MonotonicTime::duration UnchangedFor(const std::string& path, const struct stat& info);

  FileOps& ops_;
  const Clock& clock_;
  std::map<std::string, Sighting> sightings_;  // Of files that were left alone.
};

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_RECOVERY_H_
