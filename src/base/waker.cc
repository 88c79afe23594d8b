#include "base/waker.h"

#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <ctime>

namespace datamanager {

void Waker::Wake() {
  woken_.store(1, std::memory_order_release);
  syscall(SYS_futex, &woken_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

bool Waker::WaitUntil(MonotonicTime deadline) {
  // steady_clock is CLOCK_MONOTONIC, the futex's default clock for absolute waits.
  const auto since_boot = std::max(deadline.time_since_epoch(), MonotonicTime::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  const timespec until{.tv_sec = static_cast<time_t>(seconds.count()),
                       .tv_nsec = static_cast<long>((since_boot - seconds).count())};  // NOLINT
  while (woken_.load(std::memory_order_acquire) == 0) {
    const long result =  // NOLINT(google-runtime-int): syscall's type.
        syscall(SYS_futex, &woken_, FUTEX_WAIT_BITSET_PRIVATE, 0, &until, nullptr,
                FUTEX_BITSET_MATCH_ANY);
    if (result != 0 && errno == ETIMEDOUT) return true;
  }
  return false;
}

void UseFinestTimers() { prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

}  // namespace datamanager
