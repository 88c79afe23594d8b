// What sync needs of the cloud: sync's own words, in a layer of their own so that the gRPC side can
// implement them without linking sync. Tests replace it.
#ifndef DATAMANAGER_SRC_UPLOADER_UPLOADER_H_
#define DATAMANAGER_SRC_UPLOADER_UPLOADER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
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

// What an upload of several requests keeps from its beginning to its end, whatever config takes the
// place of the present one meanwhile.
struct UploadSession {
  std::string part_id;  // What the uploads are filed under.
  // Tells clouds apart: it names the server's address and the part. What was sent in one session
  // need not be sent again in another one of the same cloud.
  std::string cloud;
  std::shared_ptr<void> connection;  // For CallOptions.
};

struct CallOptions {
  // The session's. A call over one that was replaced fails with UNAVAILABLE once that has ended.
  // Null: the connection that is there when the call begins.
  std::shared_ptr<void> connection;
  std::string upload_key;  // Sent as request metadata `datamanager-upload-key`.
  // Streams: the SHA-256 of the bytes that the stream carries, in hexadecimal. Sent as request
  // metadata `datamanager-content-sha256`. A server that has stored them already, under the same
  // key, may answer OK before it has read them if it names the same digest in its trailing metadata
  // `datamanager-already-stored`; any other OK that comes before the last message is an error.
  std::string content_sha256;
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

// A client stream under way. One operation at a time; `done` is called as those of a CallQueue are.
// Destroying an unfinished one cancels it, and no `done` of it is called any more. None may outlive
// its queue.
class UploadStream {
 public:
  virtual ~UploadStream() = default;

  // Until the transport takes the message. False: the stream is over, and Finish says why.
  virtual void Write(std::string message, std::function<void(bool)> done) = 0;
  // Ends the stream and waits for the server's answer, also after a Write that failed: then it
  // yields the server's real status, which is never OK. Once.
  virtual void Finish(std::function<void(CallResult)> done) = 0;
};

// How much to hand over at once so that small requests get their turn on a slow link. They change
// while uploads are under way.
struct UploadSizes {
  static constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();
  // A piece of a stream: a fraction of a second of the link.
  uint64_t piece = kUnlimited;
  // Contents that may be sent as a request or as a stream are better streamed beyond this: a few
  // seconds of the link.
  uint64_t request = kUnlimited;
  // Calls that wait because the link is full. Another upload would only wait, too.
  int waiting = 0;
};

// The calls that one thread has under way, and where it waits for them. Messages are handed over
// serialized. All but Wake is for that thread.
//
// No call blocks but RunOne, and only RunOne calls a `done`: once, when the call has ended. Every
// call must have ended before the queue is destroyed.
class CallQueue {
 public:
  virtual ~CallQueue() = default;

  // Waits, before it begins, for a token to carry, if need be. A channel that is not READY, or a
  // cloud that gives no token, fails the call at once.
  virtual void Unary(UploadMethod method, std::string request, CallOptions options,
                     std::function<void(CallResult)> done) = 0;
  // The first Write waits for a token, if need be. On a channel that is not READY it fails.
  virtual std::unique_ptr<UploadStream> OpenStream(UploadMethod method, CallOptions options) = 0;

  virtual UploadSizes Sizes() const { return {}; }

  // For long work between calls: `done` is called when the thread's other work has had its turn.
  virtual void Yield(std::function<void()> done) = 0;

  // Waits for an operation to end, and calls its `done`. False: none has by the deadline, or before
  // a Wake.
  virtual bool RunOne(MonotonicTime deadline) = 0;
  // The RunOne under way, or else the next one, does not wait. Any thread. Does not block.
  virtual void Wake() = 0;
};

// Thread-safe.
class Uploader {
 public:
  virtual ~Uploader() = default;

  // For one thread; must not outlive the Uploader.
  virtual std::unique_ptr<CallQueue> NewQueue() = 0;

  // Over the connection of this moment. Does not block.
  virtual UploadSession NewSession() const = 0;
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
