// Which of several threads runs a loop.
#ifndef DATAMANAGER_SRC_SYNC_LOOP_TURN_H_
#define DATAMANAGER_SRC_SYNC_LOOP_TURN_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <thread>

#include "base/mutex.h"
#include "datamanager/clock.h"

namespace datamanager::sync {

// One thread has the turn, and with it the loop and all that belongs to it. What the loop does in
// steps may hang in the disk: then the turn is taken from the thread, and another one runs the loop
// on. The first one asks for the turn when its step comes back, before it touches the loop again,
// and gets it next.
//
// Thread-safe. By the machine's own clock.
class LoopTurn {
 public:
  // How long a step may take before the turn is taken.
  static constexpr std::chrono::seconds kPatience{1};

  // `wake` has the thread with the turn call Yield soon. Called on any thread, without a lock.
  explicit LoopTurn(std::function<void()> wake) : wake_(std::move(wake)) {}

  // For a thread that would run the loop: waits until it has the turn. False: the loop has ended.
  bool Acquire() DM_EXCLUDES(mutex_);
  // Of the thread with the turn, between two steps: lets one that is back from its step go first,
  // and waits for the turn again. False: the loop has ended.
  bool Yield() DM_EXCLUDES(mutex_);
  // The loop is over. Of the thread with the turn, which loses it.
  void End() DM_EXCLUDES(mutex_);

  // A step begins, of the thread with the turn. `counts`: what it does takes a place of its own,
  // which others may have as long as it hangs.
  void BeginStep(bool counts = true) DM_EXCLUDES(mutex_);
  // In a step, before it touches the loop: the thread has the turn when this returns, and all the
  // time again that a step may take. Does not end the step. True: the turn had been taken from it
  // in a step that counts.
  bool Own() DM_EXCLUDES(mutex_) { return Regain(/*ends=*/false); }
  // The step has come back: the thread has the turn when this returns. True as with Own.
  bool EndStep() DM_EXCLUDES(mutex_) { return Regain(/*ends=*/true); }

  struct Taken {
    bool from_counted = false;  // The turn was taken from a step that counts.
    bool needs_thread = false;  // Nobody runs the loop, or is going to.
  };
  // For whoever watches. Takes the turn from a thread whose step takes too long.
  Taken TakeFromStuck(MonotonicTime now) DM_EXCLUDES(mutex_);
  // Threads whose step has not come back since the turn was taken from them.
  size_t stuck() const DM_EXCLUDES(mutex_);
  // Other threads that wait for the turn.
  int spare() const DM_EXCLUDES(mutex_);

 private:
  bool Regain(bool ends) DM_EXCLUDES(mutex_);

  const std::function<void()> wake_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::thread::id owner_ DM_GUARDED_BY(mutex_);
  std::optional<MonotonicTime> step_since_ DM_GUARDED_BY(mutex_);  // Of the owner's step.
  bool step_counts_ DM_GUARDED_BY(mutex_) = false;
  std::map<std::thread::id, bool> stuck_ DM_GUARDED_BY(mutex_);  // And whether its step counts.
  int back_ DM_GUARDED_BY(mutex_) = 0;  // Of the stuck, those that wait for the turn.
  int spare_ DM_GUARDED_BY(mutex_) = 0;
  bool ended_ DM_GUARDED_BY(mutex_) = false;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_LOOP_TURN_H_
