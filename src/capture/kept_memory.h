// Decides when a collector releases the memory that it keeps from tick to tick.
#ifndef DATAMANAGER_SRC_CAPTURE_KEPT_MEMORY_H_
#define DATAMANAGER_SRC_CAPTURE_KEPT_MEMORY_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "datamanager/clock.h"

namespace datamanager::capture {

// A collector reuses the memory of its answers and records, so that ticks of a steady size allocate
// nothing. Without this class it would hold the memory of a burst for ever. The memory is released
// at once if a tick used more than a tabular record can have; otherwise when no tick used a quarter
// of the maximum for 1,000 ticks or for 10 s, whichever is sooner. Not thread-safe.
class KeptMemory {
 public:
  static constexpr uint64_t kAtOnceBytes = 32 << 20;
  static constexpr uint64_t kWorthwhileBytes = 64 << 10;  // Less than this is always kept.
  static constexpr int kTicks = 1000;
  static constexpr std::chrono::seconds kTime{10};

  // Notes the use of a tick. True: the caller must release the kept memory; the class assumes it
  // does.
  bool Note(uint64_t used, MonotonicTime now) {
    most_ = std::max(most_, used);
    if (used > kAtOnceBytes) {
      most_ = 0;
      return true;
    }
    if (most_ < kWorthwhileBytes || used >= most_ / 4) {
      small_ticks_ = 0;
      last_large_ = now;
      return false;
    }
    if (++small_ticks_ < kTicks && now - last_large_ < kTime) return false;
    most_ = used;
    small_ticks_ = 0;
    last_large_ = now;
    return true;
  }

 private:
  uint64_t most_ = 0;  // The maximum use of a tick after the last release.
  int small_ticks_ = 0;
  MonotonicTime last_large_{};
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_KEPT_MEMORY_H_
