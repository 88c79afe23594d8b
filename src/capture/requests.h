// What is sent to components, for the table of methods: see Call::request.
#ifndef DATAMANAGER_SRC_CAPTURE_REQUESTS_H_
#define DATAMANAGER_SRC_CAPTURE_REQUESTS_H_

#include <google/protobuf/struct.pb.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "datamanager/source.h"

namespace datamanager::capture {

// `map` as a message.
absl::Status ToStruct(const ValueMap& map, google::protobuf::Struct& out);

// A request that has a name and, unless the method takes none, the extra.
template <typename Request>
absl::StatusOr<std::string> AskByName(std::string_view name, const CaptureRequest& asked) {
  Request request;
  request.set_name(std::string(name));
  if constexpr (requires { request.mutable_extra(); }) {
    if (absl::Status status = ToStruct(asked.extra, *request.mutable_extra()); !status.ok()) {
      return status;
    }
  }
  return request.SerializeAsString();
}

// Those with more in them.
absl::StatusOr<std::string> AskDoCommand(std::string_view name, const CaptureRequest& asked);
absl::StatusOr<std::string> AskWorldPose(std::string_view name, const CaptureRequest& asked);
absl::StatusOr<std::string> AskAnalogReader(std::string_view name, const CaptureRequest& asked);
absl::StatusOr<std::string> AskGpio(std::string_view name, const CaptureRequest& asked);
absl::StatusOr<std::string> AskAudio(std::string_view name, const CaptureRequest& asked);
absl::StatusOr<std::string> AskImages(std::string_view name, const CaptureRequest& asked);
absl::StatusOr<std::string> AskPointCloud(std::string_view name, const CaptureRequest& asked);
absl::StatusOr<std::string> AskPointCloudMap(std::string_view name, const CaptureRequest& asked);
absl::StatusOr<std::string> AskTicksCount(std::string_view name, const CaptureRequest& asked);
absl::StatusOr<std::string> AskCaptureAll(std::string_view name, const CaptureRequest& asked);

// The pose of a GetPoseResponse as a GetWorldPoseResponse; see Call::read.
bool ReadWorldPose(std::string_view bytes, google::protobuf::Message& response);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_REQUESTS_H_
