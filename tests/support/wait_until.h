// Waiting for what another thread or process is about to do.
#ifndef DATAMANAGER_TESTS_SUPPORT_WAIT_UNTIL_H_
#define DATAMANAGER_TESTS_SUPPORT_WAIT_UNTIL_H_

#include <chrono>
#include <thread>

#include "datamanager/clock.h"

namespace datamanager::testing {

// Far more than anything takes on a loaded machine; reached only by what fails.
inline constexpr std::chrono::seconds kPatience{20};

inline MonotonicTime In(std::chrono::nanoseconds time) {
  return std::chrono::steady_clock::now() + time;
}
inline MonotonicTime PatienceEnds() { return In(kPatience); }

// Whether `condition` comes true in time.
template <typename Condition>
[[nodiscard]] bool WaitUntil(Condition condition, std::chrono::nanoseconds patience = kPatience) {
  const MonotonicTime deadline = In(patience);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  return true;
}

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_WAIT_UNTIL_H_
