#include "robot/options.h"

#include "absl/time/time.h"
#include "robot/quoted.h"
#include "robot/sources/robot_sources.h"

namespace robot {
namespace {

using datamanager::LogLevel;
using std::chrono::milliseconds;

constexpr char kUsage[] =
    R"(robot --config FILE [--run-for DURATION] [--capture-dir DIR] [--status-every DURATION]
      [--upload-stall-timeout DURATION] [--listen ADDRESS]

Captures what the components of a machine config say, and uploads it if the config has a cloud
section. A DURATION is written like 500ms, 30s, 5m, 1h or 1m30s.

  --config FILE            Viam's machine-config JSON
  --run-for DURATION       then stop capture, upload for up to 10 s, and end; default: until a signal
  --capture-dir DIR        in place of the config's capture_dir
  --status-every DURATION  print a line "status key=value ..." to standard output as often
  --upload-stall-timeout DURATION
                           give up an upload that moves nothing for this long, and try it again
                           later; default: 30s
  --listen ADDRESS         serve viam.service.datamanager.v1.DataManagerService, GetReadings of the
                           robot's own sensors, GetImages of its cameras, and gRPC's health service
                           on HOST:PORT, where port 0 lets the system choose, or unix:PATH.
                           There is no authentication: whoever reaches the address may use it. A
                           line "serving on ADDRESS" tells the port.

Signals:
  SIGTERM, SIGINT  end: what is captured stays on disk, and the next run uploads it. Ending takes
                   at most 6 s; further signals are ignored meanwhile. During the upload at the end of
                   --run-for they end that upload.
  SIGHUP           read the config file again. Only collectors that changed restart. A wrong config is
                   reported and changes nothing. A changed cloud section drops no upload.
  SIGUSR2          put what was set aside under failed/ back to where it was, so that it is uploaded
                   again: for when the server, or the files, have been put right.

Environment:
  ROBOT_LOG        what to log to standard error: debug, info (default), warning or error
  others           fill in the config: ${NAME} in one of its strings, such as the secret of "cloud"

Exit status: 0 after a clean end, offline or not; 1 if something failed, such as a source that does
not return or files that the server refused at the end; 2 for a wrong command line or config.

At the end, lines "collector", "total" and "process" of key=value go to standard output.

Models of components:
)";

bool ParseLogLevel(const std::string& text, LogLevel& level) {
  for (const LogLevel candidate :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (datamanager::LogLevelName(candidate) == text) {
      level = candidate;
      return true;
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<milliseconds> ParseDuration(const std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration < absl::Milliseconds(1) ||
      duration > absl::Hours(24 * 365)) {
    return absl::InvalidArgumentError(Quoted(text) +
                                      " is no duration; write it like 500ms, 30s, 5m, 1h or 1m30s");
  }
  return absl::ToChronoMilliseconds(duration);
}

absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& arguments,
                                     const std::string& robot_log) {
  Options options;
  std::string faults;
  const auto fault = [&](const std::string& what) {
    faults += (faults.empty() ? "" : "\n") + what;
  };
  const auto set_duration = [&](const std::string& flag, const std::string& value,
                                std::optional<milliseconds>& out) {
    const absl::StatusOr<milliseconds> duration = ParseDuration(value);
    if (duration.ok()) {
      out = *duration;
    } else {
      fault(flag + ": " + std::string(duration.status().message()));
    }
  };
  for (size_t i = 0; i < arguments.size(); ++i) {
    const size_t equals = arguments[i].find('=');
    const std::string flag = arguments[i].substr(0, equals);
    if (flag == "--help" || flag == "-h") {
      options.help = true;
      return options;
    }
    const bool known = flag == "--config" || flag == "--run-for" || flag == "--capture-dir" ||
                       flag == "--status-every" || flag == "--upload-stall-timeout" ||
                       flag == "--listen";
    if (!known) {
      fault("unknown argument " + Quoted(arguments[i]) + "; see robot --help");
      continue;
    }
    std::string value;
    if (equals != std::string::npos) {
      value = arguments[i].substr(equals + 1);
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    }
    if (value.empty()) {
      fault(flag + " needs a value");
    } else if (flag == "--config") {
      options.config = value;
    } else if (flag == "--listen") {
      options.listen = value;
    } else if (flag == "--capture-dir") {
      options.capture_dir = value;
    } else if (flag == "--run-for") {
      set_duration(flag, value, options.run_for);
    } else if (flag == "--upload-stall-timeout") {
      set_duration(flag, value, options.upload_stall_timeout);
    } else {
      set_duration(flag, value, options.status_every);
    }
  }
  if (options.config.empty() && faults.empty()) fault("--config FILE is missing; see robot --help");
  if (!robot_log.empty() && !ParseLogLevel(robot_log, options.log_level)) {
    fault("ROBOT_LOG=" + robot_log + ": must be debug, info, warning or error");
  }
  if (!faults.empty()) return absl::InvalidArgumentError(faults);
  return options;
}

std::string HelpText() { return kUsage + RobotSources::DescribeModels(); }

}  // namespace robot
