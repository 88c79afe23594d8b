// Threads as a guest in somebody's robot starts them.
#ifndef DATAMANAGER_SRC_BASE_THREAD_H_
#define DATAMANAGER_SRC_BASE_THREAD_H_

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "datamanager/clock.h"

namespace datamanager {

// The stack of threads that run only our code, in addition to the bytes that the system uses.
// Sanitizers need several times as much.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr size_t kOwnStackBytes = 2 << 20;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr size_t kOwnStackBytes = 2 << 20;
#else
inline constexpr size_t kOwnStackBytes = 256 << 10;
#endif
#else
inline constexpr size_t kOwnStackBytes = 256 << 10;
#endif
inline constexpr size_t kSystemStackBytes = 0;  // Whatever the system gives.

// A named thread with the default scheduling policy, whatever policy its starter has, if the
// process may set it. All signals are blocked except those that a thread's own instructions raise,
// such as SIGSEGV and SIGBUS: the kernel kills a process that blocks one of these when it occurs,
// even if the embedder has a handler for it. (abort unblocks SIGABRT by itself.)
//
// The objects that the body holds are destroyed on the thread, inside a CallbackScope. Join or
// Detach the thread before it is destroyed; otherwise a running one is detached. Not thread-safe.
class Thread {
 public:
  // RESOURCE_EXHAUSTED if the system gives no more threads. `name` is cut to 15 bytes. The stack is
  // `stack_bytes` plus the bytes that the system uses, which include all thread-local storage of
  // the program and its libraries.
  static absl::StatusOr<Thread> Start(const std::string& name, size_t stack_bytes,
                                      std::function<void()> body);

  Thread() = default;
  Thread(Thread&& other) noexcept = default;
  Thread& operator=(Thread&& other) noexcept;
  ~Thread();

  // Whether there is a thread to join.
  bool joinable() const { return state_ != nullptr; }
  // Blocks until the body has returned.
  void Join();
  // The same, until `deadline`; false leaves the thread as it is.
  bool JoinUntil(MonotonicTime deadline);
  // Leaves the thread alone; what its body refers to must outlive it.
  void Detach();

 private:
  struct State;
  explicit Thread(std::shared_ptr<State> state) : state_(std::move(state)) {}

  std::shared_ptr<State> state_;
};

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_THREAD_H_
