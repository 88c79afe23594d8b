// A server that says back whatever secret it is told, as a careless or a hostile one does.
#ifndef DATAMANAGER_TESTS_INTEGRATION_ECHOING_SERVER_H_
#define DATAMANAGER_TESTS_INTEGRATION_ECHOING_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/rpc/v1/auth.grpc.pb.h"
#include "tests/support/own_loopback.h"
#include "viam/app/datasync/v1/data_sync.grpc.pb.h"

namespace datamanager::testing {

// Thread-safe.
class EchoingServer {
 public:
  struct Options {
    bool refuse = false;  // The credentials; else the token is given.
    std::string token;
    grpc::StatusCode upload_code = grpc::StatusCode::INTERNAL;
  };

  explicit EchoingServer(Options options) : auth_(options), uploads_(options) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(OwnLoopback(0), grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&auth_);
    builder.RegisterService(&uploads_);
    server_ = builder.BuildAndStart();
    address_ = OwnLoopback(port);
  }
  ~EchoingServer() { server_->Shutdown(std::chrono::system_clock::now()); }

  const std::string& address() const { return address_; }
  // Of how many of the three kinds uploads came.
  int kinds() const { return uploads_.unary + uploads_.streamed + uploads_.files; }

 private:
  static grpc::Status Echo(grpc::StatusCode code, const std::string& secret) {
    std::string base64;
    absl::Base64Escape(secret, &base64);
    return {code, absl::StrCat("you sent ", secret, ", which is ", base64, ", or \"",
                               absl::CEscape(secret), "\"")};
  }

  struct Auth final : proto::rpc::v1::AuthService::Service {
    explicit Auth(Options given) : options(std::move(given)) {}
    grpc::Status Authenticate(grpc::ServerContext* /*context*/,
                              const proto::rpc::v1::AuthenticateRequest* request,
                              proto::rpc::v1::AuthenticateResponse* response) override {
      if (options.refuse) {
        return Echo(grpc::StatusCode::UNAUTHENTICATED, request->credentials().payload());
      }
      response->set_access_token(options.token);
      return grpc::Status::OK;
    }
    const Options options;
  };

  struct Uploads final : viam::app::datasync::v1::DataSyncService::Service {
    explicit Uploads(Options given) : options(std::move(given)) {}
    grpc::Status DataCaptureUpload(
        grpc::ServerContext* context,
        const viam::app::datasync::v1::DataCaptureUploadRequest* /*request*/,
        viam::app::datasync::v1::DataCaptureUploadResponse* /*response*/) override {
      unary = 1;
      return Refuse(*context);
    }
    grpc::Status StreamingDataCaptureUpload(
        grpc::ServerContext* context,
        grpc::ServerReader<viam::app::datasync::v1::StreamingDataCaptureUploadRequest>* /*reader*/,
        viam::app::datasync::v1::StreamingDataCaptureUploadResponse* /*response*/) override {
      streamed = 1;
      return Refuse(*context);
    }
    grpc::Status FileUpload(
        grpc::ServerContext* context,
        grpc::ServerReader<viam::app::datasync::v1::FileUploadRequest>* /*reader*/,
        viam::app::datasync::v1::FileUploadResponse* /*response*/) override {
      files = 1;
      return Refuse(*context);
    }
    grpc::Status Refuse(const grpc::ServerContext& context) const {
      const auto found = context.client_metadata().find("authorization");
      if (found == context.client_metadata().end()) return Echo(options.upload_code, "nothing");
      return Echo(options.upload_code, {found->second.data(), found->second.size()});
    }
    const Options options;
    std::atomic<int> unary = 0;
    std::atomic<int> streamed = 0;
    std::atomic<int> files = 0;
  };

  Auth auth_;
  Uploads uploads_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_INTEGRATION_ECHOING_SERVER_H_
