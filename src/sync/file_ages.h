// Whether a file has been left alone long enough, whatever the wall clock does.
#ifndef DATAMANAGER_SRC_SYNC_FILE_AGES_H_
#define DATAMANAGER_SRC_SYNC_FILE_AGES_H_

#include <sys/stat.h>

#include <chrono>
#include <cstddef>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"
#include "datamanager/clock.h"
#include "sync/found_file.h"

namespace datamanager::sync {

// A file's age is the wall time since it was modified, but no more than the monotonic time since
// the wall clock last stepped: a file that was just being written does not grow old by a step. One
// modified in the future is aged, by monotonic time, from when it was first seen so. Thread-safe;
// no call blocks.
class FileAges {
 public:
  // Files of the future that are remembered at a time. Beyond, one waits until another is old
  // enough.
  static constexpr size_t kLimit = 1024;
  // The unit of the coarsest times in use, FAT's.
  static constexpr std::chrono::seconds kCoarseAge{2};

  // Whether a file that is not in progress may be uploaded: one whose name says that it is complete
  // at once, another when it is not empty and has been left alone for `min_age`.
  bool IsReady(FileKind kind, const struct stat& info, std::chrono::milliseconds min_age,
               WallTime wall, MonotonicTime now) DM_EXCLUDES(mutex_);
  // Whether that depends on the time at all.
  static bool HasAge(FileKind kind) { return kind == FileKind::kArbitrary; }
  // Like IsReady, for a file whose name does not show whether it is complete. A file with times of
  // whole seconds, as FAT and old ext3 have them, waits at least kCoarseAge: its times would not
  // show a change soon after the last one.
  bool IsOldEnough(const struct stat& info, std::chrono::milliseconds min_age, WallTime wall,
                   MonotonicTime now) DM_EXCLUDES(mutex_);

 private:
  struct FirstSight {
    FileVersion version;
    MonotonicTime time;
  };

  void WatchForSteps(WallTime wall, MonotonicTime now) DM_REQUIRES(mutex_);
  MonotonicTime FirstSeen(const struct stat& info, std::chrono::milliseconds min_age,
                          MonotonicTime now) DM_REQUIRES(mutex_);

  Mutex mutex_;
  // How far the wall clock was ahead of the monotonic one when last looked at.
  std::optional<std::chrono::nanoseconds> ahead_ DM_GUARDED_BY(mutex_);
  std::optional<MonotonicTime> stepped_ DM_GUARDED_BY(mutex_);
  absl::flat_hash_map<FileId, FirstSight> of_the_future_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_FILE_AGES_H_
