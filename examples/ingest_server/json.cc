#include "ingest_server/json.h"

#include <charconv>
#include <cmath>
#include <map>
#include <string_view>

namespace ingest {
namespace {

void AppendString(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 0xF];
    } else {
      out += c;
    }
  }
  out += '"';
}

void AppendNumber(double number, std::string& out) {
  if (std::isnan(number)) {
    out += "\"NaN\"";
  } else if (std::isinf(number)) {
    out += number > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  } else {
    char digits[32];
    out.append(digits, std::to_chars(digits, digits + sizeof(digits), number).ptr);
  }
}

void AppendValue(const google::protobuf::Value& value, std::string& out);

void AppendStruct(const google::protobuf::Struct& value, std::string& out) {
  std::map<std::string_view, const google::protobuf::Value*> sorted;
  for (const auto& [name, field] : value.fields()) sorted.emplace(name, &field);
  out += '{';
  for (bool first = true; const auto& [name, field] : sorted) {
    if (!first) out += ',';
    first = false;
    AppendString(name, out);
    out += ':';
    AppendValue(*field, out);
  }
  out += '}';
}

// Recursion is bounded: Protobuf parses a hundred levels at most.
void AppendValue(const google::protobuf::Value& value, std::string& out) {
  using google::protobuf::Value;
  switch (value.kind_case()) {
    case Value::kNumberValue:
      return AppendNumber(value.number_value(), out);
    case Value::kStringValue:
      return AppendString(value.string_value(), out);
    case Value::kBoolValue:
      out += value.bool_value() ? "true" : "false";
      return;
    case Value::kStructValue:
      return AppendStruct(value.struct_value(), out);
    case Value::kListValue:
      out += '[';
      for (bool first = true; const Value& element : value.list_value().values()) {
        if (!first) out += ',';
        first = false;
        AppendValue(element, out);
      }
      out += ']';
      return;
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      out += "null";
      return;
  }
}

}  // namespace

std::string ToJson(const google::protobuf::Struct& value) {
  std::string out;
  AppendStruct(value, out);
  return out;
}

std::string ToJson(const google::protobuf::RepeatedPtrField<std::string>& strings) {
  std::string out = "[";
  for (bool first = true; const std::string& text : strings) {
    if (!first) out += ',';
    first = false;
    AppendString(text, out);
  }
  out += ']';
  return out;
}

}  // namespace ingest
