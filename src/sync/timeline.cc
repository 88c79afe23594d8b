#include "sync/timeline.h"

#include <algorithm>

#include "absl/hash/hash.h"
#include "base/strings.h"

namespace datamanager::sync {
namespace {

uint64_t HashOf(std::string_view path) { return absl::HashOf(ToAbsl(path)); }

}  // namespace

Timeline::Timeline(const Clock& clock)
    : clock_(clock), start_(clock.MonotonicNow()), start_wall_(clock.WallNow()), observed_(start_) {
  periods_.push_back(
      {.number = 1, .wall_begin = start_wall_, .wall_end = start_wall_, .begin = start_});
}

void Timeline::Observe() {
  const MonotonicTime now = clock_.MonotonicNow();
  const WallTime wall = clock_.WallNow();
  const auto passed = std::chrono::duration_cast<WallTime::duration>(now - observed_);
  Period& current = periods_.back();
  const WallTime expected = current.wall_end + passed;
  if (const auto step = wall - expected; step > kStep || step < -kStep) {
    // Right after the last look or right before this one: both periods get what lies between.
    const int64_t number = current.number + 1;
    current.wall_end = expected;
    periods_.push_back(
        {.number = number, .wall_begin = wall - passed, .wall_end = wall, .begin = observed_});
    if (periods_.size() > kPeriodLimit) periods_.pop_front();
    to_remember_ = number;
  } else {
    current.wall_end = std::max(current.wall_end, wall);
  }
  observed_ = now;
}

int64_t Timeline::PeriodToRemember() {
  MutexLock lock(mutex_);
  Observe();
  return to_remember_;
}

const Timeline::Period* Timeline::PeriodOf(std::string_view path, WallTime stamp) const {
  const auto known = remembered_.find(HashOf(path));
  for (auto period = periods_.rbegin(); period != periods_.rend(); ++period) {
    if (known != remembered_.end()) {
      if (period->number == known->second) return &*period;
      continue;
    }
    if (period->wall_begin <= stamp && stamp <= period->wall_end) return &*period;
  }
  return nullptr;
}

void Timeline::Remember(std::string_view path, WallTime stamp) {
  MutexLock lock(mutex_);
  Observe();
  if (to_remember_ == 0 || stamp <= periods_.back().wall_end) return;
  if (remembered_.size() >= kRememberedLimit) return;
  const Period* const period = PeriodOf(path, stamp);
  remembered_.emplace(HashOf(path), period == nullptr ? 0 : period->number);
}

void Timeline::AllRemembered(int64_t period) {
  MutexLock lock(mutex_);
  if (to_remember_ == period) to_remember_ = 0;
}

Timeline::Place Timeline::PlaceOf(std::string_view path, WallTime stamp) {
  MutexLock lock(mutex_);
  Observe();
  const Period* const period = PeriodOf(path, stamp);
  return {.period = period == nullptr ? 0 : period->number, .stamp = stamp};
}

std::chrono::nanoseconds Timeline::AgeOf(std::string_view path, WallTime stamp) {
  MutexLock lock(mutex_);
  Observe();
  const Period* const period = PeriodOf(path, stamp);
  std::chrono::nanoseconds age{0};
  if (period == nullptr) {
    age = std::max<std::chrono::nanoseconds>(start_wall_ - stamp, age) + (observed_ - start_);
  } else {
    age = (observed_ - period->begin) - (stamp - period->wall_begin);
  }
  return std::max(age, std::chrono::nanoseconds(0));
}

}  // namespace datamanager::sync
