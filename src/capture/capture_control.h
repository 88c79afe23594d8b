// Changes capture at run time, as a sensor says.
#ifndef DATAMANAGER_SRC_CAPTURE_CAPTURE_CONTROL_H_
#define DATAMANAGER_SRC_CAPTURE_CAPTURE_CONTROL_H_

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/logger.h"
#include "capture/asked_sensor.h"
#include "capture/sequences.h"
#include "capture/source_turn.h"
#include "config/overrides.h"
#include "datamanager/clock.h"
#include "datamanager/config.h"
#include "datamanager/source.h"
#include "datamanager/stats.h"

namespace datamanager::capture {

struct CaptureControlOptions {
  CaptureControlSensor sensor;
  std::shared_ptr<const SourceFunction> source;
  std::shared_ptr<SourceTurn> turn;
  size_t stack_bytes = 0;  // See Thread::Start; for threads that run the embedder's code.
  SequenceTarget target;
  std::shared_ptr<Logger> logger;
  FileOps* ops = &FileOps::System();
  const Clock* clock = &Clock::System();
  std::function<void(int error)> on_disk_full;  // See CaptureOptions.
  std::chrono::milliseconds interval{100};
  // Called on the thread of this each time when other overrides are in force; none are before the
  // first call. Ends soon after `stop`.
  std::function<void(const config::Overrides&, const std::stop_token& stop)> apply;
};

// Has the sensor asked each interval, by absolute deadlines, on a thread of its own, and acts as
// soon as it answers, on another, which also writes the sequences: a sensor that hangs holds up
// neither the end of what it said last nor anything else. What it said holds until it says
// something else; if it says nothing that makes sense, for `kHold`. Overrides and sequences are
// taken apart: one may make sense where the other does not.
//
// Thread-safe. Start, then Stop.
class CaptureControl {
 public:
  static absl::StatusOr<std::shared_ptr<CaptureControl>> Start(CaptureControlOptions options);

  ~CaptureControl();
  CaptureControl(const CaptureControl&) = delete;
  CaptureControl& operator=(const CaptureControl&) = delete;

  // Whether this is what `sensor` asks for, with that source.
  bool Serves(const CaptureControlSensor& sensor,
              const std::shared_ptr<const SourceFunction>& source) const;

  // Writes sequences there from here on. Waits, until `deadline` or `cancel`, until those that are
  // open elsewhere have ended.
  void SetTarget(const SequenceTarget& target, MonotonicTime deadline, std::stop_token cancel);

  // Asks everything to end, and waits for a call of `apply`, after which there is none.
  void EndApplying();
  // The same, and waits until `deadline` for the end of all sequences. False: the disk hangs;
  // recovery ends them.
  bool Stop(MonotonicTime deadline);

  // To be waited for: its source may hang.
  const std::shared_ptr<AskedSensor>& sensor() const { return sensor_; }

  CaptureControlStats Stats() const;

 private:
  struct State;
  CaptureControl(std::shared_ptr<State> state, std::shared_ptr<AskedSensor> sensor)
      : state_(std::move(state)), sensor_(std::move(sensor)) {}

  const std::shared_ptr<State> state_;  // Co-owned by the thread.
  const std::shared_ptr<AskedSensor> sensor_;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_CAPTURE_CONTROL_H_
