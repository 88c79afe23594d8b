// Ends the sequences of dead processes.
#ifndef DATAMANAGER_SRC_CAPTURE_SEQUENCE_RECOVERY_H_
#define DATAMANAGER_SRC_CAPTURE_SEQUENCE_RECOVERY_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "base/file_ops.h"
#include "datamanager/clock.h"

namespace datamanager::capture {

struct SequenceRecovery {
  // Capture files begun from here on are of this run, and say nothing of an earlier one.
  WallTime run_began;
  // Told of each that was ended, with a line for people.
  std::function<void(const std::string&)> ended;
  // Called for each directory entry that is examined, because there may be hundreds of thousands:
  // the caller can do its other work in it. False ends the recovery. An empty function never ends
  // it.
  std::function<bool()> keep_going;
};

// Recovers the sequences in `<capture_dir>/sequences`, except those that are locked or open
// elsewhere. Removes files that were not written whole, and the .progseq of a sequence whose .seq
// exists. Ends the others at the last write to one of their resources' capture files or to the
// .progseq itself. One that cannot be read becomes a .seq as it is, and sync sets it aside.
//
// Call it before the capture files are recovered, because that changes them. Returns the first
// error; UNAVAILABLE if a file is in use and must be tried again; CANCELLED if `keep_going` ended
// it, which leaves some for the next call. Memory grows neither with the sequences nor with the
// capture files. Any thread with all signals blocked; blocks on the disk.
absl::Status RecoverSequences(FileOps& ops, const std::string& capture_dir,
                              const SequenceRecovery& recovery);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_SEQUENCE_RECOVERY_H_
