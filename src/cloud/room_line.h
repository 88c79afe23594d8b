// The order in which calls get room on a slow link.
#ifndef DATAMANAGER_SRC_CLOUD_ROOM_LINE_H_
#define DATAMANAGER_SRC_CLOUD_ROOM_LINE_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

#include "datamanager/clock.h"

namespace datamanager::cloud {

// Small calls go before large ones, each kind in the order of arrival, so that a reading does not
// wait for a queue of pictures. After kSmallInARow small calls one large call goes, so that large
// ones are not starved. Calls ask again at their own pace; each time one asks, the line also
// reserves room for the calls before it, and gives the rest of the room to those behind. A call
// that has not asked for kPatience, because its thread hangs in the disk, loses its reservation and
// is passed over until it asks again. Not thread-safe.
class RoomLine {
 public:
  using Place = uint64_t;
  static constexpr std::chrono::milliseconds kPatience{500};
  static constexpr int kSmallInARow = 8;

  // The call asks for room for so many bytes; at the end of the line, if it is not in it yet.
  void Ask(std::optional<Place>& place, uint64_t bytes, bool small, MonotonicTime now) {
    if (!place.has_value()) place = ++last_;
    Call& call = calls_[*place];
    call.bytes = bytes;
    call.small = small;
    call.asked = now;
  }

  // Keeps room for the calls in their order, until with what is on its way already `room` bytes are
  // taken. The last one may exceed it, and one may always go if nothing is on its way.
  void Serve(uint64_t on_its_way, uint64_t room, MonotonicTime now) {
    uint64_t taken = on_its_way;
    for (auto& [place, call] : calls_) {
      if (now - call.asked > kPatience) call.served = false;
      if (call.served) taken += call.bytes;
    }
    while (taken == 0 || taken < room) {
      Call* const next = Next(now);
      if (next == nullptr) return;
      next->served = true;
      taken += next->bytes;
      small_in_a_row_ = next->small ? small_in_a_row_ + 1 : 0;
    }
  }
  // How many still ask, and are not served.
  int Waiting(MonotonicTime now) const {
    return static_cast<int>(std::count_if(calls_.begin(), calls_.end(), [now](const auto& entry) {
      return Waits(entry.second, now);
    }));
  }

  bool IsServed(const std::optional<Place>& place) const {
    const auto found = place.has_value() ? calls_.find(*place) : calls_.end();
    return found != calls_.end() && found->second.served;
  }

  // It takes what was kept for it, or asks no more.
  void Leave(std::optional<Place>& place) {
    if (place.has_value()) calls_.erase(*place);
    place.reset();
  }

 private:
  struct Call {
    uint64_t bytes = 0;
    bool small = false;
    MonotonicTime asked;  // The last time.
    bool served = false;
  };
  static bool Waits(const Call& call, MonotonicTime now) {
    return !call.served && now - call.asked <= kPatience;
  }
  // Null: none waits.
  Call* Next(MonotonicTime now) {
    Call* small = nullptr;
    Call* large = nullptr;
    for (auto& [place, call] : calls_) {
      Call*& first = call.small ? small : large;
      if (first == nullptr && Waits(call, now)) first = &call;
    }
    if (small == nullptr || (large != nullptr && small_in_a_row_ >= kSmallInARow)) return large;
    return small;
  }

  std::map<Place, Call> calls_;
  Place last_ = 0;
  int small_in_a_row_ = 0;  // Served since a large one was.
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_ROOM_LINE_H_
