// An unbuffered channel: what is sent is in a receiver's hands when Send returns.
#ifndef DATAMANAGER_SRC_SYNC_CHANNEL_H_
#define DATAMANAGER_SRC_SYNC_CHANNEL_H_

#include <deque>
#include <optional>
#include <stop_token>
#include <utility>

#include "base/mutex.h"
#include "datamanager/clock.h"

namespace datamanager::sync {

// Any number of senders and receivers; what was offered first is taken first. A receiver that finds
// an offer waits for nobody: while it is at work, the sender gets the next one ready. Thread-safe.
template <typename T>
class Channel {
 public:
  enum class Sent { kTaken, kTimedOut, kStopped };

  // Blocks until a receiver has taken `item`, which is moved from only then.
  Sent Send(T& item, MonotonicTime deadline, std::stop_token stop) DM_EXCLUDES(mutex_) {
    Offer offer{.item = &item};
    {
      MutexLock lock(mutex_);
      offers_.push_back(&offer);
    }
    // Without the lock, here and below: who is woken would go back to sleep for it.
    offered_.NotifyOne();
    MutexLock lock(mutex_);
    const bool taken =
        taken_.WaitUntil(mutex_, stop, deadline, [&offer] { return offer.item == nullptr; });
    if (taken) return Sent::kTaken;
    std::erase(offers_, &offer);
    return stop.stop_requested() ? Sent::kStopped : Sent::kTimedOut;
  }

  // Blocks until something is sent; nullopt after a stop.
  std::optional<T> Receive(std::stop_token stop) DM_EXCLUDES(mutex_) {
    std::optional<T> item;
    {
      MutexLock lock(mutex_);
      const bool sent = offered_.Wait(mutex_, stop, [this] {
        mutex_.AssertHeld();
        return !offers_.empty();
      });
      if (!sent || stop.stop_requested()) {
        if (!offers_.empty()) offered_.NotifyOne();  // It may be this one that was told.
        return std::nullopt;
      }
      Offer& offer = *offers_.front();
      offers_.pop_front();
      item.emplace(std::move(*std::exchange(offer.item, nullptr)));
    }
    taken_.NotifyAll();
    return item;
  }

 private:
  struct Offer {
    T* item;  // Null once it is taken.
  };

  Mutex mutex_;
  CondVar offered_;
  CondVar taken_;
  std::deque<Offer*> offers_ DM_GUARDED_BY(mutex_);  // Of the threads in Send.
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_CHANNEL_H_
