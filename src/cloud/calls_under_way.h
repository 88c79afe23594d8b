// Whether calls are under way, and so whether somebody else reads the channel's sockets.
#ifndef DATAMANAGER_SRC_CLOUD_CALLS_UNDER_WAY_H_
#define DATAMANAGER_SRC_CLOUD_CALLS_UNDER_WAY_H_

#include <chrono>
#include <functional>
#include <stop_token>
#include <utility>

#include "base/mutex.h"
#include "datamanager/clock.h"

namespace datamanager::cloud {

// gRPC has one thread at a time read for all: if that is the one that only follows the channel's
// state, it reads every reply, and then has to wake whoever waits for it. So it rests while calls
// are under way and for kLookEvery after them, and merely looks into its queue at times; unless a
// call has just failed, since then the state is about to change. Thread-safe.
class CallsUnderWay {
 public:
  static constexpr std::chrono::milliseconds kLookEvery{100};

  // `wake` has the follower's wait for events return, and then call Woken. Called without a lock;
  // once until then.
  explicit CallsUnderWay(std::function<void()> wake) : wake_(std::move(wake)) {}

  // One call, from its construction to its end.
  class Call {
   public:
    explicit Call(CallsUnderWay& calls) : calls_(calls) { calls_.Begin(); }
    ~Call() { End(false); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    // The first one counts; without any, it has failed.
    void End(bool ok);

   private:
    CallsUnderWay& calls_;
    bool ended_ = false;
  };

  // For the follower, before each look into its queue. True: it shall wait there for events. False:
  // only look, which it shall do again after the next call of this; that one blocks for kLookEvery,
  // or until a call fails or the stop.
  bool MayWaitForEvents(bool connected, const std::stop_token& stop) DM_EXCLUDES(mutex_);
  void Woken() DM_EXCLUDES(mutex_);

 private:
  void Begin() DM_EXCLUDES(mutex_);
  void End(bool ok) DM_EXCLUDES(mutex_);
  bool Busy(MonotonicTime now) const DM_REQUIRES(mutex_) {
    return !failing_ && (calls_ > 0 || now - quiet_since_ < kLookEvery);
  }

  const std::function<void()> wake_;
  Mutex mutex_;
  CondVar failed_;
  int calls_ DM_GUARDED_BY(mutex_) = 0;
  MonotonicTime quiet_since_ DM_GUARDED_BY(mutex_){};  // Long ago, at first.
  bool failing_ DM_GUARDED_BY(mutex_) = false;         // The last call that ended has failed.
  bool waiting_ DM_GUARDED_BY(mutex_) = false;         // The follower, for events.
  bool waking_ DM_GUARDED_BY(mutex_) = false;
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_CALLS_UNDER_WAY_H_
