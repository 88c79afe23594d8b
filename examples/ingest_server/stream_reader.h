// Client streams, with their end told from what only looks like it.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_STREAM_READER_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_STREAM_READER_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ingest_server/message_limit.h"

namespace ingest {

// Read() of a grpc::ServerReader is false at the end of the stream, but also if the client is gone
// or has cancelled, and for a message that does not parse. To take any of these for the end would
// store a part of an upload as the whole. One thread at a time.
template <typename Request>
class StreamReader {
 public:
  StreamReader(grpc::ServerContext& context, grpc::ServerReader<Request>& reader)
      : context_(context), reader_(reader) {}

  // The next message, which lasts until the next call; null at the end. Blocks for the client.
  absl::StatusOr<const Request*> Next() {
    // Parsing begins by clearing the message, and so wipes out this mark, which only the end
    // leaves.
    message_.Clear();
    message_.GetReflection()->MutableUnknownFields(&message_)->AddVarint(kUntouched, 0);
    if (reader_.Read(&message_)) {
      if (absl::Status status = CheckSize(message_); !status.ok()) return status;
      return &message_;
    }
    if (context_.IsCancelled()) {
      return absl::CancelledError("the client ended the call before the stream was complete");
    }
    const auto& fields = message_.GetReflection()->GetUnknownFields(message_);
    if (fields.field_count() != 1 || fields.field(0).number() != kUntouched) {
      return absl::InvalidArgumentError("a message of the stream does not parse");
    }
    return nullptr;
  }

 private:
  // From the range that Protobuf keeps for itself: no message can have this field.
  static constexpr int kUntouched = 19999;

  grpc::ServerContext& context_;
  grpc::ServerReader<Request>& reader_;
  Request message_;
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_STREAM_READER_H_
