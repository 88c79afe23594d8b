#include "capture/collector_metadata.h"

#include <google/protobuf/struct.pb.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "tests/support/worked_example.h"

namespace datamanager::capture {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

const Method& MethodOf(std::string_view api, std::string_view name) {
  return **FindMethod(api, name);
}

wire::DataCaptureMetadata Metadata(const config::CollectorSettings& settings,
                                   const std::vector<std::string>& tags = {},
                                   std::string_view mime_type = "") {
  const absl::StatusOr<std::string> bytes =
      CollectorMetadata(settings, MethodOf(settings.api, settings.method), tags, mime_type);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  wire::DataCaptureMetadata metadata;
  EXPECT_TRUE(bytes.ok() && metadata.ParseFromString(*bytes));
  return metadata;
}

config::CollectorSettings Settings(std::string api, std::string name, std::string method) {
  return {.api = std::move(api), .name = std::move(name), .method = std::move(method)};
}

TEST(CollectorMetadataTest, SaysWhoseDataItIs) {
  const wire::DataCaptureMetadata metadata =
      Metadata(Settings("rdk:component:sensor", "front:cpu", "Readings"), {"demo", "lab"});
  EXPECT_EQ(metadata.component_type(), "rdk:component:sensor");
  EXPECT_EQ(metadata.component_name(), "front:cpu");
  EXPECT_EQ(metadata.method_name(), "Readings");
  EXPECT_EQ(metadata.type(), wire::DATA_TYPE_TABULAR_SENSOR);
  EXPECT_EQ(metadata.file_extension(), ".dat");
  EXPECT_EQ(metadata.mime_type(), "");
  EXPECT_EQ(std::vector<std::string>(metadata.tags().begin(), metadata.tags().end()),
            (std::vector<std::string>{"demo", "lab"}));
  EXPECT_TRUE(metadata.method_parameters().empty());
}

TEST(CollectorMetadataTest, SaysWhatAPictureIs) {
  const wire::DataCaptureMetadata metadata =
      Metadata(Settings("rdk:component:camera", "cam", "GetImages"), {}, "image/png");
  EXPECT_EQ(metadata.type(), wire::DATA_TYPE_BINARY_SENSOR);
  EXPECT_EQ(metadata.mime_type(), "image/png");
}

TEST(CollectorMetadataTest, EncodesTheWorkedExample) {
  const absl::StatusOr<std::string> bytes =
      CollectorMetadata(Settings("rdk:component:sensor", "s", "Readings"),
                        MethodOf("rdk:component:sensor", "Readings"), {}, "");
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(*bytes, testing::kExampleMetadata);
}

TEST(CollectorMetadataTest, GivesEachMethodItsExtension) {
  // API, method, mime_type parameter ("-": none), extension.
  const std::vector<std::tuple<std::string, std::string, std::string, std::string>> table = {
      {"sensor", "Readings", "-", ".dat"},
      {"sensor", "Readings", "image/jpeg", ".dat"},
      {"movement_sensor", "Readings", "-", ".dat"},
      {"power_sensor", "Readings", "-", ".dat"},
      {"camera", "ReadImage", "-", ""},
      {"camera", "ReadImage", "", ""},
      {"camera", "ReadImage", "image/jpeg", ".jpeg"},
      {"camera", "ReadImage", "image/png", ".png"},
      {"camera", "ReadImage", "pointcloud/pcd", ".pcd"},
      {"camera", "ReadImage", "image/jpg", ""},
      {"camera", "ReadImage", "image/vnd.viam.rgba", ""},
      {"camera", "GetImages", "-", ""},
      {"camera", "GetImages", "image/jpeg", ""},
  };
  for (const auto& [api, method, mime_type, extension] : table) {
    config::CollectorSettings settings = Settings("rdk:component:" + api, "it", method);
    if (mime_type != "-") settings.additional_params.Set("mime_type", mime_type);
    EXPECT_EQ(Metadata(settings).file_extension(), extension) << api << method << mime_type;
  }
  config::CollectorSettings number = Settings("rdk:component:camera", "it", "ReadImage");
  number.additional_params.Set("mime_type", 5);
  EXPECT_EQ(Metadata(number).file_extension(), "");
}

TEST(CollectorMetadataTest, KeepsEveryParameterAsAValue) {
  config::CollectorSettings settings = Settings("rdk:component:camera", "cam", "GetImages");
  ValueList& names = settings.additional_params.Add("filter_source_names").SetList();
  names.Append("left");
  names.Append("right");
  settings.additional_params.Set("unknown", 5);
  settings.additional_params.Set("text", "yes");
  settings.additional_params.Set("text", "no");
  settings.additional_params.Set("nothing", nullptr);

  const wire::DataCaptureMetadata metadata = Metadata(settings);
  ASSERT_EQ(metadata.method_parameters_size(), 4);
  const auto value = [&](const std::string& key) {
    const google::protobuf::Any& any = metadata.method_parameters().at(key);
    EXPECT_EQ(any.type_url(), "type.googleapis.com/google.protobuf.Value");
    google::protobuf::Value parsed;
    EXPECT_TRUE(any.UnpackTo(&parsed));
    return parsed;
  };
  ASSERT_EQ(value("filter_source_names").list_value().values_size(), 2);
  EXPECT_EQ(value("filter_source_names").list_value().values(1).string_value(), "right");
  EXPECT_EQ(value("unknown").number_value(), 5);
  EXPECT_EQ(value("text").string_value(), "no");
  EXPECT_EQ(value("nothing").kind_case(), google::protobuf::Value::kNullValue);
}

TEST(CollectorMetadataTest, NamesAParameterThatCannotBeKept) {
  config::CollectorSettings settings = Settings("rdk:component:sensor", "cpu", "Readings");
  settings.additional_params.Add("unit").SetString("\xff");
  const absl::Status status =
      CollectorMetadata(settings, MethodOf(settings.api, settings.method), {}, "").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("additional_params.unit"), std::string::npos) << status;
}

}  // namespace
}  // namespace datamanager::capture
