#include "capture/methods.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "config/findings.h"
#include "datamanager/wire/viam/common/v1/common.pb.h"
#include "datamanager/wire/viam/component/arm/v1/arm.pb.h"
#include "datamanager/wire/viam/component/audioin/v1/audioin.pb.h"
#include "datamanager/wire/viam/component/board/v1/board.pb.h"
#include "datamanager/wire/viam/component/camera/v1/camera.pb.h"
#include "datamanager/wire/viam/component/encoder/v1/encoder.pb.h"
#include "datamanager/wire/viam/component/gantry/v1/gantry.pb.h"
#include "datamanager/wire/viam/component/motor/v1/motor.pb.h"
#include "datamanager/wire/viam/component/movementsensor/v1/movementsensor.pb.h"
#include "datamanager/wire/viam/component/powersensor/v1/powersensor.pb.h"
#include "datamanager/wire/viam/component/servo/v1/servo.pb.h"
#include "datamanager/wire/viam/service/slam/v1/slam.pb.h"
#include "datamanager/wire/viam/service/vision/v1/vision.pb.h"

namespace datamanager::capture {
namespace {

namespace common = datamanager::wire::viam::common::v1;
namespace component = datamanager::wire::viam::component;
namespace service = datamanager::wire::viam::service;

namespace arm = component::arm::v1;
namespace audio_in = component::audioin::v1;
namespace board = component::board::v1;
namespace camera = component::camera::v1;
namespace encoder = component::encoder::v1;
namespace gantry = component::gantry::v1;
namespace motor = component::motor::v1;
namespace movement_sensor = component::movementsensor::v1;
namespace power_sensor = component::powersensor::v1;
namespace servo = component::servo::v1;
namespace slam = service::slam::v1;
namespace vision = service::vision::v1;

using Kind = Parameter::Kind;
using Rule = PayloadRule;

constexpr std::array kReaderName = {
    Parameter{"reader_name", Kind::kText,
              "failed to validate additional_params for rdk:component:board, must supply "
              "reader_name",
              "failed to get reader name: name must be a string"}};
constexpr std::array kPinName = {
    Parameter{"pin_name", Kind::kText,
              "failed to validate additional_params for rdk:component:board, must supply pin_name",
              "failed to get pin name: name must be a string"}};
constexpr std::array kCodec = {Parameter{"codec", Kind::kText, "", "codec must be a string"}};
constexpr std::array kMimeType = {
    Parameter{"mime_type", Kind::kText, "", "mime_type must be a string"}};
constexpr std::array kFilter = {Parameter{"filter_source_names", Kind::kTexts, "",
                                          "filter_source_names must be a list of strings"}};
constexpr std::array kCamera = {
    Parameter{"camera_name", Kind::kText, "must specify a camera_name in the additional_params",
              "camera_name must be a string"},
    Parameter{"min_confidence_score", Kind::kFraction, "",
              "min_confidence_score must be between 0 and 1 inclusive"}};
constexpr std::array kCommand = {
    Parameter{"docommand_input", Kind::kObject,
              "DoCommand missing payload with key: \"docommand_input\"", "payload is not a map"}};

using Extension = std::pair<std::string_view, std::string_view>;
constexpr std::array kImageExtensions = {Extension{"image/jpeg", ".jpeg"},
                                         Extension{"image/png", ".png"},
                                         Extension{"pointcloud/pcd", ".pcd"}};
constexpr std::array kAudioExtensions = {Extension{"pcm16", ".wav"}, Extension{"pcm32", ".wav"},
                                         Extension{"pcm32_float", ".wav"},
                                         Extension{"mp3", ".mp3"}};

template <typename Response>
const google::protobuf::Message& Of() {
  return Response::default_instance();
}

// The rows that most APIs have.
constexpr Method DoCommand(std::string_view api) {
  return {.api = api,
          .name = "DoCommand",
          .rule = Rule::kDoCommand,
          .response = &Of<common::DoCommandResponse>,
          .parameters = kCommand,
          .extra = Extra::kNone};
}
constexpr Method GetWorldPose(std::string_view api) {
  return {api, "GetWorldPose", Rule::kFields, &Of<common::GetWorldPoseResponse>};
}
constexpr Method Readings(std::string_view api, Extra extra = Extra::kFromDataManagement) {
  return {.api = api,
          .name = "Readings",
          .rule = Rule::kReadings,
          .response = &Of<common::GetReadingsResponse>,
          .extra = extra};
}

constexpr std::string_view kArm = "rdk:component:arm";
constexpr std::string_view kAudioIn = "rdk:component:audio_in";
constexpr std::string_view kAudioOut = "rdk:component:audio_out";
constexpr std::string_view kBase = "rdk:component:base";
constexpr std::string_view kBoard = "rdk:component:board";
constexpr std::string_view kButton = "rdk:component:button";
constexpr std::string_view kCameraApi = "rdk:component:camera";
constexpr std::string_view kEncoder = "rdk:component:encoder";
constexpr std::string_view kGantry = "rdk:component:gantry";
constexpr std::string_view kGeneric = "rdk:component:generic";
constexpr std::string_view kGripper = "rdk:component:gripper";
constexpr std::string_view kInputController = "rdk:component:input_controller";
constexpr std::string_view kMotor = "rdk:component:motor";
constexpr std::string_view kMovementSensor = "rdk:component:movement_sensor";
constexpr std::string_view kPoseTracker = "rdk:component:pose_tracker";
constexpr std::string_view kPowerSensor = "rdk:component:power_sensor";
constexpr std::string_view kSensor = "rdk:component:sensor";
constexpr std::string_view kServo = "rdk:component:servo";
constexpr std::string_view kSwitch = "rdk:component:switch";
constexpr std::string_view kSlam = "rdk:service:slam";
constexpr std::string_view kVision = "rdk:service:vision";

constexpr std::array kMethods = {
    Method{kArm, "EndPosition", Rule::kFields, &Of<arm::GetEndPositionResponse>},
    Method{kArm, "JointPositions", Rule::kFieldsOrZeros, &Of<arm::GetJointPositionsResponse>},
    DoCommand(kArm),
    GetWorldPose(kArm),

    Method{.api = kAudioIn,
           .name = "GetAudio",
           .rule = Rule::kAudio,
           .response = &Of<audio_in::GetAudioResponse>,
           .parameters = kCodec,
           .extension_by = "codec",
           .extensions = kAudioExtensions},
    DoCommand(kAudioIn),
    GetWorldPose(kAudioIn),

    GetWorldPose(kAudioOut),

    DoCommand(kBase),
    GetWorldPose(kBase),

    Method{kBoard, "Analogs", Rule::kFields, &Of<board::ReadAnalogReaderResponse>, kReaderName},
    Method{kBoard, "Gpios", Rule::kFields, &Of<board::GetGPIOResponse>, kPinName},
    DoCommand(kBoard),
    GetWorldPose(kBoard),

    DoCommand(kButton),
    GetWorldPose(kButton),

    Method{.api = kCameraApi,
           .name = "NextPointCloud",
           .rule = Rule::kPointCloud,
           .response = &Of<camera::GetPointCloudResponse>,
           .extension = ".pcd"},
    Method{.api = kCameraApi,
           .name = "ReadImage",
           .rule = Rule::kOneImage,
           .response = &Of<camera::GetImagesResponse>,
           .parameters = kMimeType,
           .extension_by = "mime_type",
           .extensions = kImageExtensions},
    Method{kCameraApi, "GetImages", Rule::kEveryImage, &Of<camera::GetImagesResponse>, kFilter},
    DoCommand(kCameraApi),
    GetWorldPose(kCameraApi),

    Method{kEncoder, "TicksCount", Rule::kFields, &Of<encoder::GetPositionResponse>},
    DoCommand(kEncoder),
    GetWorldPose(kEncoder),

    Method{kGantry, "Position", Rule::kFields, &Of<gantry::GetPositionResponse>},
    Method{kGantry, "Lengths", Rule::kFields, &Of<gantry::GetLengthsResponse>},
    DoCommand(kGantry),
    GetWorldPose(kGantry),

    DoCommand(kGeneric),
    GetWorldPose(kGeneric),

    DoCommand(kGripper),
    GetWorldPose(kGripper),

    DoCommand(kInputController),
    GetWorldPose(kInputController),

    Method{kMotor, "Position", Rule::kFields, &Of<motor::GetPositionResponse>},
    Method{kMotor, "IsPowered", Rule::kFields, &Of<motor::IsPoweredResponse>},
    DoCommand(kMotor),
    GetWorldPose(kMotor),

    Method{kMovementSensor, "Position", Rule::kFieldsOrZeros,
           &Of<movement_sensor::GetPositionResponse>},
    Method{kMovementSensor, "LinearVelocity", Rule::kFieldsOrZeros,
           &Of<movement_sensor::GetLinearVelocityResponse>},
    Method{kMovementSensor, "AngularVelocity", Rule::kFieldsOrZeros,
           &Of<movement_sensor::GetAngularVelocityResponse>},
    Method{kMovementSensor, "CompassHeading", Rule::kFields,
           &Of<movement_sensor::GetCompassHeadingResponse>},
    Method{kMovementSensor, "LinearAcceleration", Rule::kFieldsOrZeros,
           &Of<movement_sensor::GetLinearAccelerationResponse>},
    Method{kMovementSensor, "Orientation", Rule::kFields,
           &Of<movement_sensor::GetOrientationResponse>},
    Readings(kMovementSensor),
    DoCommand(kMovementSensor),
    GetWorldPose(kMovementSensor),

    DoCommand(kPoseTracker),
    GetWorldPose(kPoseTracker),

    Method{kPowerSensor, "Voltage", Rule::kFields, &Of<power_sensor::GetVoltageResponse>},
    Method{kPowerSensor, "Current", Rule::kFields, &Of<power_sensor::GetCurrentResponse>},
    Method{kPowerSensor, "Power", Rule::kFields, &Of<power_sensor::GetPowerResponse>},
    Readings(kPowerSensor),
    DoCommand(kPowerSensor),
    GetWorldPose(kPowerSensor),

    Readings(kSensor, Extra::kParameters),
    DoCommand(kSensor),
    GetWorldPose(kSensor),

    Method{kServo, "Position", Rule::kFields, &Of<servo::GetPositionResponse>},
    DoCommand(kServo),
    GetWorldPose(kServo),

    DoCommand(kSwitch),
    GetWorldPose(kSwitch),

    Method{.api = kSlam,
           .name = "Position",
           .rule = Rule::kFields,
           .response = &Of<slam::GetPositionResponse>,
           .extra = Extra::kNone},
    Method{.api = kSlam,
           .name = "PointCloudMap",
           .rule = Rule::kChunks,
           .response = &Of<slam::GetPointCloudMapResponse>,
           .extra = Extra::kNone},
    DoCommand(kSlam),

    Method{kVision, "CaptureAllFromCamera", Rule::kCaptureAll,
           &Of<vision::CaptureAllFromCameraResponse>, kCamera},
    DoCommand(kVision),

    DoCommand("rdk:service:base_remote_control"),
    DoCommand("rdk:service:discovery"),
    DoCommand("rdk:service:generic"),
    DoCommand("rdk:service:motion"),
    DoCommand("rdk:service:navigation"),
    DoCommand("rdk:service:shell"),
};

bool IsOfKind(const Value& value, Kind kind) {
  switch (kind) {
    case Kind::kText:
      return value.kind() == Value::Kind::kString;
    case Kind::kTexts:
      return value.kind() == Value::Kind::kList &&
             std::all_of(value.AsList().begin(), value.AsList().end(), [](const Value& element) {
               return element.kind() == Value::Kind::kString;
             });
    case Kind::kObject:
      return value.kind() == Value::Kind::kMap;
    case Kind::kFraction:
      return value.kind() == Value::Kind::kNumber && value.AsNumber() >= 0 && value.AsNumber() <= 1;
  }
  return false;
}

}  // namespace

std::span<const Method> AllMethods() { return kMethods; }

absl::StatusOr<const Method*> FindMethod(std::string_view api, std::string_view name) {
  std::vector<std::string> apis;
  std::vector<std::string> names;
  for (const Method& method : kMethods) {
    apis.emplace_back(method.api);
    if (method.api != api) continue;
    if (method.name == name) return &method;
    names.emplace_back(method.name);
  }
  std::string message = absl::StrCat("failed to find collector constructor for Api: ", ToAbsl(api),
                                     ", Method Name: ", ToAbsl(name));
  const bool known_api = !names.empty();
  const std::string nearest = known_api ? NearestName(name, names) : NearestName(api, apis);
  if (!nearest.empty()) {
    absl::StrAppend(&message, "; did you mean ", known_api ? "method " : "API ", nearest, "?");
  } else if (known_api) {
    absl::StrAppend(&message, "; it has ", names.front());
    for (size_t i = 1; i < names.size(); ++i) absl::StrAppend(&message, ", ", names[i]);
  }
  return absl::NotFoundError(message);
}

absl::Status CheckParameters(const Method& method, const ValueMap& additional_params) {
  for (const Parameter& parameter : method.parameters) {
    const Value* value = additional_params.Find(parameter.name);
    const bool required = !parameter.missing.empty();
    if (value == nullptr ||
        (required && value->kind() == Value::Kind::kString && value->AsString().empty())) {
      if (required) return absl::InvalidArgumentError(ToAbsl(parameter.missing));
    } else if (!IsOfKind(*value, parameter.kind)) {
      return absl::InvalidArgumentError(
          absl::StrCat(ToAbsl(parameter.wrong), ", but got ", config::Describe(*value)));
    }
  }
  return absl::OkStatus();
}

std::string_view FileExtension(const Method& method, const ValueMap& additional_params) {
  if (!method.binary()) return ".dat";
  const Value* value =
      method.extension_by.empty() ? nullptr : additional_params.Find(method.extension_by);
  if (value == nullptr) return method.extension;
  for (const auto& [known, extension] : method.extensions) {
    if (known == value->AsString()) return extension;
  }
  return method.extension;
}

}  // namespace datamanager::capture
