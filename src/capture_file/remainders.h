// Keeps what is left of damaged capture files.
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

// How much of one root's volume its remainders may take, and how many they may be.
struct RemainderLimits {
  double volume_share = 0.05;
  uint64_t least_bytes = 64 << 20;
  uint64_t most_bytes = 1 << 30;
  uint64_t most_files = 4096;
};

// A remainder is what a damaged file holds beside whole records. Nobody can read it, but somebody
// may want to know what was lost: it is kept as <root>/failed/<path>.cut-at-<offset>.prog, as the
// bare bytes, one stretch after another. No server ever gets it, and RetryFailed leaves it there.
//
// A process that dies while it writes one leaves it under a name that is not a remainder's, and
// what it was taken from as it was. The next attempt at that removes it; so does each count of the
// root's remainders, unless somebody holds its lock.
//
// Beyond the limits the oldest ones are removed, but never the last one that was kept. Each object
// counts a root's remainders once and adds up what it keeps itself: with several objects for one
// root the limits may be exceeded by an eighth for each. Thread-safe; blocks on the disk.
class Remainders {
 public:
  explicit Remainders(FileOps& ops, RemainderLimits limits = {}) : ops_(ops), limits_(limits) {}

  // Copies stretches of `fd`, which is open on the file at `path` below `root` and damaged at
  // `offset`. The copy and its name are durable when it returns, and not visible before. If an
  // interrupted call has kept the same already, nothing is copied. Returns its path.
  absl::StatusOr<std::string> Keep(const std::string& root, const std::string& path, int fd,
                                   uint64_t offset, std::span<const Extent> stretches,
                                   const KeepGoing& keep_going);
  // Moves a whole file of `size` bytes there, of which nothing is left to use.
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
    uint64_t added = 0;  // Bytes since they were counted.
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

// Copies stretches of `fd` to a new file `name` in `directory`, durable and with a durable name. A
// file that has all of it already stays; another one of that name is left alone and the copy gets
// a number. What a dead process has left unfinished of it is removed; UNAVAILABLE if somebody is
// writing it. Returns the name.
absl::StatusOr<std::string> KeepStretches(FileOps& ops, int fd, std::span<const Extent> stretches,
                                          int directory, const std::string& name,
                                          const KeepGoing& keep_going);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_REMAINDERS_H_
