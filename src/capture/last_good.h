// What holds while a sensor's answers make no sense.
#ifndef DATAMANAGER_SRC_CAPTURE_LAST_GOOD_H_
#define DATAMANAGER_SRC_CAPTURE_LAST_GOOD_H_

#include <chrono>
#include <optional>
#include <utility>

#include "datamanager/clock.h"

namespace datamanager::capture {

// How long what a sensor last said holds without being confirmed.
inline constexpr std::chrono::seconds kHold{10};

// The last answer that made sense. A pure value: the time is handed in.
template <typename T>
class LastGood {
 public:
  void Hear(T answer, MonotonicTime now) {
    answer_ = std::move(answer);
    heard_ = now;
  }
  // Whether it holds: null before the first answer, and `kHold` after the last one.
  const T* At(MonotonicTime now) const {
    return heard_.has_value() && now - *heard_ < kHold ? &answer_ : nullptr;
  }

 private:
  T answer_{};
  std::optional<MonotonicTime> heard_;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_LAST_GOOD_H_
