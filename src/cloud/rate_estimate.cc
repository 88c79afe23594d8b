#include "cloud/rate_estimate.h"

#include <algorithm>

namespace datamanager::cloud {
namespace {

using std::chrono_literals::operator""ms;

constexpr std::chrono::milliseconds kClosestLooks = 100ms;
// A token bucket lets a few kilobytes pass at once: less than this proves no rate.
constexpr uint64_t kProofBytes = 16 << 10;
constexpr std::chrono::milliseconds kShortestProof = 100ms;
// At 10 kbit/s a packet takes 1.2 s.
constexpr std::chrono::milliseconds kShortestFullSpan = 3000ms;
// A reading or two of a link that falters shall not make it a slow one.
constexpr double kWeight = 0.3;

double Rate(uint64_t bytes, MonotonicTime::duration span) {
  return static_cast<double>(bytes) / std::chrono::duration<double>(span).count();
}

}  // namespace

void RateEstimate::Add(uint64_t acked, bool full, MonotonicTime now) {
  Rise(acked, now);
  if (size_ > 0 && now - Back(0).at < kClosestLooks) return;
  looks_[end_] = {.at = now, .acked = acked, .full = full};
  end_ = (end_ + 1) % kLooks;
  size_ = std::min(size_ + 1, kLooks);
  Follow();
}

void RateEstimate::Rise(uint64_t acked, MonotonicTime now) {
  for (size_t i = 0; i < size_; ++i) {
    const uint64_t bytes = acked - Back(i).acked;
    if (bytes < kProofBytes) continue;
    const auto span = std::max<MonotonicTime::duration>(now - Back(i).at, kShortestProof);
    rate_ = std::max(rate_, Rate(bytes, span));
    return;
  }
}

void RateEstimate::Follow() {
  const Look& last = Back(0);
  size_t first = 0;
  while (first < size_ && Back(first).full) ++first;
  if (first < 2) return;
  const MonotonicTime::duration span = last.at - Back(first - 1).at;
  if (span < kShortestFullSpan) return;
  has_been_full_ = true;
  rate_ += kWeight * (Rate(last.acked - Back(first - 1).acked, span) - rate_);
  // Something to begin with once the link is back.
  rate_ = std::max(rate_, 64.0);
}

}  // namespace datamanager::cloud
