// Asks a source to return.
#ifndef DATAMANAGER_SRC_CAPTURE_SOURCE_STOP_H_
#define DATAMANAGER_SRC_CAPTURE_SOURCE_STOP_H_

#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "base/mutex.h"

namespace datamanager::capture {

// The stop callbacks that a source registers are the embedder's code: they may take as long as the
// source itself, and must not delay the thread that ends a collector. During a call of the source
// they run on a thread made for them, otherwise on the source's own thread. The end of that thread
// waits for them; the caller waits for that end only until a deadline.
//
// Must be owned by a shared_ptr. Thread-safe.
class SourceStop : public std::enable_shared_from_this<SourceStop> {
 public:
  // `stack_bytes` as of Thread::Start.
  explicit SourceStop(size_t stack_bytes) : stack_bytes_(stack_bytes) {}

  // The token of the library's own waits: no code of the embedder listens to it.
  std::stop_token own() const { return own_.get_token(); }
  // The token that the source gets.
  std::stop_token sources() const { return sources_.get_token(); }
  bool requested() const { return own_.stop_requested(); }

  // Does not block. If the system gives no thread, a source in a call is not notified.
  void Request() DM_EXCLUDES(mutex_);

  // Marks a call of the source, on its own thread. A call that begins after the request finds the
  // request made.
  class Calling {
   public:
    explicit Calling(SourceStop& stop) : stop_(stop) { stop_.BeginCall(); }
    ~Calling() { stop_.EndCall(); }
    Calling(const Calling&) = delete;
    Calling& operator=(const Calling&) = delete;

   private:
    SourceStop& stop_;
  };

  // Call it after the last call, on the source's own thread: returns when the last stop callback
  // has.
  void Finish() DM_EXCLUDES(mutex_);

 private:
  void BeginCall() DM_EXCLUDES(mutex_);
  void EndCall() DM_EXCLUDES(mutex_);
  void RequestOfSource();

  const size_t stack_bytes_;
  std::stop_source own_;
  std::stop_source sources_;
  Mutex mutex_;
  CondVar changed_;
  bool calling_ DM_GUARDED_BY(mutex_) = false;
  bool requested_ DM_GUARDED_BY(mutex_) = false;
  bool telling_ DM_GUARDED_BY(mutex_) = false;  // A thread made for them runs stop callbacks.
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_SOURCE_STOP_H_
