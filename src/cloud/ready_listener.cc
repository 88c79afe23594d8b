#include "cloud/ready_listener.h"

#include <utility>

namespace datamanager::cloud {

void ReadyListener::AwaitCall() {
  if (calling_ == std::this_thread::get_id()) return;
  changed_.Wait(mutex_, [this] {
    mutex_.AssertHeld();
    return calling_ == std::thread::id();
  });
}

void ReadyListener::Set(Function listener) {
  MutexLock lock(mutex_);
  listener_.swap(listener);
  AwaitCall();
}

void ReadyListener::Follow(const void* source) {
  Deliver(source, /*ready=*/false, /*follow=*/true);
}

void ReadyListener::Tell(const void* source, bool ready) {
  Deliver(source, ready, /*follow=*/false);
}

void ReadyListener::Deliver(const void* source, bool ready, bool follow) {
  bool lost;
  std::thread::id outer;
  {
    MutexLock lock(mutex_);
    AwaitCall();
    if (follow) source_ = source;
    if (source_ != source) return;
    lost = std::exchange(told_ready_, ready);
    outer = std::exchange(calling_, std::this_thread::get_id());
  }
  if (lost) Call(false);
  if (ready) Call(true);
  MutexLock lock(mutex_);
  calling_ = outer;
  changed_.NotifyAll();
}

void ReadyListener::Call(bool ready) {
  Function called;
  {
    MutexLock lock(mutex_);
    called = listener_;
  }
  // What is taken away meanwhile goes here, before the call counts as over.
  if (called != nullptr) called(ready);
}

}  // namespace datamanager::cloud
