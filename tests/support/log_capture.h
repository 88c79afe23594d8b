// A log sink that remembers.
#ifndef DATAMANAGER_TESTS_SUPPORT_LOG_CAPTURE_H_
#define DATAMANAGER_TESTS_SUPPORT_LOG_CAPTURE_H_

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "datamanager/log.h"

namespace datamanager::testing {

// Messages reach it on the logger's thread: close the logger, or wait, before looking. Thread-safe;
// its sinks may outlive it.
class LogCapture {
 public:
  LogSink sink() const {
    return [state = state_](const LogEntry& entry) {
      const std::lock_guard lock(state->mutex);
      state->entries.push_back(entry);
    };
  }

  std::vector<LogEntry> entries() const {
    const std::lock_guard lock(state_->mutex);
    return state_->entries;
  }

  // How many messages of `level` or above contain `text`, or do so after their level: "info:
  // started".
  size_t Count(std::string_view text, LogLevel level = LogLevel::kDebug) const {
    const std::vector<LogEntry> all = entries();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](const LogEntry& entry) {
      const std::string line =
          std::string(LogLevelName(entry.level)).append(": ").append(entry.message);
      return entry.level >= level && line.find(text) != std::string::npos;
    }));
  }
  bool Has(std::string_view text) const { return Count(text) > 0; }

  // Everything, a line each, for failure messages.
  std::string Text() const {
    std::string text;
    for (const LogEntry& entry : entries()) absl::StrAppend(&text, entry.message, "\n");
    return text;
  }

 private:
  struct State {
    std::mutex mutex;
    std::vector<LogEntry> entries;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_LOG_CAPTURE_H_
