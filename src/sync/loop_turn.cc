#include "sync/loop_turn.h"

#include <cassert>

namespace datamanager::sync {

bool LoopTurn::Acquire() {
  MutexLock lock(mutex_);
  ++spare_;
  changed_.Wait(mutex_, [this] {
    mutex_.AssertHeld();
    return ended_ || (owner_ == std::thread::id() && back_ == 0);
  });
  --spare_;
  if (ended_) return false;
  owner_ = std::this_thread::get_id();
  return true;
}

bool LoopTurn::Yield() {
  {
    MutexLock lock(mutex_);
    assert(owner_ == std::this_thread::get_id() && !step_since_.has_value());
    if (back_ == 0) return true;
    owner_ = {};
    changed_.NotifyAll();
  }
  return Acquire();
}

void LoopTurn::End() {
  MutexLock lock(mutex_);
  assert(owner_ == std::this_thread::get_id());
  owner_ = {};
  ended_ = true;
  changed_.NotifyAll();
}

void LoopTurn::BeginStep(bool counts) {
  MutexLock lock(mutex_);
  assert(owner_ == std::this_thread::get_id() && !step_since_.has_value());
  step_since_ = Clock::System().MonotonicNow();
  step_counts_ = counts;
}

bool LoopTurn::Regain(bool ends) {
  const std::thread::id self = std::this_thread::get_id();
  const MonotonicTime now = Clock::System().MonotonicNow();
  {
    MutexLock lock(mutex_);
    if (owner_ == self) {
      if (ends) {
        step_since_.reset();
      } else if (step_since_.has_value()) {
        step_since_ = now;
      }
      return false;
    }
    ++back_;
  }
  wake_();
  MutexLock lock(mutex_);
  changed_.Wait(mutex_, [this] {
    mutex_.AssertHeld();
    return owner_ == std::thread::id();
  });
  --back_;
  owner_ = self;
  const auto stuck = stuck_.find(self);
  step_counts_ = stuck->second;
  stuck_.erase(stuck);
  if (!ends) step_since_ = Clock::System().MonotonicNow();
  return step_counts_;
}

LoopTurn::Taken LoopTurn::TakeFromStuck(MonotonicTime now) {
  MutexLock lock(mutex_);
  Taken taken;
  if (step_since_.has_value() && now - *step_since_ >= kPatience) {
    taken.from_counted = step_counts_;
    stuck_[owner_] = step_counts_;
    owner_ = {};
    step_since_.reset();
    changed_.NotifyAll();
  }
  // Also if no thread could be started the last time.
  taken.needs_thread =
      owner_ == std::thread::id() && !stuck_.empty() && spare_ == 0 && back_ == 0 && !ended_;
  return taken;
}

int LoopTurn::spare() const {
  MutexLock lock(mutex_);
  return spare_;
}

size_t LoopTurn::stuck() const {
  MutexLock lock(mutex_);
  return stuck_.size();
}

}  // namespace datamanager::sync
