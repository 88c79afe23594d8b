// Keeps the remainders of damaged capture files.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_REMAINDERS_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_REMAINDERS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/mutex.h"
#include "capture_file/reader.h"
#include "capture_file/salvage.h"

namespace datamanager::capture_file {

// The limits on the space and the number of one root's remainders.
struct RemainderLimits {
  double volume_share = 0.05;
  uint64_t least_bytes = 64 << 20;
  uint64_t most_bytes = 1 << 30;
  uint64_t most_files = 4096;
};

// A remainder is all that a damaged file holds beside whole records. No program can read it, but an
// operator may want to know which data was lost: it is kept as
// <root>/failed/<path>.cut-at-<offset>.prog, as the bare bytes, one stretch after another. No
// server ever gets it, and RetryFailed leaves it there.
//
// A process that dies while it writes a remainder leaves it under another name, and leaves the
// damaged file unchanged. The next attempt at that file removes it. So does each count of the
// root's remainders, unless a process holds its lock.
//
// Beyond the limits the oldest remainders are removed, but never the one that was kept last. Each
// object counts a root's remainders once and adds up those that it keeps itself: several objects
// for one root may exceed the limits by an eighth each. Thread-safe; blocks on the disk.
class Remainders {
 public:
  explicit Remainders(FileOps& ops, RemainderLimits limits = {}) : ops_(ops), limits_(limits) {}

  // Copies stretches of `fd`, which is open on the file at `path` below `root` and damaged at
  // `offset`. The copy and its name are durable when the call returns, and not visible before.
  // Copies nothing if an interrupted call has already kept the same bytes. Returns the copy's path.
  absl::StatusOr<std::string> Keep(const std::string& root, const std::string& path, int fd,
                                   uint64_t offset, std::span<const Extent> stretches,
                                   const KeepGoing& keep_going);
  // Moves a whole file of `size` bytes there, when none of its records can be saved.
  absl::StatusOr<std::string> Move(const std::string& root, const std::string& path, uint64_t size,
                                   const KeepGoing& keep_going);

  // Counters.
  uint64_t kept_files() const { return kept_files_; }
  uint64_t kept_bytes() const { return kept_bytes_; }
  uint64_t removed_files() const { return removed_files_; }
  uint64_t removed_bytes() const { return removed_bytes_; }

 private:
  struct Total {
    uint64_t files = 0;
    uint64_t bytes = 0;
    uint64_t added = 0;  // Bytes kept after the count.
  };

  void Count(const std::string& root, const std::string& path, uint64_t size,
             const KeepGoing& keep_going) DM_EXCLUDES(mutex_);

  FileOps& ops_;
  const RemainderLimits limits_;
  Mutex mutex_;
  std::map<std::string, Total> totals_ DM_GUARDED_BY(mutex_);  // By root.
  std::atomic<uint64_t> kept_files_{0};
  std::atomic<uint64_t> kept_bytes_{0};
  std::atomic<uint64_t> removed_files_{0};
  std::atomic<uint64_t> removed_bytes_{0};
};

// Copies stretches of `fd` to a new file `name` in `directory`; the data and the name are durable.
// A file that already holds all of it stays; a different one of that name is left alone and the
// copy gets a number. Removes an unfinished copy of a dead process; UNAVAILABLE if a living process
// is writing it. Returns the name.
absl::StatusOr<std::string> KeepStretches(FileOps& ops, int fd, std::span<const Extent> stretches,
                                          int directory, const std::string& name,
                                          const KeepGoing& keep_going);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_REMAINDERS_H_
