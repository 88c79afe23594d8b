// Which directories' disks do not answer.
#ifndef DATAMANAGER_SRC_SYNC_STUCK_ROOTS_H_
#define DATAMANAGER_SRC_SYNC_STUCK_ROOTS_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/mutex.h"
#include "datamanager/clock.h"

namespace datamanager::sync {

// Threads say in which root they are at work. A root in which one has been for longer than
// kPatience is stuck, until that thread is back: no other goes there meanwhile, so that a disk that
// hangs does not take one thread after the other. Thread-safe; no call blocks. By the machine's own
// clock.
class StuckRoots {
 public:
  static constexpr std::chrono::seconds kPatience{1};
  // For how long callers wait for it: a slow disk may take a second for one large read.
  static constexpr std::chrono::seconds kLongPatience{5};

  // `back` is called, without a lock, when a thread is back from a root that was stuck.
  explicit StuckRoots(std::function<void()> back = [] {}) : back_(std::move(back)) {}

  // At work in `root`, for as long as it lives.
  class Work {
   public:
    Work(StuckRoots& roots, std::string_view root) : roots_(roots), place_(roots.Begin(root)) {}
    ~Work() { roots_.End(place_); }
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

   private:
    StuckRoots& roots_;
    const std::list<std::pair<std::string, MonotonicTime>>::iterator place_;
  };

  bool IsStuck(std::string_view root) const DM_EXCLUDES(mutex_) {
    return HangsFor(root, kPatience);
  }
  // Whether it has been for so long.
  bool HangsFor(std::string_view root, std::chrono::seconds patience) const DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (at_work_.empty()) return false;
    const MonotonicTime now = Clock::System().MonotonicNow();
    for (const auto& [other, since] : at_work_) {
      if (other == root && now - since >= patience) return true;
    }
    return false;
  }
  // A root that has been stuck for so long; nullopt: there is none.
  std::optional<std::string> Hanging(std::chrono::seconds patience) const DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const MonotonicTime now = Clock::System().MonotonicNow();
    for (const auto& [root, since] : at_work_) {
      if (now - since >= patience) return root;
    }
    return std::nullopt;
  }
  // Whether a thread is at work in any.
  bool AnyAtWork() const DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return !at_work_.empty();
  }
  // Whether any is stuck.
  bool Any() const { return Hanging(kPatience).has_value(); }

 private:
  using List = std::list<std::pair<std::string, MonotonicTime>>;

  List::iterator Begin(std::string_view root) DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    // As many as threads at work at most: an entry that was left is used again.
    if (unused_.empty()) unused_.emplace_back();
    at_work_.splice(at_work_.end(), unused_, unused_.begin());
    const auto place = std::prev(at_work_.end());
    place->first.assign(root);
    place->second = Clock::System().MonotonicNow();
    return place;
  }
  void End(List::iterator place) DM_EXCLUDES(mutex_) {
    bool was_stuck = false;
    {
      MutexLock lock(mutex_);
      was_stuck = Clock::System().MonotonicNow() - place->second >= kPatience;
      unused_.splice(unused_.end(), at_work_, place);
    }
    if (was_stuck) back_();
  }

  const std::function<void()> back_;
  mutable Mutex mutex_;
  List at_work_ DM_GUARDED_BY(mutex_);
  List unused_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_STUCK_ROOTS_H_
