// Who may call a source, where its collector is not the only one who asks it.
#ifndef DATAMANAGER_SRC_CAPTURE_SOURCE_TURN_H_
#define DATAMANAGER_SRC_CAPTURE_SOURCE_TURN_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <stop_token>

#include "base/mutex.h"
#include "datamanager/clock.h"
#include "datamanager/source.h"

namespace datamanager::capture {

// A sensor that controls capture, or decides whether to sync, may be captured too. Such a question
// and a collector's call never overlap: each waits for the other, as it would for the source
// itself. Collectors of one source do not wait for each other.
//
// Both sides get their turn. While a question waits, no collector begins a call, so that the
// question waits only for the calls in progress, however many collectors there are. The collectors
// that are waiting when a question ends come before the next question. A call that hangs blocks the
// question, but other collectors only for `patience`: they then call again. When the calls that
// were in progress have ended, the others are held back once more, for twice as long, so that calls
// of any length let the question in.
//
// No lock is held during a question or a call. Thread-safe.
class SourceTurn {
 public:
  explicit SourceTurn(std::chrono::milliseconds patience = std::chrono::seconds(1))
      : patience_(patience) {}

  // Identifies a call in progress. Never 0.
  using Ticket = uint64_t;
  // Begins a collector's call. 0, and nothing to leave, if `stop` is requested before its turn.
  Ticket Enter(const std::stop_token& stop) DM_EXCLUDES(mutex_);
  void Leave(Ticket ticket) DM_EXCLUDES(mutex_);
  // Begins a question. False, and nothing to leave, if `stop` is requested before its turn.
  bool EnterAlone(const std::stop_token& stop) DM_EXCLUDES(mutex_);
  void LeaveAlone() DM_EXCLUDES(mutex_);

  // How many collectors wait for their turn.
  int waiting_collectors() const DM_EXCLUDES(mutex_);

 private:
  void HandOver() DM_REQUIRES(mutex_);
  // Holds collectors back from this call on.
  void HoldBack(std::chrono::milliseconds patience) DM_REQUIRES(mutex_);
  bool MayCall(uint64_t arrived_in) const DM_REQUIRES(mutex_);

  const std::chrono::milliseconds patience_;
  mutable Mutex mutex_;
  CondVar changed_;
  int waiting_ DM_GUARDED_BY(mutex_) = 0;       // Questions.
  bool alone_ DM_GUARDED_BY(mutex_) = false;    // A question is under way,
  bool granted_ DM_GUARDED_BY(mutex_) = false;  // or one that waits may begin.

  // A call's number counts the holds before it began, from 1.
  Ticket hold_ DM_GUARDED_BY(mutex_) = 1;
  int earlier_calls_ DM_GUARDED_BY(mutex_) = 0;  // In progress, begun before the last hold.
  int later_calls_ DM_GUARDED_BY(mutex_) = 0;
  std::chrono::milliseconds hold_patience_ DM_GUARDED_BY(mutex_){0};
  MonotonicTime hold_ends_ DM_GUARDED_BY(mutex_);

  int entering_ DM_GUARDED_BY(mutex_) = 0;  // Collectors that wait.
  // The part of them that comes before the next question: they arrived before this round.
  int admitted_ DM_GUARDED_BY(mutex_) = 0;
  uint64_t round_ DM_GUARDED_BY(mutex_) = 0;
};

// The turn of each source, as long as anybody has the source. Not thread-safe.
class SourceTurns {
 public:
  std::shared_ptr<SourceTurn> Of(const std::shared_ptr<const SourceFunction>& source);

 private:
  std::map<std::weak_ptr<const SourceFunction>, std::shared_ptr<SourceTurn>, std::owner_less<>>
      turns_;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_SOURCE_TURN_H_
