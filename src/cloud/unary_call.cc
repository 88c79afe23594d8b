#include "cloud/unary_call.h"

#include <grpcpp/client_context.h>

#include <stop_token>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "cloud/call.h"
#include "cloud/pushback.h"

namespace datamanager::cloud {
namespace {

// The server is told how much time there is, and its timer may fire first.
gpr_timespec SlightlyBefore(gpr_timespec deadline) {
  return gpr_time_sub(deadline, gpr_time_from_millis(10, GPR_TIMESPAN));
}

sync::CallResult CallOnce(Connectivity& connectivity, sync::UploadMethod method,
                          const grpc::ByteBuffer& request, const sync::CallOptions& options,
                          bool is_repeat) {
  Beginning beginning = Begin(connectivity, options.stop);
  if (beginning.refusal.has_value()) return *std::move(beginning.refusal);
  const gpr_timespec deadline = DeadlineAfter(options.timeout);
  grpc::ClientContext context;
  context.set_deadline(deadline);
  AddToken(beginning.token, context);
  AddUploadKey(options.upload_key, context);
  const std::stop_callback cancel(options.stop, CancelCall{&context});
  grpc::ByteBuffer reply;
  CallsUnderWay::Call under_way(connectivity.calls());
  const grpc::Status status =
      Exchange(connectivity.channel(), MethodPath(method), request, context, reply);
  under_way.End(status.ok());

  sync::CallResult result{.status = ToStatus(status), .sent = true};
  if (!status.ok()) result.pushback = PushbackOf(context);
  if (status.ok()) {
    result.response = ToString(reply);
  } else if (status.error_code() == grpc::StatusCode::CANCELLED && options.stop.stop_requested()) {
    result.status = StoppedError();
  } else if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
             gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), SlightlyBefore(deadline)) >= 0) {
    // Ours, unless the server gave up earlier.
    result.stalled = true;
    result.status = absl::DeadlineExceededError(absl::StrCat(
        "stalled: no reply to ", ToAbsl(MethodName(method)), " within ", Format(options.timeout)));
  }
  End(connectivity, beginning.token, is_repeat, result);
  return result;
}

}  // namespace

sync::CallResult CallUnary(Connectivity& connectivity, sync::UploadMethod method,
                           std::string request, const sync::CallOptions& options) {
  const grpc::ByteBuffer bytes = ToByteBuffer(std::move(request));
  sync::CallResult result = CallOnce(connectivity, method, bytes, options, options.is_repeat);
  if (!result.renewed) return result;
  return CallOnce(connectivity, method, bytes, options, /*is_repeat=*/true);
}

}  // namespace datamanager::cloud
