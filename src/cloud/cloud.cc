#include "datamanager/cloud.h"

#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/callback_scope.h"
#include "base/logger.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "cloud/address.h"
#include "cloud/call_queue.h"
#include "cloud/connectivity.h"
#include "cloud/credentials.h"
#include "cloud/process_exit.h"
#include "cloud/ready_listener.h"
#include "cloud/tls_files.h"
#include "uploader/uploader.h"

namespace datamanager {
namespace {

constexpr std::string_view kNotManaged = "The robot is not cloud managed: it only captures";

// What one config leads to. Calls hold it for as long as they last.
struct Connection {
  std::string part_id;
  std::optional<cloud::Credentials> credentials;
  std::unique_ptr<cloud::Connectivity> connectivity;
};

// Holds all of the connection.
std::shared_ptr<cloud::Connectivity> ToConnectivity(const std::shared_ptr<Connection>& connection) {
  return {connection, connection->connectivity.get()};
}

// gRPC knows HTTP proxies only.
void WarnAboutSocks(std::vector<std::string>& warnings) {
  for (const char* const name : {"SOCKS_PROXY", "ONLY_SOCKS_PROXY"}) {
    const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    if (value == nullptr || *value == '\0') continue;
    warnings.push_back(absl::StrCat(name,
                                    " is set, but SOCKS proxies are not supported: the connection "
                                    "goes without; https_proxy may name an HTTP proxy"));
  }
}

absl::StatusOr<cloud::Endpoint> ReadEndpoint(const CloudConfig& config,
                                             std::vector<std::string>& warnings) {
  std::vector<std::string> faults;
  if (config.id.empty()) {
    faults.push_back("cloud.id: it is empty; write the id of the robot part to file uploads under");
  } else if (!IsUtf8(config.id)) {
    faults.push_back("cloud.id: it is not UTF-8, as the cloud demands");
  }
  absl::StatusOr<cloud::Address> address = cloud::ParseAppAddress(config.app_address);
  if (!address.ok()) faults.emplace_back(ToStd(address.status().message()));
  std::optional<cloud::Credentials> credentials = cloud::LoadCredentials(config, faults, warnings);
  cloud::TlsFiles files{.ca = config.tls_ca_file,
                        .client_certificate = config.tls_client_certificate_file,
                        .client_key = config.tls_client_key_file};
  cloud::TlsFindings findings = cloud::Check(files);
  faults.insert(faults.end(), findings.faults.begin(), findings.faults.end());
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));

  warnings.insert(warnings.end(), findings.warnings.begin(), findings.warnings.end());
  WarnAboutSocks(warnings);
  if (!address->tls && !(files.ca.empty() && files.client_certificate.empty())) {
    warnings.push_back(absl::StrCat("cloud.app_address: certificates are without effect, since ",
                                    config.app_address,
                                    " is plaintext; write https:// for a connection with TLS"));
  }
  if (credentials.has_value() && !address->tls && !cloud::IsLocal(*address)) {
    warnings.push_back(absl::StrCat("cloud.app_address: ", credentials->field, " travels to ",
                                    config.app_address,
                                    " in plaintext, where anybody on the way can read it; write "
                                    "https://"));
  }
  return cloud::Endpoint{.address = *std::move(address),
                         .tls = std::move(files),
                         .credentials = std::move(credentials)};
}

class GrpcCloud final : public Cloud, public sync::Uploader {
 public:
  explicit GrpcCloud(std::shared_ptr<Logger> logger) : logger_(std::move(logger)) {}

  absl::Status Reconfigure(const CloudConfig& config) override {
    if (CallbackScope::Active()) {
      return absl::FailedPreconditionError(
          "Cloud::Reconfigure was called from inside a source or a log sink");
    }
    return Apply(config);
  }
  // Checks, and then replaces the connection. Calls take turns.
  absl::Status Apply(const CloudConfig& config) DM_EXCLUDES(mutex_);

  sync::Uploader& uploader() override { return *this; }

  std::unique_ptr<sync::CallQueue> NewQueue() override {
    return std::make_unique<cloud::GrpcCallQueue>([this]() -> std::shared_ptr<cloud::Connectivity> {
      const std::shared_ptr<Connection> connection = current();
      return connection == nullptr ? nullptr : ToConnectivity(connection);
    });
  }

  sync::UploadSession NewSession() const override {
    const std::shared_ptr<Connection> connection = current();
    if (connection == nullptr) return {};
    const std::string address = connection->connectivity->Status().address;
    return {.part_id = connection->part_id,
            .cloud = absl::StrCat(address, " ", connection->part_id),
            .connection = ToConnectivity(connection)};
  }
  // Both Cloud's and Uploader's.
  ConnectionStatus Status() const override {
    const std::shared_ptr<Connection> connection = current();
    if (connection != nullptr) return connection->connectivity->Status();
    MutexLock lock(mutex_);
    return {.since = not_managed_since_};
  }
  bool Ready() const override {
    const std::shared_ptr<Connection> connection = current();
    return connection != nullptr && connection->connectivity->Ready();
  }
  void RequestConnect() override {
    const std::shared_ptr<Connection> connection = current();
    if (connection != nullptr) connection->connectivity->RequestConnect();
  }
  bool WaitUntilReady(MonotonicTime deadline, std::stop_token stop) override {
    for (std::shared_ptr<Connection> connection = current(); connection != nullptr;) {
      if (connection->connectivity->WaitUntilReady(deadline, stop)) return true;
      // Unless another connection has taken its place meanwhile, its answer counts.
      std::shared_ptr<Connection> next = current();
      if (next == connection) return false;
      connection = std::move(next);
    }
    return false;
  }
  void SetReadyListener(std::function<void(bool ready)> listener) override {
    listener_->Set(std::move(listener));
  }

 private:
  // Null: not managed.
  std::shared_ptr<Connection> current() const DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return current_;
  }
  absl::Status Change(const CloudConfig& config) DM_EXCLUDES(mutex_);
  void Replace(std::shared_ptr<Connection> connection, const CloudConfig& config)
      DM_EXCLUDES(mutex_);

  const std::shared_ptr<Logger> logger_;
  const std::shared_ptr<cloud::ReadyListener> listener_ = std::make_shared<cloud::ReadyListener>();

  mutable Mutex mutex_;
  CondVar changed_;
  bool replacing_ DM_GUARDED_BY(mutex_) = false;
  CloudConfig config_ DM_GUARDED_BY(mutex_);
  std::shared_ptr<Connection> current_ DM_GUARDED_BY(mutex_);
  WallTime not_managed_since_ DM_GUARDED_BY(mutex_) = Clock::System().WallNow();
};

absl::Status GrpcCloud::Apply(const CloudConfig& config) {
  {
    MutexLock lock(mutex_);
    changed_.Wait(mutex_, [this] {
      mutex_.AssertHeld();
      return !replacing_;
    });
    replacing_ = true;
  }
  absl::Status status = Change(config);
  MutexLock lock(mutex_);
  replacing_ = false;
  changed_.NotifyAll();
  return status;
}

absl::Status GrpcCloud::Change(const CloudConfig& config) {
  const bool managed = !config.app_address.empty();
  std::vector<std::string> warnings;
  cloud::Endpoint endpoint;
  if (managed) {
    absl::StatusOr<cloud::Endpoint> read = ReadEndpoint(config, warnings);
    if (!read.ok()) return read.status();
    endpoint = *std::move(read);
  }
  {
    MutexLock lock(mutex_);
    // The same config leads to other credentials if these stand in a file that has changed.
    const bool same_credentials =
        current_ == nullptr || current_->credentials == endpoint.credentials;
    if (config == config_ && same_credentials) return absl::OkStatus();
  }
  std::shared_ptr<Connection> connection;
  if (managed) {
    absl::StatusOr<std::unique_ptr<cloud::Connectivity>> connectivity =
        cloud::Connectivity::Create(endpoint, logger_, listener_);
    if (!connectivity.ok()) return connectivity.status();
    connection = std::make_shared<Connection>(
        Connection{config.id, std::move(endpoint.credentials), *std::move(connectivity)});
  }
  for (std::string& warning : warnings) logger_->Warning(std::move(warning));
  Replace(std::move(connection), config);
  return absl::OkStatus();
}

void GrpcCloud::Replace(std::shared_ptr<Connection> connection, const CloudConfig& config) {
  std::shared_ptr<Connection> before;
  {
    MutexLock lock(mutex_);
    config_ = config;
    before = std::exchange(current_, connection);
    not_managed_since_ = Clock::System().WallNow();
  }
  if (connection != nullptr) {
    connection->connectivity->Begin();
  } else {
    listener_->Follow(nullptr);
    if (before != nullptr) logger_->Info(std::string(kNotManaged));
  }
  // It ends with the last call that began on it.
  if (before != nullptr) before->connectivity->Retire();
}

}  // namespace

absl::StatusOr<std::shared_ptr<Cloud>> Cloud::Create(const CloudConfig& config, LogSink sink) {
  cloud::KeepOpenSslAtExit();
  absl::StatusOr<std::shared_ptr<Logger>> logger = Logger::Create(std::move(sink));
  if (!logger.ok()) return logger.status();
  if (config.app_address.empty()) (*logger)->Info(std::string(kNotManaged));
  auto cloud = std::make_shared<GrpcCloud>(*std::move(logger));
  absl::Status status = cloud->Apply(config);
  if (!status.ok()) return status;
  return cloud;
}

}  // namespace datamanager
