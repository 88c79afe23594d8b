#include "robot/components.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <variant>

namespace robot {
namespace {

using datamanager::Annotations;
using datamanager::CaptureRequest;
using datamanager::ValueMap;
namespace camera = viam::component::camera::v1;

constexpr char kSensor[] = "rdk:component:sensor";
constexpr char kCamera[] = "rdk:component:camera";

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

grpc::Status NotFound(const std::string& api, const std::string& name) {
  return {grpc::StatusCode::NOT_FOUND,
          "this robot has no " + api + " \"" + name + "\" of its own that could be read"};
}

// Has a source read once into `out`.
template <typename Function, typename Out>
grpc::Status Read(const Function& function, const char* method, Out& out) {
  const ValueMap none;
  return ToGrpc(function(CaptureRequest{.method = method, .extra = none, .params = none}, out));
}

void Fill(const Annotations& from, viam::app::data::v1::Annotations& to) {
  for (const datamanager::BoundingBox& box : from.bboxes) {
    auto& added = *to.add_bboxes();
    added.set_id(box.id);
    added.set_label(box.label);
    added.set_x_min_normalized(box.x_min);
    added.set_y_min_normalized(box.y_min);
    added.set_x_max_normalized(box.x_max);
    added.set_y_max_normalized(box.y_max);
    if (box.confidence) added.set_confidence(*box.confidence);
  }
  for (const datamanager::Classification& classification : from.classifications) {
    auto& added = *to.add_classifications();
    added.set_id(classification.id);
    added.set_label(classification.label);
    if (classification.confidence) added.set_confidence(*classification.confidence);
  }
}

}  // namespace

void Components::Use(const datamanager::Sources& sources) {
  const std::lock_guard lock(mutex_);
  sources_ = sources;
}

Components::Source Components::Find(std::string_view api, std::string_view name,
                                    std::string_view method) const {
  const std::lock_guard lock(mutex_);
  return sources_.Find(api, name, method);
}

grpc::Status Components::Sensors::GetReadings(grpc::ServerContext* /*context*/,
                                              const viam::common::v1::GetReadingsRequest* request,
                                              viam::common::v1::GetReadingsResponse* response) {
  const Source source = components_.Find(kSensor, request->name(), "Readings");
  const auto* function =
      source == nullptr ? nullptr : std::get_if<datamanager::ReadingsSource>(source.get());
  if (function == nullptr) return NotFound(kSensor, request->name());
  datamanager::Readings readings;
  const grpc::Status status = Read(*function, "Readings", readings);
  if (!status.ok()) return status;
  google::protobuf::Struct values;
  const auto parsed =
      google::protobuf::util::JsonStringToMessage(datamanager::ToJson(readings), &values);
  if (!parsed.ok()) return {grpc::StatusCode::INTERNAL, parsed.ToString()};
  for (auto& [key, value] : *values.mutable_fields()) {
    (*response->mutable_readings())[key].Swap(&value);
  }
  return status;
}

grpc::Status Components::Cameras::GetImages(grpc::ServerContext* /*context*/,
                                            const camera::GetImagesRequest* request,
                                            camera::GetImagesResponse* response) {
  const Source source = components_.Find(kCamera, request->name(), "GetImages");
  const auto* function =
      source == nullptr ? nullptr : std::get_if<datamanager::ImagesSource>(source.get());
  if (function == nullptr) return NotFound(kCamera, request->name());
  datamanager::Images images;
  const grpc::Status status = Read(*function, "GetImages", images);
  if (!status.ok()) return status;
  const auto& wanted = request->filter_source_names();
  for (const datamanager::Image& image : images) {
    if (!wanted.empty() &&
        std::find(wanted.begin(), wanted.end(), image.source_name) == wanted.end()) {
      continue;
    }
    camera::Image& added = *response->add_images();
    added.set_source_name(image.source_name);
    added.set_mime_type(image.mime_type);
    added.set_image(image.data);
    if (!image.annotations.empty()) Fill(image.annotations, *added.mutable_annotations());
  }
  const auto captured_at = images.captured_at().value_or(datamanager::Clock::System().WallNow());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(captured_at);
  auto& timestamp = *response->mutable_response_metadata()->mutable_captured_at();
  timestamp.set_seconds(seconds.time_since_epoch().count());
  timestamp.set_nanos(static_cast<int32_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(captured_at - seconds).count()));
  return status;
}

}  // namespace robot
