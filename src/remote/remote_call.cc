#include "remote/remote_call.h"

#include <grpc/support/time.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <utility>

namespace datamanager::remote {
namespace {

// Monotonic, so that a step of the wall clock neither ends nor prolongs a call.
gpr_timespec DeadlineAfter(std::chrono::milliseconds timeout) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(timeout.count(), GPR_TIMESPAN));
}

// How long a tick waits for a lost connection. If it does not come back, the call reports why.
constexpr std::chrono::milliseconds kConnectLimit{100};

// Whether the one operation under way succeeded. Comes by the call's deadline.
bool Wait(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  return queue.Next(&tag, &ok) && ok;
}

}  // namespace

absl::Status Call(ConnectionWait& connection, const std::string& path, std::string_view request,
                  std::chrono::milliseconds timeout, std::stop_token stop,
                  const std::function<absl::Status(std::string_view message)>& read) {
  connection.Wait(kConnectLimit, stop);
  grpc::ClientContext context;
  context.set_deadline(DeadlineAfter(timeout));
  grpc::CompletionQueue queue;
  // On the wire, a unary call is a stream of one message each way.
  const auto call = grpc::GenericStub(connection.channel()).PrepareCall(&context, path, &queue);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });

  call->StartCall(nullptr);
  // Whatever fails, Finish tells why.
  if (Wait(queue)) {
    const grpc::Slice slice(request.data(), request.size());
    call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
    Wait(queue);
  }
  absl::Status status;
  grpc::ByteBuffer buffer;
  while (status.ok()) {
    call->Read(&buffer, nullptr);
    if (!Wait(queue)) break;
    grpc::Slice message;
    status = buffer.DumpToSingleSlice(&message).ok()
                 ? read({reinterpret_cast<const char*>(message.begin()), message.size()})
                 : absl::InternalError("a message of the answer cannot be decompressed");
  }
  if (!status.ok()) context.TryCancel();
  grpc::Status finished;
  call->Finish(&finished, nullptr);
  Wait(queue);
  queue.Shutdown();
  Wait(queue);  // Nothing is left in it.

  if (!status.ok() || finished.ok()) return status;
  if (stop.stop_requested()) return absl::CancelledError("stopped by the caller");
  return absl::Status(static_cast<absl::StatusCode>(finished.error_code()),
                      finished.error_message());
}

}  // namespace datamanager::remote
