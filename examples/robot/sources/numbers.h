// Percentages and rates from the kernel's counters.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_NUMBERS_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_NUMBERS_H_

#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>

#include "datamanager/value.h"

namespace robot {

// Two decimals are more than these numbers are good for.
inline double Rounded(double number) { return std::round(number * 100) / 100; }

inline double Percent(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : Rounded(100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

// How fast a counter grows between one reading and the next. Not thread-safe.
class Rate {
 public:
  // Sets `out` to the growth per second since the last call. Leaves it as it is at the first call
  // and after the counter was reset, when there is none to tell.
  void Report(uint64_t total, std::chrono::steady_clock::time_point now, datamanager::Value& out) {
    if (last_ && total >= last_->total && now > last_->time) {
      const std::chrono::duration<double> seconds = now - last_->time;
      out.SetNumber(Rounded(static_cast<double>(total - last_->total) / seconds.count()));
    }
    last_ = Last{total, now};
  }

 private:
  struct Last {
    uint64_t total;
    std::chrono::steady_clock::time_point time;
  };
  std::optional<Last> last_;
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_NUMBERS_H_
