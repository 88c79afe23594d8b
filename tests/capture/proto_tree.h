// The trees that records hold, built by Protobuf's own means: what the encoder must equal.
#ifndef DATAMANAGER_TESTS_CAPTURE_PROTO_TREE_H_
#define DATAMANAGER_TESTS_CAPTURE_PROTO_TREE_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/escaping.h"
#include "base/strings.h"
#include "datamanager/source.h"
#include "datamanager/value.h"
#include "datamanager/wire/viam/app/data/v1/data.pb.h"

namespace datamanager::testing {

inline void SetJsonNumber(double number, google::protobuf::Value* out) {
  if (std::isnan(number)) {
    out->set_string_value("NaN");
  } else if (std::isinf(number)) {
    out->set_string_value(number > 0 ? "Infinity" : "-Infinity");
  } else {
    out->set_number_value(number);
  }
}

inline void BuildTree(const ValueMap& map, google::protobuf::Struct* out);

// Of what a source reports as values.
inline void BuildTree(const Value& value, google::protobuf::Value* out) {
  switch (value.kind()) {
    case Value::Kind::kNull:
      out->set_null_value(google::protobuf::NULL_VALUE);
      break;
    case Value::Kind::kBool:
      out->set_bool_value(value.AsBool());
      break;
    case Value::Kind::kNumber:
      SetJsonNumber(value.AsNumber(), out);
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
        BuildTree(element, out->mutable_list_value()->add_values());
      }
      break;
    case Value::Kind::kMap:
      BuildTree(value.AsMap(), out->mutable_struct_value());
      break;
  }
}

inline void BuildTree(const ValueMap& map, google::protobuf::Struct* out) {
  for (const ValueMap::Entry& entry : map) {
    google::protobuf::Value& value = (*out->mutable_fields())[entry.key];
    value.Clear();
    BuildTree(entry.value, &value);
  }
}

// Of what arrives as a tree: what JSON has no number for becomes text, and what has no kind null.
inline void AsStored(google::protobuf::Value* value) {
  switch (value->kind_case()) {
    case google::protobuf::Value::KIND_NOT_SET:
      value->set_null_value(google::protobuf::NULL_VALUE);
      break;
    case google::protobuf::Value::kNumberValue:
      SetJsonNumber(value->number_value(), value);
      break;
    case google::protobuf::Value::kListValue:
      for (auto& element : *value->mutable_list_value()->mutable_values()) AsStored(&element);
      break;
    case google::protobuf::Value::kStructValue:
      for (auto& [key, nested] : *value->mutable_struct_value()->mutable_fields()) {
        AsStored(&nested);
      }
      break;
    default:
      break;
  }
}

// Of the fields of a message; an unset message is {}, or if `zeros`, one of zeros.
inline void BuildTree(const google::protobuf::Message& message, bool zeros,
                      google::protobuf::Struct* out) {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    google::protobuf::Value& value = (*out->mutable_fields())[field->name()];
    if (field->is_repeated()) value.mutable_list_value();
    const int size = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int k = 0; k < size; ++k) {
      const bool repeated = field->is_repeated();
      google::protobuf::Value* element =
          repeated ? value.mutable_list_value()->add_values() : &value;
      switch (field->type()) {
        case FieldDescriptor::TYPE_BOOL:
          element->set_bool_value(repeated ? reflection.GetRepeatedBool(message, field, k)
                                           : reflection.GetBool(message, field));
          break;
        case FieldDescriptor::TYPE_INT32:
          element->set_number_value(repeated ? reflection.GetRepeatedInt32(message, field, k)
                                             : reflection.GetInt32(message, field));
          break;
        case FieldDescriptor::TYPE_UINT32:
          element->set_number_value(repeated ? reflection.GetRepeatedUInt32(message, field, k)
                                             : reflection.GetUInt32(message, field));
          break;
        case FieldDescriptor::TYPE_INT64:
          element->set_number_value(
              static_cast<double>(repeated ? reflection.GetRepeatedInt64(message, field, k)
                                           : reflection.GetInt64(message, field)));
          break;
        case FieldDescriptor::TYPE_UINT64:
          element->set_number_value(
              static_cast<double>(repeated ? reflection.GetRepeatedUInt64(message, field, k)
                                           : reflection.GetUInt64(message, field)));
          break;
        case FieldDescriptor::TYPE_FLOAT:
          element->set_number_value(repeated ? reflection.GetRepeatedFloat(message, field, k)
                                             : reflection.GetFloat(message, field));
          break;
        case FieldDescriptor::TYPE_DOUBLE:
          element->set_number_value(repeated ? reflection.GetRepeatedDouble(message, field, k)
                                             : reflection.GetDouble(message, field));
          break;
        case FieldDescriptor::TYPE_ENUM: {
          const int number = repeated ? reflection.GetRepeatedEnumValue(message, field, k)
                                      : reflection.GetEnumValue(message, field);
          const bool known = field->enum_type()->FindValueByNumber(number) != nullptr;
          element->set_number_value(known ? number : 0);
          break;
        }
        case FieldDescriptor::TYPE_STRING:
          element->set_string_value(repeated ? reflection.GetRepeatedString(message, field, k)
                                             : reflection.GetString(message, field));
          break;
        case FieldDescriptor::TYPE_BYTES: {
          const std::string bytes = repeated ? reflection.GetRepeatedString(message, field, k)
                                             : reflection.GetString(message, field);
          element->mutable_list_value();
          for (const char byte : bytes) {
            element->mutable_list_value()->add_values()->set_number_value(
                static_cast<unsigned char>(byte));
          }
          break;
        }
        case FieldDescriptor::TYPE_MESSAGE: {
          google::protobuf::Struct* nested = element->mutable_struct_value();
          if (repeated) {
            BuildTree(reflection.GetRepeatedMessage(message, field, k), zeros, nested);
          } else if (zeros || reflection.HasField(message, field)) {
            BuildTree(reflection.GetMessage(message, field), zeros, nested);
          }
          break;
        }
        default:
          break;
      }
    }
  }
}

// What is known about the content of a binary record.
inline void BuildAnnotations(const Annotations& from,
                             ::datamanager::wire::viam::app::data::v1::Annotations* to) {
  for (const BoundingBox& box : from.bboxes) {
    auto* out = to->add_bboxes();
    out->set_id(box.id);
    out->set_label(box.label);
    out->set_x_min_normalized(box.x_min);
    out->set_y_min_normalized(box.y_min);
    out->set_x_max_normalized(box.x_max);
    out->set_y_max_normalized(box.y_max);
    if (box.confidence) out->set_confidence(*box.confidence);
  }
  for (const Classification& classification : from.classifications) {
    auto* out = to->add_classifications();
    out->set_label(classification.label);
    if (classification.confidence) out->set_confidence(*classification.confidence);
    out->set_id(classification.id);
  }
}

// Whether two trees are the same, bit for bit; that of NaN is NaN too.
inline bool SameTree(const google::protobuf::Value& a, const google::protobuf::Value& b) {
  if (a.kind_case() != b.kind_case()) return false;
  switch (a.kind_case()) {
    case google::protobuf::Value::kNumberValue:
      return (std::isnan(a.number_value()) && std::isnan(b.number_value())) ||
             (a.number_value() == b.number_value() &&
              std::signbit(a.number_value()) == std::signbit(b.number_value()));
    case google::protobuf::Value::kStringValue:
      return a.string_value() == b.string_value();
    case google::protobuf::Value::kBoolValue:
      return a.bool_value() == b.bool_value();
    case google::protobuf::Value::kListValue:
      return std::equal(a.list_value().values().begin(), a.list_value().values().end(),
                        b.list_value().values().begin(), b.list_value().values().end(), SameTree);
    case google::protobuf::Value::kStructValue: {
      const auto& fields = b.struct_value().fields();
      return a.struct_value().fields().size() == fields.size() &&
             std::all_of(a.struct_value().fields().begin(), a.struct_value().fields().end(),
                         [&](const auto& entry) {
                           const auto found = fields.find(entry.first);
                           return found != fields.end() && SameTree(entry.second, found->second);
                         });
    }
    default:
      return true;
  }
}
inline bool SameTree(const google::protobuf::Struct& a, const google::protobuf::Struct& b) {
  google::protobuf::Value left;
  google::protobuf::Value right;
  *left.mutable_struct_value() = a;
  *right.mutable_struct_value() = b;
  return SameTree(left, right);
}

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_CAPTURE_PROTO_TREE_H_
