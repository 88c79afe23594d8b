// How a component is asked over gRPC, at its own service, for what a method captures.
#ifndef DATAMANAGER_SRC_CAPTURE_CALL_H_
#define DATAMANAGER_SRC_CAPTURE_CALL_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "datamanager/source.h"

namespace google::protobuf {
class Message;
}

namespace datamanager::capture {

// Parses `bytes` as a message of the class of `response`. False if they are none.
bool ReadAsSent(std::string_view bytes, google::protobuf::Message& response);

struct Call {
  std::string_view service;  // Such as "viam.component.arm.v1.ArmService"; empty if there is none.
  std::string_view method;
  // The serialized request to a component that calls itself `name`; INVALID_ARGUMENT if it cannot
  // be expressed.
  absl::StatusOr<std::string> (*request)(std::string_view name,
                                         const CaptureRequest& request) = nullptr;
  // Turns a message of the answer into the method's response. False if it is no such message.
  bool (*read)(std::string_view bytes, google::protobuf::Message& response) = &ReadAsSent;
  // Whether the answer takes the time between two ticks, as a recording does.
  bool lasts_interval = false;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_CALL_H_
