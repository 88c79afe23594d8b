// Keeps the same message from filling the log.
#ifndef DATAMANAGER_SRC_BASE_REPEAT_FILTER_H_
#define DATAMANAGER_SRC_BASE_REPEAT_FILTER_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datamanager/clock.h"

namespace datamanager {

// Lets a text through at most once in an interval, and says how often it was held back since.
// Remembers the latest few only. Not thread-safe.
class RepeatFilter {
 public:
  // The default is the reference's.
  explicit RepeatFilter(std::chrono::seconds interval = std::chrono::seconds(2))
      : interval_(interval) {}

  // The text to be logged, with the count of what was held back; nullopt: hold it back.
  std::optional<std::string> Pass(std::string_view text, MonotonicTime now) {
    return Pass(text, text, now);
  }
  // The same for texts that mean the same without being equal, as those that name a new file each
  // time: what comes under one key counts as one text.
  std::optional<std::string> Pass(std::string_view key, std::string_view text, MonotonicTime now);

 private:
  struct Seen {
    std::string key;
    MonotonicTime passed;
    uint64_t held_back = 0;
  };
  const std::chrono::seconds interval_;
  std::vector<Seen> seen_;
};

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_REPEAT_FILTER_H_
