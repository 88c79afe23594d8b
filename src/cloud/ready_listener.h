#ifndef DATAMANAGER_SRC_CLOUD_READY_LISTENER_H_
#define DATAMANAGER_SRC_CLOUD_READY_LISTENER_H_

#include <functional>
#include <thread>

#include "base/mutex.h"

namespace datamanager::cloud {

// Who hears when the connection is ready and when it is not, whichever connection it is: it stays
// when one takes the place of another. Thread-safe. Calls of the listener take turns.
class ReadyListener {
 public:
  using Function = std::function<void(bool ready)>;

  // Sets the listener, or with null takes it away, and waits for a call of the one before, unless
  // it comes from inside that call.
  void Set(Function listener) DM_EXCLUDES(mutex_);

  // From here on only `source` is heard. Tells that the one before is no longer ready.
  void Follow(const void* source) DM_EXCLUDES(mutex_);

  // The state of `source` has changed to this. One ready connection after another counts as a loss
  // in between.
  void Tell(const void* source, bool ready) DM_EXCLUDES(mutex_);

 private:
  void Deliver(const void* source, bool ready, bool follow) DM_EXCLUDES(mutex_);
  void Call(bool ready) DM_EXCLUDES(mutex_);
  // Waits for the call under way, unless it is the caller's own.
  void AwaitCall() DM_REQUIRES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  Function listener_ DM_GUARDED_BY(mutex_);
  const void* source_ DM_GUARDED_BY(mutex_) = nullptr;
  bool told_ready_ DM_GUARDED_BY(mutex_) = false;  // Also while there was no listener.
  std::thread::id calling_ DM_GUARDED_BY(mutex_);  // The thread inside the listener.
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_READY_LISTENER_H_
