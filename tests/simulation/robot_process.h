// A robot's process, taken step by step.
#ifndef DATAMANAGER_TESTS_SIMULATION_ROBOT_PROCESS_H_
#define DATAMANAGER_TESTS_SIMULATION_ROBOT_PROCESS_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/logger.h"
#include "capture/keeper.h"
#include "capture/output.h"
#include "config/effective_config.h"
#include "datamanager/clock.h"
#include "sync/sync_context.h"
#include "sync/upload_worker.h"
#include "tests/simulation/records.h"
#include "tests/simulation/simulated_disk.h"
#include "uploader/uploader.h"

namespace datamanager::simulation {

// The wall clock is the test's; waits are real.
class SimulatedClock final : public Clock {
 public:
  MonotonicTime MonotonicNow() const override { return Clock::System().MonotonicNow(); }
  WallTime WallNow() const override { return WallTime(std::chrono::seconds(seconds_)); }
  // To second `second` of the scenario.
  void Set(int64_t second) { seconds_ = kBegin + second; }

 private:
  // 2100-01-01: later than any file's time, so that recovery takes none for just written.
  static constexpr int64_t kBegin = 4102444800;
  std::atomic<int64_t> seconds_{kBegin};
};

// The parts of capture and sync as a data manager puts them together, without its loops: each step
// returns when the keeper's thread has come to rest, and uploads run on the caller's, so that the
// calls to the disk come in the same order each time, up to the first fault. One thread.
class RobotProcess {
 public:
  struct Options {
    std::string capture_directory;
    std::string files_directory;  // An additional path.
    SimulatedDisk* disk = nullptr;
    const Clock* clock = nullptr;
    std::shared_ptr<Logger> logger;
    std::shared_ptr<sync::Uploader> uploader;
  };
  explicit RobotProcess(const Options& options);
  // Finishes the open files.
  ~RobotProcess();
  RobotProcess(const RobotProcess&) = delete;
  RobotProcess& operator=(const RobotProcess&) = delete;

  // What an earlier process has left in progress. False if that has no end.
  bool Recover();
  absl::Status Append(const std::string& collector, const Record& record, bool binary = false);
  void Finish(const std::string& collector);
  void FinishAll();
  // Finishes them in one batch: the keeper begins none of them until it has them all.
  void FinishTogether();
  // As with kPeriodic, once: flushes the files in progress.
  void FlushLive();
  // A pass over everything there is, and a try for each file that waits for one.
  void Sync();

 private:
  capture::Output& OutputOf(const std::string& collector);
  void Rest();
  void Offer(sync::FoundFile file);

  const Options options_;
  const std::shared_ptr<std::atomic<uint64_t>> finished_files_ =
      std::make_shared<std::atomic<uint64_t>>(0);
  std::shared_ptr<capture::Keeper> keeper_;
  std::map<std::string, std::shared_ptr<capture::Output>> outputs_;

  const config::SyncConfig config_;
  sync::SyncContext context_;
  sync::UploadWorker worker_{context_, config_};
  const std::unique_ptr<sync::CallQueue> calls_;
};

}  // namespace datamanager::simulation

#endif  // DATAMANAGER_TESTS_SIMULATION_ROBOT_PROCESS_H_
