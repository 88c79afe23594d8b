#include "remote/connection_wait.h"

#include <grpc/support/time.h>

#include <map>
#include <utility>

namespace datamanager::remote {
namespace {

using std::chrono::milliseconds;

// The length of one wait by gRPC, which nothing ends early.
constexpr milliseconds kLookEvery{10};

struct Registry {
  Mutex mutex;
  std::map<const grpc::Channel*, std::weak_ptr<ConnectionWait>> waits DM_GUARDED_BY(mutex);
};

}  // namespace

std::shared_ptr<ConnectionWait> ConnectionWait::Of(const std::shared_ptr<grpc::Channel>& channel) {
  // Never destroyed, because a thread that hangs may outlive main().
  static auto* const registry = new Registry;
  MutexLock lock(registry->mutex);
  std::erase_if(registry->waits, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<ConnectionWait>& known = registry->waits[channel.get()];
  std::shared_ptr<ConnectionWait> wait = known.lock();
  if (wait == nullptr) known = wait = std::make_shared<ConnectionWait>(channel);
  return wait;
}

void ConnectionWait::Wait(milliseconds limit, std::stop_token stop) {
  if (channel_->GetState(/*try_to_connect=*/true) != GRPC_CHANNEL_TRANSIENT_FAILURE) return;
  const MonotonicTime deadline = Clock::System().MonotonicNow() + limit;
  {
    MutexLock lock(mutex_);
    const uint64_t connected = connected_;
    const auto over = [this, connected] {
      mutex_.AssertHeld();
      return !led_ || connected_ != connected;
    };
    const bool free = changed_.WaitUntil(mutex_, stop, deadline, over);
    const bool done = !free || connected_ != connected || stop.stop_requested() ||
                      Clock::System().MonotonicNow() >= deadline;
    if (done) {
      // It may have been woken to lead: wake another waiter.
      if (!led_) changed_.NotifyOne();
      return;
    }
    led_ = true;
  }
  const bool connected = Lead(deadline, stop);
  MutexLock lock(mutex_);
  led_ = false;
  if (connected) {
    ++connected_;
    changed_.NotifyAll();
  } else {
    changed_.NotifyOne();
  }
}

bool ConnectionWait::Lead(MonotonicTime deadline, const std::stop_token& stop) {
  while (!stop.stop_requested() && Clock::System().MonotonicNow() < deadline) {
    {
      MutexLock lock(mutex_);
      ++looks_;
    }
    // Monotonic, so that a step of the wall clock does not prolong the wait.
    const gpr_timespec until = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                            gpr_time_from_millis(kLookEvery.count(), GPR_TIMESPAN));
    if (channel_->WaitForConnected(until)) return true;
  }
  return false;
}

uint64_t ConnectionWait::looks() const {
  MutexLock lock(mutex_);
  return looks_;
}

}  // namespace datamanager::remote
