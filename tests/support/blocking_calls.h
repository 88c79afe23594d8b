// Calls for a test that does one thing after the other: each blocks until it has ended.
#ifndef DATAMANAGER_TESTS_SUPPORT_BLOCKING_CALLS_H_
#define DATAMANAGER_TESTS_SUPPORT_BLOCKING_CALLS_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/task.h"
#include "tests/support/wait_until.h"
#include "uploader/uploader.h"

namespace datamanager::testing {

// Runs a task to its end, with the calls that it makes by `queue`.
template <typename T>
T RunTask(sync::CallQueue& queue, Task<T> task) {
  task.Start();
  while (!task.done()) queue.RunOne(In(std::chrono::hours(1)));
  return task.TakeResult();
}

// Runs `queue` until the operation that `start` begins has ended. `start` is given its `done`.
template <typename Result, typename Start>
Result RunUntilDone(sync::CallQueue& queue, const Start& start) {
  std::optional<Result> result;
  start([&result](Result value) { result.emplace(std::move(value)); });
  while (!result.has_value()) queue.RunOne(In(std::chrono::hours(1)));
  return *std::move(result);
}

inline sync::CallResult Unary(sync::CallQueue& queue, sync::UploadMethod method,
                              std::string request, const sync::CallOptions& options = {}) {
  return RunUntilDone<sync::CallResult>(
      queue, [&](auto done) { queue.Unary(method, std::move(request), options, std::move(done)); });
}
inline sync::CallResult Unary(sync::Uploader& uploader, sync::UploadMethod method,
                              std::string request, const sync::CallOptions& options = {}) {
  return Unary(*uploader.NewQueue(), method, std::move(request), options);
}

// A stream with a queue of its own.
class OpenedStream {
 public:
  OpenedStream(std::unique_ptr<sync::CallQueue> queue, sync::UploadMethod method,
               const sync::CallOptions& options = {})
      : queue_(std::move(queue)), stream_(queue_->OpenStream(method, options)) {}
  OpenedStream(sync::Uploader& uploader, sync::UploadMethod method,
               const sync::CallOptions& options = {})
      : OpenedStream(uploader.NewQueue(), method, options) {}

  bool Write(std::string message) {
    return RunUntilDone<bool>(
        *queue_, [&](auto done) { stream_->Write(std::move(message), std::move(done)); });
  }
  sync::CallResult Finish() {
    return RunUntilDone<sync::CallResult>(*queue_,
                                          [&](auto done) { stream_->Finish(std::move(done)); });
  }

 private:
  std::unique_ptr<sync::CallQueue> queue_;
  std::unique_ptr<sync::UploadStream> stream_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_BLOCKING_CALLS_H_
