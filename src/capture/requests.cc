#include "capture/requests.h"

#include <chrono>
#include <limits>

#include "base/strings.h"
#include "capture/call.h"
#include "capture/struct_encoder.h"
#include "capture_file/record_buffer.h"
#include "datamanager/wire/viam/common/v1/common.pb.h"
#include "datamanager/wire/viam/component/audioin/v1/audioin.pb.h"
#include "datamanager/wire/viam/component/board/v1/board.pb.h"
#include "datamanager/wire/viam/component/camera/v1/camera.pb.h"
#include "datamanager/wire/viam/component/encoder/v1/encoder.pb.h"
#include "datamanager/wire/viam/robot/v1/robot.pb.h"
#include "datamanager/wire/viam/service/slam/v1/slam.pb.h"
#include "datamanager/wire/viam/service/vision/v1/vision.pb.h"

namespace datamanager::capture {
namespace {

namespace common = datamanager::wire::viam::common::v1;
namespace component = datamanager::wire::viam::component;
namespace robot = datamanager::wire::viam::robot::v1;
namespace service = datamanager::wire::viam::service;

// A parameter, which is text if it is there.
std::string Text(const CaptureRequest& asked, std::string_view name,
                 std::string_view fallback = "") {
  const Value* value = asked.params.Find(name);
  return std::string(value == nullptr ? fallback : value->AsString());
}

// Completes a request with its extra.
template <typename Request>
absl::StatusOr<std::string> WithExtra(Request& request, const CaptureRequest& asked) {
  if (absl::Status status = ToStruct(asked.extra, *request.mutable_extra()); !status.ok()) {
    return status;
  }
  return request.SerializeAsString();
}

}  // namespace

bool ReadAsSent(std::string_view bytes, google::protobuf::Message& response) {
  return bytes.size() <= std::numeric_limits<int>::max() &&
         response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

absl::Status ToStruct(const ValueMap& map, google::protobuf::Struct& out) {
  capture_file::RecordBuffer buffer;
  if (absl::Status status = PrependStruct(map, buffer); !status.ok()) return status;
  return ReadAsSent(buffer.message(), out)
             ? absl::OkStatus()
             : absl::InvalidArgumentError("the parameters are nested too deep");
}

absl::StatusOr<std::string> AskDoCommand(std::string_view name, const CaptureRequest& asked) {
  common::DoCommandRequest request;
  request.set_name(std::string(name));
  const Value* command = asked.params.Find("docommand_input");
  absl::Status status =
      ToStruct(command == nullptr ? ValueMap() : command->AsMap(), *request.mutable_command());
  if (!status.ok()) return Wrap(status, "docommand_input");
  return request.SerializeAsString();
}

absl::StatusOr<std::string> AskWorldPose(std::string_view name, const CaptureRequest& asked) {
  robot::GetPoseRequest request;
  request.set_component_name(std::string(name));
  request.set_destination_frame("world");
  return WithExtra(request, asked);
}

absl::StatusOr<std::string> AskAnalogReader(std::string_view name, const CaptureRequest& asked) {
  component::board::v1::ReadAnalogReaderRequest request;
  request.set_board_name(std::string(name));
  request.set_analog_reader_name(Text(asked, "reader_name"));
  return WithExtra(request, asked);
}

absl::StatusOr<std::string> AskGpio(std::string_view name, const CaptureRequest& asked) {
  component::board::v1::GetGPIORequest request;
  request.set_name(std::string(name));
  request.set_pin(Text(asked, "pin_name"));
  return WithExtra(request, asked);
}

absl::StatusOr<std::string> AskAudio(std::string_view name, const CaptureRequest& asked) {
  component::audioin::v1::GetAudioRequest request;
  request.set_name(std::string(name));
  request.set_duration_seconds(std::chrono::duration<float>(asked.interval).count());
  request.set_codec(Text(asked, "codec", "pcm16"));
  request.set_previous_timestamp_nanoseconds(asked.previous_timestamp_nanoseconds);
  return WithExtra(request, asked);
}

absl::StatusOr<std::string> AskImages(std::string_view name, const CaptureRequest& asked) {
  component::camera::v1::GetImagesRequest request;
  request.set_name(std::string(name));
  if (const Value* filter = asked.params.Find("filter_source_names")) {
    for (const Value& source : filter->AsList()) {
      request.add_filter_source_names(std::string(source.AsString()));
    }
  }
  return WithExtra(request, asked);
}

absl::StatusOr<std::string> AskPointCloud(std::string_view name, const CaptureRequest& asked) {
  component::camera::v1::GetPointCloudRequest request;
  request.set_name(std::string(name));
  request.set_mime_type("pointcloud/pcd");
  return WithExtra(request, asked);
}

absl::StatusOr<std::string> AskPointCloudMap(std::string_view name, const CaptureRequest&) {
  service::slam::v1::GetPointCloudMapRequest request;
  request.set_name(std::string(name));
  request.set_return_edited_map(false);
  return request.SerializeAsString();
}

absl::StatusOr<std::string> AskTicksCount(std::string_view name, const CaptureRequest& asked) {
  component::encoder::v1::GetPositionRequest request;
  request.set_name(std::string(name));
  request.set_position_type(component::encoder::v1::POSITION_TYPE_UNSPECIFIED);
  return WithExtra(request, asked);
}

absl::StatusOr<std::string> AskCaptureAll(std::string_view name, const CaptureRequest& asked) {
  service::vision::v1::CaptureAllFromCameraRequest request;
  request.set_name(std::string(name));
  request.set_camera_name(Text(asked, "camera_name"));
  request.set_return_image(true);
  request.set_return_classifications(true);
  request.set_return_detections(true);
  return WithExtra(request, asked);
}

bool ReadWorldPose(std::string_view bytes, google::protobuf::Message& response) {
  robot::GetPoseResponse answer;
  if (!ReadAsSent(bytes, answer)) return false;
  auto& pose = static_cast<common::GetWorldPoseResponse&>(response);
  pose.Clear();
  if (answer.pose().has_pose()) pose.mutable_pose()->Swap(answer.mutable_pose()->mutable_pose());
  return true;
}

}  // namespace datamanager::capture
