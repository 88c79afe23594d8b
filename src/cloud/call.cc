#include "cloud/call.h"

#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/strings.h"

namespace datamanager::cloud {

namespace {

// Where a thread waits for its calls, one at a time: to make a queue for each takes a twentieth of
// the call's CPU time.
class ReplyQueue {
 public:
  static grpc::CompletionQueue& OfThisThread() {
    static thread_local ReplyQueue own;
    return own.queue_;
  }
  ~ReplyQueue() {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    queue_.Next(&tag, &ok);  // Nothing is left in it.
  }

 private:
  grpc::CompletionQueue queue_;
};

}  // namespace

std::string_view MethodName(sync::UploadMethod method) {
  switch (method) {
    case sync::UploadMethod::kDataCaptureUpload:
      return "DataCaptureUpload";
    case sync::UploadMethod::kFileUpload:
      return "FileUpload";
    case sync::UploadMethod::kStreamingDataCaptureUpload:
      return "StreamingDataCaptureUpload";
    case sync::UploadMethod::kCreateSequence:
      return "CreateSequence";
  }
  return "";
}

std::string MethodPath(sync::UploadMethod method) {
  const char* const service = method == sync::UploadMethod::kCreateSequence
                                  ? "viam.app.data.v1.DataService"
                                  : "viam.app.datasync.v1.DataSyncService";
  return absl::StrCat("/", service, "/", ToAbsl(MethodName(method)));
}

grpc::ByteBuffer ToByteBuffer(std::string message) {
  auto owner = std::make_unique<std::string>(std::move(message));
  char* const data = owner->data();
  const size_t size = owner->size();
  const grpc::Slice slice(
      data, size, [](void* text) { delete static_cast<std::string*>(text); }, owner.release());
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  // Fails only for a buffer that holds no message.
  if (!buffer.DumpToSingleSlice(&slice).ok()) return {};
  return std::string(reinterpret_cast<const char*>(slice.begin()), slice.size());
}

absl::Status ToStatus(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

gpr_timespec DeadlineAfter(std::chrono::milliseconds timeout) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(timeout.count(), GPR_TIMESPAN));
}

gpr_timespec DeadlineAt(MonotonicTime time) {
  if (time == MonotonicTime::max()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  const auto left = time - Clock::System().MonotonicNow();
  // Rounded up, so that it is not called for before.
  return DeadlineAfter(
      std::max(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds(0)));
}

std::string Format(std::chrono::milliseconds duration) {
  return absl::FormatDuration(absl::FromChrono(duration));
}

grpc::Status Exchange(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
                      const grpc::ByteBuffer& request, grpc::ClientContext& context,
                      grpc::ByteBuffer& reply) {
  grpc::CompletionQueue& queue = ReplyQueue::OfThisThread();
  grpc::GenericStub stub(channel);
  const auto call = stub.PrepareUnaryCall(&context, path, request, &queue);
  grpc::Status status;
  call->StartCall();
  call->Finish(&reply, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);  // Comes by the deadline.
  return status;
}

absl::Status StalledError(CallWatch::Verdict verdict, std::string_view method,
                          std::string_view waited) {
  if (verdict == CallWatch::Verdict::kTooSlow) {
    return absl::DeadlineExceededError(
        absl::StrCat("stalled: ", ToAbsl(method), ": the server acknowledged fewer than ",
                     CallWatch::kLeastBytes, " bytes within ", Format(CallWatch::kLeastSpan)));
  }
  return absl::DeadlineExceededError(absl::StrCat("stalled: ", ToAbsl(waited)));
}

void AddToken(const Token& token, grpc::ClientContext& context) {
  if (token != nullptr) context.AddMetadata("authorization", absl::StrCat("Bearer ", *token));
}

void AddIdentity(const sync::CallOptions& options, grpc::ClientContext& context) {
  if (!options.upload_key.empty()) {
    context.AddMetadata("datamanager-upload-key", options.upload_key);
  }
  if (!options.content_sha256.empty()) {
    context.AddMetadata("datamanager-content-sha256", options.content_sha256);
  }
}

std::optional<Beginning> TryBegin(const Connectivity& connectivity, const std::stop_token& stop) {
  const auto refused = [](absl::Status status, bool ready) {
    return Beginning{.refusal =
                         sync::CallResult{.status = std::move(status), .channel_ready = ready}};
  };
  const bool ready = connectivity.Ready();
  if (stop.stop_requested()) return refused(StoppedError(), ready);
  if (!ready) {
    const ConnectionStatus connection = connectivity.Status();
    return refused(absl::UnavailableError(absl::StrCat("not connected to ", connection.address,
                                                       connection.last_error.empty() ? "" : ": ",
                                                       connection.last_error)),
                   ready);
  }
  if (connectivity.authentication() == nullptr) return Beginning{};
  std::optional<absl::StatusOr<Token>> token = connectivity.authentication()->TryGet();
  if (!token.has_value()) return std::nullopt;
  if (!token->ok()) return refused(token->status(), connectivity.Ready());
  return Beginning{.token = **std::move(token)};
}

MonotonicTime NextLook() { return Clock::System().MonotonicNow() + std::chrono::milliseconds(10); }

bool WaitForRoom::Take(uint64_t bytes) {
  const MonotonicTime now = Clock::System().MonotonicNow();
  if (!link_.progress().TakeRoom(bytes, place_, now)) {
    link_.Refresh(now);
    if (!link_.progress().TakeRoom(bytes, place_, now)) return false;
  }
  looks_ = 0;
  return true;
}

MonotonicTime WaitForRoom::NextLook() {
  constexpr int kMostDoublings = 5;
  const int doublings = std::min(looks_++, kMostDoublings);
  return Clock::System().MonotonicNow() + std::chrono::milliseconds(1 << doublings);
}

void End(Connectivity& connectivity, const Token& token, bool is_repeat, sync::CallResult& result) {
  if (token != nullptr) {
    Authentication& authentication = *connectivity.authentication();
    result.renewed = authentication.CallEnded(token, result.status, is_repeat);
    if (!result.status.ok()) {
      result.status =
          absl::Status(result.status.code(),
                       authentication.Scrubbed(std::string(result.status.message()), token));
    }
  }
  result.channel_ready = connectivity.ReadyAfter(result.status);
}

absl::Status StoppedError() { return absl::CancelledError("stopped by the caller"); }

}  // namespace datamanager::cloud
