// Keeps failures from filling the log.
#ifndef DATAMANAGER_SRC_SYNC_FAILURE_LOG_H_
#define DATAMANAGER_SRC_SYNC_FAILURE_LOG_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "base/repeat_filter.h"
#include "datamanager/clock.h"

namespace datamanager::sync {

// The cause in the text of an error, the same for all files that it hits: without `path`, and
// without words that have a digit in them (sizes, times, request ids). Bounded. Pure.
std::string CauseOf(std::string_view error, std::string_view path);

// Bounds the log lines about uploads that fail: one line for each cause in an interval, whatever
// the number of files, and kLines lines in all, because a server may word each of its errors
// differently. A later line counts those that were held back. Thread-safe.
class FailureLog {
 public:
  static constexpr std::chrono::minutes kInterval{1};
  static constexpr int kLines = 8;

  // The line to be logged for a failure with this cause; nullopt: it is held back.
  std::optional<std::string> Pass(std::string_view cause, std::string_view line, MonotonicTime now)
      DM_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  RepeatFilter filter_ DM_GUARDED_BY(mutex_){kInterval};
  std::optional<MonotonicTime> interval_begin_ DM_GUARDED_BY(mutex_);
  int lines_ DM_GUARDED_BY(mutex_) = 0;           // In this interval.
  uint64_t held_back_ DM_GUARDED_BY(mutex_) = 0;  // Beyond kLines, and told in no line so far.
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_FAILURE_LOG_H_
