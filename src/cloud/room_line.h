// The order in which calls get room on a slow link.
#ifndef DATAMANAGER_SRC_CLOUD_ROOM_LINE_H_
#define DATAMANAGER_SRC_CLOUD_ROOM_LINE_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

#include "datamanager/clock.h"

namespace datamanager::cloud {

// Who came first goes first, so that a small request waits for one piece of each other upload and
// needs no luck. All of them ask again and again; one that does not, because its thread hangs in
// the disk, holds up nobody. Not thread-safe.
class RoomLine {
 public:
  using Place = uint64_t;
  static constexpr std::chrono::milliseconds kPatience{500};

  // Whether nobody is before it who still asks. nullopt: not in the line yet.
  bool IsFirst(std::optional<Place> place, MonotonicTime now) const {
    for (const auto& [other, asked] : asked_) {
      if (other == place) return true;
      if (now - asked <= kPatience) return false;
    }
    return true;
  }
  // It waits; at the end of the line, if it is not in it yet.
  void Wait(std::optional<Place>& place, MonotonicTime now) {
    if (!place.has_value()) place = ++last_;
    asked_[*place] = now;
  }
  void Leave(std::optional<Place>& place) {
    if (place.has_value()) asked_.erase(*place);
    place.reset();
  }

 private:
  std::map<Place, MonotonicTime> asked_;  // When each asked last.
  Place last_ = 0;
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_ROOM_LINE_H_
