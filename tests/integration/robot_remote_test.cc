// The robot as a program that captures components of other processes, from its JSON alone.
#include <algorithm>
#include <map>

#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "capture/methods.h"
#include "tests/capture/golden.h"
#include "tests/integration/robot_world.h"
#include "tests/support/component_server.h"

namespace datamanager::testing {
namespace {

class RobotRemoteTest : public RobotWorld {
 protected:
  // A component or service that is called `far` where it is.
  static std::string Remote(const std::string& api, const std::string& address,
                            const std::vector<std::string>& capture_methods,
                            const std::string& far = "far") {
    return absl::StrCat(R"({"name": "near", "api": ")", api,
                        R"(", "model": "remote", "attributes": )", R"({"address": ")", address,
                        R"(", "name": ")", far, R"("}, "service_configs": )",
                        R"([{"type": "data_manager", "attributes": {"capture_methods": [)",
                        absl::StrJoin(capture_methods, ","), "]}}]}");
  }
  static std::string Captured(std::string_view method, int hz, const std::string& params = "{}") {
    return absl::StrCat(R"({"method": ")", std::string(method), R"(", "capture_frequency_hz": )",
                        hz, R"(, "additional_params": )", params, "}");
  }
  static std::string FullName(const capture::Call& call) {
    return absl::StrCat(std::string(call.service), "/", std::string(call.method));
  }
  void TearDown() override { components_.Stop(); }

  ComponentServer components_;
};

// What a binary method is answered with at each tick, and "<MIME type> <bytes>" of what it stores.
struct BinaryCase {
  ComponentServer::Answer answer;
  std::vector<std::string> records;
};

std::map<std::string, BinaryCase> BinaryCases() {
  const ComponentServer::Answer images{{R"(
    images {source_name: "left" mime_type: "image/jpeg" image: "a jpeg"}
    images {source_name: "right" mime_type: "image/png" image: "a\000png\377"})"}};
  const std::string jpeg = "image/jpeg a jpeg";
  const std::string png("image/png a\0png\xff", 16);
  const std::string wav = std::string(
      "RIFF\x28\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x04"
      "\0\0\0abcd",
      48);
  return {
      {"NextPointCloud",
       {{{R"(mime_type: "pointcloud/pcd" point_cloud: "VERSION .7\n\001")"}},
        {"pointcloud/pcd VERSION .7\n\x01"}}},
      {"ReadImage", {images, {png}}},
      {"GetImages", {images, {jpeg, png}}},
      {"GetAudio",
       {{{R"(audio {audio_data: "ab" audio_info {sample_rate_hz: 8000 num_channels: 1}})",
          R"(audio {audio_data: "cd" end_timestamp_nanoseconds: 5})"}},
        {"audio/wav " + wav}}},
      {"PointCloudMap",
       {{{R"(point_cloud_pcd_chunk: "one ")", "", R"(point_cloud_pcd_chunk: "map")"}},
        {"pointcloud/pcd one map"}}},
      {"CaptureAllFromCamera",
       {{{R"(image {mime_type: "image/webp" image: "a picture"}
             classifications {class_name: "day" confidence: 0.5})"}},
        {"image/webp a picture"}}},
  };
}

const std::map<std::string, std::string> kParams = {
    {"DoCommand", R"({"docommand_input": {"go": true}})"},
    {"Analogs", R"({"reader_name": "A0"})"},
    {"Gpios", R"({"pin_name": "11"})"},
    {"ReadImage", R"({"mime_type": "image/png"})"},
    {"CaptureAllFromCamera", R"({"camera_name": "cam"})"},
};

TEST_F(RobotRemoteTest, EveryMethodThatAnotherProcessServesArrivesAsThoughItWereCapturedThere) {
  constexpr int kHz = 25;
  // What is stored, by API and method: JSON, in the order of the answers, over and over.
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> payloads;
  std::map<std::pair<std::string, std::string>, std::vector<ComponentServer::Answer>> answers;
  for (const Golden& golden : AllGolden()) {
    const std::pair key("rdk:" + golden.api, golden.method);
    payloads[key].push_back(absl::StrReplaceAll(
        golden.payload, {{"@nan", "NaN"}, {"@inf", "Infinity"}, {"@-inf", "-Infinity"}}));
    const bool pose = golden.method == "GetWorldPose";
    answers[key].push_back(
        {{pose ? absl::StrCat("pose {reference_frame: \"world\" ", golden.response, "}")
               : golden.response}});
  }
  const std::map<std::string, BinaryCase> binary = BinaryCases();

  components_.Start(OwnLoopback(0));
  std::map<std::string, std::vector<std::string>> methods;  // By API.
  // How often each, of each component, must have been called. They are called as their API is: the
  // robot tells the poses of all.
  std::map<std::pair<std::string, std::string>, size_t> calls;
  for (const capture::Method& method : capture::AllMethods()) {
    if (method.call.service.empty()) continue;
    const std::string name(method.name);
    const auto params = kParams.find(name);
    methods[std::string(method.api)].push_back(
        Captured(name, kHz, params == kParams.end() ? "{}" : params->second));
    const std::string rpc = FullName(method.call);
    const std::string api(method.api);
    components_.Set(
        rpc, api, method.binary() ? std::vector{binary.at(name).answer} : answers.at({api, name}));
    calls[{rpc, api}] += 5;
  }
  std::vector<std::string> declared;
  std::string services;
  for (const auto& [api, captured] : methods) {
    const std::string remote = Remote(api, components_.address(), captured, api);
    if (api.starts_with("rdk:component:")) {
      declared.push_back(remote);
    } else {
      absl::StrAppend(&services, remote, ",");
    }
  }
  StartServer();
  // Uploaded at the end only: fewer files, which arrive sooner.
  RunWith(Machine(CloudOf(address_), declared, services + Service(R"(, "sync_disabled": true)")));
  EXPECT_TRUE(WaitUntil([&] {
    return std::all_of(calls.begin(), calls.end(), [this](const auto& call) {
      return components_.Asked(call.first.first, call.first.second).size() >= call.second;
    });
  })) << robot_->Output();
  WriteFile(ConfigFile(), Machine(CloudOf(address_), declared,
                                  services + Service(R"(, "capture_disabled": true)")));
  robot_->Signal(SIGHUP);
  ASSERT_TRUE(WaitForOutput("config reloaded"));
  EXPECT_TRUE(WaitUntil([this] { return OnDisk().empty(); }));
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
  EXPECT_FALSE(robot_->Said("error while capturing data")) << robot_->Output();

  // Of one method, oldest first; those of one tick in order of their bytes.
  std::map<std::pair<std::string, std::string>, std::vector<std::pair<std::string, std::string>>>
      arrived;
  for (const ingest::Received& row : Arrived()) {
    EXPECT_EQ(row.component_name, "near");
    arrived[{row.component_type, row.method_name}].emplace_back(
        row.time_requested,
        row.kind == "binary" ? absl::StrCat(row.mime_type, " ", Blob(row)) : row.json);
  }
  EXPECT_EQ(arrived.size(), 73U);
  for (auto& [key, rows] : arrived) {
    SCOPED_TRACE(key.first + " " + key.second);
    std::sort(rows.begin(), rows.end());
    const auto stored = binary.find(key.second);
    const std::vector<std::string>& expected =
        stored == binary.end() ? payloads[key] : stored->second.records;
    EXPECT_GE(rows.size(), expected.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::string& payload = expected[i % expected.size()];
      if (stored != binary.end()) {
        EXPECT_EQ(rows[i].second, payload);
      } else {
        EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(ParseStruct(rows[i].second),
                                                                       ParseStruct(payload)))
            << rows[i].second << " instead of " << payload;
      }
    }
  }
}

TEST_F(RobotRemoteTest, AModuleThatRestartsIsCapturedAgain) {
  components_.Start("unix:" + Path("module.sock"));
  const std::string rpc = "viam.component.motor.v1.MotorService/IsPowered";
  components_.Set(rpc, "far", {{.messages = {"is_on: true"}}});
  RunWith(Machine(
      "", {Remote("rdk:component:motor", components_.address(), {Captured("IsPowered", 100)})},
      Service()));
  ASSERT_TRUE(WaitUntil([&] { return components_.Asked(rpc, "far").size() >= 3; }));
  components_.Stop();
  EXPECT_TRUE(
      WaitForOutput("cannot reach rdk:component:motor \"far\" at unix:" + Path("module.sock")));
  const size_t before = components_.Asked(rpc, "far").size();
  components_.Start("");
  EXPECT_TRUE(WaitUntil([&] { return components_.Asked(rpc, "far").size() >= before + 3; }));
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
}

TEST_F(RobotRemoteTest, ACallThatHangsDelaysNoEnd) {
  components_.Start(OwnLoopback(0));
  const std::string rpc = "viam.component.motor.v1.MotorService/IsPowered";
  components_.Set(rpc, "far", {{.hangs = true}});
  RunWith(Machine(
      "", {Remote("rdk:component:motor", components_.address(), {Captured("IsPowered", 100)})},
      Service()));
  ASSERT_TRUE(WaitUntil([&] { return !components_.Asked(rpc, "far").empty(); }));
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0) << "not 1, as for a source that did not return";
  EXPECT_TRUE(WaitUntil([this] { return components_.cancelled() == 1; }));
}

TEST_F(RobotRemoteTest, ARobotCapturesTheComponentsOfAnother) {
  WriteFile(Path("other.json"),
            Machine("",
                    {absl::StrCat(R"({"name": "count", "api": "rdk:component:sensor", )",
                                  R"("model": "counter", "attributes": {"journal": ")",
                                  Journal("count"), R"("}})"),
                     R"({"name": "eye", "api": "rdk:component:camera", )"
                     R"("model": "simulated-camera", "attributes": {}})"},
                    Service(R"(, "sync_disabled": true)")));
  Process other({ROBOT_PATH, "--config", Path("other.json"), "--capture-dir", Path("other"),
                 "--listen", OwnLoopback(0)},
                Path("other.out"));
  const std::string serving = "robot: serving on ";
  ASSERT_TRUE(WaitUntil([&] { return other.Said(serving); })) << other.Output();
  std::string address = other.Output();
  address.erase(0, address.find(serving) + serving.size());
  address.resize(address.find('\n'));

  StartServer();
  const std::vector<std::string> declared = {
      Remote("rdk:component:sensor", address,
             {Captured("Readings", 100), Captured("DoCommand", 5, R"({"docommand_input": {}})")},
             "count"),
      Remote("rdk:component:camera", address,
             {Captured("GetImages", 50), Captured("NextPointCloud", 5)}, "eye"),
      Remote("rdk:component:motor", address, {Captured("Position", 5)}, "none")};
  RunWith(Machine(CloudOf(address_), declared, Service()));
  EXPECT_TRUE(WaitForJournal("count", 5)) << robot_->Output();
  EXPECT_TRUE(WaitForArrived("near", 3, ingest::Kind::kBinary)) << robot_->Output();
  EXPECT_TRUE(WaitForOutput("does not serve viam.component.motor.v1.MotorService/GetPosition"));
  EXPECT_TRUE(WaitForOutput("does not serve viam.component.camera.v1.CameraService/GetPointCloud"));
  EXPECT_TRUE(WaitForOutput("does not serve viam.component.sensor.v1.SensorService/DoCommand"));
  WriteFile(ConfigFile(),
            Machine(CloudOf(address_), declared, Service(R"(, "capture_disabled": true)")));
  robot_->Signal(SIGHUP);
  ASSERT_TRUE(WaitForOutput("config reloaded"));
  EXPECT_TRUE(WaitUntil([this] { return OnDisk().empty(); }));

  std::vector<std::string> counted;  // "run seq", as the other robot has journalled it.
  for (const ingest::Received& row : Arrived()) {
    if (row.kind == "binary") {
      EXPECT_EQ(row.mime_type, "image/png");
      EXPECT_TRUE(Blob(row).starts_with("\x89PNG"));
    } else {
      const auto json = ParseStruct(row.json);
      const auto& readings = json.fields().at("readings").struct_value().fields();
      counted.push_back(
          absl::StrCat(readings.at("run").string_value(), " ", readings.at("seq").number_value()));
    }
  }
  std::vector<std::string> journalled = Journalled("count");
  // The last call may have been cancelled.
  EXPECT_LE(journalled.size(), counted.size() + 1);
  journalled.resize(std::min(journalled.size(), counted.size()));
  std::sort(counted.begin(), counted.end());
  std::sort(journalled.begin(), journalled.end());
  EXPECT_EQ(counted, journalled);

  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
  other.Signal(SIGTERM);
  EXPECT_EQ(other.ExitCode(), 0) << other.Output();
}

TEST_F(RobotRemoteTest, AWrongRemoteIsAnErrorOfTheConfig) {
  const auto declared = [](const std::string& api, const std::string& attributes) {
    return absl::StrCat(R"({"name": "there", "api": ")", api, R"(", "model": "remote", )",
                        R"("attributes": {)", attributes, "}}");
  };
  const std::string motor = "rdk:component:motor";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {declared(motor, ""), R"(component "there": attribute "address" is missing)"},
      {declared(motor, R"("address": "robot")"),
       R"(attribute "address" = "robot" does not work: "robot" has no port; write robot:PORT)"},
      {declared(motor, R"("address": "https://robot:1")"), "has a scheme; write HOST:PORT"},
      {declared(motor, R"("address": "unix:")"), "has no path; write unix:PATH"},
      {declared(motor, R"("address": "robot:1", "timeout_ms": 0)"), "timeout_ms"},
      {declared(motor, R"("address": "robot:1", "adress": "robot:2")"),
       R"(the nearest known one is "address")"},
      {declared("rdk:component:moter", R"("address": "robot:1")"),
       "nothing can be captured from API rdk:component:moter; did you mean rdk:component:motor?"},
      {declared("rdk:service:base_remote_control", R"("address": "robot:1")"),
       "no gRPC service serves rdk:service:base_remote_control"},
  };
  for (const auto& [component, said] : cases) {
    RunWith(Machine("", {component}, Service()));
    EXPECT_EQ(robot_->ExitCode(), 2) << component;
    EXPECT_TRUE(Has(robot_->Output(), said)) << component;
  }
}

}  // namespace
}  // namespace datamanager::testing
