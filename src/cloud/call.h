// What the two kinds of call have in common: gRPC's types turned into ours, and when not to begin.
#ifndef DATAMANAGER_SRC_CLOUD_CALL_H_
#define DATAMANAGER_SRC_CLOUD_CALL_H_

#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "cloud/authentication.h"
#include "cloud/call_watch.h"
#include "cloud/connectivity.h"
#include "uploader/uploader.h"

namespace datamanager::cloud {

// "FileUpload"; "/viam.app.datasync.v1.DataSyncService/FileUpload".
std::string_view MethodName(sync::UploadMethod method);
std::string MethodPath(sync::UploadMethod method);

// The message's bytes stay where they are.
grpc::ByteBuffer ToByteBuffer(std::string message);
std::string ToString(const grpc::ByteBuffer& buffer);
// The codes are the same; the message is the server's.
absl::Status ToStatus(const grpc::Status& status);

// Monotonic, so that a step of the wall clock neither ends nor prolongs a call.
gpr_timespec DeadlineAfter(std::chrono::milliseconds timeout);
gpr_timespec DeadlineAt(MonotonicTime time);
// "30s".
std::string Format(std::chrono::milliseconds duration);

// A unary call, to its end: at the context's deadline, or when it is cancelled.
grpc::Status Exchange(const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
                      const grpc::ByteBuffer& request, grpc::ClientContext& context,
                      grpc::ByteBuffer& reply);

// Why a call was given up: "stalled: `waited`", or that too few bytes were acknowledged.
absl::Status StalledError(CallWatch::Verdict verdict, std::string_view method,
                          std::string_view waited);
// Unless it is null.
void AddToken(const Token& token, grpc::ClientContext& context);
// The key and the digest of the options, unless they are empty.
void AddIdentity(const sync::CallOptions& options, grpc::ClientContext& context);

// What a call begins with: the token to carry, null if there is no authentication; or the result of
// a call that must not begin. Its stop was requested, the channel is not READY, where gRPC would
// let it wait for the connection, or the cloud gives no token.
struct Beginning {
  Token token;
  std::optional<sync::CallResult> refusal;
};
// nullopt: a token is on its way; look again at NextLook(). Does not block.
std::optional<Beginning> TryBegin(const Connectivity& connectivity, const std::stop_token& stop);
// When to look again for a token.
MonotonicTime NextLook();
// A call's wait until the link has room for its bytes.
class WaitForRoom {
 public:
  // `link` must outlive it.
  explicit WaitForRoom(LinkWatch& link) : link_(link) {}
  ~WaitForRoom() { Leave(); }
  WaitForRoom(const WaitForRoom&) = delete;
  WaitForRoom& operator=(const WaitForRoom&) = delete;

  // Whether the bytes may be handed over now. Looks at the socket before it says no.
  bool Take(uint64_t bytes);
  // It does not ask again.
  void Leave() { link_.progress().LeaveLine(place_); }
  // When to ask again. Soon at first, since on a good link the acknowledgement is a moment away.
  MonotonicTime NextLook();

 private:
  LinkWatch& link_;
  std::optional<RoomLine::Place> place_;
  int looks_ = 0;
};
// Fills in what is to be known of the connection as the call ends with `result.status`, and takes
// secrets out of it.
void End(Connectivity& connectivity, const Token& token, bool is_repeat, sync::CallResult& result);
absl::Status StoppedError();

// Requests the end of a call; for std::stop_callback.
struct CancelCall {
  grpc::ClientContext* context;
  void operator()() const { context->TryCancel(); }
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_CALL_H_
