// Finds the whole records of a damaged capture file. Recovery, sync and repair all use it.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_SALVAGE_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_SALVAGE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "capture_file/reader.h"
#include "datamanager/clock.h"

namespace datamanager::capture_file {

// A function that long work calls repeatedly: at least once for each 64 KiB read or written and for
// each directory entry. False ends the work, which then returns CANCELLED.
using KeepGoing = std::function<bool()>;
// Calls `keep_going`; an empty function never ends any work.
inline bool GoesOn(const KeepGoing& keep_going) { return !keep_going || keep_going(); }

struct SalvageOptions {
  // When the file was begun (the time in its name) and when it was last written to. The times of
  // its records are compared with these.
  std::optional<WallTime> begun;
  WallTime changed;
  // Where the damage begins, if the caller already knows. Records before it count as whole if their
  // outlines are.
  std::optional<uint64_t> damaged_at;
  KeepGoing keep_going;
};

// The parts of a capture file; each byte of it is in one of them, or is a zero.
struct Salvage {
  Extent metadata;             // Its frame. Empty: the file does not begin with metadata.
  uint64_t whole_end = 0;      // Where the whole records at the beginning end.
  uint64_t whole_records = 0;  // The number of these records.
  absl::Status damage;         // The error behind them; OK: the file ends there.
  std::vector<Extent> runs;    // Whole records behind damage, in their order.
  uint64_t run_records = 0;
  // The stretches that are neither whole records nor all zeros, without the zeros at both ends.
  std::vector<Extent> remainders;
  // The beginning of a record that the file's end cuts off, as any kill may leave one. It is in no
  // remainder. Empty: there is none.
  Extent unfinished;

  uint64_t remainder_bytes() const;
  // Whether there is anything behind the damage that must be kept.
  bool must_keep() const { return !runs.empty() || !remainders.empty(); }
};

// Examines the first `size` bytes of `fd`. A payload may look like records; so a chain of frames
// behind damage counts as whole records only if
//
//   - each frame parses as a record of the file's kind, with times that its records can have: from
//     the beginning of the file to its last write, or, if the source has a clock of its own, within
//     about the same span on that clock; and
//   - the chain begins where a length inside the damaged record puts that record's end; or anywhere
//     else in a tabular file, if it is later than all records before it and its first frame is not
//     UTF-8: all that a source chooses in a tabular record is text or numbers, so no text can hold
//     such a frame.
//
// Two chains that are out of order cannot both be right, as when a page was written twice. Of two
// that lengths lead to, the shorter one does not count, and of others the first one; a chain that
// is older than the records before any damage does not count either. A copy of a page is not
// noticed if a record before it ends, by chance, right where a frame of the copy begins.
//
// All else is in a remainder, including whole records that fail these rules, and those beyond
// kMaxRuns damages or beyond a bounded amount of work for each byte of the file.
//
// CANCELLED if `keep_going` returns false; any other error is the disk's. Memory does not grow with
// the file, apart from one tabular record and 16 bytes for each run.
inline constexpr size_t kMaxRuns = 4096;
absl::StatusOr<Salvage> FindWholeRecords(FileOps& ops, int fd, uint64_t size,
                                         const SalvageOptions& options);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_SALVAGE_H_
