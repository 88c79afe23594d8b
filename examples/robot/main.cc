// robot: runs a data manager on a machine-config JSON. `robot --help` says the rest.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "robot/options.h"
#include "robot/robot.h"
#include "robot/signals.h"
#include "standard_streams.h"

int main(int argc, char** argv) {
  OpenClosedStandardStreams(argv);
  const char* const robot_log = std::getenv("ROBOT_LOG");  // NOLINT(concurrency-mt-unsafe)
  const absl::StatusOr<robot::Options> options = robot::ParseOptions(
      std::vector<std::string>(argv + 1, argv + argc), robot_log == nullptr ? "" : robot_log);
  if (!options.ok()) {
    std::fputs(robot::ErrorText(options.status()).c_str(), stderr);
    return 2;
  }
  if (options->help) {
    std::fputs(robot::HelpText().c_str(), stdout);
    return 0;
  }
  // From here on signals are messages. Until here they end the program, which has done nothing yet.
  robot::Signals signals;
  return robot::Robot(*options, signals).Run();
}
