// A robot whose data manager is served over gRPC, to a generated client.
#ifndef DATAMANAGER_TESTS_SERVICE_SERVED_WORLD_H_
#define DATAMANAGER_TESTS_SERVICE_SERVED_WORLD_H_

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "datamanager/service.h"
#include "tests/integration/world.h"
#include "tests/support/data_manager_client.h"

namespace datamanager::testing {

class ServedWorld : public World {
 protected:
  ~ServedWorld() override { StopServing(); }

  void Serve(DataManagerServiceOptions options = {.name = "data"}) {
    service_ = MakeDataManagerService(*manager_, std::move(options));
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(OwnLoopback(0), grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    builder.RegisterService(service_.get());
    front_ = builder.BuildAndStart();
    ASSERT_NE(front_, nullptr);
    client_ = std::make_unique<DataManagerClient>(OwnLoopback(port));
  }
  void StopServing() {
    if (front_ != nullptr) front_->Shutdown(std::chrono::system_clock::now());
    front_ = nullptr;
    service_ = nullptr;
  }
  void StartAndServe() {
    ASSERT_NO_FATAL_FAILURE(Start());
    ASSERT_NO_FATAL_FAILURE(Serve());
  }
  // With nobody listening where the cloud should be.
  void ServeOffline(DataManagerServiceOptions options = {.name = "data"}) {
    ReserveAddress();
    ASSERT_NO_FATAL_FAILURE(MakeManager());
    ASSERT_TRUE(IsOk(Reconfigure()));
    ASSERT_NO_FATAL_FAILURE(Serve(std::move(options)));
  }
  std::vector<std::string> WaitingForDatasets() const {
    return FilesBelow(config_.capture_dir + "/datasetUpload");
  }

  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> front_;
  std::unique_ptr<DataManagerClient> client_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SERVICE_SERVED_WORLD_H_
