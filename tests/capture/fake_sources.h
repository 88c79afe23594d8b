// Sources that do what a test says.
#ifndef DATAMANAGER_TESTS_CAPTURE_FAKE_SOURCES_H_
#define DATAMANAGER_TESTS_CAPTURE_FAKE_SOURCES_H_

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "datamanager/clock.h"
#include "datamanager/source.h"
#include "tests/support/gate.h"

namespace datamanager::testing {

// A sensor that answers {"seq": 0}, {"seq": 1}, ... Thread-safe; its sources may outlive it.
class FakeSensor {
 public:
  // Begin and end of a call.
  struct Call {
    MonotonicTime begin;
    MonotonicTime end;
  };

  ReadingsSource source() const {
    return [state = state_](const CaptureRequest& request, Readings& out) {
      return state->Answer(request, out);
    };
  }

  // Closed, it holds every call, whether a stop is requested or not.
  Gate& gate() const { return state_->gate; }

  // From here on, calls are answered by `answer` after the number is set; null: no longer.
  void Do(ReadingsSource answer) {
    const std::lock_guard lock(state_->mutex);
    state_->answer = std::move(answer);
  }

  // Calls that were begun.
  int calls() const {
    const std::lock_guard lock(state_->mutex);
    return static_cast<int>(state_->calls.size());
  }
  std::vector<Call> log() const {
    const std::lock_guard lock(state_->mutex);
    return state_->calls;
  }
  std::set<std::thread::id> threads() const {
    const std::lock_guard lock(state_->mutex);
    return state_->threads;
  }
  // Whether two calls ever were under way at once.
  bool overlapped() const {
    const std::lock_guard lock(state_->mutex);
    return state_->overlapped;
  }
  int under_way() const {
    const std::lock_guard lock(state_->mutex);
    return state_->under_way;
  }

 private:
  struct State {
    absl::Status Answer(const CaptureRequest& request, Readings& out) {
      size_t index = 0;
      ReadingsSource call;
      {
        const std::lock_guard lock(mutex);
        index = calls.size();
        calls.push_back({.begin = std::chrono::steady_clock::now()});
        threads.insert(std::this_thread::get_id());
        overlapped = overlapped || under_way > 0;
        ++under_way;
        call = answer;
      }
      // What leaves by an exception has ended too.
      const std::unique_ptr<State, void (*)(State*)> leave(this, [](State* state) {
        const std::lock_guard lock(state->mutex);
        --state->under_way;
      });
      gate.Pass();
      out.Set("seq", index);
      absl::Status status = call ? call(request, out) : absl::OkStatus();
      const std::lock_guard lock(mutex);
      calls[index].end = std::chrono::steady_clock::now();
      return status;
    }

    Gate gate;
    std::mutex mutex;
    ReadingsSource answer;
    std::vector<Call> calls;
    std::set<std::thread::id> threads;
    bool overlapped = false;
    int under_way = 0;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

// Waits, as a source that heeds its stop token does.
inline absl::Status WaitForStop(const CaptureRequest& request) {
  Gate gate;
  gate.Close();
  const std::stop_callback open(request.stop, [&gate] { gate.Open(); });
  gate.Pass();
  return absl::CancelledError("told to stop");
}

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_CAPTURE_FAKE_SOURCES_H_
