#include "ingest_server/server.h"

#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include "ingest_server/upload_call.h"
#include "tests/support/own_loopback.h"
#include "tests/support/temp_dir.h"

namespace ingest {
namespace {

using datamanager::testing::OwnLoopback;
using viam::app::datasync::v1::DATA_TYPE_BINARY_SENSOR;
using viam::app::datasync::v1::DataCaptureUploadRequest;
using viam::app::datasync::v1::DataCaptureUploadResponse;
using viam::app::datasync::v1::DataSyncService;

class ServerTest : public ::testing::Test {
 protected:
  std::unique_ptr<IngestServer> Start(const std::string& listen, FaultSpec faults = {}) {
    auto server = IngestServer::Start(
        {.listen = listen, .store = temp_.path() + "/store", .faults = std::move(faults)});
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }

  grpc::Status Upload(const std::string& address, const std::string& key) {
    const auto stub =
        DataSyncService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    context.AddMetadata(kUploadKey, key);
    DataCaptureUploadRequest request;
    request.mutable_metadata()->set_type(DATA_TYPE_BINARY_SENSOR);
    request.add_sensor_contents()->set_binary("x");
    DataCaptureUploadResponse response;
    return stub->DataCaptureUpload(&context, request, &response);
  }

  const datamanager::testing::TempDir temp_;
};

TEST_F(ServerTest, RestartsOnTheSamePortAndStore) {
  auto server = Start(OwnLoopback(0));
  const std::string address = server->address();
  EXPECT_EQ(address, OwnLoopback(server->port()));
  EXPECT_TRUE(Upload(address, "k1").ok());
  server->Shutdown();
  EXPECT_EQ(server->store().Rows().value().size(), 1u);

  const auto again = Start(address);
  EXPECT_EQ(again->address(), address);
  EXPECT_TRUE(Upload(address, "k1").ok());
  EXPECT_TRUE(Upload(address, "k2").ok());
  EXPECT_EQ(again->store().Rows().value().size(), 2u);
}

TEST_F(ServerTest, PortInUseIsAnErrorThatSaysSo) {
  const auto server = Start(OwnLoopback(0));
  const auto second =
      IngestServer::Start({.listen = server->address(), .store = temp_.path() + "/other"});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(std::string(second.status().message()),
            "listen on " + server->address() + ": Address already in use");
}

TEST_F(ServerTest, ListensOnAUnixSocket) {
  const auto server = Start("unix:" + temp_.path() + "/socket");
  EXPECT_EQ(server->port(), 0);
  EXPECT_TRUE(Upload(server->address(), "k1").ok());

  // There is no connection that could be found, but the answer is lost all the same.
  server->SetFaults({.drop_after_store = 1});
  EXPECT_EQ(Upload(server->address(), "k2").error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(server->store().Rows().value().size(), 2u);
}

TEST_F(ServerTest, BreaksConnectionsOfIpv6) {
  const auto server = IngestServer::Start(
      {.listen = "[::1]:0", .store = temp_.path(), .faults = {.drop_after_store = 1}});
  if (!server.ok()) GTEST_SKIP() << "no IPv6 here: " << server.status();
  EXPECT_EQ(Upload((*server)->address(), "k1").error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ((*server)->store().Rows().value().size(), 1u);
}

TEST_F(ServerTest, BreaksIpv4ConnectionsToAnIpv6Socket) {
  const auto server = Start("[::]:0", {.drop_after_store = 1});
  const std::string address = "127.0.0.1:" + std::to_string(server->port());
  EXPECT_EQ(Upload(address, "k1").error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(server->store().Rows().value().size(), 1u);
}

}  // namespace
}  // namespace ingest
