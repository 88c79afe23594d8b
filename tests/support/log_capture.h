// Keeps what is logged.
#ifndef DATAMANAGER_TESTS_SUPPORT_LOG_CAPTURE_H_
#define DATAMANAGER_TESTS_SUPPORT_LOG_CAPTURE_H_

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "datamanager/log.h"

namespace datamanager::testing {

// Thread-safe. Its sinks may outlive it.
class LogCapture {
 public:
  LogSink sink() const {
    return [state = state_](const LogEntry& entry) {
      std::string line(LogLevelName(entry.level));
      line += ": ";
      line += entry.message;
      const std::lock_guard<std::mutex> lock(state->mutex);
      state->lines.push_back(std::move(line));
    };
  }

  // Each message after its level: "info: started".
  std::vector<std::string> lines() const {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    return state_->lines;
  }
  // How many lines have `text` in them.
  size_t Count(std::string_view text) const {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    return static_cast<size_t>(std::count_if(
        state_->lines.begin(), state_->lines.end(),
        [text](const std::string& line) { return line.find(text) != std::string::npos; }));
  }
  bool Contains(std::string_view text) const { return Count(text) > 0; }

 private:
  struct State {
    std::mutex mutex;
    std::vector<std::string> lines;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_LOG_CAPTURE_H_
