// Cuts the torn tail of a capture file, for whoever does it by hand.
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
  std::string kept;        // Where those bytes are kept.
  std::string damage;      // What was wrong with them.
};

// Cuts the file at `path`, complete or in progress, after its last whole record. The name stays.
// What is cut goes first, and durably, to a file beside it (see CutPath), since after damage in the
// middle of a file whole records may follow. A failure at any step leaves the file as it was.
//
// FAILED_PRECONDITION if somebody has the file open, or may have: where the file system cannot
// tell, if it was changed in the 5 minutes before `now`. DATA_LOSS if it is no capture file, or
// holds no whole record: there is nothing to save then. Any thread with all signals blocked.
absl::StatusOr<Repair> RepairFile(FileOps& ops, const std::string& path, WallTime now);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_REPAIR_H_
