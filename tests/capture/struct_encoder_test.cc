#include "capture/struct_encoder.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/type.pb.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "datamanager/wire/viam/common/v1/common.pb.h"
#include "tests/capture/proto_tree.h"

namespace datamanager::capture {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;
namespace common = datamanager::wire::viam::common::v1;
using google::protobuf::Struct;
using testing::BuildTree;
using testing::SameTree;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
class StructEncoderTest : public ::testing::Test {
 protected:
  std::string Encode(const ValueMap& map) {
    buffer_.Clear();
    const absl::Status status = PrependStruct(map, buffer_);
    EXPECT_TRUE(status.ok()) << status;
    return std::string(buffer_.message());
  }
  absl::Status ErrorOf(const ValueMap& map) {
    buffer_.Clear();
    return PrependStruct(map, buffer_);
  }

  // Whether Protobuf reads what we write as what it would have written itself, in as many bytes.
  void ExpectSame(const ValueMap& map) {
    Struct expected;
    BuildTree(map, &expected);
    ExpectEncoded(Encode(map), expected);
  }
  void ExpectEncoded(const std::string& bytes, const Struct& expected) {
    Struct parsed;
    ASSERT_TRUE(parsed.ParseFromString(bytes)) << expected.DebugString();
    EXPECT_TRUE(SameTree(parsed, expected)) << parsed.DebugString() << "\ninstead of\n"
                                            << expected.DebugString();
    EXPECT_EQ(bytes.size(), expected.ByteSizeLong()) << expected.DebugString();
  }

  capture_file::RecordBuffer buffer_;
};

TEST_F(StructEncoderTest, EncodesEveryKindAsProtobufDoes) {
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

TEST_F(StructEncoderTest, EncodesAThousandRandomTreesAsProtobufDoes) {
  std::mt19937 random(5);
  for (int i = 0; i < 1000; ++i) {
    ValueMap readings;
    for (size_t n = random() % 6; n > 0; --n) {
      readings.Set(absl::StrCat("key ", n), RandomValue(random, 5));
    }
    ExpectSame(readings);
    buffer_.Clear();
    ASSERT_TRUE(PrependValue(readings, buffer_).ok());
    google::protobuf::Value parsed;
    google::protobuf::Value expected;
    BuildTree(readings, expected.mutable_struct_value());
    ASSERT_TRUE(parsed.ParseFromString(std::string(buffer_.message())));
    EXPECT_TRUE(SameTree(parsed, expected));
    EXPECT_EQ(buffer_.size(), expected.ByteSizeLong());
  }
}

TEST_F(StructEncoderTest, TheLastOfEqualKeysCounts) {
  ValueMap readings;
  readings.Set("a", ValueMap());
  readings.Set("b", 1);
  readings.Set("a", "last");
  Struct parsed;
  ASSERT_TRUE(parsed.ParseFromString(Encode(readings)));
  Struct expected;
  BuildTree(readings, &expected);
  EXPECT_TRUE(SameTree(parsed, expected));
}

TEST_F(StructEncoderTest, NamesTheKeyOfTextThatIsNotUtf8) {
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

TEST_F(StructEncoderTest, RefusesWhatAParserWouldNotRead) {
  for (const ValueMap& deepest : {NestedMaps(30), NestedLists(29)}) {
    ExpectSame(deepest);
    // A record around it, a request around that, still parse.
    const std::string encoded = Encode(deepest);
    wire::DataCaptureUploadRequest request;
    Struct& payload = *request.add_sensor_contents()->mutable_struct_();
    ASSERT_TRUE(
        (*payload.mutable_fields())["readings"].mutable_struct_value()->ParseFromString(encoded));
    EXPECT_TRUE(wire::DataCaptureUploadRequest().ParseFromString(request.SerializeAsString()));
  }
  for (const ValueMap& too_deep :
       {NestedMaps(31), NestedLists(30), NestedMaps(200), NestedMaps(1000), NestedLists(1000)}) {
    const absl::Status status = ErrorOf(too_deep);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find("nested deeper than 30 levels"), std::string::npos) << status;
  }
}

// What arrives as messages.

class MessageEncoderTest : public StructEncoderTest {
 protected:
  // The bytes of a field of values.
  std::string Encode(const google::protobuf::Message& message, const std::string& field) {
    buffer_.Clear();
    const absl::Status status =
        PrependStruct(message, *message.GetDescriptor()->FindFieldByName(field), buffer_);
    EXPECT_TRUE(status.ok()) << status;
    return std::string(buffer_.message());
  }
  absl::Status ErrorOf(const google::protobuf::Message& message, const std::string& field) {
    buffer_.Clear();
    return PrependStruct(message, *message.GetDescriptor()->FindFieldByName(field), buffer_);
  }
  // All fields of a message, either way of unset ones.
  void ExpectFields(const google::protobuf::Message& message) {
    const absl::StatusOr<MessageFields> fields =
        BindFields(*message.GetDescriptor(), *message.GetDescriptor());
    ASSERT_TRUE(fields.ok()) << fields.status();
    for (const bool zeros : {false, true}) {
      buffer_.Clear();
      const absl::Status status =
          PrependStruct(message, *fields, zeros ? Unset::kZeros : Unset::kEmpty, buffer_);
      ASSERT_TRUE(status.ok()) << status;
      Struct expected;
      BuildTree(message, zeros, &expected);
      ExpectEncoded(std::string(buffer_.message()), expected);
    }
  }

  static Struct SomeValues() {
    Struct values;
    (*values.mutable_fields())["none"];
    (*values.mutable_fields())["null"].set_null_value(google::protobuf::NULL_VALUE);
    (*values.mutable_fields())["nan"].set_number_value(kNan);
    (*values.mutable_fields())["text"].set_string_value("Gr\u00fc\u00dfe");
    auto* list = (*values.mutable_fields())["list"].mutable_list_value();
    list->add_values()->set_number_value(-kInfinity);
    list->add_values();
    list->add_values()->set_bool_value(true);
    (*values.mutable_fields())["empty list"].mutable_list_value();
    (*values.mutable_fields())["empty map"].mutable_struct_value();
    (*(*values.mutable_fields())["map"].mutable_struct_value()->mutable_fields())[""]
        .set_number_value(1.5);
    return values;
  }
  static Struct Stored(Struct values) {
    for (auto& [key, value] : *values.mutable_fields()) testing::AsStored(&value);
    return values;
  }
};

TEST_F(MessageEncoderTest, ValuesAreStoredAsTheyAreButForSpecialNumbers) {
  common::DoCommandResponse response;
  ExpectEncoded(Encode(response, "result"), {});
  *response.mutable_result() = SomeValues();
  ExpectEncoded(Encode(response, "result"), Stored(SomeValues()));

  common::GetReadingsResponse readings;
  ExpectEncoded(Encode(readings, "readings"), {});
  *readings.mutable_readings() = SomeValues().fields();
  ExpectEncoded(Encode(readings, "readings"), Stored(SomeValues()));
  // Filled anew, as a source does at each tick.
  readings.Clear();
  (*readings.mutable_readings())["a"].set_number_value(1);
  Struct one;
  (*one.mutable_fields())["a"].set_number_value(1);
  ExpectEncoded(Encode(readings, "readings"), one);
}

TEST_F(MessageEncoderTest, TakesClassesMadeAtRunTime) {
  const google::protobuf::DescriptorPool* generated =
      google::protobuf::DescriptorPool::generated_pool();
  // Another pool, so that not even Struct and Value are the generated ones.
  google::protobuf::DescriptorPool pool;
  for (const char* file : {"google/protobuf/struct.proto", "google/protobuf/timestamp.proto",
                           "datamanager/wire/viam/common/v1/common.proto"}) {
    google::protobuf::FileDescriptorProto proto;
    generated->FindFileByName(file)->CopyTo(&proto);
    ASSERT_NE(pool.BuildFile(proto), nullptr) << file;
  }
  google::protobuf::DynamicMessageFactory factory(&pool);
  const auto dynamic = [&](const google::protobuf::Message& message) {
    std::unique_ptr<google::protobuf::Message> copy(
        factory.GetPrototype(pool.FindMessageTypeByName(message.GetDescriptor()->full_name()))
            ->New());
    EXPECT_TRUE(copy->ParseFromString(message.SerializeAsString()));
    EXPECT_NE(copy->GetDescriptor(), message.GetDescriptor());
    return copy;
  };
  common::DoCommandResponse response;
  *response.mutable_result() = SomeValues();
  ExpectEncoded(Encode(*dynamic(response), "result"), Stored(SomeValues()));
  common::GetReadingsResponse readings;
  *readings.mutable_readings() = SomeValues().fields();
  ExpectEncoded(Encode(*dynamic(readings), "readings"), Stored(SomeValues()));
}

TEST_F(MessageEncoderTest, RefusesWhatAParserWouldNotRead) {
  for (const int depth : {30, 31, 1000}) {
    common::DoCommandResponse response;
    Struct* inner = response.mutable_result();
    for (int i = 1; i < depth; ++i) inner = (*inner->mutable_fields())["m"].mutable_struct_value();
    (*inner->mutable_fields())["leaf"].set_bool_value(true);
    const absl::Status status = ErrorOf(response, "result");
    EXPECT_EQ(status.ok(), depth == 30) << depth << ": " << status;
    if (depth > 30) {
      EXPECT_NE(status.message().find("nested deeper than 30 levels"), std::string::npos);
    }
  }
}

TEST_F(MessageEncoderTest, NamesTheKeyOfTextThatIsNotUtf8) {
  common::GetReadingsResponse readings;
  auto& outer = *(*readings.mutable_readings())["outer"].mutable_struct_value();
  (*outer.mutable_fields())["label"].set_string_value("caf\xe9");
  EXPECT_EQ(ErrorOf(readings, "readings").message(),
            "outer: label: proto: invalid UTF-8 in string: \"caf\\xe9\"");
  readings.Clear();
  (*readings.mutable_readings())["\xff"].set_bool_value(true);
  EXPECT_EQ(ErrorOf(readings, "readings").message(), "proto: invalid UTF-8 in key: \"\\xff\"");

  google::protobuf::StringValue text;
  text.set_value("\xff");
  const MessageFields fields = *BindFields(*text.GetDescriptor(), *text.GetDescriptor());
  buffer_.Clear();
  EXPECT_EQ(PrependStruct(text, fields, Unset::kEmpty, buffer_).message(),
            "value: proto: invalid UTF-8 in string: \"\\xff\"");
}

TEST_F(MessageEncoderTest, WritesEveryKindOfField) {
  google::protobuf::Type type;
  ExpectFields(type);
  type.set_name("Gr\u00fc\u00dfe");
  type.set_syntax(google::protobuf::SYNTAX_PROTO3);
  type.add_oneofs("");
  type.add_oneofs("second");
  type.add_fields();
  google::protobuf::Field& field = *type.add_fields();
  field.set_kind(google::protobuf::Field::TYPE_SFIXED64);
  field.set_number(-7);
  field.set_packed(true);
  field.add_options()->mutable_value()->set_value(std::string("\0\xff\x7f", 3));
  ExpectFields(type);

  google::protobuf::FloatValue one_tenth;
  one_tenth.set_value(0.1F);
  ExpectFields(one_tenth);
  google::protobuf::DoubleValue number;
  for (const double value : {kNan, kInfinity, -kInfinity, -0.0, 5e-324}) {
    number.set_value(value);
    ExpectFields(number);
  }
  google::protobuf::BytesValue bytes;
  ExpectFields(bytes);
  bytes.set_value(std::string("\x80\x00", 2));
  ExpectFields(bytes);
}

TEST_F(MessageEncoderTest, IntegersBeyond2To53AreRoundedToTheNearest) {
  google::protobuf::Int64Value number;
  google::protobuf::UInt64Value natural;
  for (const int64_t value :
       {(int64_t{1} << 53) + 1, (int64_t{1} << 53) + 3, std::numeric_limits<int64_t>::min(),
        std::numeric_limits<int64_t>::max()}) {
    number.set_value(value);
    ExpectFields(number);
  }
  natural.set_value(std::numeric_limits<uint64_t>::max());
  ExpectFields(natural);

  number.set_value((int64_t{1} << 53) + 3);
  const MessageFields fields = *BindFields(*number.GetDescriptor(), *number.GetDescriptor());
  buffer_.Clear();
  ASSERT_TRUE(PrependStruct(number, fields, Unset::kEmpty, buffer_).ok());
  Struct parsed;
  ASSERT_TRUE(parsed.ParseFromString(std::string(buffer_.message())));
  EXPECT_EQ(parsed.fields().at("value").number_value(), 9007199254740996.0);
  ValueMap readings;
  readings.Set("value", (int64_t{1} << 53) + 3);
  const std::string from_message(buffer_.message());
  EXPECT_EQ(StructEncoderTest::Encode(readings), from_message);
}

TEST_F(StructEncoderTest, AMillionKeysAreEncoded) {
  ValueMap readings;
  for (int i = 0; i < 1000000; ++i) readings.Set(absl::StrCat(i), true);
  const std::string encoded = Encode(readings);
  EXPECT_LT(encoded.size(), 32U << 20);
  // The keys in their order, each with `true`.
  size_t at = 0;
  for (int i = 0; i < 1000000; ++i) {
    const std::string key = absl::StrCat(i);
    std::string entry = "\x0a?\x0a?" + key + "\x12\x02\x20\x01";
    entry[1] = static_cast<char>(entry.size() - 2);
    entry[3] = static_cast<char>(key.size());
    if (encoded.compare(at, entry.size(), entry) != 0) FAIL() << "at key " << i;
    at += entry.size();
  }
  EXPECT_EQ(at, encoded.size());
}

}  // namespace
}  // namespace datamanager::capture
