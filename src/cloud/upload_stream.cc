#include "cloud/upload_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "cloud/pushback.h"

namespace datamanager::cloud {

GrpcUploadStream::GrpcUploadStream(std::shared_ptr<Connectivity> connectivity,
                                   sync::UploadMethod method, const sync::CallOptions& options)
    : connectivity_(std::move(connectivity)),
      method_(MethodName(method)),
      timeout_(options.timeout),
      reply_timeout_(options.reply_timeout),
      stop_(options.stop),
      is_repeat_(options.is_repeat),
      beginning_(Begin(*connectivity_, options.stop)) {
  if (beginning_.refusal.has_value()) return;
  AddToken(beginning_.token, context_);
  AddUploadKey(options.upload_key, context_);
  // The headers leave with the first message, so that starting the call is no operation to wait
  // for.
  context_.set_initial_metadata_corked(true);
  under_way_.emplace(connectivity_->calls());
  grpc::GenericStub stub(connectivity_->channel());
  call_ = stub.PrepareCall(&context_, MethodPath(method), &queue_);
  call_->StartCall(nullptr);
  cancel_.emplace(stop_, CancelCall{&context_});
}

GrpcUploadStream::~GrpcUploadStream() {
  context_.TryCancel();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

bool GrpcUploadStream::Write(std::string message) {
  if (beginning_.refusal.has_value() || broken_) return false;
  ++messages_;
  call_->Write(ToByteBuffer(std::move(message)), nullptr);
  broken_ = !Await(absl::StrCat("take message ", messages_), timeout_, DeadlineAfter(timeout_));
  return !broken_;
}

sync::CallResult GrpcUploadStream::Finish() {
  if (beginning_.refusal.has_value()) return *beginning_.refusal;
  sync::CallResult result;
  result.status = stall_.ok() ? AwaitStatus(result.response) : stall_;
  result.sent = true;
  result.stalled = !stall_.ok();
  if (stall_.ok() && !result.status.ok()) result.pushback = PushbackOf(context_);
  under_way_->End(result.status.ok());
  End(*connectivity_, beginning_.token, is_repeat_, result);
  return result;
}

absl::Status GrpcUploadStream::AwaitStatus(std::string& response) {
  const gpr_timespec deadline = DeadlineAfter(reply_timeout_);
  const std::string step = absl::StrCat("reply after ", messages_, " messages");
  // A step that fails here says only that the status is there already. Even a broken stream's reply
  // is read: gRPC gives no status while a message waits.
  if (!broken_) {
    call_->WritesDone(nullptr);
    Await(step, reply_timeout_, deadline);
    if (!stall_.ok()) return stall_;
  }
  grpc::ByteBuffer reply;
  call_->Read(&reply, nullptr);
  Await(step, reply_timeout_, deadline);
  if (!stall_.ok()) return stall_;
  grpc::Status status;
  call_->Finish(&status, nullptr);
  Await(step, reply_timeout_, deadline);
  if (!stall_.ok()) return stall_;

  if (status.error_code() == grpc::StatusCode::CANCELLED && stop_.stop_requested()) {
    return StoppedError();
  }
  if (!status.ok()) return ToStatus(status);
  if (broken_) {
    return absl::AbortedError(absl::StrCat(
        ToAbsl(method_), ": the server answered OK before it had taken message ", messages_));
  }
  response = ToString(reply);
  return absl::OkStatus();
}

bool GrpcUploadStream::Await(std::string_view step, std::chrono::milliseconds limit,
                             gpr_timespec deadline) {
  void* tag = nullptr;
  bool ok = false;
  if (queue_.AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::GOT_EVENT) return ok;
  stall_ =
      absl::DeadlineExceededError(absl::StrCat("stalled: ", ToAbsl(method_), " waited ",
                                               Format(limit), " for the server to ", ToAbsl(step)));
  context_.TryCancel();
  queue_.Next(&tag, &ok);  // A cancelled operation ends at once.
  return false;
}

}  // namespace datamanager::cloud
