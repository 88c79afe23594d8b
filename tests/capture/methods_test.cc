#include "capture/methods.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/strings.h"

namespace datamanager::capture {
namespace {

std::string ErrorOf(std::string_view api, std::string_view name) {
  const absl::StatusOr<const Method*> method = FindMethod(api, name);
  EXPECT_EQ(method.status().code(), absl::StatusCode::kNotFound);
  return std::string(method.status().message());
}

// As the specification lists them, section by section: the API after "rdk:", its methods.
const std::vector<std::pair<std::string, std::string>> kListed = {
    {"component:arm", "EndPosition JointPositions DoCommand GetWorldPose"},
    {"component:audio_in", "GetAudio DoCommand GetWorldPose"},
    {"component:audio_out", "GetWorldPose"},
    {"component:base", "DoCommand GetWorldPose"},
    {"component:button", "DoCommand GetWorldPose"},
    {"component:generic", "DoCommand GetWorldPose"},
    {"component:gripper", "DoCommand GetWorldPose"},
    {"component:input_controller", "DoCommand GetWorldPose"},
    {"component:pose_tracker", "DoCommand GetWorldPose"},
    {"component:switch", "DoCommand GetWorldPose"},
    {"component:board", "Analogs Gpios DoCommand GetWorldPose"},
    {"component:camera", "NextPointCloud ReadImage GetImages DoCommand GetWorldPose"},
    {"component:encoder", "TicksCount DoCommand GetWorldPose"},
    {"component:gantry", "Position Lengths DoCommand GetWorldPose"},
    {"component:motor", "Position IsPowered DoCommand GetWorldPose"},
    {"component:movement_sensor",
     "Position LinearVelocity AngularVelocity CompassHeading LinearAcceleration Orientation "
     "Readings DoCommand GetWorldPose"},
    {"component:power_sensor", "Voltage Current Power Readings DoCommand GetWorldPose"},
    {"component:sensor", "Readings DoCommand GetWorldPose"},
    {"component:servo", "Position DoCommand GetWorldPose"},
    {"service:slam", "Position PointCloudMap DoCommand"},
    {"service:vision", "CaptureAllFromCamera DoCommand"},
    {"service:base_remote_control", "DoCommand"},
    {"service:discovery", "DoCommand"},
    {"service:generic", "DoCommand"},
    {"service:motion", "DoCommand"},
    {"service:navigation", "DoCommand"},
    {"service:shell", "DoCommand"},
};

TEST(MethodsTest, AreThe74ThatTheReferenceCaptures) {
  const std::set<std::string> binary = {"NextPointCloud",       "ReadImage",
                                        "PointCloudMap",        "GetImages",
                                        "CaptureAllFromCamera", "GetAudio"};
  std::set<std::pair<std::string, std::string>> listed;
  for (const auto& [api, methods] : kListed) {
    for (const absl::string_view name : absl::StrSplit(methods, ' ')) {
      const absl::StatusOr<const Method*> method = FindMethod("rdk:" + api, std::string(name));
      ASSERT_TRUE(method.ok()) << method.status();
      EXPECT_EQ((*method)->api, "rdk:" + api);
      EXPECT_EQ((*method)->name, ToStd(name));
      EXPECT_EQ((*method)->binary(), binary.count(std::string(name)) == 1) << name;
      listed.emplace("rdk:" + api, name);
    }
  }
  EXPECT_EQ(listed.size(), 74U);
  EXPECT_EQ(AllMethods().size(), 74U) << "each once";
}

TEST(MethodsTest, AskWithWhatTheReferenceAsks) {
  for (const Method& method : AllMethods()) {
    Extra expected = Extra::kFromDataManagement;
    if (method.name == "DoCommand" || method.api == "rdk:service:slam") expected = Extra::kNone;
    if (method.api == "rdk:component:sensor" && method.name == "Readings") {
      expected = Extra::kParameters;
    }
    EXPECT_EQ(method.extra, expected) << method.api << " " << method.name;
  }
}

std::string FaultOf(const std::string& api, const std::string& name, const std::string& key,
                    const Value& value) {
  ValueMap params;
  params.Set("unknown", 5);
  if (!key.empty()) params.Set(key, value);
  const absl::Status status = CheckParameters(**FindMethod("rdk:" + api, name), params).status();
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

TEST(MethodParametersTest, OnesThatAreNeededMustBeThere) {
  EXPECT_EQ(FaultOf("component:board", "Analogs", "", nullptr),
            "failed to validate additional_params for rdk:component:board, must supply "
            "reader_name");
  EXPECT_EQ(FaultOf("component:board", "Gpios", "reader_name", "a"),
            "failed to validate additional_params for rdk:component:board, must supply pin_name");
  EXPECT_EQ(FaultOf("component:board", "Gpios", "pin_name", ""),
            "failed to validate additional_params for rdk:component:board, must supply pin_name");
  EXPECT_EQ(FaultOf("service:vision", "CaptureAllFromCamera", "", nullptr),
            "must specify a camera_name in the additional_params");
  for (const auto& [api, methods] : kListed) {
    if (methods.find("DoCommand") == std::string::npos) continue;
    EXPECT_EQ(FaultOf(api, "DoCommand", "", nullptr),
              "DoCommand missing payload with key: \"docommand_input\"");
  }
}

TEST(MethodParametersTest, MustBeOfTheRightType) {
  EXPECT_EQ(FaultOf("component:board", "Analogs", "reader_name", 5),
            "failed to get reader name: name must be a string, but got 5");
  EXPECT_EQ(FaultOf("component:board", "Gpios", "pin_name", ValueMap()),
            "failed to get pin name: name must be a string, but got an object");
  EXPECT_EQ(FaultOf("component:base", "DoCommand", "docommand_input", "go"),
            "payload is not a map, but got \"go\"");
  EXPECT_EQ(FaultOf("component:base", "DoCommand", "docommand_input", nullptr),
            "payload is not a map, but got null");
  EXPECT_EQ(FaultOf("component:camera", "GetImages", "filter_source_names", "left"),
            "filter_source_names must be a list of strings, but got \"left\"");
  ValueList mixed;
  mixed.Append("left");
  mixed.Append(5);
  EXPECT_EQ(FaultOf("component:camera", "GetImages", "filter_source_names", mixed),
            "filter_source_names must be a list of strings, but got a list");
  ValueMap params;
  params.Set("camera_name", "cam");
  const Method& capture_all = **FindMethod("rdk:service:vision", "CaptureAllFromCamera");
  for (const Value& wrong :
       {Value(-0.01), Value(1.01), Value(std::numeric_limits<double>::quiet_NaN())}) {
    params.Set("min_confidence_score", wrong);
    EXPECT_NE(CheckParameters(capture_all, params)
                  .status()
                  .message()
                  .find("min_confidence_score must be between 0 and 1 inclusive, but got "),
              std::string::npos)
        << ToJson(wrong);
  }
  for (const double right : {0.0, 0.5, 1.0}) {
    params.Set("min_confidence_score", right);
    EXPECT_TRUE(CheckParameters(capture_all, params).ok()) << right;
  }
}

// What the reference takes, and Viam's documentation shows.
TEST(MethodParametersTest, WhatTheReferenceToleratesIsUsedAsThere) {
  struct Case {
    const char *api, *method, *key;
    Value given, used;
    const char* warning;  // Empty: none.
  };
  const Case kCases[] = {
      {"service:vision", "CaptureAllFromCamera", "min_confidence_score", "0.7", 0.7,
       "additional_params: min_confidence_score must be between 0 and 1 inclusive, but got "
       "\"0.7\"; "
       "it counts as 0.7"},
      {"service:vision", "CaptureAllFromCamera", "min_confidence_score", " 1 ", 1,
       "additional_params: min_confidence_score must be between 0 and 1 inclusive, but got \" 1 "
       "\"; "
       "it counts as 1"},
      {"service:vision", "CaptureAllFromCamera", "min_confidence_score", "1.5", 0,
       "additional_params: min_confidence_score must be between 0 and 1 inclusive, but got "
       "\"1.5\"; "
       "it counts as 0"},
      {"service:vision", "CaptureAllFromCamera", "min_confidence_score", "nan", 0,
       "additional_params: min_confidence_score must be between 0 and 1 inclusive, but got "
       "\"nan\"; "
       "it counts as 0"},
      {"service:vision", "CaptureAllFromCamera", "min_confidence_score", "high", 0,
       "additional_params: min_confidence_score must be between 0 and 1 inclusive, but got "
       "\"high\"; "
       "it counts as 0"},
      {"service:vision", "CaptureAllFromCamera", "min_confidence_score", true, 0,
       "additional_params: min_confidence_score must be between 0 and 1 inclusive, but got true; "
       "it counts as 0"},
      {"service:vision", "CaptureAllFromCamera", "camera_name", "", "", ""},
      {"service:vision", "CaptureAllFromCamera", "camera_name", 1, nullptr,
       "additional_params: camera_name must be a string, but got 1; it is ignored"},
      {"component:camera", "ReadImage", "mime_type", true, nullptr,
       "additional_params: mime_type must be a string, but got true; it is ignored"},
      {"component:audio_in", "GetAudio", "codec", 16, nullptr,
       "additional_params: codec must be a string, but got 16; it is ignored"},
  };
  for (const Case& test : kCases) {
    ValueMap params;
    params.Set("camera_name", "cam");
    params.Set(test.key, test.given);
    const auto checked =
        CheckParameters(**FindMethod(std::string("rdk:") + test.api, test.method), params);
    ASSERT_TRUE(checked.ok()) << checked.status();
    const Value* used = checked->values.Find(test.key);
    EXPECT_EQ(ToJson(used == nullptr ? Value() : *used), ToJson(test.used)) << test.key;
    const std::vector<std::string> expected =
        *test.warning == '\0' ? std::vector<std::string>() : std::vector<std::string>{test.warning};
    EXPECT_EQ(checked->warnings, expected);
  }
}

TEST(MethodParametersTest, OthersMayBeAnything) {
  EXPECT_EQ(FaultOf("component:base", "DoCommand", "docommand_input", ValueMap()), "");
  EXPECT_EQ(FaultOf("component:board", "Analogs", "reader_name", "a1"), "");
  EXPECT_EQ(FaultOf("component:camera", "ReadImage", "", nullptr), "");
  EXPECT_EQ(FaultOf("component:camera", "ReadImage", "mime_type", ""), "");
  EXPECT_EQ(FaultOf("component:camera", "GetImages", "filter_source_names", ValueList()), "");
  EXPECT_EQ(FaultOf("component:camera", "GetImages", "mime_type", 5), "") << "of another method";
  EXPECT_EQ(FaultOf("component:sensor", "Readings", "docommand_input", 5), "");
}

TEST(MethodsTest, NamesTheNearest) {
  EXPECT_EQ(ErrorOf("rdk:component:sensor", "Reading"),
            "failed to find collector constructor for Api: rdk:component:sensor, Method Name: "
            "Reading; did you mean method Readings?");
  EXPECT_EQ(ErrorOf("rdk:component:camera", "GetImage"),
            "failed to find collector constructor for Api: rdk:component:camera, Method Name: "
            "GetImage; did you mean method GetImages?");
  EXPECT_EQ(ErrorOf("rdk:component:sensors", "Readings"),
            "failed to find collector constructor for Api: rdk:component:sensors, Method Name: "
            "Readings; did you mean API rdk:component:sensor?");
}

TEST(MethodsTest, ListsTheMethodsWhereNoneIsNear) {
  EXPECT_EQ(ErrorOf("rdk:component:camera", "Spin"),
            "failed to find collector constructor for Api: rdk:component:camera, Method Name: "
            "Spin; it has NextPointCloud, ReadImage, GetImages, DoCommand, GetWorldPose");
  EXPECT_EQ(ErrorOf("acme:thing:unknown", "Spin"),
            "failed to find collector constructor for Api: acme:thing:unknown, Method Name: Spin");
}

}  // namespace
}  // namespace datamanager::capture
