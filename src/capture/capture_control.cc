#include "capture/capture_control.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/mutex.h"
#include "base/repeat_filter.h"
#include "base/strings.h"
#include "base/thread.h"
#include "capture/control_reading.h"
#include "capture/last_good.h"

namespace datamanager::capture {
namespace {

// How often the same trouble with the sensor is told.
constexpr std::chrono::minutes kSensorNewsInterval{1};
// How long the sensor may take to answer before that is told.
constexpr std::chrono::seconds kPatience{2};

}  // namespace

struct CaptureControl::State {
  explicit State(CaptureControlOptions control_options)
      : options(std::move(control_options)),
        target(options.target),
        filter(kSensorNewsInterval),
        sequences_written(*options.ops, *options.clock, options.logger, options.on_disk_full) {}

  // On the sensor's thread.
  void Hear(const absl::Status& status, const Readings& readings) DM_EXCLUDES(mutex);

  // The thread of this.
  void Run(AskedSensor& sensor);
  bool WaitUntil(MonotonicTime next) DM_EXCLUDES(mutex);
  void Act() DM_EXCLUDES(mutex);
  bool ApplyIfNew(const config::Overrides& wanted) DM_EXCLUDES(mutex);
  void LookAtSilence(const AskedSensor& sensor) DM_EXCLUDES(mutex);
  void CopyCounts() DM_EXCLUDES(mutex);

  void Complain(std::string_view key, std::string text) DM_REQUIRES(mutex);
  MonotonicTime Now() const { return options.clock->MonotonicNow(); }

  const CaptureControlOptions options;
  std::stop_source stop;
  Thread thread;  // The CaptureControl's only.

  Mutex mutex;
  CondVar changed;
  SequenceTarget target DM_GUARDED_BY(mutex);
  uint64_t targets_set DM_GUARDED_BY(mutex) = 0;
  uint64_t targets_reached DM_GUARDED_BY(mutex) = 0;
  LastGood<config::Overrides> overrides DM_GUARDED_BY(mutex);
  LastGood<WantedSequences> sequences DM_GUARDED_BY(mutex);
  bool news DM_GUARDED_BY(mutex) = false;  // Something for the thread to act on.
  bool applying DM_GUARDED_BY(mutex) = false;
  bool stopped DM_GUARDED_BY(mutex) = false;  // `apply` must not be called any more.
  bool broken DM_GUARDED_BY(mutex) = false;   // The last answer, or the lack of it.
  CaptureControlStats stats DM_GUARDED_BY(mutex);
  RepeatFilter filter DM_GUARDED_BY(mutex);

  // The thread's only.
  Sequences sequences_written;
  config::Overrides applied;
};

void CaptureControl::State::Complain(std::string_view key, std::string text) {
  stats.last_error = text;
  auto line = filter.Pass(
      key,
      absl::StrCat("capture control sensor ", options.sensor.name, ": ", text,
                   "; what it said last holds for ", kHold.count(), " s, then the config's own"),
      Now());
  if (line.has_value()) options.logger->Warning(*std::move(line));
}

void CaptureControl::State::Hear(const absl::Status& status, const Readings& readings) {
  std::vector<std::string> complaints;
  auto said_overrides = status.ok() ? ParseOverrides(readings, options.sensor.key)
                                    : absl::StatusOr<config::Overrides>(status);
  auto said_sequences =
      status.ok() ? ParseSequences(readings, complaints) : absl::StatusOr<WantedSequences>(status);
  MutexLock lock(mutex);
  news = true;
  if (said_overrides.ok()) overrides.Hear(*std::move(said_overrides), Now());
  if (said_sequences.ok()) sequences.Hear(*std::move(said_sequences), Now());
  for (const std::string& complaint : complaints) {
    if (auto line = filter.Pass(
            "dropped",
            absl::StrCat("capture control sensor ", options.sensor.name, ": ", complaint), Now())) {
      options.logger->Warning(*std::move(line));
    }
  }
  if (!status.ok()) {
    Complain("read", absl::StrCat("failed to get its reading: ", status.ToString()));
  } else if (!said_overrides.ok()) {
    Complain("overrides", std::string(said_overrides.status().message()));
  }
  if (status.ok() && !said_sequences.ok()) {
    Complain("sequences", std::string(said_sequences.status().message()));
  }
  const bool was_broken = broken;
  broken = !said_overrides.ok() || !said_sequences.ok();
  ++(broken ? stats.broken_answers : stats.answers);
  if (was_broken && !broken) {
    auto line = filter.Pass(
        "well", absl::StrCat("capture control sensor ", options.sensor.name, " makes sense again"),
        Now());
    if (line.has_value()) options.logger->Info(*std::move(line));
  }
  changed.NotifyAll();
}

void CaptureControl::State::Run(AskedSensor& sensor) {
  MonotonicTime next = Now();
  while (WaitUntil(next)) {
    if (Now() >= next) {
      sensor.Ask();
      LookAtSilence(sensor);
      while (next <= Now()) next += options.interval;
    }
    Act();
  }
  sequences_written.EndAll(" (capture ends)");
  CopyCounts();
}

bool CaptureControl::State::WaitUntil(MonotonicTime next) {
  MutexLock lock(mutex);
  // By the system's clock, which waits go by: a test's may be ahead of it.
  const MonotonicTime deadline = Clock::System().MonotonicNow() + (next - Now());
  changed.WaitUntil(mutex, stop.get_token(), deadline, [this] {
    mutex.AssertHeld();
    return news;
  });
  news = false;
  return !stop.stop_requested();
}

void CaptureControl::State::Act() {
  config::Overrides wanted_overrides;
  WantedSequences wanted_sequences;
  SequenceTarget where;
  uint64_t set = 0;
  {
    MutexLock lock(mutex);
    if (const auto* good = overrides.At(Now())) wanted_overrides = *good;
    if (const auto* good = sequences.At(Now())) wanted_sequences = *good;
    where = target;
    set = targets_set;
  }
  if (!ApplyIfNew(wanted_overrides)) return;
  sequences_written.SetTarget(where);
  sequences_written.Want(wanted_sequences);
  CopyCounts();
  MutexLock lock(mutex);
  targets_reached = set;
  changed.NotifyAll();
}

bool CaptureControl::State::ApplyIfNew(const config::Overrides& wanted) {
  if (wanted == applied) return true;
  {
    MutexLock lock(mutex);
    if (stopped) return false;
    applying = true;
  }
  bool done = true;
  try {
    options.apply(wanted, stop.get_token());
    applied = wanted;
  } catch (...) {
    // No memory. The next answer causes another attempt.
    done = false;
  }
  MutexLock lock(mutex);
  applying = false;
  changed.NotifyAll();
  return done && !stopped;
}

void CaptureControl::State::LookAtSilence(const AskedSensor& sensor) {
  const std::optional<MonotonicTime> since = sensor.unanswered_since();
  if (!since.has_value() || Now() - *since < kPatience) return;
  MutexLock lock(mutex);
  broken = true;
  Complain("silence", absl::StrFormat("it has not answered for %.0f s",
                                      std::chrono::duration<double>(Now() - *since).count()));
}

void CaptureControl::State::CopyCounts() {
  MutexLock lock(mutex);
  stats.overrides = applied.size();
  stats.open_sequences = sequences_written.open();
  stats.ended_sequences = sequences_written.ended();
  stats.failed_writes = sequences_written.failed_writes();
  stats.refused_sequences = sequences_written.refused();
  stats.lost_sequences = sequences_written.lost();
}

absl::StatusOr<std::shared_ptr<CaptureControl>> CaptureControl::Start(
    CaptureControlOptions options) {
  auto state = std::make_shared<State>(std::move(options));
  absl::StatusOr<std::shared_ptr<AskedSensor>> sensor = AskedSensor::Start(
      {.name = state->options.sensor.name,
       .source = state->options.source,
       .turn = state->options.turn,
       .stack_bytes = state->options.stack_bytes,
       .clock = state->options.clock,
       .on_answer = [state](const absl::Status& status, const Readings& readings) {
         state->Hear(status, readings);
       }});
  if (!sensor.ok()) return sensor.status();
  absl::StatusOr<Thread> thread = Thread::Start("dm-control", state->options.stack_bytes,
                                                [state, asked = *sensor] { state->Run(*asked); });
  if (!thread.ok()) return thread.status();
  state->thread = *std::move(thread);
  return std::shared_ptr<CaptureControl>(new CaptureControl(std::move(state), *std::move(sensor)));
}

CaptureControl::~CaptureControl() { Stop(MonotonicTime::min()); }

bool CaptureControl::Serves(const CaptureControlSensor& sensor,
                            const std::shared_ptr<const SourceFunction>& source) const {
  return state_->options.sensor == sensor && state_->options.source == source;
}

void CaptureControl::SetTarget(const SequenceTarget& target, MonotonicTime deadline,
                               std::stop_token cancel) {
  MutexLock lock(state_->mutex);
  if (state_->target == target) return;
  state_->target = target;
  const uint64_t number = ++state_->targets_set;
  state_->news = true;
  state_->changed.NotifyAll();
  state_->changed.WaitUntil(state_->mutex, std::move(cancel), deadline, [this, number] {
    state_->mutex.AssertHeld();
    return state_->targets_reached >= number;
  });
}

void CaptureControl::EndApplying() {
  sensor_->RequestStop();
  state_->stop.request_stop();
  MutexLock lock(state_->mutex);
  state_->stopped = true;
  state_->changed.Wait(state_->mutex, [this] {
    state_->mutex.AssertHeld();
    return !state_->applying;
  });
}

bool CaptureControl::Stop(MonotonicTime deadline) {
  EndApplying();
  if (!state_->thread.joinable() || state_->thread.JoinUntil(deadline)) return true;
  state_->thread.Detach();
  return false;
}

CaptureControlStats CaptureControl::Stats() const {
  MutexLock lock(state_->mutex);
  CaptureControlStats stats = state_->stats;
  stats.sensor = state_->options.sensor.name;
  return stats;
}

}  // namespace datamanager::capture
