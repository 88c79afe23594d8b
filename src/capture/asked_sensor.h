// A sensor that is asked a question now and then, rather than captured.
#ifndef DATAMANAGER_SRC_CAPTURE_ASKED_SENSOR_H_
#define DATAMANAGER_SRC_CAPTURE_ASKED_SENSOR_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "capture/source_turn.h"
#include "datamanager/clock.h"
#include "datamanager/source.h"

namespace datamanager::capture {

// The readings source of the sensor with that short name: of `rdk:component:sensor`, else of the
// one API that has it. NOT_FOUND if there is none, INVALID_ARGUMENT if several have.
absl::StatusOr<std::shared_ptr<const SourceFunction>> FindSensor(const Sources& sources,
                                                                 const std::string& name);

struct AskedSensorOptions {
  std::string name;
  std::shared_ptr<const SourceFunction> source;  // Of readings, as values or as a message.
  std::shared_ptr<SourceTurn> turn;
  size_t stack_bytes = 0;  // See Thread::Start.
  const Clock* clock = &Clock::System();
  // Called on the sensor's thread with each answer until a stop is requested. Must not block.
  std::function<void(const absl::Status&, const Readings&)> on_answer;
};

// One thread, on which the embedder's code may hang without holding up whoever wants to know.
// Thread-safe.
class AskedSensor {
 public:
  static absl::StatusOr<std::shared_ptr<AskedSensor>> Start(AskedSensorOptions options);

  // Leaves alone a thread whose source hangs.
  ~AskedSensor();
  AskedSensor(const AskedSensor&) = delete;
  AskedSensor& operator=(const AskedSensor&) = delete;

  const std::string& name() const;
  const std::shared_ptr<const SourceFunction>& source() const;

  // Has the source called, unless it has not answered yet. Does not block.
  void Ask();
  // Since when it has not answered the last question; empty if it has.
  std::optional<MonotonicTime> unanswered_since() const;

  // Does not block. An answer that comes after it is dropped.
  void RequestStop();
  // Whether the source will not be called any more; waits for that, until `deadline` or `cancel`.
  bool WaitUntilEnded(MonotonicTime deadline, std::stop_token cancel = {});

 private:
  struct State;
  explicit AskedSensor(std::shared_ptr<State> state) : state_(std::move(state)) {}

  const std::shared_ptr<State> state_;  // Co-owned by the thread.
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_ASKED_SENSOR_H_
