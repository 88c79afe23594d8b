#include "capture/source_turn.h"

#include <algorithm>

namespace datamanager::capture {
namespace {

// The limit on a hold, however long calls take and however often collectors are held back.
constexpr std::chrono::minutes kMostPatience{1};

MonotonicTime Now() { return Clock::System().MonotonicNow(); }

}  // namespace

bool SourceTurn::MayCall(uint64_t arrived_in) const {
  if (alone_ || granted_) return false;
  return waiting_ == 0 || arrived_in < round_ || Now() >= hold_ends_;
}

SourceTurn::Ticket SourceTurn::Enter(const std::stop_token& stop) {
  MutexLock lock(mutex_);
  const uint64_t arrived_in = round_;
  bool may = MayCall(arrived_in);
  if (!may) {
    ++entering_;
    while (!may && !stop.stop_requested()) {
      const bool held_back = !alone_ && !granted_;
      may = changed_.WaitUntil(mutex_, stop, held_back ? hold_ends_ : Now() + kMostPatience,
                               [this, arrived_in] {
                                 mutex_.AssertHeld();
                                 return MayCall(arrived_in);
                               });
    }
    --entering_;
    if (arrived_in < round_) --admitted_;
  }
  if (may) {
    ++later_calls_;
    return hold_;
  }
  HandOver();
  return 0;
}

void SourceTurn::Leave(Ticket ticket) {
  MutexLock lock(mutex_);
  --(ticket == hold_ ? later_calls_ : earlier_calls_);
  // New calls have begun since the last hold: without another hold they would never all end.
  if (waiting_ > 0 && earlier_calls_ == 0 && later_calls_ > 0 && Now() >= hold_ends_) {
    HoldBack(std::min<std::chrono::milliseconds>(2 * hold_patience_, kMostPatience));
  }
  HandOver();
}

void SourceTurn::HoldBack(std::chrono::milliseconds patience) {
  ++hold_;
  earlier_calls_ += later_calls_;
  later_calls_ = 0;
  hold_patience_ = patience;
  hold_ends_ = Now() + patience;
}

bool SourceTurn::EnterAlone(const std::stop_token& stop) {
  MutexLock lock(mutex_);
  if (++waiting_ == 1) HoldBack(patience_);
  HandOver();
  const bool mine = changed_.Wait(mutex_, stop, [this] {
    mutex_.AssertHeld();
    return granted_;
  });
  --waiting_;
  if (mine) {
    granted_ = false;
    alone_ = true;
  } else {
    changed_.NotifyAll();  // No collector is held back for it any more.
  }
  return mine;
}

void SourceTurn::LeaveAlone() {
  MutexLock lock(mutex_);
  alone_ = false;
  if (entering_ > 0) {
    ++round_;
    admitted_ = entering_;
  }
  if (waiting_ > 0) HoldBack(patience_);
  HandOver();
  changed_.NotifyAll();
}

int SourceTurn::waiting_collectors() const {
  MutexLock lock(mutex_);
  return entering_;
}

void SourceTurn::HandOver() {
  if (waiting_ == 0 || earlier_calls_ + later_calls_ > 0 || admitted_ > 0 || alone_ || granted_) {
    return;
  }
  granted_ = true;
  changed_.NotifyAll();
}

std::shared_ptr<SourceTurn> SourceTurns::Of(const std::shared_ptr<const SourceFunction>& source) {
  std::erase_if(turns_, [](const auto& entry) { return entry.first.expired(); });
  std::shared_ptr<SourceTurn>& turn = turns_[source];
  if (turn == nullptr) turn = std::make_shared<SourceTurn>();
  return turn;
}

}  // namespace datamanager::capture
