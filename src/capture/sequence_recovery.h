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
  // Called for each entry of a directory that is looked at, as there may be hundreds of thousands:
  // the caller's other duties may be done in it. False ends the recovery. None: it goes on.
  std::function<bool()> keep_going;
};

// What is left in `<capture_dir>/sequences`, unless somebody has it locked or open: removes what
// was not written whole, and the .progseq of a sequence whose .seq is there; ends the others with
// what is known of the end: when one of their resources' capture files was last written, or the
// .progseq itself. One that cannot be read becomes a .seq as it is, for sync to set aside.
//
// To be called before the capture files are recovered, since that changes them. Returns the first
// error, UNAVAILABLE if something is in use: to be looked at again, and CANCELLED if `keep_going`
// ended it, which leaves some for the next call. Memory grows neither with the sequences nor with
// the capture files. Any thread with all signals blocked; blocks on the disk.
absl::Status RecoverSequences(FileOps& ops, const std::string& capture_dir,
                              const SequenceRecovery& recovery);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_SEQUENCE_RECOVERY_H_
