#include "sync/file_ages.h"

#include <algorithm>

namespace datamanager::sync {
namespace {

// Between two looks a clock that is only slewed, or a thread that is held up between reading one
// clock and the other, makes less of a difference.
constexpr std::chrono::milliseconds kStep{500};

}  // namespace

bool FileAges::IsReady(FileKind kind, const struct stat& info, std::chrono::milliseconds min_age,
                       WallTime wall, MonotonicTime now) {
  if (!HasAge(kind)) return true;
  return info.st_size > 0 && IsOldEnough(info, min_age, wall, now);
}

bool FileAges::IsOldEnough(const struct stat& info, std::chrono::milliseconds min_age,
                           WallTime wall, MonotonicTime now) {
  MutexLock lock(mutex_);
  WatchForSteps(wall, now);
  if (min_age <= min_age.zero()) return true;
  if (info.st_mtim.tv_nsec == 0 && info.st_ctim.tv_nsec == 0) {
    min_age = std::max<std::chrono::milliseconds>(min_age, kCoarseAge);
  }
  const WallTime modified = ModifiedAt(info);
  if (modified > wall) return now - FirstSeen(info, min_age, now) >= min_age;
  return wall - modified >= min_age && (!stepped_.has_value() || now - *stepped_ >= min_age);
}

void FileAges::WatchForSteps(WallTime wall, MonotonicTime now) {
  const std::chrono::nanoseconds ahead = wall.time_since_epoch() - now.time_since_epoch();
  if (ahead_.has_value() && std::chrono::abs(ahead - *ahead_) > kStep) stepped_ = now;
  ahead_ = ahead;
}

MonotonicTime FileAges::FirstSeen(const struct stat& info, std::chrono::milliseconds min_age,
                                  MonotonicTime now) {
  const FileId id = FileId::Of(info);
  const FileVersion version = FileVersion::Of(info);
  const auto known = of_the_future_.find(id);
  if (known != of_the_future_.end() && known->second.version == version) return known->second.time;
  if (known == of_the_future_.end() && of_the_future_.size() >= kLimit) {
    // What is old enough has had its chance to be taken.
    const auto old = std::find_if(of_the_future_.begin(), of_the_future_.end(),
                                  [&](auto& entry) { return now - entry.second.time >= min_age; });
    if (old == of_the_future_.end()) return now;
    of_the_future_.erase(old);
  }
  of_the_future_[id] = {.version = version, .time = now};
  return now;
}

}  // namespace datamanager::sync
