#include "capture/record_encoder.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "tests/support/worked_example.h"

namespace datamanager::capture {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;
using google::protobuf::util::MessageDifferencer;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr RecordTimes kTimes{
    .requested = WallTime(std::chrono::nanoseconds(1767341045123456789)),
    .received = WallTime(std::chrono::nanoseconds(1767341046000000000)),
};

void SetTimestamp(WallTime time, google::protobuf::Timestamp* out) {
  const int64_t nanos = time.time_since_epoch() / std::chrono::nanoseconds(1);
  int64_t seconds = nanos / 1000000000;
  if (nanos % 1000000000 < 0) --seconds;
  out->set_seconds(seconds);
  out->set_nanos(static_cast<int32_t>(nanos - seconds * 1000000000));
}

void Build(const ValueMap& map, google::protobuf::Struct* out);

// The same value, built by Protobuf's own means.
void Build(const Value& value, google::protobuf::Value* out) {
  switch (value.kind()) {
    case Value::Kind::kNull:
      out->set_null_value(google::protobuf::NULL_VALUE);
      break;
    case Value::Kind::kBool:
      out->set_bool_value(value.AsBool());
      break;
    case Value::Kind::kNumber:
      if (std::isnan(value.AsNumber())) {
        out->set_string_value("NaN");
      } else if (std::isinf(value.AsNumber())) {
        out->set_string_value(value.AsNumber() > 0 ? "Infinity" : "-Infinity");
      } else {
        out->set_number_value(value.AsNumber());
      }
      break;
    case Value::Kind::kString:
      out->set_string_value(std::string(value.AsString()));
      break;
    case Value::Kind::kBytes:
      out->set_string_value(absl::Base64Escape(ToAbsl(value.AsString())));
      break;
    case Value::Kind::kList:
      out->mutable_list_value();
      for (const Value& element : value.AsList()) {
        Build(element, out->mutable_list_value()->add_values());
      }
      break;
    case Value::Kind::kMap:
      Build(value.AsMap(), out->mutable_struct_value());
      break;
  }
}

void Build(const ValueMap& map, google::protobuf::Struct* out) {
  for (const ValueMap::Entry& entry : map) {
    google::protobuf::Value& value = (*out->mutable_fields())[entry.key];
    value.Clear();
    Build(entry.value, &value);
  }
}

wire::SensorData Expected(const RecordTimes& times, const ValueMap& readings) {
  wire::SensorData data;
  SetTimestamp(times.requested, data.mutable_metadata()->mutable_time_requested());
  SetTimestamp(times.received, data.mutable_metadata()->mutable_time_received());
  Build(readings, (*data.mutable_struct_()->mutable_fields())["readings"].mutable_struct_value());
  return data;
}

class RecordEncoderTest : public ::testing::Test {
 protected:
  // The message, without its length.
  std::string Encode(const ValueMap& readings, const RecordTimes& times = kTimes) {
    const absl::Status status = encoder_.EncodeTabular(times, "readings", readings, buffer_);
    EXPECT_TRUE(status.ok()) << status;
    return std::string(buffer_.Frame().substr(buffer_.Frame().size() - buffer_.size()));
  }
  absl::Status ErrorOf(const ValueMap& readings) {
    return encoder_.EncodeTabular(kTimes, "readings", readings, buffer_);
  }
  std::string EncodeHead(const std::string* label, size_t payload_size) {
    encoder_.EncodeBinaryHead(kTimes, label, payload_size, buffer_);
    return std::string(buffer_.Frame().substr(buffer_.Frame().size() - buffer_.size()));
  }

  // Whether Protobuf reads what we write as what it would have written itself, in as many bytes.
  void ExpectSame(const ValueMap& readings, const RecordTimes& times = kTimes) {
    const std::string bytes = Encode(readings, times);
    wire::SensorData parsed;
    ASSERT_TRUE(parsed.ParseFromString(bytes)) << ToJson(readings);
    const wire::SensorData expected = Expected(times, readings);
    EXPECT_TRUE(MessageDifferencer::Equals(parsed, expected))
        << parsed.DebugString() << "\ninstead of\n"
        << expected.DebugString();
    EXPECT_EQ(bytes.size(), expected.ByteSizeLong()) << ToJson(readings);
  }

  RecordEncoder encoder_;
  capture_file::RecordBuffer buffer_;
};

TEST_F(RecordEncoderTest, EncodesTheWorkedExample) {
  ValueMap readings;
  readings.Set("a", 1);
  EXPECT_EQ(Encode(readings, {}), testing::kExampleRecord);
  EXPECT_EQ(buffer_.Frame(), "\x28" + testing::kExampleRecord);
}

TEST_F(RecordEncoderTest, EncodesEveryKindAsProtobufDoes) {
  Value bytes;
  bytes.SetBytes(std::string_view("\x00\xff\x10", 3));
  Value more_bytes;
  more_bytes.SetBytes("ab");
  Value no_bytes;
  no_bytes.SetBytes("");
  ValueMap map;
  map.Set("x", 1);
  map.Set("", "empty key");
  map.Set("deeper", map);
  ValueList list;
  list.Append(1);
  list.Append(ValueList());
  list.Append(map);
  list.Append(nullptr);
  const std::vector<Value> values = {nullptr,
                                     true,
                                     false,
                                     0,
                                     -0.0,
                                     1,
                                     -1.5,
                                     1e300,
                                     5e-324,
                                     kNan,
                                     kInfinity,
                                     -kInfinity,
                                     "",
                                     "text",
                                     "Grüße, 世界 🤖",
                                     std::string(127, 'x'),
                                     std::string(128, 'x'),
                                     std::string(20000, 'x'),
                                     std::string("nul\0inside", 10),
                                     bytes,
                                     more_bytes,
                                     no_bytes,
                                     ValueList(),
                                     ValueMap(),
                                     list,
                                     map};
  ExpectSame({});
  ValueMap all;
  for (size_t i = 0; i < values.size(); ++i) {
    ValueMap readings;
    readings.Set("value", values[i]);
    ExpectSame(readings);
    all.Set(absl::StrCat("value ", i), values[i]);
  }
  ExpectSame(all);
}

// A tree of every kind, some levels deep.
Value RandomValue(std::mt19937& random, int depth) {
  const auto text = [&random] {
    constexpr std::array kPieces = {"a", "Z", "0", " ", "\"", "\n", "ä", "世", "🤖"};
    std::string result;
    for (size_t n = random() % 20; n > 0; --n) result += kPieces.at(random() % kPieces.size());
    return result;
  };
  Value value;
  switch (random() % (depth > 0 ? 8 : 6)) {
    case 0:
      break;
    case 1:
      value.SetBool(random() % 2 == 0);
      break;
    case 2:
      value.SetNumber(static_cast<double>(random()) / 7 - 1e8);
      break;
    case 3:
      value.SetNumber(std::array{kNan, kInfinity, -kInfinity, 0.0}.at(random() % 4));
      break;
    case 4:
      value.SetString(text());
      break;
    case 5:
      value.SetBytes(text());
      break;
    case 6: {
      ValueList& list = value.SetList();
      for (size_t n = random() % 5; n > 0; --n) list.Append(RandomValue(random, depth - 1));
      break;
    }
    default: {
      ValueMap& map = value.SetMap();
      for (size_t n = random() % 5; n > 0; --n) {
        map.Set(absl::StrCat(text(), n), RandomValue(random, depth - 1));
      }
    }
  }
  return value;
}

TEST_F(RecordEncoderTest, EncodesAThousandRandomTreesAsProtobufDoes) {
  std::mt19937 random(5);
  for (int i = 0; i < 1000; ++i) {
    ValueMap readings;
    for (size_t n = random() % 6; n > 0; --n) {
      readings.Set(absl::StrCat("key ", n), RandomValue(random, 5));
    }
    ExpectSame(readings);
    const absl::StatusOr<std::string> encoded = encoder_.EncodeValue(readings);
    ASSERT_TRUE(encoded.ok());
    google::protobuf::Value parsed;
    google::protobuf::Value expected;
    Build(readings, expected.mutable_struct_value());
    ASSERT_TRUE(parsed.ParseFromString(*encoded));
    EXPECT_TRUE(MessageDifferencer::Equals(parsed, expected));
    EXPECT_EQ(encoded->size(), expected.ByteSizeLong());
  }
}

TEST_F(RecordEncoderTest, TheLastOfEqualKeysCounts) {
  ValueMap readings;
  readings.Set("a", ValueMap());
  readings.Set("b", 1);
  readings.Set("a", "last");
  wire::SensorData parsed;
  ASSERT_TRUE(parsed.ParseFromString(Encode(readings)));
  EXPECT_TRUE(MessageDifferencer::Equals(parsed, Expected(kTimes, readings)));
}

TEST_F(RecordEncoderTest, StampsEveryInstant) {
  using std::chrono::nanoseconds;
  for (const int64_t nanos :
       {int64_t{0}, int64_t{1}, int64_t{999999999}, int64_t{1000000000}, int64_t{-1},
        int64_t{-1000000000}, int64_t{-1500000000}, int64_t{4102444800123456789}}) {
    ExpectSame({}, {.requested = WallTime(nanoseconds(nanos)),
                    .received = WallTime(nanoseconds(nanos + 5))});
  }
}

TEST_F(RecordEncoderTest, NamesTheKeyOfTextThatIsNotUtf8) {
  ValueMap inner;
  inner.Set("ok", 1);
  inner.Set("label", "caf\xe9");
  ValueMap readings;
  readings.Set("ok", "text");
  readings.Set("outer", inner);
  const absl::Status status = ErrorOf(readings);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "outer: label: proto: invalid UTF-8 in string: \"caf\\xe9\"");

  ValueMap list;
  list.Add("names").SetList().Append("\xff");
  EXPECT_EQ(ErrorOf(list).message(), "names: proto: invalid UTF-8 in string: \"\\xff\"");

  ValueMap key;
  key.Set("bad\xff", 1);
  EXPECT_EQ(ErrorOf(key).message(), "proto: invalid UTF-8 in key: \"bad\\xff\"");

  ExpectSame({});  // An error leaves nothing behind.
}

// `depth` maps, or lists, one in another.
ValueMap NestedMaps(int depth) {
  ValueMap map;
  map.Set("leaf", 1);
  for (int i = 1; i < depth; ++i) {
    ValueMap outer;
    outer.Set("m", std::move(map));
    map = std::move(outer);
  }
  return map;
}
ValueMap NestedLists(int depth) {
  Value value = 1;
  for (int i = 0; i < depth; ++i) {
    ValueList outer;
    outer.Append(std::move(value));
    value = Value(std::move(outer));
  }
  ValueMap map;
  map.Set("l", std::move(value));
  return map;
}

TEST_F(RecordEncoderTest, RefusesWhatAParserWouldNotRead) {
  for (const ValueMap& deepest : {NestedMaps(30), NestedLists(29)}) {
    ExpectSame(deepest);
    // A request around it, and an upload around that, still parse.
    wire::DataCaptureUploadRequest request;
    ASSERT_TRUE(request.add_sensor_contents()->ParseFromString(Encode(deepest)));
    EXPECT_TRUE(wire::DataCaptureUploadRequest().ParseFromString(request.SerializeAsString()));
  }
  for (const ValueMap& too_deep : {NestedMaps(31), NestedLists(30), NestedMaps(200)}) {
    const absl::Status status = ErrorOf(too_deep);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find("nested deeper than 30 levels"), std::string::npos) << status;
  }
}

TEST_F(RecordEncoderTest, BinaryRecordsAreWhatProtobufWouldWrite) {
  const std::string payload(300, 'p');
  const std::string left = "left";
  const std::string empty;
  for (const std::string* label : std::vector<const std::string*>{nullptr, &left, &empty}) {
    for (const size_t size : {size_t{1}, size_t{127}, size_t{128}, payload.size()}) {
      wire::SensorData expected;
      SetTimestamp(kTimes.requested, expected.mutable_metadata()->mutable_time_requested());
      SetTimestamp(kTimes.received, expected.mutable_metadata()->mutable_time_received());
      if (label != nullptr) {
        expected.mutable_metadata()->mutable_annotations()->add_classifications()->set_label(
            *label);
      }
      expected.set_binary(payload.substr(0, size));
      EXPECT_EQ(EncodeHead(label, size) + payload.substr(0, size), expected.SerializeAsString());
    }
  }
}

}  // namespace
}  // namespace datamanager::capture
