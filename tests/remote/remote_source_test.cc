// What a remote source asks of a component, and what it makes of the answer.
#include "datamanager/remote_source.h"

#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/channel.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "capture/methods.h"
#include "datamanager/wire/viam/component/audioin/v1/audioin.pb.h"
#include "tests/support/component_server.h"
#include "tests/support/own_loopback.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager {
namespace {

using grpc::StatusCode;
using std::chrono::milliseconds;
using testing::ComponentServer;
using testing::OwnLoopback;

constexpr char kArm[] = "rdk:component:arm";
constexpr char kEndPosition[] = "viam.component.arm.v1.ArmService/GetEndPosition";

// What a collector asks a source.
struct Asked {
  ValueMap extra;
  ValueMap params;
  std::chrono::nanoseconds interval = std::chrono::seconds(2);
  int64_t previous_timestamp_nanoseconds = 0;
  std::stop_source stop;
};

class RemoteSourceTest : public ::testing::Test {
 protected:
  RemoteSourceTest() { server_.Start(OwnLoopback(0)); }

  void Add(const std::string& api, const std::string& name = "far", RemoteOptions options = {}) {
    const absl::StatusOr<RemoteChannel> channel = ConnectRemote(server_.address());
    ASSERT_TRUE(channel.ok()) << channel.status();
    const absl::Status status = RemoteSource(*channel, api, name, options).AddTo(sources_, "near");
    ASSERT_TRUE(status.ok()) << status;
  }
  // Asks the source once, as a collector does; the answers in text format, or the error.
  absl::Status Read(const std::string& api, const std::string& method, const Asked& asked = {}) {
    answers_.clear();
    const auto function = sources_.Find(api, "near", method);
    if (function == nullptr) return absl::NotFoundError("no source");
    const auto& source = std::get<MessageSource>(*function);
    Messages messages(source.make);
    const absl::Status status =
        source.fill({.method = method,
                     .extra = asked.extra,
                     .params = asked.params,
                     .interval = asked.interval,
                     .previous_timestamp_nanoseconds = asked.previous_timestamp_nanoseconds,
                     .stop = asked.stop.get_token()},
                    messages);
    for (size_t i = 0; i < messages.size(); ++i) {
      answers_.push_back(messages[i].ShortDebugString());
    }
    return status;
  }
  // The error of reading an arm's position.
  absl::Status ReadArm(const Asked& asked = {}) { return Read(kArm, "EndPosition", asked); }
  void AnswerArm(ComponentServer::Answer answer) {
    server_.Set(kEndPosition, "far", {std::move(answer)});
  }

  ComponentServer server_;
  Sources sources_;
  std::vector<std::string> answers_;
};

// What each method asks, written from the specification.

constexpr char kFromDataManagement[] =
    R"(extra {fields {key: "fromDataManagement" value {bool_value: true}}})";

struct Asking {
  std::string api;  // After "rdk:".
  std::string method;
  std::string rpc;      // After "viam.".
  std::string request;  // In text format, beside the name and the extra.
};

const std::vector<Asking> kTyped = {
    {"component:arm", "EndPosition", "component.arm.v1.ArmService/GetEndPosition", ""},
    {"component:arm", "JointPositions", "component.arm.v1.ArmService/GetJointPositions", ""},
    {"component:audio_in", "GetAudio", "component.audioin.v1.AudioInService/GetAudio",
     R"(duration_seconds: 2 codec: "mp3" previous_timestamp_nanoseconds: 77)"},
    {"component:board", "Analogs", "component.board.v1.BoardService/ReadAnalogReader",
     R"(analog_reader_name: "A0")"},
    {"component:board", "Gpios", "component.board.v1.BoardService/GetGPIO", R"(pin: "11")"},
    {"component:camera", "NextPointCloud", "component.camera.v1.CameraService/GetPointCloud",
     R"(mime_type: "pointcloud/pcd")"},
    {"component:camera", "ReadImage", "component.camera.v1.CameraService/GetImages", ""},
    {"component:camera", "GetImages", "component.camera.v1.CameraService/GetImages",
     R"(filter_source_names: "left" filter_source_names: "right")"},
    {"component:encoder", "TicksCount", "component.encoder.v1.EncoderService/GetPosition",
     "position_type: POSITION_TYPE_UNSPECIFIED"},
    {"component:gantry", "Position", "component.gantry.v1.GantryService/GetPosition", ""},
    {"component:gantry", "Lengths", "component.gantry.v1.GantryService/GetLengths", ""},
    {"component:motor", "Position", "component.motor.v1.MotorService/GetPosition", ""},
    {"component:motor", "IsPowered", "component.motor.v1.MotorService/IsPowered", ""},
    {"component:movement_sensor", "Position",
     "component.movementsensor.v1.MovementSensorService/GetPosition", ""},
    {"component:movement_sensor", "LinearVelocity",
     "component.movementsensor.v1.MovementSensorService/GetLinearVelocity", ""},
    {"component:movement_sensor", "AngularVelocity",
     "component.movementsensor.v1.MovementSensorService/GetAngularVelocity", ""},
    {"component:movement_sensor", "CompassHeading",
     "component.movementsensor.v1.MovementSensorService/GetCompassHeading", ""},
    {"component:movement_sensor", "LinearAcceleration",
     "component.movementsensor.v1.MovementSensorService/GetLinearAcceleration", ""},
    {"component:movement_sensor", "Orientation",
     "component.movementsensor.v1.MovementSensorService/GetOrientation", ""},
    {"component:movement_sensor", "Readings",
     "component.movementsensor.v1.MovementSensorService/GetReadings", ""},
    {"component:power_sensor", "Voltage", "component.powersensor.v1.PowerSensorService/GetVoltage",
     ""},
    {"component:power_sensor", "Current", "component.powersensor.v1.PowerSensorService/GetCurrent",
     ""},
    {"component:power_sensor", "Power", "component.powersensor.v1.PowerSensorService/GetPower", ""},
    {"component:power_sensor", "Readings",
     "component.powersensor.v1.PowerSensorService/GetReadings", ""},
    {"component:sensor", "Readings", "component.sensor.v1.SensorService/GetReadings", ""},
    {"component:servo", "Position", "component.servo.v1.ServoService/GetPosition", ""},
    {"service:slam", "Position", "service.slam.v1.SLAMService/GetPosition", ""},
    {"service:slam", "PointCloudMap", "service.slam.v1.SLAMService/GetPointCloudMap",
     "return_edited_map: false"},
    {"service:vision", "CaptureAllFromCamera",
     "service.vision.v1.VisionService/CaptureAllFromCamera",
     R"(camera_name: "cam" return_image: true return_classifications: true
        return_detections: true)"},
};
// By API, the service that takes its commands; audio_out's takes none that are captured.
const std::vector<std::pair<std::string, std::string>> kServices = {
    {"component:arm", "component.arm.v1.ArmService"},
    {"component:audio_in", "component.audioin.v1.AudioInService"},
    {"component:base", "component.base.v1.BaseService"},
    {"component:board", "component.board.v1.BoardService"},
    {"component:button", "component.button.v1.ButtonService"},
    {"component:camera", "component.camera.v1.CameraService"},
    {"component:encoder", "component.encoder.v1.EncoderService"},
    {"component:gantry", "component.gantry.v1.GantryService"},
    {"component:generic", "component.generic.v1.GenericService"},
    {"component:gripper", "component.gripper.v1.GripperService"},
    {"component:input_controller", "component.inputcontroller.v1.InputControllerService"},
    {"component:motor", "component.motor.v1.MotorService"},
    {"component:movement_sensor", "component.movementsensor.v1.MovementSensorService"},
    {"component:pose_tracker", "component.posetracker.v1.PoseTrackerService"},
    {"component:power_sensor", "component.powersensor.v1.PowerSensorService"},
    {"component:sensor", "component.sensor.v1.SensorService"},
    {"component:servo", "component.servo.v1.ServoService"},
    {"component:switch", "component.switch.v1.SwitchService"},
    {"service:slam", "service.slam.v1.SLAMService"},
    {"service:vision", "service.vision.v1.VisionService"},
    {"service:discovery", "service.discovery.v1.DiscoveryService"},
    {"service:generic", "service.generic.v1.GenericService"},
    {"service:motion", "service.motion.v1.MotionService"},
    {"service:navigation", "service.navigation.v1.NavigationService"},
    {"service:shell", "service.shell.v1.ShellService"},
};

std::vector<Asking> AllAskings() {
  std::vector<Asking> all = kTyped;
  for (const auto& [api, service] : kServices) {
    all.push_back({api, "DoCommand", service + "/DoCommand",
                   R"(command {fields {key: "go" value {number_value: 1}}})"});
  }
  std::set<std::string> components = {"component:audio_out"};
  for (const auto& [api, service] : kServices) {
    if (api.starts_with("component:")) components.insert(api);
  }
  for (const std::string& api : components) {
    all.push_back(
        {api, "GetWorldPose", "robot.v1.RobotService/GetPose", R"(destination_frame: "world")"});
  }
  return all;
}

TEST_F(RemoteSourceTest, EveryMethodAsksAsTheReferenceDoes) {
  const std::set<std::string> without_extra = {"DoCommand", "PointCloudMap"};
  std::set<std::pair<std::string, std::string>> seen;
  for (const Asking& asking : AllAskings()) {
    SCOPED_TRACE(asking.api + " " + asking.method);
    const std::string api = "rdk:" + asking.api;
    const std::string rpc = "viam." + asking.rpc;
    ASSERT_NO_FATAL_FAILURE(Add(api, asking.api));
    server_.Set(rpc, asking.api, {{.messages = {""}}});
    const size_t before = server_.Asked(rpc, asking.api).size();

    Asked asked{.previous_timestamp_nanoseconds = 77};
    std::string request = asking.request;
    if (!without_extra.contains(asking.method) && api != "rdk:service:slam") {
      asked.extra.Set("fromDataManagement", true);
      absl::StrAppend(&request, " ", kFromDataManagement);
    }
    asked.params.Set("codec", "mp3");
    asked.params.Set("reader_name", "A0");
    asked.params.Set("pin_name", "11");
    asked.params.Set("camera_name", "cam");
    asked.params.Add("docommand_input").SetMap().Set("go", 1);
    ValueList& filter = asked.params.Add("filter_source_names").SetList();
    filter.Append("left");
    filter.Append("right");
    const absl::Status status = Read(api, asking.method, asked);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(answers_, std::vector<std::string>{""});

    const std::vector<std::string> requests = server_.Asked(rpc, asking.api);
    ASSERT_EQ(requests.size(), before + 1);
    const std::string name_field = asking.method == "GetWorldPose" ? "component_name"
                                   : asking.method == "Analogs"    ? "board_name"
                                                                   : "name";
    EXPECT_EQ(requests.back(),
              server_.Normal(rpc, absl::StrCat(name_field, ": \"", asking.api, "\" ", request)));
    seen.emplace(api, asking.method);
  }
  EXPECT_EQ(seen.size(), 73U);
  for (const capture::Method& method : capture::AllMethods()) {
    EXPECT_EQ(seen.count({std::string(method.api), std::string(method.name)}),
              method.api == "rdk:service:base_remote_control" ? 0U : 1U);
  }
}

TEST_F(RemoteSourceTest, TheExtraIsSentAsItIs) {
  Add("rdk:component:sensor");
  const std::string rpc = "viam.component.sensor.v1.SensorService/GetReadings";
  server_.Set(rpc, "far", {{.messages = {""}}});
  Asked asked;
  asked.extra.Set("fromDataManagement", "overwritten");
  asked.extra.Add("deep").SetMap().Add("list").SetList().Append(1.5);
  ASSERT_TRUE(Read("rdk:component:sensor", "Readings", asked).ok());
  EXPECT_EQ(server_.Asked(rpc, "far").at(0), server_.Normal(rpc, R"(name: "far" extra {
    fields {key: "fromDataManagement" value {string_value: "overwritten"}}
    fields {key: "deep" value {struct_value {fields {key: "list" value {list_value {
      values {number_value: 1.5}}}}}}}})"));

  asked.extra.Set("bad", "\xff");
  const absl::Status status = Read("rdk:component:sensor", "Readings", asked);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << "nothing is sent";
  EXPECT_NE(status.message().find("bad"), std::string::npos) << status;
  EXPECT_EQ(server_.Asked(rpc, "far").size(), 1U);
}

TEST_F(RemoteSourceTest, WithoutACodecPcmIsAskedFor) {
  Add("rdk:component:audio_in");
  const std::string rpc = "viam.component.audioin.v1.AudioInService/GetAudio";
  server_.Set(rpc, "far", {{}});
  ASSERT_TRUE(Read("rdk:component:audio_in", "GetAudio").ok());
  EXPECT_EQ(answers_.size(), 0U) << "a stream may be empty";
  EXPECT_EQ(server_.Asked(rpc, "far").at(0),
            server_.Normal(rpc, R"(name: "far" duration_seconds: 2 codec: "pcm16" extra {})"));
}

TEST_F(RemoteSourceTest, AStreamIsReadToItsEnd) {
  Add("rdk:service:slam");
  const std::string rpc = "viam.service.slam.v1.SLAMService/GetPointCloudMap";
  server_.Set(
      rpc, "far",
      {{.messages = {R"(point_cloud_pcd_chunk: "one")", "", R"(point_cloud_pcd_chunk: "two")"}},
       {.messages = {R"(point_cloud_pcd_chunk: "half")"},
        .status = {StatusCode::ABORTED, "the map changed"}}});
  EXPECT_TRUE(Read("rdk:service:slam", "PointCloudMap").ok());
  EXPECT_EQ(answers_, (std::vector<std::string>{R"(point_cloud_pcd_chunk: "one")", "",
                                                R"(point_cloud_pcd_chunk: "two")"}));
  const absl::Status status = Read("rdk:service:slam", "PointCloudMap");
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_NE(status.message().find("the map changed"), std::string::npos) << status;
}

TEST_F(RemoteSourceTest, AWorldPoseIsTheRobotsAnswerWithoutItsFrame) {
  Add(kArm);
  const std::string rpc = "viam.robot.v1.RobotService/GetPose";
  server_.Set(rpc, "far",
              {{.messages = {R"(pose {reference_frame: "world" pose {x: 1 theta: nan}})"}},
               {.messages = {R"(pose {reference_frame: "world"})"}},
               {.messages = {""}}});
  for (const char* pose : {"pose { x: 1 theta: nan }", "", ""}) {
    ASSERT_TRUE(Read(kArm, "GetWorldPose").ok());
    EXPECT_EQ(answers_, std::vector<std::string>{pose});
  }
}

// Errors.

class RemoteErrorTest : public RemoteSourceTest {
 protected:
  // "<code>: <message>", with the server's address as ADDRESS.
  std::string Error(const absl::Status& status) const {
    std::string text =
        absl::StrCat(absl::StatusCodeToString(status.code()), ": ", std::string(status.message()));
    for (size_t at; (at = text.find(server_.address())) != std::string::npos;) {
      text.replace(at, server_.address().size(), "ADDRESS");
    }
    return text;
  }
};

TEST_F(RemoteErrorTest, TheyNameComponentAndAddress) {
  Add(kArm);
  EXPECT_EQ(Error(ReadArm()),
            "UNIMPLEMENTED: the server at ADDRESS does not serve "
            "viam.component.arm.v1.ArmService/GetEndPosition for rdk:component:arm \"far\": "
            "unknown service");
  server_.Set(kEndPosition, "another", {{}});
  EXPECT_EQ(Error(ReadArm()),
            "NOT_FOUND: there is no rdk:component:arm \"far\" at ADDRESS: resource far not found");
  AnswerArm({.status = {StatusCode::UNKNOWN, "the arm is tired"}});
  EXPECT_EQ(Error(ReadArm()),
            "UNKNOWN: rdk:component:arm \"far\" at ADDRESS, GetEndPosition: the arm is tired");
  AnswerArm({.status = {StatusCode::FAILED_PRECONDITION, "no power"}});
  EXPECT_FALSE(IsNothingToStore(ReadArm()));
  server_.Stop();
  const std::string unreachable = Error(ReadArm());
  EXPECT_TRUE(
      unreachable.starts_with("UNAVAILABLE: cannot reach rdk:component:arm \"far\" at ADDRESS: "))
      << unreachable;
}

TEST_F(RemoteErrorTest, AFilterMeansNothingToStore) {
  Add(kArm);
  AnswerArm({.status = {StatusCode::FAILED_PRECONDITION,
                        "rpc error: no capture from filter module, says it"}});
  const absl::Status status = ReadArm();
  EXPECT_TRUE(IsNothingToStore(status)) << status;
}

TEST_F(RemoteErrorTest, ACallHasADeadline) {
  Add(kArm, "far", {.call_timeout = milliseconds(20)});
  AnswerArm({.hangs = true});
  EXPECT_TRUE(std::string(Error(ReadArm()))
                  .starts_with("DEADLINE_EXCEEDED: rdk:component:arm \"far\" at ADDRESS did not "
                               "answer GetEndPosition "
                               "within 20ms"))
      << Error(ReadArm());
  // On a busy machine a call may be over before the server hears of it.
  EXPECT_TRUE(testing::WaitUntil([this] { return !ReadArm().ok() && server_.cancelled() > 0; }));
}

TEST_F(RemoteErrorTest, ARecordingMayTakeTheIntervalBeyondIt) {
  Add("rdk:component:audio_in", "far", {.call_timeout = milliseconds(20)});
  server_.Set("viam.component.audioin.v1.AudioInService/GetAudio", "far", {{.hangs = true}});
  const absl::Status status =
      Read("rdk:component:audio_in", "GetAudio", {.interval = milliseconds(30)});
  EXPECT_NE(status.message().find("within 50ms"), std::string::npos) << status;
}

TEST_F(RemoteErrorTest, AStopEndsACall) {
  Add(kArm);
  AnswerArm({.hangs = true});
  Asked asked;
  absl::Status status;
  std::thread reading([&] { status = ReadArm(asked); });
  EXPECT_TRUE(testing::WaitUntil([this] { return !server_.Asked(kEndPosition, "far").empty(); }));
  asked.stop.request_stop();
  reading.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
  EXPECT_TRUE(testing::WaitUntil([this] { return server_.cancelled() > 0; }));
  EXPECT_EQ(ReadArm(asked).code(), absl::StatusCode::kCancelled) << "nor does another begin";
}

TEST_F(RemoteErrorTest, AnAnswerThatIsNoSuchMessageIsToldFromOne) {
  Add("rdk:component:camera");
  const std::string rpc = "viam.component.camera.v1.CameraService/GetImages";
  server_.Set(rpc, "far", {{.raw = "\x0a\x05zz"}});
  EXPECT_EQ(Error(Read("rdk:component:camera", "GetImages")),
            "INTERNAL: rdk:component:camera \"far\" at ADDRESS, GetImages: the answer is no "
            "GetImagesResponse");
}

TEST_F(RemoteErrorTest, WhatCannotBeAskedForIsRefusedAtOnce) {
  const RemoteChannel channel = *ConnectRemote("127.0.0.1:1");
  EXPECT_EQ(Error(RemoteSource(channel, "rdk:component:arn", "a").AddTo(sources_, "a")),
            "NOT_FOUND: nothing can be captured from API rdk:component:arn; did you mean "
            "rdk:component:arm?");
  EXPECT_EQ(Error(RemoteSource(channel, "nonsense", "a").AddTo(sources_, "a")),
            "NOT_FOUND: nothing can be captured from API nonsense");
  EXPECT_EQ(
      Error(RemoteSource(channel, "rdk:service:base_remote_control", "a").AddTo(sources_, "a")),
      "INVALID_ARGUMENT: no gRPC service serves rdk:service:base_remote_control: it can be "
      "captured in its own process only");
  EXPECT_FALSE(sources_.Has("rdk:service:base_remote_control", "a"));
}

TEST_F(RemoteSourceTest, WorksOverAUnixSocket) {
  const testing::TempDir dir;
  ComponentServer module;
  module.Start("unix:" + dir.path() + "/module.sock");
  module.Set(kEndPosition, "far", {{.messages = {"pose {x: 1}"}}});
  ASSERT_TRUE(
      RemoteSource(*ConnectRemote(module.address()), kArm, "far").AddTo(sources_, "near").ok());
  const absl::Status status = ReadArm();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(answers_, std::vector<std::string>{"pose { x: 1 }"});
}

}  // namespace
}  // namespace datamanager
