// A clock that a test moves.
#ifndef DATAMANAGER_TESTS_SUPPORT_FAKE_CLOCK_H_
#define DATAMANAGER_TESTS_SUPPORT_FAKE_CLOCK_H_

#include <atomic>
#include <chrono>

#include "datamanager/clock.h"

namespace datamanager::testing {

// The machine's clocks, moved by what a test adds to either. Thread-safe.
class FakeClock final : public Clock {
 public:
  // Time passes, for both.
  void Advance(std::chrono::nanoseconds time) { passed_ += time.count(); }
  // The wall clock is set.
  void StepWall(std::chrono::nanoseconds step) { stepped_ += step.count(); }
  // From here on the wall clock stands still at `time`, but for later steps.
  void StopWall(WallTime time) {
    stepped_ = 0;
    stopped_ = time.time_since_epoch() / std::chrono::nanoseconds(1);
  }

  MonotonicTime MonotonicNow() const override {
    return std::chrono::steady_clock::now() + std::chrono::nanoseconds(passed_);
  }
  WallTime WallNow() const override {
    const int64_t stopped = stopped_;
    if (stopped != 0) return WallTime(std::chrono::nanoseconds(stopped + stepped_));
    return std::chrono::system_clock::now() + std::chrono::nanoseconds(passed_ + stepped_);
  }

 private:
  std::atomic<int64_t> passed_{0};
  std::atomic<int64_t> stepped_{0};
  std::atomic<int64_t> stopped_{0};
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_FAKE_CLOCK_H_
