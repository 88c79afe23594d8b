// Marks the threads that are inside an embedder's code: a source or a log sink.
#ifndef DATAMANAGER_SRC_BASE_CALLBACK_SCOPE_H_
#define DATAMANAGER_SRC_BASE_CALLBACK_SCOPE_H_

namespace datamanager {

// While one exists, this thread is inside a callback, and a call back into the library that would
// wait for this very thread can be refused instead of hanging.
class CallbackScope {
 public:
  CallbackScope() { ++Depth(); }
  ~CallbackScope() { --Depth(); }
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;

  static bool Active() { return Depth() > 0; }

 private:
  static int& Depth() {
    thread_local int depth = 0;
    return depth;
  }
};

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_CALLBACK_SCOPE_H_
