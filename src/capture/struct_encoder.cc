#include "capture/struct_encoder.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>

#include <cmath>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::capture {
namespace {

using capture_file::BackwardWriter;
using capture_file::kMaxFieldHeadBytes;
using capture_file::RecordBuffer;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using ProtoStruct = google::protobuf::Struct;
using ProtoValue = google::protobuf::Value;

// Protobuf parsers stop at 100 nested messages; a map in a map takes three of them, and a request
// around the record some more.
constexpr int kMaxDepth = 30;

// Tags: field number and wire type. google.protobuf.Value:
constexpr char kNullValue = 0x08;
constexpr char kNumberValue = 0x11;
constexpr char kStringValue = 0x1a;
constexpr char kBoolValue = 0x20;
constexpr char kStructValue = 0x2a;
constexpr char kListValue = 0x32;
// google.protobuf.Struct.fields, and ListValue.values:
constexpr char kFields = 0x0a;
constexpr char kValues = 0x0a;
// An entry of a map:
constexpr char kEntryKey = 0x0a;
constexpr char kEntryValue = 0x12;

void PrependNull(RecordBuffer& out) { out.PrependVarint(kNullValue, 0); }

void PrependBool(bool value, RecordBuffer& out) { out.PrependVarint(kBoolValue, value ? 1 : 0); }

void PrependJsonNumber(double number, RecordBuffer& out) {
  if (std::isfinite(number)) {
    out.PrependDouble(kNumberValue, number);
  } else {
    out.PrependText(kStringValue, std::isnan(number) ? "NaN"
                                  : number > 0       ? "Infinity"
                                                     : "-Infinity");
  }
}

// Returns the beginning of a text, for an error. A text may be as large as memory.
std::string Shown(std::string_view text) {
  constexpr size_t kShown = 64;
  if (text.size() <= kShown) return absl::CHexEscape(ToAbsl(text));
  return absl::StrCat(absl::CHexEscape(ToAbsl(text.substr(0, kShown))), "... (", text.size(),
                      " bytes)");
}

absl::Status NotUtf8(std::string_view where, std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("proto: invalid UTF-8 in ", ToAbsl(where), ": \"", Shown(text), "\""));
}

absl::Status TooLarge() {
  return absl::InvalidArgumentError(absl::StrCat(
      "it is larger than the ", capture_file::kMaxTabularRecordBytes, " a server accepts"));
}

absl::Status PrependString(std::string_view text, RecordBuffer& out) {
  if (!IsUtf8(text)) return NotUtf8("string", text);
  out.PrependText(kStringValue, text);
  return absl::OkStatus();
}

absl::Status TooDeep() {
  return absl::InvalidArgumentError(absl::StrCat("nested deeper than ", kMaxDepth, " levels"));
}

// The head of an entry whose value was prepended since size() was `end`.
void PrependEntryHead(std::string_view key, size_t end, RecordBuffer& out) {
  out.Prepend(3 * kMaxFieldHeadBytes + key.size(), [&](BackwardWriter& entry) {
    entry.Head(kEntryValue, end);
    entry.Text(kEntryKey, key);
    entry.Head(kFields, end);
  });
}

// An entry; `prepend_value` prepends its value.
template <typename PrependValue>
absl::Status PrependEntry(std::string_view key, RecordBuffer& out, PrependValue prepend_value) {
  if (!IsUtf8(key)) return NotUtf8("key", key);
  const size_t end = out.size();
  if (absl::Status status = prepend_value(); !status.ok()) return Wrap(status, Shown(key));
  PrependEntryHead(key, end, out);
  return out.overflowed() ? TooLarge() : absl::OkStatus();
}

// Values of our own.

absl::Status PrependMap(const ValueMap& map, int depth, RecordBuffer& out);

absl::Status PrependValue(const Value& value, int depth, RecordBuffer& out) {
  if (depth > kMaxDepth) return TooDeep();
  const size_t end = out.size();
  switch (value.kind()) {
    case Value::Kind::kNull:
      PrependNull(out);
      break;
    case Value::Kind::kBool:
      PrependBool(value.AsBool(), out);
      break;
    case Value::Kind::kNumber:
      PrependJsonNumber(value.AsNumber(), out);
      break;
    case Value::Kind::kString:
      return PrependString(value.AsString(), out);
    case Value::Kind::kBytes:
      if (value.AsString().size() > capture_file::kMaxTabularRecordBytes) return TooLarge();
      out.PrependText(kStringValue, absl::Base64Escape(ToAbsl(value.AsString())));
      break;
    case Value::Kind::kList: {
      const ValueList& list = value.AsList();
      for (size_t i = list.size(); i > 0; --i) {
        const size_t element_end = out.size();
        if (absl::Status status = PrependValue(list[i - 1], depth + 1, out); !status.ok()) {
          return status;
        }
        if (out.overflowed()) return TooLarge();
        out.PrependHead(kValues, element_end);
      }
      out.PrependHead(kListValue, end);
      break;
    }
    case Value::Kind::kMap:
      if (absl::Status status = PrependMap(value.AsMap(), depth + 1, out); !status.ok()) {
        return status;
      }
      out.PrependHead(kStructValue, end);
      break;
  }
  return absl::OkStatus();
}

absl::Status PrependMap(const ValueMap& map, int depth, RecordBuffer& out) {
  for (const ValueMap::Entry* entry = map.end(); entry != map.begin();) {
    --entry;
    absl::Status status =
        PrependEntry(entry->key, out, [&] { return PrependValue(entry->value, depth, out); });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// The size of a whole length-delimited field with `size` bytes in it.
uint64_t FieldSize(uint64_t size) { return 1 + capture_file::VarintSize(size) + size; }

uint64_t SizeOf(const ValueMap& map, int depth);

uint64_t SizeOf(const Value& value, int depth) {
  if (depth > kMaxDepth) return 0;
  switch (value.kind()) {
    case Value::Kind::kNull:
    case Value::Kind::kBool:
      return 2;
    case Value::Kind::kNumber: {
      const double number = value.AsNumber();
      if (std::isfinite(number)) return capture_file::kDoubleFieldBytes;
      return FieldSize(std::isnan(number) ? 3 : number > 0 ? 8 : 9);
    }
    case Value::Kind::kString:
      return FieldSize(value.AsString().size());
    case Value::Kind::kBytes:
      return FieldSize((value.AsString().size() + 2) / 3 * 4);
    case Value::Kind::kList: {
      uint64_t size = 0;
      for (const Value& element : value.AsList()) size += FieldSize(SizeOf(element, depth + 1));
      return FieldSize(size);
    }
    case Value::Kind::kMap:
      return FieldSize(SizeOf(value.AsMap(), depth + 1));
  }
  return 0;
}

uint64_t SizeOf(const ValueMap& map, int depth) {
  uint64_t size = 0;
  for (const ValueMap::Entry& entry : map) {
    size += FieldSize(FieldSize(entry.key.size()) + FieldSize(SizeOf(entry.value, depth)));
  }
  return size;
}

// Values of Protobuf's.

absl::Status PrependMap(const ProtoStruct& map, int depth, RecordBuffer& out);

absl::Status PrependValue(const ProtoValue& value, int depth, RecordBuffer& out) {
  if (depth > kMaxDepth) return TooDeep();
  const size_t end = out.size();
  switch (value.kind_case()) {
    case ProtoValue::KIND_NOT_SET:
    case ProtoValue::kNullValue:
      PrependNull(out);
      break;
    case ProtoValue::kBoolValue:
      PrependBool(value.bool_value(), out);
      break;
    case ProtoValue::kNumberValue:
      PrependJsonNumber(value.number_value(), out);
      break;
    case ProtoValue::kStringValue:
      return PrependString(value.string_value(), out);
    case ProtoValue::kListValue:
      for (int i = value.list_value().values_size(); i > 0; --i) {
        const size_t element_end = out.size();
        absl::Status status = PrependValue(value.list_value().values(i - 1), depth + 1, out);
        if (!status.ok()) return status;
        if (out.overflowed()) return TooLarge();
        out.PrependHead(kValues, element_end);
      }
      out.PrependHead(kListValue, end);
      break;
    case ProtoValue::kStructValue:
      if (absl::Status status = PrependMap(value.struct_value(), depth + 1, out); !status.ok()) {
        return status;
      }
      out.PrependHead(kStructValue, end);
      break;
  }
  return absl::OkStatus();
}

absl::Status PrependMap(const ProtoStruct& map, int depth, RecordBuffer& out) {
  for (const auto& [key, value] : map.fields()) {
    absl::Status status =
        PrependEntry(key, out, [&, &v = value] { return PrependValue(v, depth, out); });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// `message` as what it is; `copy`, if its class was made at run time.
template <typename Class>
const Class& Generated(const Message& message, Class& copy) {
  const auto* generated = google::protobuf::DynamicCastToGenerated<const Class>(&message);
  if (generated != nullptr) return *generated;
  copy.ParseFromString(message.SerializeAsString());
  return copy;
}

// Fields of messages.

// The value of a field, or of its element `index`; -1 for a field that is not repeated.
double NumberOf(const Message& message, const MessageField& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor* const f = field.given;
  const bool one = index < 0;
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return one ? reflection.GetInt32(message, f) : reflection.GetRepeatedInt32(message, f, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return static_cast<double>(one ? reflection.GetInt64(message, f)
                                     : reflection.GetRepeatedInt64(message, f, index));
    case FieldDescriptor::CPPTYPE_UINT32:
      return one ? reflection.GetUInt32(message, f)
                 : reflection.GetRepeatedUInt32(message, f, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return static_cast<double>(one ? reflection.GetUInt64(message, f)
                                     : reflection.GetRepeatedUInt64(message, f, index));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return one ? reflection.GetFloat(message, f) : reflection.GetRepeatedFloat(message, f, index);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return one ? reflection.GetDouble(message, f)
                 : reflection.GetRepeatedDouble(message, f, index);
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int number = one ? reflection.GetEnumValue(message, f)
                             : reflection.GetRepeatedEnumValue(message, f, index);
      return field.known->enum_type()->FindValueByNumber(number) == nullptr ? 0 : number;
    }
    default:
      return 0;
  }
}

absl::Status PrependText(const Message& message, const MessageField& field, int index,
                         RecordBuffer& out) {
  const Reflection& reflection = *message.GetReflection();
  std::string scratch;
  const std::string& text =
      index < 0 ? reflection.GetStringReference(message, field.given, &scratch)
                : reflection.GetRepeatedStringReference(message, field.given, index, &scratch);
  if (field.given->type() == FieldDescriptor::TYPE_STRING) return PrependString(text, out);
  if (text.size() > capture_file::kMaxTabularRecordBytes) return TooLarge();
  const size_t end = out.size();
  for (size_t i = text.size(); i > 0 && !out.overflowed(); --i) {
    const size_t element_end = out.size();
    out.PrependDouble(kNumberValue, static_cast<unsigned char>(text[i - 1]));
    out.PrependHead(kValues, element_end);
  }
  out.PrependHead(kListValue, end);
  return absl::OkStatus();
}

absl::Status PrependElement(const Message& message, const MessageField& field, int index,
                            Unset unset, RecordBuffer& out) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.given->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      PrependBool(index < 0 ? reflection.GetBool(message, field.given)
                            : reflection.GetRepeatedBool(message, field.given, index),
                  out);
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_STRING:
      return PrependText(message, field, index, out);
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      const size_t end = out.size();
      if (index >= 0 || unset == Unset::kZeros || reflection.HasField(message, field.given)) {
        const Message& nested = index < 0
                                    ? reflection.GetMessage(message, field.given)
                                    : reflection.GetRepeatedMessage(message, field.given, index);
        absl::Status status = PrependStruct(nested, field.fields, unset, out);
        if (!status.ok()) return status;
      }
      out.PrependHead(kStructValue, end);
      return absl::OkStatus();
    }
    default:
      out.PrependDouble(kNumberValue, NumberOf(message, field, index));
      return absl::OkStatus();
  }
}

absl::Status PrependField(const Message& message, const MessageField& field, Unset unset,
                          RecordBuffer& out) {
  if (!field.given->is_repeated()) return PrependElement(message, field, -1, unset, out);
  const size_t end = out.size();
  for (int i = message.GetReflection()->FieldSize(message, field.given); i > 0; --i) {
    const size_t element_end = out.size();
    if (absl::Status status = PrependElement(message, field, i - 1, unset, out); !status.ok()) {
      return status;
    }
    if (out.overflowed()) return TooLarge();
    out.PrependHead(kValues, element_end);
  }
  out.PrependHead(kListValue, end);
  return absl::OkStatus();
}

}  // namespace

absl::Status PrependValue(const Value& value, RecordBuffer& out) {
  absl::Status status = PrependValue(value, 1, out);
  return status.ok() && out.overflowed() ? TooLarge() : status;
}

absl::Status PrependStruct(const ValueMap& map, RecordBuffer& out) {
  return PrependMap(map, 1, out);
}

uint64_t EncodedSize(const ValueMap& map) { return SizeOf(map, 1); }

absl::Status PrependStruct(const Message& message, const FieldDescriptor& field,
                           RecordBuffer& out) {
  const Reflection& reflection = *message.GetReflection();
  if (!field.is_map()) {
    ProtoStruct copy;
    return PrependMap(Generated(reflection.GetMessage(message, &field), copy), 1, out);
  }
  const FieldDescriptor* const key = field.message_type()->map_key();
  const FieldDescriptor* const value = field.message_type()->map_value();
  ProtoValue copy;
  for (int i = reflection.FieldSize(message, &field); i > 0; --i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i - 1);
    const Reflection& of_entry = *entry.GetReflection();
    absl::Status status = PrependEntry(of_entry.GetString(entry, key), out, [&] {
      return PrependValue(Generated(of_entry.GetMessage(entry, value), copy), 1, out);
    });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status PrependStruct(const Message& message, const MessageFields& fields, Unset unset,
                           RecordBuffer& out) {
  for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
    const std::string& name = field->known->name();
    absl::Status status =
        PrependEntry(name, out, [&] { return PrependField(message, *field, unset, out); });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void WrapStruct(std::string_view key, size_t end, RecordBuffer& out) {
  out.PrependHead(kStructValue, end);
  PrependEntryHead(key, end, out);
}

}  // namespace datamanager::capture
