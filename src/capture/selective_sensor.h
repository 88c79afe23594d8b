// The sensor that says whether to sync.
#ifndef DATAMANAGER_SRC_CAPTURE_SELECTIVE_SENSOR_H_
#define DATAMANAGER_SRC_CAPTURE_SELECTIVE_SENSOR_H_

#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "capture/asked_sensor.h"

namespace datamanager::capture {

// Thread-safe; lives in a shared_ptr.
class SelectiveSensor {
 public:
  // `options.on_answer` is set here.
  static absl::StatusOr<std::shared_ptr<SelectiveSensor>> Start(AskedSensorOptions options);

  // Asks the sensor and waits for what it says, until `deadline` or `stop`. An error says why that
  // is not known; it comes at once while the sensor owes the answer to an earlier question.
  absl::StatusOr<bool> ShouldSync(MonotonicTime deadline, std::stop_token stop);

  const std::shared_ptr<AskedSensor>& sensor() const { return sensor_; }

 private:
  // The answer to the last question.
  struct Answer {
    Mutex mutex;
    CondVar changed;
    std::optional<absl::StatusOr<bool>> answer DM_GUARDED_BY(mutex);
  };
  SelectiveSensor(std::shared_ptr<Answer> answer, std::shared_ptr<AskedSensor> sensor,
                  const Clock& clock)
      : answer_(std::move(answer)), sensor_(std::move(sensor)), clock_(clock) {}

  const std::shared_ptr<Answer> answer_;
  const std::shared_ptr<AskedSensor> sensor_;
  const Clock& clock_;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_SELECTIVE_SENSOR_H_
