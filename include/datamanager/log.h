// What datamanager has to say, and where it goes.
#ifndef DATAMANAGER_LOG_H_
#define DATAMANAGER_LOG_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "datamanager/clock.h"

namespace datamanager {

// Error: someone must act. Warning: it is retried, or something was set aside. Info: a change of
// state. Debug: per file.
enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

struct LogEntry {
  WallTime time;
  LogLevel level = LogLevel::kInfo;
  std::string message;  // One line, without a newline at its end.
};

// Receives each message, in order, on one thread that belongs to the library and has a stack of the
// system's default size, so a slow sink delays neither capture nor upload: messages wait in a
// bounded queue, and beyond it they are counted and the count is logged. A sink that throws loses
// that message; a call into DataManager from inside it returns FAILED_PRECONDITION.
using LogSink = std::function<void(const LogEntry&)>;

// Writes to standard error through spdlog, from `level` up. Used where no sink is given.
LogSink StandardErrorLog(LogLevel level = LogLevel::kInfo);

// "debug", "info", "warning" or "error".
std::string_view LogLevelName(LogLevel level);

}  // namespace datamanager

#endif  // DATAMANAGER_LOG_H_
