// Where a stamp of the wall clock, which may jump, lies in this run's own time.
#ifndef DATAMANAGER_SRC_SYNC_TIMELINE_H_
#define DATAMANAGER_SRC_SYNC_TIMELINE_H_

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"
#include "datamanager/clock.h"

namespace datamanager::sync {

// The run is a row of periods in which the wall clock ran steadily; a step of the clock begins the
// next. Within a period stamps are in order; of two periods everything in the later one is younger,
// whatever the stamps say; and what lay on disk at the start is older than all of them. A stamp
// belongs to the latest period that covers it: a period knows what the clock showed in it.
//
// That alone would take old files for young ones when a clock that stepped back shows the same time
// once more. So when a period begins, whoever walks hands in the files whose stamps lie ahead of
// the clock (`Remember`): they were made before. At most kRememberedLimit are remembered, by the
// hash of their path; what is beyond is taken to be younger than it is, and so is kept longer.
// Likewise, of more than kPeriodLimit periods the first are forgotten, and their files count as
// what lay there at the start.
//
// Bounded memory. Thread-safe; no call blocks.
class Timeline {
 public:
  static constexpr size_t kRememberedLimit = 65536;
  static constexpr size_t kPeriodLimit = 64;
  // A clock that is slewed is not taken for one that steps.
  static constexpr std::chrono::seconds kStep{1};

  // Orders files from old to young.
  struct Place {
    int64_t period = 0;  // 0: lay there at the start.
    WallTime stamp;

    friend auto operator<=>(const Place&, const Place&) = default;
  };

  // The run begins. Each call below looks at the clock, and sees whether it has stepped since the
  // last one.
  explicit Timeline(const Clock& clock);

  // The number of the period whose files ahead of the clock have not all been handed in; 0: none.
  int64_t PeriodToRemember() DM_EXCLUDES(mutex_);
  // A file met while that is so. Only one that is ahead of the clock is remembered.
  void Remember(std::string_view path, WallTime stamp) DM_EXCLUDES(mutex_);
  // A walk that began in that period has handed in all files.
  void AllRemembered(int64_t period) DM_EXCLUDES(mutex_);

  Place PlaceOf(std::string_view path, WallTime stamp) DM_EXCLUDES(mutex_);
  // How long ago that was: within the run as the monotonic clock counts; what lay there at the
  // start is as old as it was then, by the clock of that moment, and the run on top. Never
  // negative.
  std::chrono::nanoseconds AgeOf(std::string_view path, WallTime stamp) DM_EXCLUDES(mutex_);

 private:
  struct Period {
    int64_t number;
    WallTime wall_begin;
    WallTime wall_end;  // As last observed.
    MonotonicTime begin;
  };

  void Observe() DM_REQUIRES(mutex_);
  const Period* PeriodOf(std::string_view path, WallTime stamp) const DM_REQUIRES(mutex_);

  const Clock& clock_;
  const MonotonicTime start_;
  const WallTime start_wall_;
  Mutex mutex_;
  std::deque<Period> periods_ DM_GUARDED_BY(mutex_);  // Never empty.
  MonotonicTime observed_ DM_GUARDED_BY(mutex_);
  int64_t to_remember_ DM_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<uint64_t, int64_t> remembered_ DM_GUARDED_BY(mutex_);  // Their periods.
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_TIMELINE_H_
