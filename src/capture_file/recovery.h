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
  kRemovedEmpty,  // It held no record, or none that is not elsewhere.
  kInUse,         // Somebody has it open, or may have; look again later.
  kJustWritten,   // Perhaps closed only to be renamed; look again in a second.
  kNotOurs,       // No name, no kind of file that capture makes.
};

struct Recovery {
  RecoveryOutcome outcome = RecoveryOutcome::kNotOurs;
  std::unique_ptr<Writer> file;  // The recovered file, which holds its lock.
  uint64_t cut_bytes = 0;        // What is no longer in it.
  std::string damage;            // Of a damaged file: what was wrong.
  std::string further;           // Where the whole records from behind the damage are published.
  uint64_t salvaged = 0;         // How many they are.
  std::string remainder;         // Where is kept what is neither whole nor zeros.
  uint64_t remainder_bytes = 0;
  bool unfinished = false;  // An unfinished last record was cut off, as a kill leaves one.
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

  // Recovers the file at `path`, which is below the capture directory `root`. What is behind damage
  // is kept, durably, before the file is cut, so that an end at any moment loses nothing; an error
  // leaves the file for another try. CANCELLED if `keep_going` says so.
  absl::StatusOr<Recovery> Recover(const std::string& root, const std::string& path,
                                   const KeepGoing& keep_going = {});
  // To be called when all there is was tried: what was not met since the call before is forgotten.
  void EndPass();

  // Thread-safe as far as its counters go.
  const Remainders& remainders() const { return remainders_; }

 private:
  struct Sighting {
    struct stat info {};
    MonotonicTime first;
    bool met = false;  // In this pass.
  };

  // What has to be done before the file is as its whole beginning: cuts it, or removes it.
  absl::Status Cut(const std::string& root, const std::string& path, int fd, uint64_t size,
                   const Salvage& salvage, Recovery& recovery, const KeepGoing& keep_going);
  // Whether a further file belongs to a damaged one that is still as it was.
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
