#include "base/proto_value.h"

#include <google/protobuf/struct.pb.h>

#include <map>
#include <string_view>

namespace datamanager {

namespace pb = ::google::protobuf;

void FromProto(const pb::Value& from, Value& to) {
  switch (from.kind_case()) {
    case pb::Value::kBoolValue:
      to.SetBool(from.bool_value());
      break;
    case pb::Value::kNumberValue:
      to.SetNumber(from.number_value());
      break;
    case pb::Value::kStringValue:
      to.SetString(from.string_value());
      break;
    case pb::Value::kListValue: {
      ValueList& list = to.SetList();
      for (const pb::Value& element : from.list_value().values()) FromProto(element, list.Add());
      break;
    }
    case pb::Value::kStructValue: {
      // Protobuf's map has another order in each process; findings should not.
      std::map<std::string_view, const pb::Value*> sorted;
      for (const auto& [key, value] : from.struct_value().fields()) sorted.emplace(key, &value);
      ValueMap& map = to.SetMap();
      for (const auto& [key, value] : sorted) FromProto(*value, map.Add(key));
      break;
    }
    default:
      to.SetNull();
  }
}

}  // namespace datamanager
