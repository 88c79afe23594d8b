// What the two kinds of call have in common: gRPC's types turned into ours, and when not to begin.
#ifndef DATAMANAGER_SRC_CLOUD_CALL_H_
#define DATAMANAGER_SRC_CLOUD_CALL_H_

#include <grpc/support/time.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "cloud/connectivity.h"
#include "uploader/uploader.h"

namespace datamanager::cloud {

// "FileUpload"; "/viam.app.datasync.v1.DataSyncService/FileUpload".
std::string_view MethodName(sync::UploadMethod method);
std::string MethodPath(sync::UploadMethod method);

// The message's bytes stay where they are.
grpc::ByteBuffer ToByteBuffer(std::string message);
std::string ToString(const grpc::ByteBuffer& buffer);
// The codes are the same; the message is the server's.
absl::Status ToStatus(const grpc::Status& status);

// Monotonic, so that a step of the wall clock neither ends nor prolongs a call.
gpr_timespec DeadlineAfter(std::chrono::milliseconds timeout);
// "30s".
std::string Format(std::chrono::milliseconds duration);

// Unless the key is empty.
void AddUploadKey(const std::string& key, grpc::ClientContext& context);

// The result of a call that must not begin: its stop was requested, or the channel is not READY,
// where gRPC would let it wait for the connection.
std::optional<sync::CallResult> Refusal(const Connectivity& connectivity,
                                        const std::stop_token& stop);
absl::Status StoppedError();

// Requests the end of a call; for std::stop_callback.
struct CancelCall {
  grpc::ClientContext* context;
  void operator()() const { context->TryCancel(); }
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_CALL_H_
