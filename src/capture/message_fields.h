// Finds the fields of a message in whatever class of message a source fills.
#ifndef DATAMANAGER_SRC_CAPTURE_MESSAGE_FIELDS_H_
#define DATAMANAGER_SRC_CAPTURE_MESSAGE_FIELDS_H_

#include <vector>

#include "absl/status/statusor.h"

namespace google::protobuf {
class Descriptor;
class FieldDescriptor;
}  // namespace google::protobuf

namespace datamanager::capture {

// A field that we know, and its like in the class that is filled.
struct MessageField {
  const google::protobuf::FieldDescriptor* known = nullptr;
  const google::protobuf::FieldDescriptor* given = nullptr;
  std::vector<MessageField> fields;  // Of a nested message.
};
using MessageFields = std::vector<MessageField>;

// The fields of `known` as `given` has them: it needs all of them, by name and type, and may have
// more. INVALID_ARGUMENT says what it lacks. Both descriptors must outlive the result.
absl::StatusOr<MessageFields> BindFields(const google::protobuf::Descriptor& known,
                                         const google::protobuf::Descriptor& given);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_MESSAGE_FIELDS_H_
