// Who may call a source, where its collector is not the only one who asks it.
#ifndef DATAMANAGER_SRC_CAPTURE_SOURCE_TURN_H_
#define DATAMANAGER_SRC_CAPTURE_SOURCE_TURN_H_

#include <map>
#include <memory>
#include <stop_token>

#include "base/mutex.h"
#include "datamanager/source.h"

namespace datamanager::capture {

// A sensor that controls capture, or says whether to sync, may be captured too. Such a question and
// a collector's call never overlap: each waits for the other, as it would for the source itself.
// Collectors of one source do not wait for one another. Nothing is held but a state. Thread-safe.
class SourceTurn {
 public:
  // A collector's call. False, and nothing to leave, if `stop` is requested before its turn.
  bool Enter(const std::stop_token& stop) DM_EXCLUDES(mutex_);
  void Leave() DM_EXCLUDES(mutex_);
  // A question. It comes before the next call of a collector that is never done.
  bool EnterAlone(const std::stop_token& stop) DM_EXCLUDES(mutex_);
  void LeaveAlone() DM_EXCLUDES(mutex_);

 private:
  void HandOver() DM_REQUIRES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  int calls_ DM_GUARDED_BY(mutex_) = 0;         // Of collectors, under way.
  int waiting_ DM_GUARDED_BY(mutex_) = 0;       // Questions.
  bool alone_ DM_GUARDED_BY(mutex_) = false;    // A question is under way,
  bool granted_ DM_GUARDED_BY(mutex_) = false;  // or one that waits may begin.
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
