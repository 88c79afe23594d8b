#include "capture/methods.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture/requests.h"
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
constexpr std::array kCodec = {Parameter{"codec", Kind::kText, "", "codec must be a string", true}};
constexpr std::array kMimeType = {
    Parameter{"mime_type", Kind::kText, "", "mime_type must be a string", true}};
constexpr std::array kFilter = {Parameter{"filter_source_names", Kind::kTexts, "",
                                          "filter_source_names must be a list of strings"}};
constexpr std::array kCamera = {
    Parameter{"camera_name", Kind::kText, "must specify a camera_name in the additional_params",
              "camera_name must be a string", true},
    Parameter{"min_confidence_score", Kind::kFraction, "",
              "min_confidence_score must be between 0 and 1 inclusive", true}};
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

// An API, and the gRPC service by which what implements it is asked.
struct Api {
  std::string_view triplet;
  std::string_view service = "";
};

constexpr Api kArm = {"rdk:component:arm", "viam.component.arm.v1.ArmService"};
constexpr Api kAudioIn = {"rdk:component:audio_in", "viam.component.audioin.v1.AudioInService"};
constexpr Api kAudioOut = {"rdk:component:audio_out", "viam.component.audioout.v1.AudioOutService"};
constexpr Api kBase = {"rdk:component:base", "viam.component.base.v1.BaseService"};
constexpr Api kBoard = {"rdk:component:board", "viam.component.board.v1.BoardService"};
constexpr Api kButton = {"rdk:component:button", "viam.component.button.v1.ButtonService"};
constexpr Api kCameraApi = {"rdk:component:camera", "viam.component.camera.v1.CameraService"};
constexpr Api kEncoder = {"rdk:component:encoder", "viam.component.encoder.v1.EncoderService"};
constexpr Api kGantry = {"rdk:component:gantry", "viam.component.gantry.v1.GantryService"};
constexpr Api kGeneric = {"rdk:component:generic", "viam.component.generic.v1.GenericService"};
constexpr Api kGripper = {"rdk:component:gripper", "viam.component.gripper.v1.GripperService"};
constexpr Api kInputController = {"rdk:component:input_controller",
                                  "viam.component.inputcontroller.v1.InputControllerService"};
constexpr Api kMotor = {"rdk:component:motor", "viam.component.motor.v1.MotorService"};
constexpr Api kMovementSensor = {"rdk:component:movement_sensor",
                                 "viam.component.movementsensor.v1.MovementSensorService"};
constexpr Api kPoseTracker = {"rdk:component:pose_tracker",
                              "viam.component.posetracker.v1.PoseTrackerService"};
constexpr Api kPowerSensor = {"rdk:component:power_sensor",
                              "viam.component.powersensor.v1.PowerSensorService"};
constexpr Api kSensor = {"rdk:component:sensor", "viam.component.sensor.v1.SensorService"};
constexpr Api kServo = {"rdk:component:servo", "viam.component.servo.v1.ServoService"};
constexpr Api kSwitch = {"rdk:component:switch", "viam.component.switch.v1.SwitchService"};
constexpr Api kSlam = {"rdk:service:slam", "viam.service.slam.v1.SLAMService"};
constexpr Api kVision = {"rdk:service:vision", "viam.service.vision.v1.VisionService"};

// The rows that most APIs have.
constexpr Method DoCommand(const Api& api) {
  return {.api = api.triplet,
          .name = "DoCommand",
          .rule = Rule::kDoCommand,
          .response = &Of<common::DoCommandResponse>,
          .call = api.service.empty() ? Call{} : Call{api.service, "DoCommand", &AskDoCommand},
          .parameters = kCommand,
          .extra = Extra::kNone};
}
// The pose is the robot's to tell.
constexpr Method GetWorldPose(const Api& api) {
  return {.api = api.triplet,
          .name = "GetWorldPose",
          .rule = Rule::kFields,
          .response = &Of<common::GetWorldPoseResponse>,
          .call = {"viam.robot.v1.RobotService", "GetPose", &AskWorldPose, &ReadWorldPose}};
}
constexpr Method ReadingsOf(const Api& api, Extra extra = Extra::kFromDataManagement) {
  return {.api = api.triplet,
          .name = "Readings",
          .rule = Rule::kReadings,
          .response = &Of<common::GetReadingsResponse>,
          .call = {api.service, "GetReadings", &AskByName<common::GetReadingsRequest>},
          .extra = extra};
}
// A method whose answer is stored field by field, and which is asked by name alone.
template <typename Request, typename Response>
constexpr Method Fields(const Api& api, std::string_view name, std::string_view rpc,
                        Rule rule = Rule::kFields) {
  return {.api = api.triplet,
          .name = name,
          .rule = rule,
          .response = &Of<Response>,
          .call = {api.service, rpc, &AskByName<Request>}};
}

constexpr std::array kMethods = {
    Fields<arm::GetEndPositionRequest, arm::GetEndPositionResponse>(kArm, "EndPosition",
                                                                    "GetEndPosition"),
    Fields<arm::GetJointPositionsRequest, arm::GetJointPositionsResponse>(
        kArm, "JointPositions", "GetJointPositions", Rule::kFieldsOrZeros),
    DoCommand(kArm),
    GetWorldPose(kArm),

    Method{.api = kAudioIn.triplet,
           .name = "GetAudio",
           .rule = Rule::kAudio,
           .response = &Of<audio_in::GetAudioResponse>,
           .call = {.service = kAudioIn.service,
                    .method = "GetAudio",
                    .request = &AskAudio,
                    .lasts_interval = true},
           .parameters = kCodec,
           .extension_by = "codec",
           .extensions = kAudioExtensions},
    DoCommand(kAudioIn),
    GetWorldPose(kAudioIn),

    GetWorldPose(kAudioOut),

    DoCommand(kBase),
    GetWorldPose(kBase),

    Method{.api = kBoard.triplet,
           .name = "Analogs",
           .rule = Rule::kFields,
           .response = &Of<board::ReadAnalogReaderResponse>,
           .call = {kBoard.service, "ReadAnalogReader", &AskAnalogReader},
           .parameters = kReaderName},
    Method{.api = kBoard.triplet,
           .name = "Gpios",
           .rule = Rule::kFields,
           .response = &Of<board::GetGPIOResponse>,
           .call = {kBoard.service, "GetGPIO", &AskGpio},
           .parameters = kPinName},
    DoCommand(kBoard),
    GetWorldPose(kBoard),

    DoCommand(kButton),
    GetWorldPose(kButton),

    Method{.api = kCameraApi.triplet,
           .name = "NextPointCloud",
           .rule = Rule::kPointCloud,
           .response = &Of<camera::GetPointCloudResponse>,
           .call = {kCameraApi.service, "GetPointCloud", &AskPointCloud},
           .extension = ".pcd"},
    Method{.api = kCameraApi.triplet,
           .name = "ReadImage",
           .rule = Rule::kOneImage,
           .response = &Of<camera::GetImagesResponse>,
           .call = {kCameraApi.service, "GetImages", &AskByName<camera::GetImagesRequest>},
           .parameters = kMimeType,
           .extension_by = "mime_type",
           .extensions = kImageExtensions},
    Method{.api = kCameraApi.triplet,
           .name = "GetImages",
           .rule = Rule::kEveryImage,
           .response = &Of<camera::GetImagesResponse>,
           .call = {kCameraApi.service, "GetImages", &AskImages},
           .parameters = kFilter},
    DoCommand(kCameraApi),
    GetWorldPose(kCameraApi),

    Method{.api = kEncoder.triplet,
           .name = "TicksCount",
           .rule = Rule::kFields,
           .response = &Of<encoder::GetPositionResponse>,
           .call = {kEncoder.service, "GetPosition", &AskTicksCount}},
    DoCommand(kEncoder),
    GetWorldPose(kEncoder),

    Fields<gantry::GetPositionRequest, gantry::GetPositionResponse>(kGantry, "Position",
                                                                    "GetPosition"),
    Fields<gantry::GetLengthsRequest, gantry::GetLengthsResponse>(kGantry, "Lengths", "GetLengths"),
    DoCommand(kGantry),
    GetWorldPose(kGantry),

    DoCommand(kGeneric),
    GetWorldPose(kGeneric),

    DoCommand(kGripper),
    GetWorldPose(kGripper),

    DoCommand(kInputController),
    GetWorldPose(kInputController),

    Fields<motor::GetPositionRequest, motor::GetPositionResponse>(kMotor, "Position",
                                                                  "GetPosition"),
    Fields<motor::IsPoweredRequest, motor::IsPoweredResponse>(kMotor, "IsPowered", "IsPowered"),
    DoCommand(kMotor),
    GetWorldPose(kMotor),

    Fields<movement_sensor::GetPositionRequest, movement_sensor::GetPositionResponse>(
        kMovementSensor, "Position", "GetPosition", Rule::kFieldsOrZeros),
    Fields<movement_sensor::GetLinearVelocityRequest, movement_sensor::GetLinearVelocityResponse>(
        kMovementSensor, "LinearVelocity", "GetLinearVelocity", Rule::kFieldsOrZeros),
    Fields<movement_sensor::GetAngularVelocityRequest, movement_sensor::GetAngularVelocityResponse>(
        kMovementSensor, "AngularVelocity", "GetAngularVelocity", Rule::kFieldsOrZeros),
    Fields<movement_sensor::GetCompassHeadingRequest, movement_sensor::GetCompassHeadingResponse>(
        kMovementSensor, "CompassHeading", "GetCompassHeading"),
    Fields<movement_sensor::GetLinearAccelerationRequest,
           movement_sensor::GetLinearAccelerationResponse>(
        kMovementSensor, "LinearAcceleration", "GetLinearAcceleration", Rule::kFieldsOrZeros),
    Fields<movement_sensor::GetOrientationRequest, movement_sensor::GetOrientationResponse>(
        kMovementSensor, "Orientation", "GetOrientation"),
    ReadingsOf(kMovementSensor),
    DoCommand(kMovementSensor),
    GetWorldPose(kMovementSensor),

    DoCommand(kPoseTracker),
    GetWorldPose(kPoseTracker),

    Fields<power_sensor::GetVoltageRequest, power_sensor::GetVoltageResponse>(
        kPowerSensor, "Voltage", "GetVoltage"),
    Fields<power_sensor::GetCurrentRequest, power_sensor::GetCurrentResponse>(
        kPowerSensor, "Current", "GetCurrent"),
    Fields<power_sensor::GetPowerRequest, power_sensor::GetPowerResponse>(kPowerSensor, "Power",
                                                                          "GetPower"),
    ReadingsOf(kPowerSensor),
    DoCommand(kPowerSensor),
    GetWorldPose(kPowerSensor),

    ReadingsOf(kSensor, Extra::kParameters),
    DoCommand(kSensor),
    GetWorldPose(kSensor),

    Fields<servo::GetPositionRequest, servo::GetPositionResponse>(kServo, "Position",
                                                                  "GetPosition"),
    DoCommand(kServo),
    GetWorldPose(kServo),

    DoCommand(kSwitch),
    GetWorldPose(kSwitch),

    Method{.api = kSlam.triplet,
           .name = "Position",
           .rule = Rule::kFields,
           .response = &Of<slam::GetPositionResponse>,
           .call = {kSlam.service, "GetPosition", &AskByName<slam::GetPositionRequest>},
           .extra = Extra::kNone},
    Method{.api = kSlam.triplet,
           .name = "PointCloudMap",
           .rule = Rule::kChunks,
           .response = &Of<slam::GetPointCloudMapResponse>,
           .call = {kSlam.service, "GetPointCloudMap", &AskPointCloudMap},
           .extra = Extra::kNone},
    DoCommand(kSlam),

    Method{.api = kVision.triplet,
           .name = "CaptureAllFromCamera",
           .rule = Rule::kCaptureAll,
           .response = &Of<vision::CaptureAllFromCameraResponse>,
           .call = {kVision.service, "CaptureAllFromCamera", &AskCaptureAll},
           .parameters = kCamera},
    DoCommand(kVision),

    DoCommand({"rdk:service:base_remote_control"}),  // Served by nobody.
    DoCommand({"rdk:service:discovery", "viam.service.discovery.v1.DiscoveryService"}),
    DoCommand({"rdk:service:generic", "viam.service.generic.v1.GenericService"}),
    DoCommand({"rdk:service:motion", "viam.service.motion.v1.MotionService"}),
    DoCommand({"rdk:service:navigation", "viam.service.navigation.v1.NavigationService"}),
    DoCommand({"rdk:service:shell", "viam.service.shell.v1.ShellService"}),
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

// The reference, too, refuses a number that is not between 0 and 1.
bool Tolerates(const Parameter& parameter, const Value& value) {
  return parameter.tolerated &&
         !(parameter.kind == Kind::kFraction && value.kind() == Value::Kind::kNumber);
}

// The number that a value of another kind counts as.
double FractionOf(const Parameter& parameter, const Value& value) {
  double number = 0;
  if (value.kind() == Value::Kind::kString && absl::SimpleAtod(ToAbsl(value.AsString()), &number) &&
      IsOfKind(Value(number), parameter.kind)) {
    return number;
  }
  return 0;
}

// A copy without one entry.
ValueMap Without(const ValueMap& map, std::string_view key) {
  ValueMap rest;
  for (const ValueMap::Entry& entry : map) {
    if (entry.key != key) rest.Set(entry.key, entry.value);
  }
  return rest;
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

absl::StatusOr<CheckedParameters> CheckParameters(const Method& method,
                                                  const ValueMap& additional_params) {
  CheckedParameters checked{.values = additional_params};
  for (const Parameter& parameter : method.parameters) {
    const Value* value = additional_params.Find(parameter.name);
    const bool required = !parameter.missing.empty();
    const bool empty =
        value != nullptr && value->kind() == Value::Kind::kString && value->AsString().empty();
    if (value == nullptr || (required && empty && !parameter.tolerated)) {
      if (required) return absl::InvalidArgumentError(ToAbsl(parameter.missing));
      continue;
    }
    if (IsOfKind(*value, parameter.kind)) continue;
    const std::string wrong =
        absl::StrCat(ToAbsl(parameter.wrong), ", but got ", config::Describe(*value));
    if (!Tolerates(parameter, *value)) return absl::InvalidArgumentError(wrong);
    std::string counts_as = "is ignored";
    if (parameter.kind == Kind::kFraction) {
      const double used = FractionOf(parameter, *value);
      checked.values.Set(parameter.name, used);
      counts_as = absl::StrCat("counts as ", used);
    } else {
      checked.values = Without(checked.values, parameter.name);
    }
    checked.warnings.push_back(absl::StrCat("additional_params: ", wrong, "; it ", counts_as));
  }
  return checked;
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
