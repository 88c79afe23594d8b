// Waiting for what another thread or process is about to do.
#ifndef DATAMANAGER_TESTS_SUPPORT_WAIT_UNTIL_H_
#define DATAMANAGER_TESTS_SUPPORT_WAIT_UNTIL_H_

#include <algorithm>
#include <chrono>
#include <thread>

#include "datamanager/clock.h"
#include "tests/support/sanitizers.h"

namespace datamanager::testing {

// Far more than anything takes on a loaded machine; reached only by what fails.
inline constexpr std::chrono::seconds kPatience{20 * kSlowness};

inline MonotonicTime In(std::chrono::nanoseconds time) {
  return std::chrono::steady_clock::now() + time;
}
inline MonotonicTime PatienceEnds() { return In(kPatience); }

// Whether `condition` comes true in time. It is looked at less often the longer it takes: many
// conditions read directories, and other tests run beside this one.
template <typename Condition>
[[nodiscard]] bool WaitUntil(Condition condition, std::chrono::nanoseconds patience = kPatience) {
  constexpr std::chrono::milliseconds kLongestPause{5};
  const MonotonicTime deadline = In(patience);
  std::chrono::microseconds pause{500};
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(pause);
    pause =
        std::min<std::chrono::microseconds>(pause + std::chrono::microseconds(100), kLongestPause);
  }
  return true;
}

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_WAIT_UNTIL_H_
