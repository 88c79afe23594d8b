// The order in which calls get room on a slow link.
#ifndef DATAMANAGER_SRC_CLOUD_ROOM_LINE_H_
#define DATAMANAGER_SRC_CLOUD_ROOM_LINE_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

#include "datamanager/clock.h"

namespace datamanager::cloud {

// First come, first served, so that a small request waits for one piece of each other upload and
// needs no luck. Each call looks at its own pace, so whoever looks serves all those in front too:
// their room is kept for them, and what is left is free. A call that does not ask again, because
// its thread hangs in the disk, holds up nobody. Not thread-safe.
class RoomLine {
 public:
  using Place = uint64_t;
  static constexpr std::chrono::milliseconds kPatience{500};

  // The call asks for room for so many bytes; at the end of the line, if it is not in it yet.
  void Ask(std::optional<Place>& place, uint64_t bytes, MonotonicTime now) {
    if (!place.has_value()) place = ++last_;
    Call& call = calls_[*place];
    call.bytes = bytes;
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
    for (auto& [place, call] : calls_) {
      if (call.served || now - call.asked > kPatience) continue;
      if (taken > 0 && taken >= room) return;
      call.served = true;
      taken += call.bytes;
    }
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
    MonotonicTime asked;  // The last time.
    bool served = false;
  };
  std::map<Place, Call> calls_;
  Place last_ = 0;
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_ROOM_LINE_H_
