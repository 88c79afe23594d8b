#include "capture/source_stop.h"

#include "absl/status/statusor.h"
#include "base/callback_scope.h"
#include "base/thread.h"

namespace datamanager::capture {

void SourceStop::RequestOfSource() {
  const CallbackScope scope;
  sources_.request_stop();
}

void SourceStop::Request() {
  own_.request_stop();
  {
    MutexLock lock(mutex_);
    if (requested_) return;
    requested_ = true;
    if (!calling_) return;
    telling_ = true;
  }
  absl::StatusOr<Thread> thread =
      Thread::Start("dm-stop", stack_bytes_, [self = shared_from_this()] {
        self->RequestOfSource();
        MutexLock lock(self->mutex_);
        self->telling_ = false;
        self->changed_.NotifyAll();
      });
  if (thread.ok()) {
    thread->Detach();
    return;
  }
  MutexLock lock(mutex_);
  telling_ = false;
  changed_.NotifyAll();
}

void SourceStop::BeginCall() {
  bool requested = false;
  {
    MutexLock lock(mutex_);
    calling_ = true;
    requested = requested_;
  }
  if (requested) RequestOfSource();
}

void SourceStop::EndCall() {
  MutexLock lock(mutex_);
  calling_ = false;
}

void SourceStop::Finish() {
  RequestOfSource();
  MutexLock lock(mutex_);
  changed_.Wait(mutex_, [this] {
    mutex_.AssertHeld();
    return !telling_;
  });
}

}  // namespace datamanager::capture
