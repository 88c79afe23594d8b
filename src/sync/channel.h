// An unbuffered channel: what is sent is its sender's until a receiver has it.
#ifndef DATAMANAGER_SRC_SYNC_CHANNEL_H_
#define DATAMANAGER_SRC_SYNC_CHANNEL_H_

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "datamanager/clock.h"

namespace datamanager::sync {

// Any number of senders and receivers; what was offered first is taken first. A receiver that finds
// an offer waits for nobody: while it is at work, the sender gets the next one ready. Thread-safe.
template <typename T>
class Channel {
 public:
  enum class Sent { kTaken, kTimedOut, kStopped };

  // Holds out one item at a time; but while receivers are so quick that the threads' waking each
  // other would take as long as their work, several at once. Of one thread.
  class Sender {
   public:
    // Several: after so many waits in a row that were as quick, for each item taken.
    static constexpr size_t kMost = 8;
    static constexpr int kQuickWaits = 64;
    static constexpr std::chrono::milliseconds kQuick{1};

    explicit Sender(Channel& channel) : channel_(channel) {}
    ~Sender() { TakeBack(); }
    Sender(const Sender&) = delete;
    Sender& operator=(const Sender&) = delete;

    // Does not block. AwaitRoom comes next.
    void HoldOut(T item) DM_EXCLUDES(channel_.mutex_) {
      {
        MutexLock lock(channel_.mutex_);
        channel_.offers_.push_back({.item = std::move(item), .sender = this});
        ++held_out_;
      }
      // Without the lock, here and below: who is woken would go back to sleep for it.
      channel_.offered_.NotifyOne();
    }
    // Blocks until another item can be held out.
    Sent AwaitRoom(MonotonicTime deadline, std::stop_token stop) DM_EXCLUDES(channel_.mutex_) {
      MutexLock lock(channel_.mutex_);
      if (quick_waits_ < kQuickWaits) return AwaitAtMost(0, deadline, std::move(stop));
      if (held_out_ < kMost) return Sent::kTaken;
      return AwaitAtMost(kMost / 2, deadline, std::move(stop));
    }
    // Blocks until all are taken.
    Sent AwaitAll(MonotonicTime deadline, std::stop_token stop) DM_EXCLUDES(channel_.mutex_) {
      MutexLock lock(channel_.mutex_);
      return AwaitAtMost(0, deadline, std::move(stop));
    }
    // What nobody has taken; nobody will.
    std::vector<T> TakeBack() DM_EXCLUDES(channel_.mutex_) {
      std::vector<T> items;
      MutexLock lock(channel_.mutex_);
      for (Held& held : channel_.offers_) {
        if (held.sender == this) items.push_back(std::move(held.item));
      }
      std::erase_if(channel_.offers_, [this](const Held& held) { return held.sender == this; });
      held_out_ = 0;
      return items;
    }

   private:
    friend class Channel;

    Sent AwaitAtMost(size_t left, MonotonicTime deadline, std::stop_token stop)
        DM_REQUIRES(channel_.mutex_) {
      if (held_out_ <= left) return Sent::kTaken;  // As quick as can be: it changes nothing.
      const size_t before = held_out_;
      const MonotonicTime begin = Clock::System().MonotonicNow();
      awaited_ = left;
      const bool taken = channel_.taken_.WaitUntil(channel_.mutex_, stop, deadline, [this, left] {
        channel_.mutex_.AssertHeld();
        return held_out_ <= left;
      });
      awaited_.reset();
      const auto waited = Clock::System().MonotonicNow() - begin;
      quick_waits_ = taken && waited <= kQuick * (before - left) ? quick_waits_ + 1 : 0;
      if (taken) return Sent::kTaken;
      return stop.stop_requested() ? Sent::kStopped : Sent::kTimedOut;
    }

    Channel& channel_;
    int quick_waits_ = 0;
    size_t held_out_ DM_GUARDED_BY(channel_.mutex_) = 0;
    std::optional<size_t> awaited_ DM_GUARDED_BY(channel_.mutex_);  // While it waits.
  };

  // Blocks until a receiver has taken `item`, which is moved from only then.
  Sent Send(T& item, MonotonicTime deadline, std::stop_token stop) DM_EXCLUDES(mutex_) {
    Sender sender(*this);
    sender.HoldOut(std::move(item));
    const Sent sent = sender.AwaitAll(deadline, std::move(stop));
    // It may have been taken since the wait was over.
    std::vector<T> left = sender.TakeBack();
    if (left.empty()) return Sent::kTaken;
    item = std::move(left.front());
    return sent;
  }

  // Blocks until something is sent; nullopt after a stop.
  std::optional<T> Receive(std::stop_token stop) DM_EXCLUDES(mutex_) {
    std::optional<T> item;
    bool wake = false;
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
      Held& held = offers_.front();
      held.sender->channel_.mutex_.AssertHeld();
      item.emplace(std::move(held.item));
      wake = --held.sender->held_out_ == held.sender->awaited_;
      offers_.pop_front();
    }
    if (wake) taken_.NotifyAll();
    return item;
  }

 private:
  struct Held {
    T item;
    Sender* sender;
  };

  Mutex mutex_;
  CondVar offered_;
  CondVar taken_;
  std::deque<Held> offers_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_CHANNEL_H_
