#include "capture/duration_histogram.h"

#include <algorithm>
#include <bit>

namespace datamanager::capture {

size_t DurationHistogram::BucketOf(uint64_t ns) {
  constexpr uint64_t kSub = uint64_t{1} << kSubBits;
  if (ns < kSub) return ns;
  const int shift = std::bit_width(ns) - 1 - kSubBits;
  const size_t bucket = (static_cast<size_t>(shift + 1) << kSubBits) + ((ns >> shift) - kSub);
  return std::min(bucket, kBuckets - 1);
}

uint64_t DurationHistogram::EndOf(size_t bucket) {
  constexpr uint64_t kSub = uint64_t{1} << kSubBits;
  if (bucket < kSub) return bucket;
  const size_t shift = (bucket >> kSubBits) - 1;
  return ((kSub + (bucket & (kSub - 1)) + 1) << shift) - 1;
}

void DurationHistogram::Record(Duration duration, uint64_t times) {
  const auto ns = static_cast<uint64_t>(std::max(duration, Duration::zero()).count());
  counts_[BucketOf(ns)].fetch_add(times, std::memory_order_relaxed);
  uint64_t max = max_.load(std::memory_order_relaxed);
  while (ns > max && !max_.compare_exchange_weak(max, ns, std::memory_order_relaxed)) {
  }
}

DurationStats DurationHistogram::Summary() const {
  std::array<uint64_t, kBuckets> counts{};
  uint64_t total = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    counts[i] = counts_[i].load(std::memory_order_relaxed);
    total += counts[i];
  }
  const uint64_t max = max_.load(std::memory_order_relaxed);
  const auto percentile = [&](uint64_t percent) {
    // The least number of durations that do not exceed the percentile.
    const uint64_t rank = total / 100 * percent + (total % 100 * percent + 99) / 100;
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += counts[i];
      if (seen >= rank && i + 1 < kBuckets) return Duration(std::min(EndOf(i), max));
    }
    return Duration(max);
  };
  return {.p50 = percentile(50), .p99 = percentile(99), .max = Duration(max)};
}

}  // namespace datamanager::capture
