#include "capture/source_turn.h"

namespace datamanager::capture {

bool SourceTurn::Enter(const std::stop_token& stop) {
  MutexLock lock(mutex_);
  if (alone_ || granted_) {
    const bool free = changed_.Wait(mutex_, stop, [this] {
      mutex_.AssertHeld();
      return !alone_ && !granted_;
    });
    if (!free) return false;
  }
  ++calls_;
  return true;
}

void SourceTurn::Leave() {
  MutexLock lock(mutex_);
  --calls_;
  HandOver();
}

bool SourceTurn::EnterAlone(const std::stop_token& stop) {
  MutexLock lock(mutex_);
  ++waiting_;
  HandOver();
  const bool mine = changed_.Wait(mutex_, stop, [this] {
    mutex_.AssertHeld();
    return granted_;
  });
  --waiting_;
  if (mine) {
    granted_ = false;
    alone_ = true;
  }
  return mine;
}

void SourceTurn::LeaveAlone() {
  MutexLock lock(mutex_);
  alone_ = false;
  HandOver();
  changed_.NotifyAll();
}

void SourceTurn::HandOver() {
  if (waiting_ == 0 || calls_ > 0 || alone_ || granted_) return;
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
