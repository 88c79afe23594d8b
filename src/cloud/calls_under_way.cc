#include "cloud/calls_under_way.h"

namespace datamanager::cloud {

void CallsUnderWay::Call::End(bool ok) {
  if (!std::exchange(ended_, true)) calls_.End(ok);
}

void CallsUnderWay::Begin() {
  {
    MutexLock lock(mutex_);
    ++calls_;
    if (failing_ || !waiting_ || waking_) return;
    waking_ = true;
  }
  wake_();
}

void CallsUnderWay::End(bool ok) {
  MutexLock lock(mutex_);
  if (--calls_ == 0) quiet_since_ = Clock::System().MonotonicNow();
  failing_ = !ok;
  if (failing_) failed_.NotifyAll();
}

void CallsUnderWay::Woken() {
  MutexLock lock(mutex_);
  waking_ = false;
}

bool CallsUnderWay::MayWaitForEvents(bool connected, const std::stop_token& stop) {
  MutexLock lock(mutex_);
  waiting_ = false;
  const MonotonicTime now = Clock::System().MonotonicNow();
  if (connected && Busy(now) && !stop.stop_requested()) {
    failed_.WaitUntil(mutex_, stop, now + kLookEvery, [this] {
      mutex_.AssertHeld();
      return failing_;
    });
    return false;
  }
  waiting_ = true;
  return true;
}

}  // namespace datamanager::cloud
