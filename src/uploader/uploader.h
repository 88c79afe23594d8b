// What sync needs of the cloud: sync's own words, in a layer of their own so that the gRPC side can
// implement them without linking sync. Tests replace it.
#ifndef DATAMANAGER_SRC_UPLOADER_UPLOADER_H_
#define DATAMANAGER_SRC_UPLOADER_UPLOADER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "datamanager/cloud.h"

namespace datamanager::sync {

// The calls of viam.app.datasync.v1.DataSyncService, and one of viam.app.data.v1.DataService.
enum class UploadMethod : uint8_t {
  kDataCaptureUpload,
  kFileUpload,
  kStreamingDataCaptureUpload,
  kCreateSequence,
};

struct CallOptions {
  std::string upload_key;  // Sent as request metadata `datamanager-upload-key`.
  // The watchdogs. Unary: for the whole call. Streams: for each Write.
  std::chrono::milliseconds timeout{30000};
  // Streams: for the server's answer once all is written.
  std::chrono::milliseconds reply_timeout{30000};
  std::stop_token stop;    // Ends the call with CANCELLED.
  bool is_repeat = false;  // Of a call that ended with CallResult::renewed.
};

struct CallResult {
  absl::Status status;
  // Whether the channel was READY when the call ended: a failure without it is one of the
  // connection, not of the file.
  bool channel_ready = false;
  // Whether anything may have reached the server.
  bool sent = false;
  // Whether a watchdog of ours ended the call, with DEADLINE_EXCEEDED. The server may have stored
  // what it got, or may do so yet: a repeat carries the same key.
  bool stalled = false;
  // A stream was rejected since the token that it carried is over, and may be repeated at once,
  // with another: no failure of the file. Unary calls repeat themselves. Never for a repeat.
  bool renewed = false;
  // How long the server asks to wait before the next call over this connection; of a failed call,
  // as it was sent.
  std::optional<std::chrono::milliseconds> pushback;
  std::string response;  // The serialized reply, if the status is OK.
};

// A client stream under way. One thread at a time. Destroying an unfinished one cancels it; none
// may outlive its Uploader.
class UploadStream {
 public:
  virtual ~UploadStream() = default;

  // Blocks until the transport takes the message. False: the stream is over, and Finish says why.
  virtual bool Write(std::string message) = 0;
  // Ends the stream and blocks for the server's answer, also after a Write that failed: then it
  // yields the server's real status, which is never OK. Once.
  virtual CallResult Finish() = 0;
};

// Messages are handed over serialized. Thread-safe.
class Uploader {
 public:
  virtual ~Uploader() = default;

  // Blocks for the reply, and before for a token to carry, if need be. A channel that is not READY,
  // or a cloud that gives no token, fails the call at once.
  virtual CallResult Unary(UploadMethod method, std::string request,
                           const CallOptions& options) = 0;
  // Blocks for a token to carry, if need be. On a channel that is not READY, the first Write fails.
  virtual std::unique_ptr<UploadStream> OpenStream(UploadMethod method,
                                                   const CallOptions& options) = 0;

  // What uploads are filed under. It may change between calls.
  virtual std::string part_id() const = 0;
  // Does not block.
  virtual ConnectionStatus Status() const = 0;
  // Whether the channel is READY, and the server gives a token if one is needed. Does not block.
  virtual bool Ready() const = 0;
  // Asks an idle channel to connect, which gRPC does not do by itself once a connection has ended.
  // Does not block.
  virtual void RequestConnect() = 0;
  // Asks the channel to connect and blocks until it is READY, the deadline, or the stop.
  virtual bool WaitUntilReady(MonotonicTime deadline, std::stop_token stop) = 0;
  // Sets what is called, on a thread of the uploader's own or of who reconfigures it, each time the
  // channel becomes READY or ceases to be, though not for the state it is in already; it must not
  // block. The listener before is taken away, and a call of it that is under way waited for, unless
  // it is that call which sets the new one. Null only takes it away.
  virtual void SetReadyListener(std::function<void(bool ready)> listener) = 0;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_UPLOADER_UPLOADER_H_
