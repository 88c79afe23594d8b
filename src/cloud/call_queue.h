#ifndef DATAMANAGER_SRC_CLOUD_CALL_QUEUE_H_
#define DATAMANAGER_SRC_CLOUD_CALL_QUEUE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cloud/connectivity.h"
#include "cloud/event_queue.h"
#include "cloud/unary_call.h"
#include "uploader/uploader.h"

namespace datamanager::cloud {

// See sync::CallQueue.
class GrpcCallQueue final : public sync::CallQueue {
 public:
  // `current` yields the connection that a call begins on, or null if there is none.
  using Current = std::function<std::shared_ptr<Connectivity>()>;
  explicit GrpcCallQueue(Current current) : current_(std::move(current)) {}

  void Unary(sync::UploadMethod method, std::string request, sync::CallOptions options,
             std::function<void(sync::CallResult)> done) override;
  std::unique_ptr<sync::UploadStream> OpenStream(sync::UploadMethod method,
                                                 sync::CallOptions options) override;
  sync::UploadSizes Sizes() const override;
  void Yield(std::function<void()> done) override { events_.Post(std::move(done)); }
  bool RunOne(MonotonicTime deadline) override { return events_.RunOne(deadline); }
  void Wake() override { events_.Wake(); }

 private:
  std::shared_ptr<Connectivity> ConnectionOf(const sync::CallOptions& options) const;

  const Current current_;
  EventQueue events_;
  std::vector<std::unique_ptr<UnaryCall>> unary_;
};

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_CALL_QUEUE_H_
