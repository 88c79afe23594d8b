#include "datamanager/cloud.h"

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "base/logger.h"
#include "base/strings.h"
#include "cloud/address.h"
#include "cloud/connectivity.h"
#include "cloud/unary_call.h"
#include "cloud/upload_stream.h"
#include "uploader/uploader.h"

namespace datamanager {
namespace {

class GrpcCloud final : public Cloud, public sync::Uploader {
 public:
  GrpcCloud(std::string part_id, std::unique_ptr<cloud::Connectivity> connectivity)
      : part_id_(std::move(part_id)), connectivity_(std::move(connectivity)) {}

  sync::Uploader& uploader() override { return *this; }

  sync::CallResult Unary(sync::UploadMethod method, std::string request,
                         const sync::CallOptions& options) override {
    return cloud::CallUnary(*connectivity_, method, std::move(request), options);
  }
  std::unique_ptr<sync::UploadStream> OpenStream(sync::UploadMethod method,
                                                 const sync::CallOptions& options) override {
    return std::make_unique<cloud::GrpcUploadStream>(*connectivity_, method, options);
  }

  const std::string& part_id() const override { return part_id_; }
  // Both Cloud's and Uploader's.
  ConnectionStatus Status() const override { return connectivity_->Status(); }
  bool Ready() const override { return connectivity_->Ready(); }
  void RequestConnect() override { connectivity_->RequestConnect(); }
  bool WaitUntilReady(MonotonicTime deadline, std::stop_token stop) override {
    return connectivity_->WaitUntilReady(deadline, std::move(stop));
  }
  void SetReadyListener(std::function<void(bool ready)> listener) override {
    connectivity_->SetReadyListener(std::move(listener));
  }

 private:
  const std::string part_id_;
  const std::unique_ptr<cloud::Connectivity> connectivity_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<Cloud>> Cloud::Create(const CloudConfig& config, LogSink sink) {
  std::vector<std::string> faults;
  if (config.id.empty()) {
    faults.push_back("cloud.id: it is empty; write the id of the robot part to file uploads under");
  } else if (!IsUtf8(config.id)) {
    faults.push_back("cloud.id: it is not UTF-8, as the cloud demands");
  }
  const absl::StatusOr<cloud::Address> address = cloud::ParseAppAddress(config.app_address);
  if (!address.ok()) faults.emplace_back(ToStd(address.status().message()));
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));

  absl::StatusOr<std::shared_ptr<Logger>> logger = Logger::Create(std::move(sink));
  if (!logger.ok()) return logger.status();
  absl::StatusOr<std::unique_ptr<cloud::Connectivity>> connectivity =
      cloud::Connectivity::Start(*address, *std::move(logger));
  if (!connectivity.ok()) return connectivity.status();
  return std::make_shared<GrpcCloud>(config.id, *std::move(connectivity));
}

}  // namespace datamanager
