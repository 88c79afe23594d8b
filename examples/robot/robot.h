// A data manager with the robot's own sources, from start to end.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_ROBOT_H_
#define DATAMANAGER_EXAMPLES_ROBOT_ROBOT_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "console/console.h"
#include "datamanager/data_manager.h"
#include "robot/front.h"
#include "robot/options.h"
#include "robot/signals.h"
#include "robot/sources/robot_sources.h"

namespace robot {

// Each line of a status, after "robot: ".
std::string ErrorText(const absl::Status& status);

// Used once, by the thread that made `signals`, which must outlive it.
class Robot {
 public:
  Robot(Options options, Signals& signals);

  // Blocks until --run-for is over or a signal ends it. Returns the exit status.
  int Run();

 private:
  using TimePoint = std::chrono::steady_clock::time_point;

  // What a config file asks for.
  struct Plan {
    datamanager::CloudConfig cloud;  // Without an address: only captures.
    datamanager::Config config;
    std::string name;  // Of the data manager.
    RobotSources sources;
  };

  // Reads the config file, which may be a FIFO without a writer.
  absl::StatusOr<Plan> Load() const;
  // Calls Load on a thread of its own. No plan: a signal or `deadline` came first, and `number` is
  // as WaitUntil returns it. SIGHUP and SIGUSR2 are kept until the config is loaded.
  std::optional<absl::StatusOr<Plan>> LoadUntil(TimePoint deadline, int& number);
  absl::Status Start(absl::StatusOr<Plan> plan);
  absl::Status Serve(const Plan& plan);
  // Puts the plan in force. On an error the old plan stays in force.
  absl::Status Reconfigure(const Plan& plan);
  // Loads and applies the config again. Returns the signal that came during the load and ends the
  // robot, or kWake.
  int Reload(TimePoint deadline);
  // All of it or, with an error, nothing.
  absl::Status Apply(absl::StatusOr<Plan> plan);
  void RetryFailed();
  // The next signal, or 0 at `deadline`. Prints the status line whenever it is due.
  int WaitUntil(TimePoint deadline);
  // Stops capture and uploads what there is, for a limited time. False if something failed.
  bool Drain();
  void PrintSummary(const datamanager::ManagerStats& while_running);
  void Say(const std::string& line) const { output_->Print("robot: " + line + "\n"); }
  void PrintError(const absl::Status& status) const { errors_->Print(ErrorText(status)); }
  // Prints the error, if there is one.
  bool Succeeded(const absl::Status& status) const;
  void Warn(const std::string& message) const;
  // Ends the process at once if a thread hangs in a pipe, because exit would wait for it.
  int End(int status);
  std::chrono::duration<double> Elapsed() const;

  const Options options_;
  const datamanager::LogSink log_;
  Signals& signals_;
  const std::unique_ptr<console::Console> output_;
  const std::unique_ptr<console::Console> errors_;
  bool loading_hangs_ = false;
  Plan plan_;  // In force.
  std::shared_ptr<datamanager::Cloud> cloud_;
  std::unique_ptr<datamanager::DataManager> manager_;
  std::unique_ptr<Front> front_;  // If anybody is served. Gone before its manager.
  TimePoint start_;
  TimePoint next_status_ = TimePoint::max();
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_ROBOT_H_
