// Capture as a whole: which collectors run, and which sensors are asked.
#ifndef DATAMANAGER_SRC_CAPTURE_CAPTURE_H_
#define DATAMANAGER_SRC_CAPTURE_CAPTURE_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/logger.h"
#include "base/mutex.h"
#include "base/repeat_filter.h"
#include "capture/asked_sensor.h"
#include "capture/capture_control.h"
#include "capture/collector.h"
#include "capture/keeper.h"
#include "capture/selective_sensor.h"
#include "capture/source_turn.h"
#include "config/effective_config.h"
#include "config/overrides.h"
#include "datamanager/clock.h"
#include "datamanager/reconfigure_result.h"
#include "datamanager/source.h"
#include "datamanager/stats.h"

namespace datamanager::capture {

struct CaptureOptions {
  std::shared_ptr<Logger> logger;
  FileOps* ops = &FileOps::System();
  const Clock* clock = &Clock::System();
  // Called with each published file; a hint. Must not block.
  std::function<void(const std::string& path)> on_published;
  // Called with ENOSPC or EDQUOT when a write failed with that error; only a hint. Must not block.
  std::function<void(int error)> on_disk_full;
  std::chrono::milliseconds control_interval{100};  // How often the control sensor is asked.
  size_t source_stack_bytes = 0;  // See Thread::Start; for threads that run the embedder's code.
};

// Keeps the collectors that run equal to those that the config wants, and the control sensor.
//
// Calls of Reconfigure take turns, which is the caller's to see to, and Close comes after them or
// after `cancel`; the others may be called from any thread at any time. What the control sensor
// changes takes turns with Reconfigure.
class Capture {
 public:
  static absl::StatusOr<std::unique_ptr<Capture>> Create(CaptureOptions options);

  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // Checks that the directory can be captured to. Makes it if necessary, and tries in it, once for
  // each directory, all operations that capture and sync need. Logs a warning about any that its
  // file system lacks. Does not look at the directory if the config captures nothing. Takes turns
  // with Reconfigure.
  absl::Status Check(const config::CaptureConfig& config);

  // Stops the collectors that are no longer wanted, starts the new ones, and leaves the others
  // alone. Waits until `deadline` for those that end. One whose source hangs is abandoned, and
  // shown as stopping until it ends; a successor with the same source begins only then.
  //
  // Returns false if `cancel` ended the wait: then no new collector runs, and Close ends those that
  // were to end. Otherwise `result` receives the collectors that do not run and those that have not
  // ended.
  bool Reconfigure(const config::CaptureConfig& config, const Sources& sources,
                   MonotonicTime deadline, std::stop_token cancel = {},
                   ReconfigureResult* result = nullptr);

  // Sets the sensor that ShouldSync asks from this call on; none if the name is empty. Called after
  // Reconfigure, as a part of it. An error if there is no such sensor. `still_running` receives the
  // previous sensor if its source hangs.
  absl::Status SetSelectiveSensor(const std::string& name, const Sources& sources,
                                  MonotonicTime deadline, std::stop_token cancel = {},
                                  std::vector<std::string>* still_running = nullptr);
  // Asks it and waits for the answer; an error says why that is not known.
  absl::StatusOr<bool> ShouldSync(MonotonicTime deadline, std::stop_token stop);

  // Finishes the open files and waits until they are published. Files that are not published by
  // then are published later. DEADLINE_EXCEEDED if the disk does not take them in time, CANCELLED
  // after `stop`; any other error names a file that could not be published, and the reason.
  absl::Status Flush(MonotonicTime deadline, std::stop_token stop);

  // Ends every sequence, stops every collector, waiting for the sources until `source_deadline`,
  // and publishes every file, without a flush to media past `disk_deadline`. DEADLINE_EXCEEDED
  // names the collectors and sensors whose source did not return, and says so if the disk hangs.
  absl::Status Close(MonotonicTime source_deadline, MonotonicTime disk_deadline);

  std::vector<CollectorStats> Stats() const;
  CaptureControlStats ControlStats() const;
  const Keeper& keeper() const { return *keeper_; }

 private:
  // A configured entry, whether it runs or not.
  struct Entry {
    config::CollectorSettings settings;
    CollectorState state = CollectorState::kRunning;
    std::string reason;
    absl::StatusCode refusal = absl::StatusCode::kInvalidArgument;  // If it is refused.
    std::shared_ptr<Collector> collector;                           // Null if it does not run.
    std::shared_ptr<CollectorCounters> counters;
    bool abandoned = false;  // Of one that is stopping.
  };
  // How collectors are brought to the config.
  struct Change {
    MonotonicTime deadline;  // For those that end.
    std::stop_token cancel;
    // Those that have not ended by then are waited for by their successors alone, and lose nothing;
    // else they are abandoned.
    bool gentle = false;
  };
  Capture(CaptureOptions options, std::shared_ptr<Keeper> keeper);

  class Turn;
  // Takes the turn to change collectors. False: cancelled.
  bool TakeTurn(const std::stop_token& cancel) DM_EXCLUDES(mutex_);
  void ReturnTurn() DM_EXCLUDES(mutex_);
  // With the turn:
  bool Reconcile(const Change& change) DM_EXCLUDES(mutex_);
  // Keeps the counters of only the last collectors that are no longer configured.
  void ForgetFormerCounters();
  // `source` is null if no sensor controls capture. An error: control could not begin.
  absl::Status UpdateControl(const std::shared_ptr<const SourceFunction>& source,
                             MonotonicTime deadline, const std::stop_token& cancel)
      DM_EXCLUDES(mutex_);
  void StopControl(MonotonicTime deadline, const std::stop_token& cancel) DM_EXCLUDES(mutex_);

  std::shared_ptr<CaptureControl> current_control() const DM_EXCLUDES(mutex_);

  // On the thread of capture control.
  void Override(const config::Overrides& overrides, const std::stop_token& stop);

  // The config as it is under control. Logs what cannot be done.
  config::CaptureConfig Controlled();
  // What becomes of a configured collector; fills `work` if it is to run.
  Entry Judge(const config::CaptureConfig& config, const config::ConfiguredCollector& configured,
              CollectorOptions* work);
  // Stops and joins; those that do not end by the deadline are left stopping. False: cancelled, and
  // some are neither.
  bool Stop(const std::vector<Entry>& ending, const Change& change) DM_EXCLUDES(mutex_);
  void Abandon(Entry& entry);
  // Checks that the directory of a collector can have its name.
  absl::Status CheckNames(const std::string& capture_dir, const std::string& directory);
  // Those that are stopping and do not end by then.
  void AbandonStopping(MonotonicTime deadline) DM_EXCLUDES(mutex_);
  // `ended` are those whose places may be taken.
  absl::Status Start(Entry& entry, CollectorOptions work, const std::vector<Entry>& ended)
      DM_EXCLUDES(mutex_);
  absl::Status TryStart(Entry& entry, CollectorOptions work, const std::vector<Entry>& ended)
      DM_EXCLUDES(mutex_);
  // Waits for a sensor that is not asked any more, and remembers one that hangs.
  void LetGo(const std::shared_ptr<AskedSensor>& sensor, MonotonicTime deadline,
             const std::stop_token& cancel) DM_EXCLUDES(mutex_);
  std::vector<Entry> RunningEntries() const DM_EXCLUDES(mutex_);
  // Adds the collectors that are refused, and those that have not ended.
  void Describe(ReconfigureResult& result) const DM_EXCLUDES(mutex_);
  void SayRefused(const std::vector<Entry>& entries);
  void SayOverridden(const std::vector<Entry>& before, const std::vector<Entry>& now);

  const CaptureOptions options_;
  const std::shared_ptr<Keeper> keeper_;
  std::string probed_directory_;  // The directory that Check probed.

  // Of whoever has the turn.
  struct Known {
    std::shared_ptr<CollectorCounters> counters;
    uint64_t wanted = 0;  // The last reconciliation whose config contained it.
  };
  std::map<std::string, Known> counters_;
  uint64_t reconciliations_ = 0;
  std::string recovered_directory_;
  // The path segments of collectors that were tried in `names_directory_`, each with the reason why
  // the directory does not take it, or OK.
  std::map<std::string, absl::Status> probed_names_;
  std::string names_directory_;
  config::CaptureConfig config_;
  Sources sources_;
  SourceTurns turns_;
  config::Overrides overrides_;
  RepeatFilter override_filter_;

  mutable Mutex mutex_;
  CondVar changed_;
  bool changing_ DM_GUARDED_BY(mutex_) = false;        // Somebody has the turn.
  std::vector<Entry> entries_ DM_GUARDED_BY(mutex_);   // In the order of the config.
  std::vector<Entry> stopping_ DM_GUARDED_BY(mutex_);  // Their sources have not returned.
  std::shared_ptr<CaptureControl> control_ DM_GUARDED_BY(mutex_);
  std::shared_ptr<SelectiveSensor> selective_ DM_GUARDED_BY(mutex_);
  // Not asked any more, but still inside their sources.
  std::vector<std::shared_ptr<AskedSensor>> hanging_sensors_ DM_GUARDED_BY(mutex_);
  bool closed_ DM_GUARDED_BY(mutex_) = false;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_CAPTURE_H_
