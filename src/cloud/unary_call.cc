#include "cloud/unary_call.h"

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <stop_token>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "cloud/call.h"

namespace datamanager::cloud {
namespace {

grpc::Status ExchangeWatched(Connectivity& connectivity, const std::string& path,
                             const grpc::ByteBuffer& request, grpc::ClientContext& context,
                             CallWatch& watch, grpc::ByteBuffer& reply,
                             CallWatch::Verdict& verdict) {
  grpc::CompletionQueue& queue = QueueOfThisThread();
  grpc::GenericStub stub(connectivity.channel());
  const auto call = stub.PrepareUnaryCall(&context, path, request, &queue);
  grpc::Status status;
  call->StartCall();
  call->Finish(&reply, &status, nullptr);
  Await(queue, context, connectivity.link(), watch, verdict);
  return status;
}

sync::CallResult CallOnce(Connectivity& connectivity, sync::UploadMethod method,
                          const grpc::ByteBuffer& request, const sync::CallOptions& options,
                          bool is_repeat) {
  Beginning beginning = Begin(connectivity, options.stop);
  if (beginning.refusal.has_value()) return *std::move(beginning.refusal);
  grpc::ClientContext context;
  AddToken(beginning.token, context);
  AddUploadKey(options.upload_key, context);
  const std::stop_callback cancel(options.stop, CancelCall{&context});
  AwaitRoom(connectivity.link(), request.Length(), options.stop);
  grpc::ByteBuffer reply;
  CallsUnderWay::Call under_way(connectivity.calls());
  CallWatch watch(connectivity.link().progress());
  watch.HandOver(request.Length(), options.timeout, Clock::System().MonotonicNow());
  CallWatch::Verdict verdict;
  const grpc::Status status =
      ExchangeWatched(connectivity, MethodPath(method), request, context, watch, reply, verdict);
  under_way.End(status.ok());

  sync::CallResult result{.status = ToStatus(status), .sent = true};
  if (status.ok()) {
    result.response = ToString(reply);
  } else if (status.error_code() == grpc::StatusCode::CANCELLED && options.stop.stop_requested()) {
    result.status = StoppedError();
  } else if (verdict != CallWatch::Verdict::kGoOn &&
             status.error_code() == grpc::StatusCode::CANCELLED) {
    result.stalled = true;
    result.status = StalledError(verdict, MethodName(method),
                                 absl::StrCat("no reply to ", ToAbsl(MethodName(method)),
                                              " within ", Format(options.timeout)));
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
