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
#include "capture_file/file_name.h"
#include "capture_file/remainders.h"
#include "capture_file/salvage.h"
#include "capture_file/writer.h"
#include "datamanager/clock.h"

namespace datamanager::capture_file {

enum class RecoveryOutcome : uint8_t {
  kRecovered,     // Cut where damage begins, if there is any: to be flushed and published.
  kRemovedEmpty,  // It held no record, or only records that are also elsewhere.
  kInUse,         // It is open elsewhere, or may be; look again later.
  kJustWritten,   // Perhaps closed only to be renamed; look again in a second.
  kNotOurs,       // No name, no kind of file that capture makes.
};

struct Recovery {
  RecoveryOutcome outcome = RecoveryOutcome::kNotOurs;
  std::unique_ptr<Writer> file;  // The recovered file, which holds its lock.
  uint64_t cut_bytes = 0;        // The number of bytes that were cut off.
  std::string damage;            // The error that was found in a damaged file.
  std::string further;           // Where the whole records from behind the damage are published.
  uint64_t salvaged = 0;         // The number of these records.
  std::string remainder;         // The path of the remainder, if there is one.
  uint64_t remainder_bytes = 0;
  bool unfinished = false;  // An unfinished last record was cut off; a kill leaves one.
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
  Recoverer(FileOps& ops, const Clock& clock) : ops_(ops), clock_(clock), remainders_(ops) {}

  // Recovers the file at `path`, which is below the capture directory `root`. The bytes behind
  // damage are kept durably before the file is cut, so that a crash at any moment loses nothing. An
  // error leaves the file for another attempt. CANCELLED if `keep_going` returns false.
  absl::StatusOr<Recovery> Recover(const std::string& root, const std::string& path,
                                   const KeepGoing& keep_going = {});
  // To be called when all there is was tried: what was not met since the call before is forgotten.
  void EndPass();

  // Only the counters may be read from any thread.
  const Remainders& remainders() const { return remainders_; }

 private:
  struct Sighting {
    struct stat info {};
    MonotonicTime first;
    bool met = false;  // In this pass.
  };

  // Keeps the bytes behind damage, then cuts the file to its whole beginning, or removes it.
  absl::Status Cut(const std::string& root, const std::string& path, int fd, uint64_t size,
                   const Salvage& salvage, Recovery& recovery, const KeepGoing& keep_going);
  // Whether a further file belongs to a damaged file that is still uncut.
  bool IsOfUncutFile(const std::string& path, const FurtherOf& further);
  // For how long the file was seen unchanged.
  MonotonicTime::duration UnchangedFor(const std::string& path, const struct stat& info);

  FileOps& ops_;
  const Clock& clock_;
  Remainders remainders_;
  std::map<std::string, Sighting> sightings_;  // Of files that were left alone.
};

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_RECOVERY_H_
