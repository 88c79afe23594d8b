// The lines that the robot prints: for people to read, and of key=value for scripts to parse.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_REPORT_H_
#define DATAMANAGER_EXAMPLES_ROBOT_REPORT_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "datamanager/stats.h"

namespace robot {

// Published capture files that are still below a capture directory.
struct WaitingFiles {
  uint64_t files = 0;
  uint64_t bytes = 0;
};

// Counts them by a walk. Those that were set aside under failed/ do not wait. Leaves out what it
// cannot look at: uploads remove files meanwhile.
WaitingFiles CountWaitingFiles(const std::string& capture_dir);

struct ProcessUsage {
  uint64_t rss_kb = 0;      // At the moment.
  uint64_t max_rss_kb = 0;  // At most so far.
  double cpu_s = 0;
};

ProcessUsage ReadProcessUsage();

// One line, "status t=12.0s captured=...", without a newline.
std::string StatusLine(std::chrono::duration<double> elapsed,
                       const datamanager::ManagerStats& stats, const WaitingFiles& waiting);

// The table at the end, each line with its newline: "summary", "collector" for each, "total",
// "sync", "retry" and "paused" for each that it names, and "process".
std::string SummaryTable(std::chrono::duration<double> elapsed,
                         const datamanager::ManagerStats& stats, const WaitingFiles& waiting,
                         const ProcessUsage& usage);

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_REPORT_H_
