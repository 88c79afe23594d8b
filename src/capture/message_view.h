// Reads fields by name from a message of any class.
#ifndef DATAMANAGER_SRC_CAPTURE_MESSAGE_VIEW_H_
#define DATAMANAGER_SRC_CAPTURE_MESSAGE_VIEW_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace datamanager::capture {

// The fields must be there and of the type asked for, which BindFields checks. What is unset reads
// as empty or zero. Views and texts point into the message.
class MessageView {
 public:
  explicit MessageView(const google::protobuf::Message& message) : message_(&message) {}

  const google::protobuf::Message& message() const { return *message_; }

  // Of fields with presence.
  bool Has(const char* name) const { return reflection().HasField(*message_, &Field(name)); }
  MessageView Message(const char* name) const {
    return MessageView(reflection().GetMessage(*message_, &Field(name)));
  }
  // Of text and bytes.
  std::string_view Text(const char* name) const {
    // Only texts that are kept as something else than std::string would need it; there are none.
    std::string unused;
    return reflection().GetStringReference(*message_, &Field(name), &unused);
  }
  int32_t Int32(const char* name) const { return reflection().GetInt32(*message_, &Field(name)); }
  int64_t Int64(const char* name) const { return reflection().GetInt64(*message_, &Field(name)); }
  double Double(const char* name) const { return reflection().GetDouble(*message_, &Field(name)); }
  // Of repeated messages.
  int Size(const char* name) const { return reflection().FieldSize(*message_, &Field(name)); }
  MessageView At(const char* name, int index) const {
    return MessageView(reflection().GetRepeatedMessage(*message_, &Field(name), index));
  }

  const google::protobuf::FieldDescriptor& Field(const char* name) const {
    return *message_->GetDescriptor()->FindFieldByName(name);
  }

 private:
  const google::protobuf::Reflection& reflection() const { return *message_->GetReflection(); }

  const google::protobuf::Message* message_;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_MESSAGE_VIEW_H_
