// Facts about the robot that its sources need.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_SOURCE_CONTEXT_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_SOURCE_CONTEXT_H_

#include <chrono>
#include <string>
#include <vector>

#include "datamanager/clock.h"
#include "datamanager/log.h"

namespace robot {

struct SourceContext {
  std::string config;              // The path of the config file; empty: there is none.
  std::vector<std::string> swept;  // Directories whose files are uploaded, then removed.
  // After this time a record is on the medium, if the disk flushes when it is asked to.
  std::chrono::nanoseconds flushed_after = std::chrono::minutes(1);
  datamanager::LogSink log;  // Null: nothing is logged.
  const datamanager::Clock* clock = &datamanager::Clock::System();

  void Log(datamanager::LogLevel level, const std::string& message) const {
    if (log) log({.time = clock->WallNow(), .level = level, .message = message});
  }
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_SOURCE_CONTEXT_H_
