// A function that can wait without keeping its thread: what coroutines return.
#ifndef DATAMANAGER_SRC_BASE_TASK_H_
#define DATAMANAGER_SRC_BASE_TASK_H_

#include <cassert>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace datamanager {

template <typename T>
class Task;

namespace task_internal {

// What promises of all types have in common.
struct PromiseBase {
  // Resumes whoever awaits the task.
  struct Final {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      const std::coroutine_handle<> awaiting = ended.promise().awaiting;
      return awaiting == nullptr ? std::noop_coroutine() : awaiting;
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }

  std::coroutine_handle<> awaiting;
  std::exception_ptr exception;
};

template <typename T>
struct Promise : PromiseBase {
  Task<T> get_return_object();
  void return_value(T result) { value.emplace(std::move(result)); }
  T Take() {
    if (exception != nullptr) std::rethrow_exception(exception);
    assert(value.has_value());
    return *std::move(value);
  }
  std::optional<T> value;
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void Take() const {
    if (exception != nullptr) std::rethrow_exception(exception);
  }
};

}  // namespace task_internal

// Runs on the thread that starts or resumes it, and begins only when it is awaited or started.
// Whoever awaits it goes on when it ends, with its value or its exception. Whatever it refers to by
// its arguments must outlive it. One thread at a time.
//
// A task that waits may be destroyed, and with it its locals, if nobody resumes it after that.
//
// Give arguments of an awaited task as named variables: g++ 12 may destroy an aggregate twice that
// is a temporary of such an expression.
template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = task_internal::Promise<T>;

  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      Destroy();
      coroutine_ = std::exchange(other.coroutine_, nullptr);
    }
    return *this;
  }
  ~Task() { Destroy(); }

  // For a caller that is no coroutine: runs it until it waits for the first time, or ends.
  void Start() { coroutine_.resume(); }
  bool done() const { return coroutine_.done(); }
  // The result of one that is done; once.
  T TakeResult() { return coroutine_.promise().Take(); }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    coroutine_.promise().awaiting = awaiting;
    return coroutine_;
  }
  T await_resume() { return TakeResult(); }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
  void Destroy() {
    if (coroutine_ != nullptr) coroutine_.destroy();
  }

  std::coroutine_handle<promise_type> coroutine_;
};

template <typename T>
Task<T> task_internal::Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> task_internal::Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_TASK_H_
