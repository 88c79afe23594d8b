// The way from any thread to the embedder's log sink.
#ifndef DATAMANAGER_SRC_BASE_LOGGER_H_
#define DATAMANAGER_SRC_BASE_LOGGER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "datamanager/log.h"

namespace datamanager {

// Queues messages for the log thread, which calls the sink. Thread-safe; no call waits for the sink
// but Close and the destructor, and those only for a bounded time: a sink that hangs is left alone.
class Logger {
 public:
  // How long what is no warning may wait, so that a steady flow of messages does not wake the log
  // thread for each.
  static constexpr std::chrono::milliseconds kRest{10};

  // Without a sink, messages go to standard error.
  static absl::StatusOr<std::shared_ptr<Logger>> Create(LogSink sink,
                                                        std::chrono::milliseconds rest = kRest);

  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  void Debug(std::string message) { Log(LogLevel::kDebug, std::move(message)); }
  void Info(std::string message) { Log(LogLevel::kInfo, std::move(message)); }
  void Warning(std::string message) { Log(LogLevel::kWarning, std::move(message)); }
  void Error(std::string message) { Log(LogLevel::kError, std::move(message)); }
  void Log(LogLevel level, std::string message);

  // False: the sink is known to ignore this level, so that the message need not be put together.
  bool Wants(LogLevel level) const;

  // Messages that found the queue full.
  uint64_t dropped() const;

  // Hands over what is queued and ends the thread; what is logged afterwards is dropped and
  // counted.
  void Close();

 private:
  struct State;
  explicit Logger(std::shared_ptr<State> state) : state_(std::move(state)) {}

  const std::shared_ptr<State> state_;
};

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_LOGGER_H_
