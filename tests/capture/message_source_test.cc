// Sources of messages, from the source to the file.
#include <google/protobuf/text_format.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capture/capture.h"
#include "capture/message_fields.h"
#include "capture_file/file_name.h"
#include "datamanager/wire/viam/common/v1/common.pb.h"
#include "datamanager/wire/viam/component/audioin/v1/audioin.pb.h"
#include "datamanager/wire/viam/component/board/v1/board.pb.h"
#include "datamanager/wire/viam/component/camera/v1/camera.pb.h"
#include "datamanager/wire/viam/component/motor/v1/motor.pb.h"
#include "datamanager/wire/viam/service/slam/v1/slam.pb.h"
#include "tests/capture/captured.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::capture {
namespace {

namespace viam = datamanager::wire::viam;
using config::ConfiguredCollector;
using std::chrono::milliseconds;
using testing::CapturedFile;
using testing::PatienceEnds;
using testing::WaitUntil;
using MotorPosition = viam::component::motor::v1::GetPositionResponse;

constexpr char kMotor[] = "rdk:component:motor";

class MessageSourceTest : public ::testing::Test {
 protected:
  MessageSourceTest() {
    config_.directory = dir_.path();
    config_.max_file_bytes = 262144;
    logger_ = *Logger::Create(log_.sink());
    capture_ = *Capture::Create({.logger = logger_});
  }

  ConfiguredCollector& Want(const std::string& api, const std::string& method,
                            ValueMap params = {}) {
    ConfiguredCollector collector;
    collector.settings = {.api = api,
                          .name = "it",
                          .method = method,
                          .interval = milliseconds(5),
                          .additional_params = std::move(params)};
    return config_.collectors.emplace_back(std::move(collector));
  }
  void Start() { ASSERT_TRUE(capture_->Reconfigure(config_, sources_, PatienceEnds())); }
  void Close() { EXPECT_TRUE(capture_->Close(PatienceEnds(), PatienceEnds()).ok()); }
  // Until each collector that runs has captured something.
  [[nodiscard]] bool WaitForCaptured() {
    return WaitUntil([&] {
      const std::vector<CollectorStats> all = capture_->Stats();
      return std::all_of(all.begin(), all.end(), [](const CollectorStats& stats) {
        return stats.state != CollectorState::kRunning || stats.captured > 0;
      });
    });
  }
  CollectorStats Stats(size_t index = 0) const { return capture_->Stats().at(index); }
  std::vector<CapturedFile> Files(const std::string& api, const std::string& method) const {
    return testing::LoadPublished(capture_file::CollectorDirectory(dir_.path(), api, "it", method));
  }

  const testing::TempDir dir_;
  testing::LogCapture log_;
  std::shared_ptr<Logger> logger_;
  config::CaptureConfig config_;
  Sources sources_;
  std::unique_ptr<Capture> capture_;
};

// What a method of this rule has to answer so that there is something to store.
const char* AnswerOf(PayloadRule rule) {
  switch (rule) {
    case PayloadRule::kPointCloud:
      return R"(mime_type: "pointcloud/pcd" point_cloud: "points")";
    case PayloadRule::kChunks:
      return R"(point_cloud_pcd_chunk: "points")";
    case PayloadRule::kAudio:
      return R"(audio {audio_data: "ab" audio_info {sample_rate_hz: 8000 num_channels: 1}})";
    case PayloadRule::kEveryImage:
    case PayloadRule::kOneImage:
      return R"(images {image: "picture" mime_type: "image/png"})";
    case PayloadRule::kCaptureAll:
      return R"(image {image: "picture" mime_type: "image/png"})";
    default:
      return "";
  }
}

ValueMap ParamsOf(const Method& method) {
  ValueMap params;
  for (const Parameter& parameter : method.parameters) {
    if (parameter.missing.empty()) continue;
    if (parameter.kind == Parameter::Kind::kObject) {
      params.Add(parameter.name).SetMap().Set("go", true);
    } else {
      params.Set(parameter.name, "a name");
    }
  }
  return params;
}

TEST_F(MessageSourceTest, EveryMethodIsCaptured) {
  config_.durability = Durability::kProcess;  // For each of many files, a flush would take long.
  for (const Method& method : AllMethods()) {
    sources_.AddMessages(
        method.api, "it", method.name,
        {.make =
             [&method] {
               return std::shared_ptr<google::protobuf::Message>(method.response().New());
             },
         .fill =
             [&method](const CaptureRequest&, Messages& out) {
               google::protobuf::TextFormat::ParseFromString(AnswerOf(method.rule), &out.Add());
               return absl::OkStatus();
             }});
    Want(std::string(method.api), std::string(method.name), ParamsOf(method)).settings.interval =
        milliseconds(20);
  }
  Start();
  EXPECT_TRUE(WaitForCaptured());
  Close();
  const std::vector<CollectorStats> all = capture_->Stats();
  ASSERT_EQ(all.size(), 74U);
  for (size_t i = 0; i < all.size(); ++i) {
    const Method& method = AllMethods()[i];
    SCOPED_TRACE(absl::StrCat(std::string(method.api), " ", std::string(method.name)));
    EXPECT_EQ(all[i].failed, 0U) << all[i].last_error;
    const std::vector<CapturedFile> files =
        Files(std::string(method.api), std::string(method.name));
    ASSERT_FALSE(files.empty());
    EXPECT_EQ(files[0].metadata.component_type(), method.api);
    EXPECT_EQ(files[0].metadata.method_name(), method.name);
    EXPECT_EQ(files[0].metadata.type() == testing::wire::DATA_TYPE_BINARY_SENSOR, method.binary());
    EXPECT_EQ(files[0].metadata.mime_type().empty(), !method.binary());
    EXPECT_EQ(files[0].records.at(0).has_struct_(), !method.binary());
    EXPECT_EQ(files[0].metadata.method_parameters_size(),
              static_cast<int>(ParamsOf(method).size()));
  }
}

TEST_F(MessageSourceTest, NothingToStoreIsNeitherARecordNorAnError) {
  int calls = 0;
  sources_.AddMessage<MotorPosition>(
      kMotor, "it", "Position", [&](const CaptureRequest&, MotorPosition& out) -> absl::Status {
        out.set_position(calls);
        switch (calls++ % 3) {
          case 0:
            return NothingToStore();
          case 1:
            // As a filter module answers over gRPC.
            return absl::FailedPreconditionError("rpc error: no capture from filter module: it");
          default:
            return absl::OkStatus();
        }
      });
  Want(kMotor, "Position");
  Start();
  ASSERT_TRUE(WaitUntil([&] { return Stats().captured >= 3; }));
  Close();
  const CollectorStats stats = Stats();
  EXPECT_EQ(stats.failed, 0U) << stats.last_error;
  EXPECT_EQ(stats.source_errors, 0U);
  EXPECT_EQ(stats.last_error, "");
  EXPECT_GE(stats.no_data, 2 * stats.captured);
  EXPECT_EQ(stats.ticks_due, stats.captured + stats.no_data + stats.missed);
  const std::vector<CapturedFile> files = Files(kMotor, "Position");
  ASSERT_EQ(files.size(), 1U);
  ASSERT_EQ(files[0].records.size(), stats.captured);
  EXPECT_EQ(files[0].records[0].struct_().fields().at("position").number_value(), 2);
  EXPECT_EQ(files[0].records[1].struct_().fields().at("position").number_value(), 5);
  logger_->Close();
  EXPECT_FALSE(log_.Has("no capture")) << log_.Text();
}

TEST_F(MessageSourceTest, NothingToStoreNeedsBothTheCodeAndTheText) {
  EXPECT_TRUE(IsNothingToStore(NothingToStore()));
  EXPECT_FALSE(IsNothingToStore(absl::FailedPreconditionError("not calibrated")));
  EXPECT_FALSE(IsNothingToStore(absl::InternalError("no capture from filter module")));
  EXPECT_FALSE(IsNothingToStore(absl::OkStatus()));
}

TEST_F(MessageSourceTest, AMessageOfTheWrongTypeRefusesTheCollector) {
  const auto add = [this]<typename Response>(const std::string& method, Response) {
    sources_.AddMessage<Response>(kMotor, "it", method, [](const CaptureRequest&, Response&) {
      return absl::InternalError("never asked");
    });
    Want(kMotor, method);
  };
  add("IsPowered", MotorPosition());
  add("Position", google::protobuf::DoubleValue());
  // The right name is enough only with the right type.
  add("GetWorldPose", viam::component::audioin::v1::GetAudioResponse());
  sources_.AddMessages("rdk:component:servo", "it", "Position", {});
  Want("rdk:component:servo", "Position");
  sources_.AddReadings("rdk:component:motor", "it",
                       [](const auto&, Readings&) { return absl::OkStatus(); });
  sources_.AddMessage<viam::common::v1::GetWorldPoseResponse>(
      "rdk:service:slam", "it", "Position", [](const auto&, auto& out) {
        out.mutable_pose()->set_x(1);  // Another message, but with the same fields.
        return absl::OkStatus();
      });
  Want("rdk:service:slam", "Position");
  Start();
  EXPECT_EQ(Stats(0).state, CollectorState::kRefused);
  EXPECT_EQ(Stats(0).reason,
            "the source of rdk:component:motor/it gives "
            "datamanager.wire.viam.component.motor.v1.GetPositionResponse, which IsPowered cannot "
            "take for a IsPoweredResponse: no field is_on");
  EXPECT_EQ(Stats(1).reason,
            "the source of rdk:component:motor/it gives google.protobuf.DoubleValue, which "
            "Position cannot take for a GetPositionResponse: no field position");
  EXPECT_EQ(Stats(2).state, CollectorState::kRefused);
  EXPECT_EQ(Stats(3).reason, "the source of rdk:component:servo/it gives no messages");
  EXPECT_EQ(Stats(4).state, CollectorState::kRunning) << Stats(4).reason;
  EXPECT_TRUE(WaitForCaptured());
  Close();
}

TEST(MessageFieldsTest, MustAgreeInTypeToo) {
  const auto fault = [](const google::protobuf::Message& known,
                        const google::protobuf::Message& given) {
    return std::string(
        BindFields(*known.GetDescriptor(), *given.GetDescriptor()).status().message());
  };
  using google::protobuf::DoubleValue;
  using google::protobuf::FloatValue;
  EXPECT_EQ(fault(DoubleValue(), FloatValue()), "a field value of type float, not double");
  EXPECT_EQ(
      fault(viam::component::motor::v1::GetPositionRequest(), viam::common::v1::DoCommandRequest()),
      "no field extra");
  EXPECT_EQ(fault(DoubleValue(), DoubleValue()), "");
}

TEST_F(MessageSourceTest, AFaultyParameterDisablesItsCollectorAlone) {
  using Analog = viam::component::board::v1::ReadAnalogReaderResponse;
  constexpr char kBoard[] = "rdk:component:board";
  std::mutex mutex;
  std::string asked;
  sources_.AddMessage<Analog>(
      kBoard, "it", "Analogs", [&](const CaptureRequest& request, Analog& out) {
        const std::lock_guard lock(mutex);
        asked = absl::StrCat(ToJson(request.extra), " ", ToJson(request.params), " ",
                             request.interval / milliseconds(1));
        out.set_value(7);
        return absl::OkStatus();
      });
  ValueMap params;
  params.Set("reader_name", "a1");
  Want(kBoard, "Analogs");
  Want(kBoard, "Analogs", params);
  params.Set("reader_name", 5);
  Want(kBoard, "Analogs", params);
  Want(kBoard, "Analog", params);
  Start();
  EXPECT_EQ(Stats(0).state, CollectorState::kRefused);
  EXPECT_EQ(Stats(0).reason,
            "failed to validate additional_params for rdk:component:board, must supply "
            "reader_name");
  EXPECT_EQ(Stats(2).reason, "failed to get reader name: name must be a string, but got 5");
  EXPECT_EQ(Stats(3).reason,
            "failed to find collector constructor for Api: rdk:component:board, Method Name: "
            "Analog; did you mean method Analogs?");
  EXPECT_TRUE(WaitForCaptured());
  Close();
  EXPECT_EQ(Files(kBoard, "Analogs").size(), 1U);
  EXPECT_EQ(asked, R"({"fromDataManagement":true} {"reader_name":"a1"} 5)");
}

TEST_F(MessageSourceTest, ACommandGetsItsInputAndNothingElse) {
  constexpr char kBase[] = "rdk:component:base";
  std::mutex mutex;
  std::string asked;
  sources_.AddDoCommand(kBase, "it", [&](const CaptureRequest& request, Readings& out) {
    const std::lock_guard lock(mutex);
    asked = absl::StrCat(ToJson(request.extra), " ", ToJson(request.params));
    out.Set("speed", request.params.Find("docommand_input")->AsMap().Find("gear")->AsNumber() * 2);
    return absl::OkStatus();
  });
  ValueMap params;
  params.Add("docommand_input").SetMap().Set("gear", 3);
  Want(kBase, "DoCommand", params);
  Start();
  EXPECT_TRUE(WaitForCaptured());
  Close();
  EXPECT_EQ(asked, R"({} {"docommand_input":{"gear":3}})");
  EXPECT_EQ(Files(kBase, "DoCommand")
                .at(0)
                .records.at(0)
                .struct_()
                .fields()
                .at("docommand_output")
                .struct_value()
                .fields()
                .at("speed")
                .number_value(),
            6);
}

TEST_F(MessageSourceTest, AudioGoesOnWhereItEnded) {
  using Audio = viam::component::audioin::v1::GetAudioResponse;
  constexpr char kAudio[] = "rdk:component:audio_in";
  std::mutex mutex;
  std::vector<int64_t> previous;
  sources_.AddStream<Audio>(
      kAudio, "it", "GetAudio",
      [&](const CaptureRequest& request, ResponseStream<Audio> out) -> absl::Status {
        const std::lock_guard lock(mutex);
        previous.push_back(request.previous_timestamp_nanoseconds);
        if (previous.size() == 2) return absl::UnavailableError("muted");
        for (int i = 1; i <= 2; ++i) {
          auto& chunk = *out.Add().mutable_audio();
          EXPECT_FALSE(chunk.has_audio_info()) << "what is reused is empty";
          chunk.set_audio_data("ab");
          chunk.mutable_audio_info()->set_sample_rate_hz(8000);
          chunk.mutable_audio_info()->set_num_channels(1);
          chunk.set_end_timestamp_nanoseconds(request.previous_timestamp_nanoseconds + 100);
        }
        return absl::OkStatus();
      });
  Want(kAudio, "GetAudio");
  Start();
  ASSERT_TRUE(WaitUntil([&] { return Stats().captured >= 3; }));
  Close();
  ASSERT_GE(previous.size(), 4U);
  previous.resize(4);
  EXPECT_EQ(previous, (std::vector<int64_t>{0, 100, 100, 200}));
  const std::vector<CapturedFile> files = Files(kAudio, "GetAudio");
  EXPECT_EQ(files.size(), Stats().captured);
  EXPECT_EQ(files.at(0).metadata.mime_type(), "audio/wav");
  EXPECT_EQ(files.at(0).records.at(0).binary().size(), 48U);
}

TEST_F(MessageSourceTest, OneAnswerIsOneMessage) {
  sources_.AddStream<MotorPosition>(kMotor, "it", "Position",
                                    [](const CaptureRequest&, ResponseStream<MotorPosition> out) {
                                      out.Add();
                                      out.Add();
                                      return absl::OkStatus();
                                    });
  Want(kMotor, "Position");
  Start();
  ASSERT_TRUE(WaitUntil([&] { return Stats().failed > 0; }));
  Close();
  EXPECT_EQ(Stats().last_error, "INTERNAL: the source gave 2 messages instead of one");
}

TEST_F(MessageSourceTest, PicturesKeepTheirTimeAndAnnotations) {
  constexpr char kApi[] = "rdk:component:camera";
  sources_.AddImages("it", [](const CaptureRequest&, Images& out) {
    Image& image = out.Add();
    image.source_name = "left";
    image.mime_type = "image/png";
    image.data = "pixels";
    image.annotations.bboxes.push_back(
        {.label = "cat", .x_min = 0.25, .x_max = 0.5, .y_max = 1, .confidence = 0.75});
    image.annotations.classifications.push_back({.label = "day"});
    out.SetCapturedAt(WallTime(std::chrono::seconds(5)));
    return absl::OkStatus();
  });
  Want(kApi, "GetImages");
  Want(kApi, "ReadImage");
  Start();
  EXPECT_TRUE(WaitForCaptured());
  Close();
  for (const char* method : {"GetImages", "ReadImage"}) {
    const auto metadata = Files(kApi, method).at(0).records.at(0).metadata();
    EXPECT_EQ(metadata.time_received().seconds(), 5);
    EXPECT_GT(metadata.time_requested().seconds(), 5);
    EXPECT_EQ(
        metadata.annotations().ShortDebugString(),
        absl::StrCat(
            "bboxes { label: \"cat\" x_min_normalized: 0.25 x_max_normalized: 0.5 "
            "y_max_normalized: 1 confidence: 0.75 } classifications { label: "
            "\"day\" }",
            std::string(method) == "GetImages" ? " classifications { label: \"left\" }" : ""));
  }
}

TEST_F(MessageSourceTest, OneSourceServesSeveralCollectors) {
  using Analog = viam::component::board::v1::ReadAnalogReaderResponse;
  constexpr char kBoard[] = "rdk:component:board";
  sources_.AddMessage<Analog>(
      kBoard, "it", "Analogs", [](const CaptureRequest& request, Analog& out) {
        out.set_value(static_cast<int>(request.params.Find("reader_name")->AsString().size()));
        return absl::OkStatus();
      });
  for (const char* reader : {"a", "bb"}) {
    ValueMap params;
    params.Set("reader_name", reader);
    Want(kBoard, "Analogs", params);
  }
  Start();
  EXPECT_TRUE(WaitForCaptured());
  Close();
  const std::vector<CapturedFile> files = Files(kBoard, "Analogs");
  ASSERT_EQ(files.size(), 2U);
  for (const CapturedFile& file : files) {
    google::protobuf::Value reader;
    ASSERT_TRUE(file.metadata.method_parameters().at("reader_name").UnpackTo(&reader));
    EXPECT_EQ(file.records.at(0).struct_().fields().at("value").number_value(),
              static_cast<double>(reader.string_value().size()));
  }
}

}  // namespace
}  // namespace datamanager::capture
