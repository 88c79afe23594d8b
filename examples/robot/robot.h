// A data manager with the robot's own sources, from start to end.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_ROBOT_H_
#define DATAMANAGER_EXAMPLES_ROBOT_ROBOT_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "datamanager/data_manager.h"
#include "robot/front.h"
#include "robot/options.h"
#include "robot/signals.h"
#include "robot/sources/robot_sources.h"

namespace robot {

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

  absl::StatusOr<Plan> Load() const;
  absl::Status Start();
  absl::Status Serve(const Plan& plan);
  void Reload();
  // All of it or, with an error, nothing.
  absl::Status Apply(absl::StatusOr<Plan> plan);
  void RetryFailed();
  // The next signal, or 0 at `deadline`. Prints the status line whenever it is due.
  int WaitUntil(TimePoint deadline);
  // Stops capture and uploads what there is, for a limited time. False if something failed.
  bool Drain();
  void PrintSummary(const datamanager::ManagerStats& while_running) const;
  void Warn(const std::string& message) const;
  std::chrono::duration<double> Elapsed() const;

  const Options options_;
  const datamanager::LogSink log_;
  Signals& signals_;
  Plan plan_;  // In force.
  std::shared_ptr<datamanager::Cloud> cloud_;
  std::unique_ptr<datamanager::DataManager> manager_;
  std::unique_ptr<Front> front_;  // If anybody is served. Gone before its manager.
  TimePoint start_;
  TimePoint next_status_ = TimePoint::max();
};

// Prints each line of a status to standard error, after "robot: ".
void PrintError(const absl::Status& status);

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_ROBOT_H_
