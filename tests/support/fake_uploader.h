// A cloud in memory, which does what a test tells it to.
#ifndef DATAMANAGER_TESTS_SUPPORT_FAKE_UPLOADER_H_
#define DATAMANAGER_TESTS_SUPPORT_FAKE_UPLOADER_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "datamanager/wire/viam/app/data/v1/data.pb.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "tests/support/blocking_uploader.h"
#include "uploader/uploader.h"

namespace datamanager::testing {

// A call as the server sees it.
struct UploadCall {
  sync::UploadMethod method = sync::UploadMethod::kDataCaptureUpload;
  std::string key;
  std::chrono::milliseconds timeout{0};
  std::chrono::milliseconds reply_timeout{0};
  wire::viam::app::datasync::v1::UploadMetadata metadata;
  // Unary: the request as sent, and its records.
  std::string request;
  std::vector<wire::viam::app::datasync::v1::SensorData> records;
  wire::viam::app::data::v1::CreateSequenceRequest sequence;
  // Streams: what the first message says of a record, the pieces joined, the size of each message.
  wire::viam::app::datasync::v1::SensorMetadata sensor_metadata;
  std::string contents;
  std::vector<size_t> message_sizes;
  bool well_formed = true;  // All messages parse, metadata comes first and only there.

  bool ended = false;   // Not cancelled by the client on its way.
  absl::Status status;  // What the client was told.
};

// Stores what it is sent under its key, as the real server does: a repeat is acknowledged, and
// stored once. Unlike the real server, it stores equal content once for each file name and
// component, because most tests tell files apart by these alone. Ready from the start. Thread-safe.
class FakeUploader final : public BlockingUploader {
 public:
  explicit FakeUploader(std::string part_id = "part-1") : part_id_(std::move(part_id)) {
    status_.state = ConnectionState::kHealthy;
    status_.address = "cloud.test:443";
  }

  // --- What the test says.

  // The connection comes or goes; calls under way fail when it goes.
  void SetReady(bool ready) {
    {
      MutexLock lock(mutex_);
      ready_ = ready;
      status_.state = ready ? ConnectionState::kHealthy : ConnectionState::kUnhealthy;
      if (!ready) status_.last_error = "connection refused";
      status_.since = std::chrono::system_clock::now();
      changed_.NotifyAll();
    }
    const std::lock_guard<std::mutex> lock(listener_mutex_);
    if (listener_) listener_(ready);
  }
  void SetStatus(ConnectionStatus status) {
    MutexLock lock(mutex_);
    status_ = std::move(status);
  }
  // The next calls fail with `code`, and store nothing.
  void FailNext(int count, absl::StatusCode code) {
    MutexLock lock(mutex_);
    fail_next_ = count;
    fail_code_ = code;
  }
  // The next calls fail with RESOURCE_EXHAUSTED and ask for a wait of so long.
  void PushBackNext(int count, std::chrono::milliseconds wait) {
    MutexLock lock(mutex_);
    push_back_next_ = count;
    pushback_ = wait;
  }
  // The next calls are stored, but the client is told that they failed.
  void LoseNextReplies(int count) {
    MutexLock lock(mutex_);
    lose_next_ = count;
  }
  // The next calls are ended by a watchdog, and store nothing.
  void StallNext(int count) {
    MutexLock lock(mutex_);
    stall_next_ = count;
  }
  // The next calls find the connection lost, which is back by the time they have told so.
  void LoseConnectionForAMoment(int calls) {
    MutexLock lock(mutex_);
    lost_next_ = calls;
  }
  // Sees every call once it is complete, one at a time, before it is answered; an error is its
  // answer. May call anything here but this. Null takes it away, and waits for a call under way.
  void OnCall(std::function<absl::Status(const UploadCall&)> hook) {
    const std::lock_guard<std::mutex> lock(hook_mutex_);
    hook_ = std::move(hook);
  }
  // The next stream ends with `code` as soon as it has carried that many bytes. A stream that ends
  // with UNAUTHENTICATED, for this reason or another, may be repeated with a new token.
  void BreakNextStreamAfter(size_t bytes, absl::StatusCode code) {
    MutexLock lock(mutex_);
    break_after_ = bytes;
    break_code_ = code;
  }
  // Calls get no answer until Release, or until they are stopped.
  void Block() {
    MutexLock lock(mutex_);
    blocking_ = true;
  }
  // From here on, only those of one component.
  void BlockOnly(std::string component) {
    MutexLock lock(mutex_);
    block_only_ = std::move(component);
  }
  void Release() {
    MutexLock lock(mutex_);
    blocking_ = false;
    block_only_.clear();
    changed_.NotifyAll();
  }

  // --- What the test asks.

  // Every call, in the order of the answers.
  std::vector<UploadCall> calls() const {
    MutexLock lock(mutex_);
    return calls_;
  }
  // What a server has in the end.
  std::vector<UploadCall> stored() const {
    MutexLock lock(mutex_);
    return stored_;
  }
  size_t call_count() const {
    MutexLock lock(mutex_);
    return calls_.size();
  }
  size_t stored_count() const {
    MutexLock lock(mutex_);
    return stored_.size();
  }
  // Calls that were acknowledged because of their key, and not stored again.
  size_t repeats() const {
    MutexLock lock(mutex_);
    return repeats_;
  }
  // Calls that wait for Release.
  size_t blocked() const {
    MutexLock lock(mutex_);
    return blocked_;
  }
  // How often it was asked whether the channel is ready.
  size_t ready_checks() const {
    MutexLock lock(mutex_);
    return ready_checks_;
  }
  // How often the channel was asked to connect.
  size_t connect_requests() const {
    MutexLock lock(mutex_);
    return connect_requests_;
  }

  // --- sync::Uploader.

  sync::CallResult Unary(sync::UploadMethod method, std::string request,
                         const sync::CallOptions& options) override {
    UploadCall call{.method = method,
                    .key = options.upload_key,
                    .timeout = options.timeout,
                    .reply_timeout = options.reply_timeout,
                    .request = std::move(request),
                    .ended = true};
    if (method == sync::UploadMethod::kCreateSequence) {
      call.well_formed = call.sequence.ParseFromString(call.request);
      return Answer(std::move(call), absl::OkStatus(), options.stop);
    }
    wire::viam::app::datasync::v1::DataCaptureUploadRequest parsed;
    call.well_formed = method == sync::UploadMethod::kDataCaptureUpload &&
                       parsed.ParseFromString(call.request) && parsed.has_metadata();
    call.metadata = parsed.metadata();
    call.records.assign(parsed.sensor_contents().begin(), parsed.sensor_contents().end());
    return Answer(std::move(call), absl::OkStatus(), options.stop);
  }

  std::unique_ptr<BlockingStream> OpenStream(sync::UploadMethod method,
                                             const sync::CallOptions& options) override {
    MutexLock lock(mutex_);
    return std::make_unique<Stream>(*this, method, options,
                                    std::exchange(break_after_, std::nullopt), break_code_);
  }

  sync::UploadSession NewSession() const override {
    MutexLock lock(mutex_);
    return {.part_id = part_id_, .cloud = cloud_};
  }
  // Another cloud takes the place of the present one.
  void SetCloud(std::string cloud) {
    MutexLock lock(mutex_);
    cloud_ = std::move(cloud);
  }
  ConnectionStatus Status() const override {
    MutexLock lock(mutex_);
    return status_;
  }
  bool Ready() const override {
    MutexLock lock(mutex_);
    ++ready_checks_;
    return ready_;
  }
  void RequestConnect() override {
    MutexLock lock(mutex_);
    ++connect_requests_;
  }
  bool WaitUntilReady(MonotonicTime deadline, std::stop_token stop) override {
    MutexLock lock(mutex_);
    ++connect_requests_;
    return changed_.WaitUntil(mutex_, std::move(stop), deadline, [this] {
      mutex_.AssertHeld();
      return ready_;
    });
  }
  void SetReadyListener(std::function<void(bool ready)> listener) override {
    const std::lock_guard<std::mutex> lock(listener_mutex_);
    listener_ = std::move(listener);
  }

 private:
  class Stream final : public BlockingStream {
   public:
    Stream(FakeUploader& server, sync::UploadMethod method, sync::CallOptions options,
           std::optional<size_t> break_after, absl::StatusCode break_code)
        : server_(server),
          options_(std::move(options)),
          break_after_(break_after),
          break_code_(break_code) {
      call_.method = method;
      call_.key = options_.upload_key;
      call_.timeout = options_.timeout;
      call_.reply_timeout = options_.reply_timeout;
    }
    ~Stream() override {
      if (call_.ended) return;
      call_.status = absl::CancelledError("cancelled by the client");
      server_.Record(std::move(call_));
    }

    bool Write(std::string message) override {
      if (options_.stop.stop_requested() || !server_.Ready()) return false;
      call_.message_sizes.push_back(message.size());
      call_.well_formed = Parse(message, call_.message_sizes.size() == 1) && call_.well_formed;
      if (break_after_.has_value() && call_.contents.size() >= *break_after_) {
        early_ = absl::Status(break_code_, "the server ended the stream");
      }
      return early_.ok();
    }

    sync::CallResult Finish() override {
      call_.ended = true;
      sync::CallResult result = server_.Answer(std::move(call_), early_, options_.stop);
      result.renewed = absl::IsUnauthenticated(result.status) && !options_.is_repeat;
      return result;
    }

   private:
    bool Parse(const std::string& message, bool first) {
      namespace v1 = wire::viam::app::datasync::v1;
      if (call_.method == sync::UploadMethod::kFileUpload) {
        v1::FileUploadRequest request;
        if (!request.ParseFromString(message) || request.has_metadata() != first) return false;
        if (first) call_.metadata = request.metadata();
        call_.contents += request.file_contents().data();
        return first || request.has_file_contents();
      }
      v1::StreamingDataCaptureUploadRequest request;
      if (!request.ParseFromString(message) || request.has_metadata() != first) return false;
      if (first) {
        call_.metadata = request.metadata().upload_metadata();
        call_.sensor_metadata = request.metadata().sensor_metadata();
      }
      call_.contents += request.data();
      return true;
    }

    FakeUploader& server_;
    const sync::CallOptions options_;
    const std::optional<size_t> break_after_;
    const absl::StatusCode break_code_;
    UploadCall call_;
    absl::Status early_;
  };

  void Record(UploadCall call) {
    MutexLock lock(mutex_);
    calls_.push_back(std::move(call));
  }

  sync::CallResult Answer(UploadCall call, absl::Status early, const std::stop_token& stop) {
    if (early.ok() && Ready()) {
      const std::lock_guard<std::mutex> lock(hook_mutex_);
      if (hook_) early = hook_(call);
    }

    MutexLock lock(mutex_);
    bool stalled = false;
    bool ready = ready_;
    std::optional<std::chrono::milliseconds> pushback;
    std::string response;
    if (blocking_ && (block_only_.empty() || block_only_ == call.metadata.component_name())) {
      ++blocked_;
      changed_.Wait(mutex_, stop, [this] {
        mutex_.AssertHeld();
        return !blocking_ || !ready_;
      });
      --blocked_;
    }
    if (stop.stop_requested()) {
      call.status = absl::CancelledError("stopped");
    } else if (!ready_) {
      call.status = absl::UnavailableError("connection refused");
    } else if (!early.ok()) {
      call.status = early;
    } else if (lost_next_ > 0) {
      --lost_next_;
      ready = false;
      call.status = absl::UnavailableError("connection refused");
    } else if (stall_next_ > 0) {
      --stall_next_;
      stalled = true;
      call.status = absl::DeadlineExceededError("stalled");
    } else if (push_back_next_ > 0) {
      --push_back_next_;
      pushback = pushback_;
      call.status = absl::ResourceExhaustedError("the server is busy");
    } else if (fail_next_ > 0) {
      --fail_next_;
      call.status = absl::Status(fail_code_, "the server says no");
    } else {
      if (keys_
              .insert(
                  absl::StrCat(call.key, call.metadata.component_name(), call.metadata.file_name()))
              .second) {
        stored_.push_back(call);
      } else {
        ++repeats_;
      }
      wire::viam::app::datasync::v1::FileUploadResponse reply;
      reply.set_binary_data_id("id-" + call.key);
      if (call.method == sync::UploadMethod::kFileUpload) response = reply.SerializeAsString();
      if (lose_next_ > 0) {
        --lose_next_;
        call.status = absl::UnavailableError("the reply was lost");
      }
    }
    calls_.push_back(call);
    return {.status = call.status,
            .channel_ready = ready && ready_,
            .sent = true,
            .stalled = stalled,
            .pushback = pushback,
            .response = call.status.ok() ? std::move(response) : ""};
  }

  const std::string part_id_;
  std::string cloud_ DM_GUARDED_BY(mutex_) = "cloud";

  // Held while the listener is called, so that taking it away waits.
  std::mutex listener_mutex_;
  std::function<void(bool)> listener_;
  std::mutex hook_mutex_;  // Held while the hook is called.
  std::function<absl::Status(const UploadCall&)> hook_;

  mutable Mutex mutex_;
  CondVar changed_;
  bool ready_ DM_GUARDED_BY(mutex_) = true;
  ConnectionStatus status_ DM_GUARDED_BY(mutex_);
  int fail_next_ DM_GUARDED_BY(mutex_) = 0;
  absl::StatusCode fail_code_ DM_GUARDED_BY(mutex_) = absl::StatusCode::kUnavailable;
  int lose_next_ DM_GUARDED_BY(mutex_) = 0;
  int stall_next_ DM_GUARDED_BY(mutex_) = 0;
  int push_back_next_ DM_GUARDED_BY(mutex_) = 0;
  std::chrono::milliseconds pushback_ DM_GUARDED_BY(mutex_){0};
  int lost_next_ DM_GUARDED_BY(mutex_) = 0;
  std::optional<size_t> break_after_ DM_GUARDED_BY(mutex_);
  absl::StatusCode break_code_ DM_GUARDED_BY(mutex_) = absl::StatusCode::kUnavailable;
  bool blocking_ DM_GUARDED_BY(mutex_) = false;
  std::string block_only_ DM_GUARDED_BY(mutex_);
  size_t blocked_ DM_GUARDED_BY(mutex_) = 0;
  mutable size_t ready_checks_ DM_GUARDED_BY(mutex_) = 0;
  size_t connect_requests_ DM_GUARDED_BY(mutex_) = 0;
  size_t repeats_ DM_GUARDED_BY(mutex_) = 0;
  std::set<std::string> keys_ DM_GUARDED_BY(mutex_);
  std::vector<UploadCall> calls_ DM_GUARDED_BY(mutex_);
  std::vector<UploadCall> stored_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_FAKE_UPLOADER_H_
