#ifndef DATAMANAGER_SRC_CLOUD_UNARY_CALL_H_
#define DATAMANAGER_SRC_CLOUD_UNARY_CALL_H_

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "cloud/call.h"
#include "cloud/call_watch.h"
#include "cloud/connectivity.h"
#include "cloud/event_queue.h"
#include "uploader/uploader.h"

namespace datamanager::cloud {

// See sync::CallQueue::Unary. Must live until it has ended.
class UnaryCall final : public Operation {
 public:
  using Ended = std::function<void(UnaryCall*, sync::CallResult)>;

  // `events` must outlive it, and calls `ended`, which may destroy it.
  UnaryCall(EventQueue& events, std::shared_ptr<Connectivity> connectivity,
            sync::UploadMethod method, std::string request, sync::CallOptions options, Ended ended);

  void OnEvent(bool ok) override;
  void OnDeadline() override;

 private:
  // gRPC's side of one try.
  struct Try {
    explicit Try(LinkProgress& link) : watch(link) {}

    Token token;
    CallWatch watch;
    CallWatch::Verdict verdict = CallWatch::Verdict::kGoOn;
    grpc::ClientContext context;
    grpc::ByteBuffer reply;
    grpc::Status status;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
    std::optional<CallsUnderWay::Call> under_way;
    std::optional<std::stop_callback<CancelCall>> cancel;
  };

  void Begin();
  sync::CallResult ResultOf(Try& attempt);

  EventQueue& events_;
  const std::shared_ptr<Connectivity> connectivity_;
  const sync::UploadMethod method_;
  const grpc::ByteBuffer request_;
  const sync::CallOptions options_;
  const Ended ended_;
  bool is_repeat_;
  WaitForRoom room_;
  std::unique_ptr<Try> try_;  // Null while a token is on its way, or the link has no room.
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_UNARY_CALL_H_
