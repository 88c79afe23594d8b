// How large a message may be.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_MESSAGE_LIMIT_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_MESSAGE_LIMIT_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/message_lite.h"

namespace ingest {

// As Viam's own servers have it.
inline constexpr size_t kMaxMessageBytes = 1 << 25;

// gRPC's own limit is off: of a stream it drops the message that exceeds it, and the stream can
// look complete without it.
inline absl::Status CheckSize(const google::protobuf::MessageLite& message) {
  const size_t size = message.ByteSizeLong();
  if (size <= kMaxMessageBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("received message larger than max (", size, " vs. ", kMaxMessageBytes, ")"));
}

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_MESSAGE_LIMIT_H_
