// Calls that a coroutine waits for with co_await.
#ifndef DATAMANAGER_SRC_SYNC_AWAIT_CALL_H_
#define DATAMANAGER_SRC_SYNC_AWAIT_CALL_H_

#include <coroutine>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "uploader/uploader.h"

namespace datamanager::sync {

// An operation that hands its result to a `done`. The coroutine is resumed by CallQueue::RunOne.
template <typename Result, typename Start>
class AwaitOperation {
 public:
  explicit AwaitOperation(Start start) : start_(std::move(start)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    start_([this, waiting](Result result) {
      result_.emplace(std::move(result));
      waiting.resume();
    });
  }
  Result await_resume() { return *std::move(result_); }

 private:
  Start start_;
  std::optional<Result> result_;
};

inline auto AwaitUnary(CallQueue& calls, UploadMethod method, std::string request,
                       CallOptions options) {
  auto start = [&calls, method, request = std::move(request),
                options = std::move(options)](std::function<void(CallResult)> done) mutable {
    calls.Unary(method, std::move(request), std::move(options), std::move(done));
  };
  return AwaitOperation<CallResult, decltype(start)>(std::move(start));
}

inline auto AwaitWrite(UploadStream& stream, std::string message) {
  auto start = [&stream, message = std::move(message)](std::function<void(bool)> done) mutable {
    stream.Write(std::move(message), std::move(done));
  };
  return AwaitOperation<bool, decltype(start)>(std::move(start));
}

inline auto AwaitFinish(UploadStream& stream) {
  auto start = [&stream](std::function<void(CallResult)> done) { stream.Finish(std::move(done)); };
  return AwaitOperation<CallResult, decltype(start)>(std::move(start));
}

// Lets the other work of the queue's thread go on first.
inline auto AwaitTurn(CallQueue& calls) {
  auto start = [&calls](std::function<void(bool)> done) {
    calls.Yield([done = std::move(done)] { done(true); });
  };
  return AwaitOperation<bool, decltype(start)>(std::move(start));
}

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_AWAIT_CALL_H_
