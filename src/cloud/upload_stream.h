#ifndef DATAMANAGER_SRC_CLOUD_UPLOAD_STREAM_H_
#define DATAMANAGER_SRC_CLOUD_UPLOAD_STREAM_H_

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "cloud/call.h"
#include "cloud/call_watch.h"
#include "cloud/connectivity.h"
#include "cloud/event_queue.h"
#include "uploader/uploader.h"

namespace datamanager::cloud {

// A client stream whose every step is bounded in time.
class GrpcUploadStream final : public sync::UploadStream, private Operation {
 public:
  // It goes on over `connectivity`, whatever takes its place. `events` must outlive it.
  GrpcUploadStream(EventQueue& events, std::shared_ptr<Connectivity> connectivity,
                   sync::UploadMethod method, sync::CallOptions options);
  ~GrpcUploadStream() override;

  void Write(std::string message, std::function<void(bool)> done) override;
  void Finish(std::function<void(sync::CallResult)> done) override;

 private:
  // What it waits for.
  enum class Step : uint8_t { kNothing, kToken, kRoom, kWrite, kWritesDone, kReply, kStatus };

  void OnEvent(bool ok) override;
  void OnDeadline() override;

  // Begins the call, and then goes on with what was asked for.
  void Begin();
  void GoOn();
  void StartWrite();
  void StartFinish();
  void StartReading();
  // Waits for gRPC's event, as long as the watch lets it.
  void Await(Step step);
  // Has `function` called by RunOne, if the stream is still there.
  void Post(std::function<void()> function);
  void Written(bool ok);
  void Ended();
  absl::Status StatusOfCall();
  // Whether the server says, of an OK, that it had stored the same content before.
  bool AlreadyStored() const;
  bool refused() const { return beginning_.has_value() && beginning_->refusal.has_value(); }

  EventQueue& events_;
  const std::shared_ptr<Connectivity> connectivity_;
  const sync::UploadMethod method_;
  const sync::CallOptions options_;
  std::optional<Beginning> beginning_;  // If it is a refusal, the call is unused.
  std::optional<CallsUnderWay::Call> under_way_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  std::optional<std::stop_callback<CancelCall>> cancel_;

  Step step_ = Step::kNothing;
  WaitForRoom room_;
  // What was asked for: one of the two.
  std::string message_;
  std::function<void(bool)> written_;
  std::function<void(sync::CallResult)> finished_;
  grpc::ByteBuffer reply_;
  grpc::Status status_;
  CallWatch watch_;

  absl::Status stall_;    // Why a watchdog ended it.
  bool broken_ = false;   // A Write failed.
  int64_t messages_ = 0;  // Handed to Write.
  // What is posted finds it expired if the stream is gone.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_UPLOAD_STREAM_H_
