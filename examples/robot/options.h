// What the robot is told on its command line.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_OPTIONS_H_
#define DATAMANAGER_EXAMPLES_ROBOT_OPTIONS_H_

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "datamanager/log.h"

namespace robot {

struct Options {
  std::string config;
  std::optional<std::chrono::milliseconds> run_for;  // Absent: until a signal.
  std::string capture_dir;                           // Empty: as the config says.
  std::string listen;                                // Empty: serves nobody.
  std::optional<std::chrono::milliseconds> status_every;
  // DataManagerOptions::upload_stall_timeout; absent: its default.
  std::optional<std::chrono::milliseconds> upload_stall_timeout;
  datamanager::LogLevel log_level = datamanager::LogLevel::kInfo;
  bool help = false;
};

// Reads the arguments after the program's name, each as "--flag value" or "--flag=value", and the
// value of ROBOT_LOG, empty if it is not set. INVALID_ARGUMENT lists every fault, a line each.
absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& arguments,
                                     const std::string& robot_log);

// Reads "500ms", "30s", "5m", "1h", "1m30s", "1.5s": more than nothing, at most a year.
absl::StatusOr<std::chrono::milliseconds> ParseDuration(const std::string& text);

std::string HelpText();

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_OPTIONS_H_
