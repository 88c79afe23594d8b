#include "cloud/call_queue.h"

#include <algorithm>
#include <utility>

#include "cloud/upload_stream.h"

namespace datamanager::cloud {
namespace {

sync::CallResult NotManaged() {
  return {.status = absl::UnavailableError("not connected: the robot is not cloud managed")};
}

// A stream that was over before it began.
class NoStream final : public sync::UploadStream {
 public:
  explicit NoStream(EventQueue& events) : events_(events) {}
  void Write(std::string /*message*/, std::function<void(bool)> done) override {
    events_.Post([done = std::move(done)] { done(false); });
  }
  void Finish(std::function<void(sync::CallResult)> done) override {
    events_.Post([done = std::move(done)] { done(NotManaged()); });
  }

 private:
  EventQueue& events_;
};

}  // namespace

std::shared_ptr<Connectivity> GrpcCallQueue::ConnectionOf(const sync::CallOptions& options) const {
  if (options.connection == nullptr) return current_();
  return std::static_pointer_cast<Connectivity>(options.connection);
}

void GrpcCallQueue::Unary(sync::UploadMethod method, std::string request, sync::CallOptions options,
                          std::function<void(sync::CallResult)> done) {
  std::shared_ptr<Connectivity> connectivity = ConnectionOf(options);
  if (connectivity == nullptr) {
    events_.Post([done = std::move(done)] { done(NotManaged()); });
    return;
  }
  unary_.push_back(std::make_unique<UnaryCall>(
      events_, std::move(connectivity), method, std::move(request), std::move(options),
      [this, done = std::move(done)](UnaryCall* ended, sync::CallResult result) {
        const auto found = std::find_if(unary_.begin(), unary_.end(),
                                        [ended](const auto& call) { return call.get() == ended; });
        // Its destruction destroys this function.
        const std::unique_ptr<UnaryCall> call = std::move(*found);
        unary_.erase(found);
        done(std::move(result));
      }));
}

std::unique_ptr<sync::UploadStream> GrpcCallQueue::OpenStream(sync::UploadMethod method,
                                                              sync::CallOptions options) {
  std::shared_ptr<Connectivity> connectivity = ConnectionOf(options);
  if (connectivity == nullptr) return std::make_unique<NoStream>(events_);
  return std::make_unique<GrpcUploadStream>(events_, std::move(connectivity), method,
                                            std::move(options));
}

sync::UploadSizes GrpcCallQueue::Sizes() const {
  const std::shared_ptr<Connectivity> connectivity = current_();
  if (connectivity == nullptr) return {};
  const LinkProgress& progress = connectivity->link().progress();
  sync::UploadSizes sizes{.piece = progress.PieceBytes(), .request = progress.UnaryBytes()};
  if (sizes.piece != sync::UploadSizes::kUnlimited) {
    sizes.waiting = progress.Waiting(Clock::System().MonotonicNow());
  }
  return sizes;
}

}  // namespace datamanager::cloud
