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

void LoopTurn::BeginStep() {
  MutexLock lock(mutex_);
  assert(owner_ == std::this_thread::get_id() && !step_since_.has_value());
  step_since_ = Clock::System().MonotonicNow();
}

bool LoopTurn::Own() {
  const std::thread::id self = std::this_thread::get_id();
  {
    MutexLock lock(mutex_);
    if (owner_ == self) return false;
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
  stuck_.erase(self);
  step_since_ = Clock::System().MonotonicNow();
  return true;
}

bool LoopTurn::EndStep() {
  const bool taken = Own();
  MutexLock lock(mutex_);
  step_since_.reset();
  return taken;
}

LoopTurn::Taken LoopTurn::TakeFromStuck(MonotonicTime now) {
  MutexLock lock(mutex_);
  const bool stuck = step_since_.has_value() && now - *step_since_ >= kPatience;
  if (!stuck) return Taken::kNo;
  stuck_.insert(owner_);
  owner_ = {};
  step_since_.reset();
  changed_.NotifyAll();
  return spare_ == 0 ? Taken::kNobodyWaits : Taken::kYes;
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
