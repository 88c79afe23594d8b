#include "cloud/unary_call.h"

#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include <stop_token>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "cloud/call.h"

namespace datamanager::cloud {
namespace {

// Fills in all of `result` but the channel's state.
void Exchange(const Connectivity& connectivity, sync::UploadMethod method, std::string request,
              const sync::CallOptions& options, sync::CallResult& result) {
  const gpr_timespec deadline = DeadlineAfter(options.timeout);
  grpc::ClientContext context;
  context.set_deadline(deadline);
  AddUploadKey(options.upload_key, context);
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(connectivity.channel());
  const auto call =
      stub.PrepareUnaryCall(&context, MethodPath(method), ToByteBuffer(std::move(request)), &queue);
  const std::stop_callback cancel(options.stop, CancelCall{&context});
  grpc::ByteBuffer reply;
  grpc::Status status;
  call->StartCall();
  call->Finish(&reply, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);  // Comes by the deadline.
  queue.Shutdown();
  queue.Next(&tag, &ok);  // Nothing is left in it.

  result.status = ToStatus(status);
  if (status.ok()) {
    result.response = ToString(reply);
  } else if (status.error_code() == grpc::StatusCode::CANCELLED && options.stop.stop_requested()) {
    result.status = StoppedError();
  } else if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
             gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), deadline) >= 0) {
    // Ours, unless the server gave up earlier.
    result.stalled = true;
    result.status = absl::DeadlineExceededError(absl::StrCat(
        "stalled: no reply to ", ToAbsl(MethodName(method)), " within ", Format(options.timeout)));
  }
}

}  // namespace

sync::CallResult CallUnary(Connectivity& connectivity, sync::UploadMethod method,
                           std::string request, const sync::CallOptions& options) {
  if (auto refusal = Refusal(connectivity, options.stop)) return *std::move(refusal);
  sync::CallResult result{.sent = true};
  Exchange(connectivity, method, std::move(request), options, result);
  result.channel_ready = connectivity.ReadyAfter(result.status);
  return result;
}

}  // namespace datamanager::cloud
