// An unbuffered channel: what is sent is in a receiver's hands when Send returns.
#ifndef DATAMANAGER_SRC_SYNC_CHANNEL_H_
#define DATAMANAGER_SRC_SYNC_CHANNEL_H_

#include <optional>
#include <stop_token>
#include <utility>

#include "base/mutex.h"
#include "datamanager/clock.h"

namespace datamanager::sync {

// Any number of senders and receivers. Thread-safe.
template <typename T>
class Channel {
 public:
  enum class Sent { kTaken, kTimedOut, kStopped };

  // Blocks until a receiver has taken `item`, which is moved from only then.
  Sent Send(T& item, MonotonicTime deadline, std::stop_token stop) DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const bool receiver = changed_.WaitUntil(mutex_, stop, deadline, [this] {
      mutex_.AssertHeld();
      return waiting_ > 0 && !slot_.has_value();
    });
    if (!receiver) return stop.stop_requested() ? Sent::kStopped : Sent::kTimedOut;
    slot_.emplace(std::move(item));
    // Counted down here, so that the next sender does not mistake the same receiver for a free one.
    --waiting_;
    changed_.NotifyAll();
    return Sent::kTaken;
  }

  // Blocks until something is sent; nullopt after a stop.
  std::optional<T> Receive(std::stop_token stop) DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ++waiting_;
    changed_.NotifyAll();
    const bool sent = changed_.Wait(mutex_, stop, [this] {
      mutex_.AssertHeld();
      return slot_.has_value();
    });
    if (!sent) {
      --waiting_;
      return std::nullopt;
    }
    std::optional<T> item = std::exchange(slot_, std::nullopt);
    changed_.NotifyAll();
    return item;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int waiting_ DM_GUARDED_BY(mutex_) = 0;        // Receivers for which no item is in the slot.
  std::optional<T> slot_ DM_GUARDED_BY(mutex_);  // On its way to one of the receivers in Receive.
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_CHANNEL_H_
