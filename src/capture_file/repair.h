// Cuts a damaged capture file, for whoever does it by hand.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_REPAIR_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_REPAIR_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "datamanager/clock.h"

namespace datamanager::capture_file {

struct Repair {
  uint64_t records = 0;    // Whole ones, which stay.
  uint64_t size = 0;       // Where they end.
  uint64_t cut_bytes = 0;  // What followed; 0: the file was whole and is untouched.
  std::string damage;      // What was wrong with it.
  std::string further;     // The file that received the whole records from behind the damage.
  uint64_t salvaged = 0;   // How many they are.
  std::string kept;        // Where all else is kept that is not zeros.
  uint64_t kept_bytes = 0;
};

// Cuts the file at `path`, complete or in progress, where damage begins. The name stays. What is
// cut goes first, and durably, to two files beside it: whole records to a further complete capture
// file, as recovery and sync have it (see FindWholeRecords), and all else that is not zeros to a
// file of its own (see CutPath). A failure at any step leaves the file as it was, or cut with all
// that it held beside it; what an interrupted repair left is brought to its end.
//
// FAILED_PRECONDITION if somebody has the file open, or may have: where the file system cannot
// tell, if it was changed in the 5 minutes before `now`. DATA_LOSS if it is no capture file, or
// holds no whole record: there is nothing to save then. Any thread with all signals blocked.
absl::StatusOr<Repair> RepairFile(FileOps& ops, const std::string& path, WallTime now);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_REPAIR_H_
