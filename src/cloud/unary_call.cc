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

absl::Status Exchange(const Connectivity& connectivity, sync::UploadMethod method,
                      std::string request, const sync::CallOptions& options,
                      std::string& response) {
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

  if (status.ok()) {
    response = ToString(reply);
    return absl::OkStatus();
  }
  if (status.error_code() == grpc::StatusCode::CANCELLED && options.stop.stop_requested()) {
    return StoppedError();
  }
  // Ours, unless the server gave up earlier.
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
      gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), deadline) >= 0) {
    return absl::DeadlineExceededError(absl::StrCat("no reply to ", ToAbsl(MethodName(method)),
                                                    " within ", Format(options.timeout)));
  }
  return ToStatus(status);
}

}  // namespace

sync::CallResult CallUnary(Connectivity& connectivity, sync::UploadMethod method,
                           std::string request, const sync::CallOptions& options) {
  if (auto refusal = Refusal(connectivity, options.stop)) return *std::move(refusal);
  sync::CallResult result;
  result.status = Exchange(connectivity, method, std::move(request), options, result.response);
  result.channel_ready = connectivity.ReadyAfter(result.status);
  return result;
}

}  // namespace datamanager::cloud
