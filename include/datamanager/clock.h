// The two clocks that datamanager reads, handed in so that policies can be tested.
#ifndef DATAMANAGER_CLOCK_H_
#define DATAMANAGER_CLOCK_H_

#include <chrono>

namespace datamanager {

// A point on the monotonic clock: schedules, waits and ages within a run.
using MonotonicTime = std::chrono::steady_clock::time_point;
// A point on the wall clock: stamps in records and in file names. May jump at any time.
using WallTime = std::chrono::system_clock::time_point;

// Where the library reads the time. Thread-safe; neither call blocks.
class Clock {
 public:
  virtual ~Clock() = default;

  virtual MonotonicTime MonotonicNow() const = 0;
  virtual WallTime WallNow() const = 0;

  // The machine's own clocks; lives as long as the process.
  static const Clock& System();
};

}  // namespace datamanager

#endif  // DATAMANAGER_CLOCK_H_
