#include "capture/asked_sensor.h"

#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/mutex.h"
#include "base/proto_value.h"
#include "base/strings.h"
#include "base/thread.h"
#include "capture/ask_source.h"
#include "capture/message_fields.h"
#include "capture/source_stop.h"
#include "datamanager/wire/viam/common/v1/common.pb.h"

namespace datamanager::capture {
namespace {

constexpr char kMethod[] = "Readings";
constexpr char kSensorApi[] = "rdk:component:sensor";

using wire::viam::common::v1::GetReadingsResponse;

absl::StatusOr<bool> GivesReadings(const SourceFunction& source) {
  if (const auto* messages = std::get_if<MessageSource>(&source)) {
    const auto answer = MakeMessage(*messages);
    if (!answer.ok()) return answer.status();
    return *answer != nullptr &&
           BindFields(*GetReadingsResponse::descriptor(), *(*answer)->GetDescriptor()).ok();
  }
  return std::holds_alternative<ReadingsSource>(source);
}

absl::Status AskMessages(const MessageSource& source, const CaptureRequest& request,
                         Readings& out) {
  Messages answer(source.make);
  if (absl::Status status = AskSource(source.fill, request, answer); !status.ok()) return status;
  // Of another class, perhaps; the fields are the same.
  GetReadingsResponse response;
  if (answer.size() != 1 || !response.ParseFromString(answer[0].SerializeAsString())) {
    return absl::InternalError("the source gave no GetReadingsResponse");
  }
  for (const auto& [key, value] : response.readings()) FromProto(value, out.Add(key));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const SourceFunction>> FindSensor(const Sources& sources,
                                                                 const std::string& name) {
  std::vector<std::string> apis;
  std::shared_ptr<const SourceFunction> found;
  for (const std::string& api : sources.ApisOf(name)) {
    std::shared_ptr<const SourceFunction> source = sources.Find(api, name, kMethod);
    if (source == nullptr) continue;
    const absl::StatusOr<bool> gives = GivesReadings(*source);
    if (!gives.ok()) return Wrap(gives.status(), absl::StrCat("the source of ", api, "/", name));
    if (!*gives) continue;
    if (api == kSensorApi) return source;
    apis.push_back(api);
    found = std::move(source);
  }
  if (apis.size() == 1) return found;
  if (apis.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no source of readings was added under the name ", name));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("resources of several APIs are called ", name, ": ", absl::StrJoin(apis, ", ")));
}

struct AskedSensor::State {
  explicit State(AskedSensorOptions sensor_options)
      : options(std::move(sensor_options)),
        stop(std::make_shared<SourceStop>(options.stack_bytes)) {
    extra.Set("fromDataManagement", true);
  }

  void Run() {
    while (WaitForQuestion()) {
      Readings readings;
      if (!options.turn->EnterAlone(stop->own())) break;
      const absl::Status status = Ask(readings);
      options.turn->LeaveAlone();
      {
        MutexLock lock(mutex);
        asked.reset();
      }
      if (stop->requested()) continue;
      try {
        options.on_answer(status, readings);
      } catch (...) {
        // No memory: this counts as no answer, and the sensor is asked again.
      }
    }
    stop->Finish();
    MutexLock lock(mutex);
    ended = true;
    changed.NotifyAll();
  }
  absl::Status Ask(Readings& readings) {
    const SourceStop::Calling calling(*stop);
    const CaptureRequest request{
        .method = kMethod, .extra = extra, .params = params, .stop = stop->sources()};
    if (const auto* messages = std::get_if<MessageSource>(options.source.get())) {
      try {
        return AskMessages(*messages, request, readings);
      } catch (...) {
        return CaughtStatus("reading the source's answer");
      }
    }
    return AskSource(std::get<ReadingsSource>(*options.source), request, readings);
  }
  bool WaitForQuestion() DM_EXCLUDES(mutex) {
    MutexLock lock(mutex);
    return changed.Wait(mutex, stop->own(), [this] {
      mutex.AssertHeld();
      return asked.has_value();
    }) && !stop->requested();
  }

  const AskedSensorOptions options;
  ValueMap extra;
  const ValueMap params;  // None: they are a collector's.
  const std::shared_ptr<SourceStop> stop;
  Thread thread;  // The AskedSensor's only.

  Mutex mutex;
  CondVar changed;
  std::optional<MonotonicTime> asked DM_GUARDED_BY(mutex);  // The question that has no answer.
  bool ended DM_GUARDED_BY(mutex) = false;
};

absl::StatusOr<std::shared_ptr<AskedSensor>> AskedSensor::Start(AskedSensorOptions options) {
  const std::string name = absl::StrCat("dm-ask:", options.name);
  auto state = std::make_shared<State>(std::move(options));
  absl::StatusOr<Thread> thread =
      Thread::Start(name, state->options.stack_bytes, [state] { state->Run(); });
  if (!thread.ok()) return thread.status();
  state->thread = *std::move(thread);
  return std::shared_ptr<AskedSensor>(new AskedSensor(std::move(state)));
}

AskedSensor::~AskedSensor() {
  RequestStop();
  if (WaitUntilEnded(MonotonicTime::min())) {
    state_->thread.Join();
  } else {
    state_->thread.Detach();
  }
}

const std::string& AskedSensor::name() const { return state_->options.name; }
const std::shared_ptr<const SourceFunction>& AskedSensor::source() const {
  return state_->options.source;
}

void AskedSensor::Ask() {
  MutexLock lock(state_->mutex);
  if (state_->asked.has_value()) return;
  state_->asked = state_->options.clock->MonotonicNow();
  state_->changed.NotifyAll();
}

std::optional<MonotonicTime> AskedSensor::unanswered_since() const {
  MutexLock lock(state_->mutex);
  return state_->asked;
}

void AskedSensor::RequestStop() { state_->stop->Request(); }

bool AskedSensor::WaitUntilEnded(MonotonicTime deadline, std::stop_token cancel) {
  MutexLock lock(state_->mutex);
  return state_->changed.WaitUntil(state_->mutex, std::move(cancel), deadline, [this] {
    state_->mutex.AssertHeld();
    return state_->ended;
  });
}

}  // namespace datamanager::capture
