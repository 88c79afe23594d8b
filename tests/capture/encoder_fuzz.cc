#include "tests/capture/encoder_fuzz.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture/binary_answer.h"
#include "capture/record_encoder.h"
#include "capture/tabular_answer.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "datamanager/wire/viam/common/v1/common.pb.h"
#include "tests/capture/proto_tree.h"

namespace datamanager::testing {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Struct;
using GetReadingsResponse = wire::viam::common::v1::GetReadingsResponse;
using SensorData = wire::viam::app::datasync::v1::SensorData;
using ProtoValue = google::protobuf::Value;

// Whether a tree can be stored: its texts are UTF-8, and it is not nested deeper than 30 levels.
bool IsStorable(const ProtoValue& value, int depth);
bool IsStorable(const Struct& map, int depth) {
  return std::all_of(map.fields().begin(), map.fields().end(), [&](const auto& entry) {
    return IsUtf8(entry.first) && IsStorable(entry.second, depth);
  });
}
bool IsStorable(const ProtoValue& value, int depth) {
  if (depth > 30) return false;
  if (value.has_struct_value()) return IsStorable(value.struct_value(), depth + 1);
  if (!value.has_list_value()) return IsUtf8(value.string_value());
  return std::all_of(value.list_value().values().begin(), value.list_value().values().end(),
                     [&](const ProtoValue& element) { return IsStorable(element, depth + 1); });
}

// The same tree as a source reports it.
void Convert(const Struct& from, ValueMap& to);
void Convert(const ProtoValue& from, Value& to) {
  switch (from.kind_case()) {
    case ProtoValue::kBoolValue:
      to.SetBool(from.bool_value());
      break;
    case ProtoValue::kNumberValue:
      to.SetNumber(from.number_value());
      break;
    case ProtoValue::kStringValue:
      to.SetString(from.string_value());
      break;
    case ProtoValue::kListValue: {
      ValueList& list = to.SetList();
      for (const ProtoValue& element : from.list_value().values()) Convert(element, list.Add());
      break;
    }
    case ProtoValue::kStructValue:
      Convert(from.struct_value(), to.SetMap());
      break;
    default:
      to.SetNull();
  }
}
void Convert(const Struct& from, ValueMap& to) {
  for (const auto& [key, value] : from.fields()) Convert(value, to.Add(key));
}

}  // namespace

EncoderFuzz::EncoderFuzz(uint32_t seed) : random_(seed) {
  // Protobuf tells of each text that is not UTF-8, and there are many.
  google::protobuf::SetLogHandler(nullptr);
}

std::string EncoderFuzz::Try(const capture::Method& method) {
  std::string difference;
  if (method.binary()) {
    difference = TryBinary(method);
  } else {
    std::unique_ptr<Message> response(method.response().New());
    if (OneIn(4)) {
      // Of a class made at run time.
      response.reset(factory_.GetPrototype(method.response().GetDescriptor())->New());
    }
    Fill(response.get());
    difference = TryTabular(method, *response);
    const bool values = method.rule == capture::PayloadRule::kReadings ||
                        method.rule == capture::PayloadRule::kDoCommand;
    if (difference.empty() && values) difference = TryValues(method);
  }
  if (difference.empty()) return "";
  return absl::StrCat(std::string(method.api), " ", std::string(method.name), ": ", difference);
}

double EncoderFuzz::Number() {
  using Limits = std::numeric_limits<double>;
  constexpr std::array kSpecial = {
      0.0,  -0.0, 1.0,           Limits::quiet_NaN(), Limits::infinity(),
      9e15, 1e-5, Limits::max(), -Limits::infinity(), Limits::denorm_min()};
  if (OneIn(2)) return kSpecial.at(random_() % kSpecial.size());
  return std::bit_cast<double>(static_cast<uint64_t>(random_()) << 32 | random_());
}

std::string EncoderFuzz::Text() {
  constexpr std::array kPieces = {"a", "Z", "0", " ", "\"", "\n", "ä", "世", "🤖"};
  std::string text;
  for (size_t n = random_() % (OneIn(20) ? 300 : 12); n > 0; --n) {
    text += kPieces.at(random_() % kPieces.size());
  }
  if (OneIn(200)) text += "\xff";
  return text;
}

std::string EncoderFuzz::Bytes() {
  constexpr std::array kHeads = {
      "", "\xff\xd8\xff\xe0", "\x89PNG\r\n\x1a\n", "GIF89a", "BM", "qoif", "RGBA", "DEPTHMAP"};
  std::string bytes = kHeads.at(random_() % kHeads.size());
  for (size_t n = random_() % 40; n > 0; --n) bytes += static_cast<char>(random_());
  return bytes;
}

void EncoderFuzz::Fill(ProtoValue* value, int depth) {
  switch (random_() % (depth > 0 ? 7 : 5)) {
    case 0:
      value->Clear();
      break;
    case 1:
      value->set_null_value(google::protobuf::NULL_VALUE);
      break;
    case 2:
      value->set_bool_value(OneIn(2));
      break;
    case 3:
      value->set_number_value(Number());
      break;
    case 4:
      value->set_string_value(Text());
      break;
    case 5:
      value->mutable_list_value();
      for (size_t n = random_() % 4; n > 0; --n) {
        Fill(value->mutable_list_value()->add_values(), depth - 1);
      }
      break;
    default:
      Fill(value->mutable_struct_value(), depth - 1);
  }
}

void EncoderFuzz::Fill(Struct* map, int depth) {
  for (size_t n = random_() % 4; n > 0; --n) Fill(&(*map->mutable_fields())[Text()], depth);
  if (!OneIn(50)) return;
  // A chain around the limit.
  Struct* inner = map;
  for (size_t n = 25 + random_() % 10; n > 0; --n) {
    inner = (*inner->mutable_fields())["m"].mutable_struct_value();
  }
  (*inner->mutable_fields())["leaf"].set_bool_value(true);
}

void EncoderFuzz::FillOne(Message* message, const FieldDescriptor* field) {
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  const bool add = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      add ? reflection.AddBool(message, field, OneIn(2))
          : reflection.SetBool(message, field, OneIn(2));
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      add ? reflection.AddInt32(message, field, static_cast<int32_t>(random_()))
          : reflection.SetInt32(message, field, static_cast<int32_t>(random_()));
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      add ? reflection.AddUInt32(message, field, random_())
          : reflection.SetUInt32(message, field, random_());
      break;
    case FieldDescriptor::CPPTYPE_INT64: {
      const auto number =
          static_cast<int64_t>(static_cast<uint64_t>(random_()) << 32 | random_()) >>
          random_() % 64;
      add ? reflection.AddInt64(message, field, number)
          : reflection.SetInt64(message, field, number);
      break;
    }
    case FieldDescriptor::CPPTYPE_UINT64:
      add ? reflection.AddUInt64(message, field, random_())
          : reflection.SetUInt64(message, field, random_());
      break;
    case FieldDescriptor::CPPTYPE_FLOAT:
      add ? reflection.AddFloat(message, field,
                                std::bit_cast<float>(static_cast<uint32_t>(random_())))
          : reflection.SetFloat(message, field,
                                std::bit_cast<float>(static_cast<uint32_t>(random_())));
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      add ? reflection.AddDouble(message, field, Number())
          : reflection.SetDouble(message, field, Number());
      break;
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int number = static_cast<int>(random_() % 10) - 3;
      add ? reflection.AddEnumValue(message, field, number)
          : reflection.SetEnumValue(message, field, number);
      break;
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      const bool is_text = field->type() == FieldDescriptor::TYPE_STRING;
      const std::string text = is_text ? Text() : Bytes();
      add ? reflection.AddString(message, field, text) : reflection.SetString(message, field, text);
      break;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      Fill(add ? reflection.AddMessage(message, field) : reflection.MutableMessage(message, field));
      break;
  }
}

void EncoderFuzz::Fill(Message* message) {
  const google::protobuf::Descriptor& type = *message->GetDescriptor();
  using google::protobuf::DynamicCastToGenerated;
  // Values by their own classes; into others over the bytes, if these can be parsed.
  const auto fill = [&](auto fresh, auto* generated, auto* values) {
    if (generated != nullptr) {
      Fill(values, 4);
      return;
    }
    Fill(&fresh, 4);
    if (!message->ParseFromString(fresh.SerializeAsString())) message->Clear();
  };
  if (type.full_name() == "google.protobuf.Struct") {
    auto* map = DynamicCastToGenerated<Struct>(message);
    fill(Struct(), map, map);
    return;
  }
  if (type.full_name() == GetReadingsResponse::descriptor()->full_name()) {
    // A map of values is on the wire what a Struct is.
    Struct map;
    auto* readings = DynamicCastToGenerated<GetReadingsResponse>(message);
    fill(Struct(), readings, &map);
    if (readings != nullptr) readings->mutable_readings()->swap(*map.mutable_fields());
    return;
  }
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    if (OneIn(5)) continue;
    size_t count = field->is_repeated() ? random_() % 5 : 1;
    for (; count > 0; --count) FillOne(message, field);
  }
}

std::string EncoderFuzz::Judge(const absl::Status& status, bool storable,
                               const std::string& encoded, const Struct& expected) {
  if (status.ok() != storable) {
    return absl::StrCat(storable ? "refused: " : "stored what cannot be: ",
                        std::string(status.message()), "\n", expected.DebugString());
  }
  if (!storable) {
    ++refused_;
    return "";
  }
  ++stored_;
  Struct parsed;
  if (!parsed.ParseFromString(encoded)) return "does not parse\n" + expected.DebugString();
  if (!SameTree(parsed, expected)) {
    return absl::StrCat(parsed.DebugString(), "instead of\n", expected.DebugString());
  }
  if (encoded.size() != expected.ByteSizeLong()) {
    return absl::StrCat(encoded.size(), " bytes instead of ", expected.ByteSizeLong(), "\n",
                        expected.DebugString());
  }
  return "";
}

std::string EncoderFuzz::TryTabular(const capture::Method& method, const Message& response) {
  const auto fields =
      capture::BindFields(*method.response().GetDescriptor(), *response.GetDescriptor());
  if (!fields.ok()) return std::string(fields.status().message());
  capture_file::RecordBuffer buffer;
  const absl::Status status = capture::PrependAnswer(method, *fields, response, buffer);

  Struct expected;
  bool storable = true;
  if (method.rule == capture::PayloadRule::kFields ||
      method.rule == capture::PayloadRule::kFieldsOrZeros) {
    BuildTree(response, method.rule == capture::PayloadRule::kFieldsOrZeros, &expected);
  } else {
    Struct values;
    const char* key = "readings";
    if (method.rule == capture::PayloadRule::kReadings) {
      const auto* readings =
          google::protobuf::DynamicCastToGenerated<const GetReadingsResponse>(&response);
      if (readings != nullptr) {
        *values.mutable_fields() = readings->readings();
      } else {
        values.ParseFromString(response.SerializeAsString());
      }
    } else {
      const FieldDescriptor* result = response.GetDescriptor()->FindFieldByName("result");
      values.CopyFrom(response.GetReflection()->GetMessage(response, result));
      key = "docommand_output";
    }
    storable = IsStorable(values, 1);
    for (auto& [name, value] : *values.mutable_fields()) AsStored(&value);
    *(*expected.mutable_fields())[key].mutable_struct_value() = values;
  }
  return Judge(status, storable, std::string(buffer.message()), expected);
}

std::string EncoderFuzz::TryValues(const capture::Method& method) {
  Struct values;
  Fill(&values, 4);
  ValueMap map;
  Convert(values, map);
  capture_file::RecordBuffer buffer;
  const absl::Status status = capture::PrependAnswer(method, map, buffer);
  Struct expected;
  const char* key =
      method.rule == capture::PayloadRule::kReadings ? "readings" : "docommand_output";
  BuildTree(map, (*expected.mutable_fields())[key].mutable_struct_value());
  return Judge(status, IsStorable(values, 1), std::string(buffer.message()), expected);
}

std::string EncoderFuzz::TryBinary(const capture::Method& method) {
  const Message* prototype = &method.response();
  if (OneIn(4)) prototype = factory_.GetPrototype(prototype->GetDescriptor());
  Messages messages([prototype] { return std::shared_ptr<Message>(prototype->New()); });
  for (size_t count = method.streamed() ? random_() % 4 : 1; count > 0; --count) {
    Fill(&messages.Add());
  }
  ValueMap params;
  if (OneIn(2))
    params.Set("codec", std::array{"pcm16", "pcm32_float", "mp3", "x"}.at(random_() % 4));
  if (OneIn(2)) params.Set("mime_type", Text());
  if (OneIn(2)) params.Set("min_confidence_score", 0.5);
  capture::BinaryAnswer answer;
  if (!capture::ReadBinaryAnswer(method, params, messages, answer).ok()) {
    ++refused_;
    return "";
  }
  for (const capture::BinaryRecord& record : answer.records) {
    const capture::RecordTimes times{.received = answer.captured_at.value_or(WallTime())};
    capture_file::RecordBuffer buffer;
    capture::PrependBinaryHead(times, record.annotations, record.data.size(), buffer);
    const std::string encoded = std::string(buffer.message()) + std::string(record.data);
    SensorData parsed;
    if (!parsed.ParseFromString(encoded)) return "does not parse";
    SensorData expected;
    expected.mutable_metadata()->mutable_time_requested();
    *expected.mutable_metadata()->mutable_time_received() = parsed.metadata().time_received();
    if (!record.annotations.empty()) {
      BuildAnnotations(record.annotations, expected.mutable_metadata()->mutable_annotations());
    }
    expected.set_binary(std::string(record.data));
    if (expected.SerializeAsString() != encoded) {
      return absl::StrCat(parsed.DebugString(), "instead of\n", expected.DebugString());
    }
  }
  ++stored_;
  return "";
}

}  // namespace datamanager::testing
