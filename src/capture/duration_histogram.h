// How long something took, over many times, in little memory.
#ifndef DATAMANAGER_SRC_CAPTURE_DURATION_HISTOGRAM_H_
#define DATAMANAGER_SRC_CAPTURE_DURATION_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "datamanager/stats.h"

namespace datamanager::capture {

// Counts durations in buckets whose width is at most an eighth of their value, from 1 ns to 18 min;
// longer durations count in the last bucket, with their true maximum. The counters are large enough
// for any process: 32 bits would be full after five days at 10 kHz. Thread-safe, without a lock or
// an allocation. 2.4 KiB.
class DurationHistogram {
 public:
  using Duration = std::chrono::nanoseconds;

  // A negative duration counts as 0. Counts the duration `times` times.
  void Record(Duration duration, uint64_t times = 1);

  // Percentiles are the upper ends of their buckets, and never beyond the maximum.
  DurationStats Summary() const;

 private:
  // Buckets 0 to 7 are a nanosecond wide; behind them each power of two has eight.
  static constexpr int kSubBits = 3;
  static constexpr int kOctaves = 38;
  static constexpr size_t kBuckets = size_t{kOctaves} << kSubBits;

  static size_t BucketOf(uint64_t ns);
  static uint64_t EndOf(size_t bucket);

  std::array<std::atomic<uint64_t>, kBuckets> counts_{};
  std::atomic<uint64_t> max_{0};
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_DURATION_HISTOGRAM_H_
