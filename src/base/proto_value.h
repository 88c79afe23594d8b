// Protobuf's dynamic values as ours.
#ifndef DATAMANAGER_SRC_BASE_PROTO_VALUE_H_
#define DATAMANAGER_SRC_BASE_PROTO_VALUE_H_

#include "datamanager/value.h"

namespace google::protobuf {
class Value;
}  // namespace google::protobuf

namespace datamanager {

// Objects come out in the order of their keys. As deep as `from`, which its parser has bounded.
void FromProto(const google::protobuf::Value& from, Value& to);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_PROTO_VALUE_H_
