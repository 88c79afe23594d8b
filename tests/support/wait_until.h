// Waiting for what another thread does.
#ifndef DATAMANAGER_TESTS_SUPPORT_WAIT_UNTIL_H_
#define DATAMANAGER_TESTS_SUPPORT_WAIT_UNTIL_H_

#include <chrono>
#include <functional>
#include <thread>

namespace datamanager::testing {

// Asks again and again until `condition` holds; false if it does not within `limit`.
inline bool WaitUntil(std::function<bool()> condition,
                      std::chrono::milliseconds limit = std::chrono::seconds(10)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_WAIT_UNTIL_H_
