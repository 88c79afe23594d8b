// What each tabular method stores of the responses in golden.h. The binary methods are in
// binary_answer_test.cc.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capture/methods.h"
#include "capture/tabular_answer.h"
#include "tests/capture/golden.h"
#include "tests/capture/proto_tree.h"

namespace datamanager::capture {
namespace {

using google::protobuf::Struct;
using ProtoValue = google::protobuf::Value;
using testing::AllGolden;
using testing::Golden;
using testing::SameTree;

// The numbers that JSON lacks, in their places.
void Unmark(ProtoValue* value) {
  if (value->has_list_value()) {
    for (ProtoValue& element : *value->mutable_list_value()->mutable_values()) Unmark(&element);
  } else if (value->has_struct_value()) {
    for (auto& [key, nested] : *value->mutable_struct_value()->mutable_fields()) Unmark(&nested);
  } else if (value->string_value() == "@nan") {
    value->set_number_value(std::numeric_limits<double>::quiet_NaN());
  } else if (value->string_value() == "@inf") {
    value->set_number_value(std::numeric_limits<double>::infinity());
  } else if (value->string_value() == "@-inf") {
    value->set_number_value(-std::numeric_limits<double>::infinity());
  }
}

Struct Payload(const std::string& json) {
  ProtoValue value;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &value).ok()) << json;
  Unmark(&value);
  return value.struct_value();
}

std::unique_ptr<google::protobuf::Message> Response(const Method& method, const std::string& text) {
  std::unique_ptr<google::protobuf::Message> message(method.response().New());
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, message.get())) << text;
  return message;
}

std::string Encode(const Method& method, const google::protobuf::Message& response) {
  const absl::StatusOr<MessageFields> fields =
      BindFields(*method.response().GetDescriptor(), *response.GetDescriptor());
  EXPECT_TRUE(fields.ok()) << fields.status();
  capture_file::RecordBuffer buffer;
  const absl::Status status = PrependAnswer(method, *fields, response, buffer);
  EXPECT_TRUE(status.ok()) << status;
  return std::string(buffer.message());
}

TEST(GoldenPayloadTest, EveryTabularMethodStoresWhatTheSpecificationSays) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const Golden& golden : AllGolden()) {
    SCOPED_TRACE(absl::StrCat(golden.api, " ", golden.method, " ", golden.response));
    const absl::StatusOr<const Method*> method = FindMethod("rdk:" + golden.api, golden.method);
    ASSERT_TRUE(method.ok()) << method.status();
    ASSERT_FALSE((*method)->binary());
    seen.emplace(golden.api, golden.method);

    const Struct expected = Payload(golden.payload);
    const std::string encoded = Encode(**method, *Response(**method, golden.response));
    Struct stored;
    ASSERT_TRUE(stored.ParseFromString(encoded));
    EXPECT_TRUE(SameTree(stored, expected)) << stored.DebugString();
    EXPECT_EQ(encoded.size(), expected.ByteSizeLong());
  }
  size_t tabular = 0;
  for (const Method& method : AllMethods()) tabular += method.binary() ? 0 : 1;
  EXPECT_EQ(tabular, 68U);
  EXPECT_EQ(seen.size(), tabular) << "every row has its case";
}

}  // namespace
}  // namespace datamanager::capture
