// Cuts a damaged capture file on an operator's request.
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
  std::string damage;      // The error that was found in it.
  std::string further;     // The file that received the whole records from behind the damage.
  uint64_t salvaged = 0;   // The number of these records.
  std::string kept;        // The file that received all else that is not zeros.
  uint64_t kept_bytes = 0;
};

// Cuts the file at `path`, complete or in progress, where damage begins. The name stays. Before
// that, the bytes behind the damage go durably to two files beside it: whole records to a further
// complete capture file, as in recovery and sync (see FindWholeRecords), and all else that is not
// zeros to a separate file (see CutPath). A failure at any step leaves the file unchanged, or cut
// with all other bytes beside it. The next call completes an interrupted repair.
//
// FAILED_PRECONDITION: the file is open elsewhere, or may be: where the file system does not report
//   that, if it was changed in the 5 minutes before `now`.
// DATA_LOSS: it is not a capture file, or holds no whole record, so nothing can be saved.
// Any thread with all signals blocked.
absl::StatusOr<Repair> RepairFile(FileOps& ops, const std::string& path, WallTime now);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_REPAIR_H_
