#ifndef DATAMANAGER_SRC_CLOUD_UPLOAD_STREAM_H_
#define DATAMANAGER_SRC_CLOUD_UPLOAD_STREAM_H_

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "cloud/call.h"
#include "cloud/call_watch.h"
#include "cloud/connectivity.h"
#include "uploader/uploader.h"

namespace datamanager::cloud {

// A client stream whose every step is bounded in time: the thread that writes is the one that
// waits.
class GrpcUploadStream final : public sync::UploadStream {
 public:
  // It goes on over `connectivity`, whatever takes its place.
  GrpcUploadStream(std::shared_ptr<Connectivity> connectivity, sync::UploadMethod method,
                   const sync::CallOptions& options);
  ~GrpcUploadStream() override;

  bool Write(std::string message) override;
  sync::CallResult Finish() override;

 private:
  // Blocks for the one operation under way, and returns whether it succeeded. Once the watch gives
  // the call up it cancels the call, and stall_ says that the server did not `step`, which may last
  // `limit` without progress.
  bool AwaitStep(std::string_view step, std::chrono::milliseconds limit);
  absl::Status AwaitStatus(std::string& response);

  const std::shared_ptr<Connectivity> connectivity_;
  const std::string_view method_;
  const std::chrono::milliseconds timeout_;
  const std::chrono::milliseconds reply_timeout_;
  const std::stop_token stop_;
  const bool is_repeat_;
  const Beginning beginning_;  // If it is a refusal, the rest is unused.
  std::optional<CallsUnderWay::Call> under_way_;
  CallWatch watch_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  absl::Status stall_;    // Why a watchdog ended it.
  bool broken_ = false;   // A Write failed.
  int64_t messages_ = 0;  // Handed to Write.
  std::optional<std::stop_callback<CancelCall>> cancel_;
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_UPLOAD_STREAM_H_
