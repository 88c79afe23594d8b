#include "capture/selective_sensor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "capture/control_reading.h"

namespace datamanager::capture {

absl::StatusOr<std::shared_ptr<SelectiveSensor>> SelectiveSensor::Start(
    AskedSensorOptions options) {
  auto box = std::make_shared<Answer>();
  options.on_answer = [box](const absl::Status& status, const Readings& readings) {
    absl::StatusOr<bool> answer = status.ok() ? ParseShouldSync(readings) : status;
    MutexLock lock(box->mutex);
    box->answer = std::move(answer);
    box->changed.NotifyAll();
  };
  const Clock& clock = *options.clock;
  absl::StatusOr<std::shared_ptr<AskedSensor>> sensor = AskedSensor::Start(std::move(options));
  if (!sensor.ok()) return sensor.status();
  return std::shared_ptr<SelectiveSensor>(
      new SelectiveSensor(std::move(box), *std::move(sensor), clock));
}

absl::StatusOr<bool> SelectiveSensor::ShouldSync(MonotonicTime deadline, std::stop_token stop) {
  if (const auto since = sensor_->unanswered_since(); since.has_value()) {
    return absl::DeadlineExceededError(
        absl::StrFormat("it has not answered for %.1f s",
                        std::chrono::duration<double>(clock_.MonotonicNow() - *since).count()));
  }
  {
    MutexLock lock(answer_->mutex);
    answer_->answer.reset();
  }
  sensor_->Ask();
  MutexLock lock(answer_->mutex);
  const bool answered = answer_->changed.WaitUntil(answer_->mutex, stop, deadline, [this] {
    answer_->mutex.AssertHeld();
    return answer_->answer.has_value();
  });
  if (answered) return *answer_->answer;
  if (stop.stop_requested()) return absl::CancelledError("sync was stopped");
  return absl::DeadlineExceededError("it does not answer");
}

}  // namespace datamanager::capture
