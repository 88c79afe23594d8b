// Another config while it runs: what is under way ends where it began.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "tests/cloud/fixture.h"
#include "tests/support/blocking_calls.h"
#include "tests/support/certificates.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::cloud {
namespace {

using sync::CallResult;
using sync::UploadMethod;

class ReconfigureCloudTest : public CloudTest {
 protected:
  ~ReconfigureCloudTest() override { other_.Stop(); }

  static CloudConfig At(const TestServer& server) {
    return {.id = "part-1", .app_address = "http://" + server.address()};
  }
  // Makes `server` name itself in its answers.
  static void Name(TestServer& server, const std::string& name) {
    server.on_file = [name](grpc::ServerContext&, TestServer::FileReader& reader,
                            wire::FileUploadResponse& response) {
      wire::FileUploadRequest request;
      while (reader.Read(&request)) {
      }
      response.set_binary_data_id(name);
      return grpc::Status::OK;
    };
  }
  // Who answered.
  static std::string Finish(testing::OpenedStream& stream) {
    const CallResult result = stream.Finish();
    if (!result.status.ok()) return result.status.ToString();
    wire::FileUploadResponse response;
    EXPECT_TRUE(response.ParseFromString(result.response));
    return response.binary_data_id();
  }
  size_t CountLog(const std::string& line) {
    const std::vector<std::string> all = log_.All();
    return static_cast<size_t>(std::count(all.begin(), all.end(), line));
  }

  TestServer other_;
};

TEST_F(ReconfigureCloudTest, AnUploadUnderWayEndsAtTheOldServerAndNewOnesGoToTheNew) {
  Name(server_, "old");
  Name(other_, "new");
  const auto cloud = MakeConnectedCloud();
  sync::Uploader& uploader = cloud->uploader();
  Record<bool> ready;
  uploader.SetReadyListener([&](bool now) { ready.Add(now); });

  testing::OpenedStream under_way(uploader, UploadMethod::kFileUpload);
  EXPECT_TRUE(under_way.Write(""));
  ASSERT_TRUE(cloud->Reconfigure(At(other_)).ok());
  EXPECT_TRUE(uploader.WaitUntilReady(Patience(), {}));
  EXPECT_EQ(cloud->Status().address, other_.address());
  testing::OpenedStream next(uploader, UploadMethod::kFileUpload);
  EXPECT_EQ(Finish(next), "new");
  EXPECT_TRUE(under_way.Write(""));
  EXPECT_EQ(Finish(under_way), "old");

  ASSERT_TRUE(ready.WaitForCount(2));
  uploader.SetReadyListener(nullptr);
  EXPECT_EQ(ready.All(), (std::vector<bool>{false, true}));
  EXPECT_NE(WaitForLog("info Connected to app at " + other_.address()), "");
}

// 4 threads upload all the time while the cloud changes between two servers: none fails for it.
TEST_F(ReconfigureCloudTest, DropsNoUploadHoweverOftenItChanges) {
  Name(server_, "old");
  Name(other_, "new");
  const auto cloud = MakeConnectedCloud();
  std::atomic<int> done = 0;
  std::vector<std::jthread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        testing::OpenedStream stream(cloud->uploader(), UploadMethod::kFileUpload);
        stream.Write("");
        const CallResult result = stream.Finish();
        if (result.sent) {
          EXPECT_TRUE(result.status.ok()) << result.status;
          ++done;
        } else {
          cloud->uploader().WaitUntilReady(Patience(), stop);
        }
      }
    });
  }
  for (int change = 0; change < 20; ++change) {
    const int before = done;
    ASSERT_TRUE(cloud->Reconfigure(At(change % 2 == 0 ? other_ : server_)).ok());
    EXPECT_TRUE(testing::WaitUntil([&] { return done >= before + 8; }));
  }
}

TEST_F(ReconfigureCloudTest, AnEqualConfigChangesNothing) {
  const auto cloud = MakeConnectedCloud();
  const ConnectionStatus before = cloud->Status();
  ASSERT_TRUE(cloud->Reconfigure(At(server_)).ok());
  EXPECT_TRUE(cloud->uploader().Ready());
  EXPECT_EQ(cloud->Status().since, before.since);
}

TEST_F(ReconfigureCloudTest, AWrongConfigLeavesTheOldConnection) {
  const auto cloud = MakeConnectedCloud();
  const absl::Status status = cloud->Reconfigure({.id = "part-1",
                                                  .app_address = "ftp://there",
                                                  .tls_ca_file = "/no/such.pem",
                                                  .tls_client_key_file = "/no/such.key"});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  for (const char* const field :
       {"cloud.app_address: ", "cloud.tls_ca_file: open /no/such.pem: No such file",
        "cloud.tls_client_certificate_file: it is missing"}) {
    EXPECT_NE(std::string(status.message()).find(field), std::string::npos) << status;
  }
  EXPECT_TRUE(cloud->uploader().Ready());
  EXPECT_EQ(cloud->Status().state, ConnectionState::kHealthy);
  EXPECT_EQ(cloud->Status().address, server_.address());
  // And the next right one counts.
  ASSERT_TRUE(cloud->Reconfigure(At(other_)).ok());
  EXPECT_TRUE(cloud->uploader().WaitUntilReady(Patience(), {}));
}

TEST_F(ReconfigureCloudTest, WhoWaitsForTheOldConnectionGetsTheNew) {
  server_.Stop();
  const auto cloud = MakeCloud(server_.address());
  Event waits;
  std::jthread waiter([&] {
    waits.Set();
    EXPECT_TRUE(cloud->uploader().WaitUntilReady(Patience(), {}));
  });
  EXPECT_TRUE(waits.Wait());
  EXPECT_TRUE(WaitForState(*cloud, ConnectionState::kUnhealthy));
  ASSERT_TRUE(cloud->Reconfigure(At(other_)).ok());
}

// An upload of several requests does not go on at another cloud.
TEST_F(ReconfigureCloudTest, AllRequestsOfASessionGoTheSameWay) {
  Name(server_, "old");
  Name(other_, "new");
  const auto cloud = MakeConnectedCloud();
  sync::Uploader& uploader = cloud->uploader();
  const sync::UploadSession session = uploader.NewSession();
  ASSERT_TRUE(cloud->Reconfigure(At(other_)).ok());
  EXPECT_TRUE(uploader.WaitUntilReady(Patience(), {}));
  for (int i = 0; i < 3; ++i) {
    testing::OpenedStream same(uploader, UploadMethod::kFileUpload,
                               {.connection = session.connection});
    EXPECT_TRUE(same.Write(""));
    EXPECT_EQ(Finish(same), "old");
  }
  const sync::UploadSession next = uploader.NewSession();
  EXPECT_NE(next.cloud, session.cloud);
  testing::OpenedStream stream(uploader, UploadMethod::kFileUpload,
                               {.connection = next.connection});
  EXPECT_TRUE(stream.Write(""));
  EXPECT_EQ(Finish(stream), "new");
  // With the old server gone nothing goes elsewhere.
  server_.Stop();
  EXPECT_TRUE(testing::WaitUntil([&] {
    testing::OpenedStream late(uploader, UploadMethod::kFileUpload,
                               {.connection = session.connection});
    late.Write("");
    return late.Finish().status.code() == absl::StatusCode::kUnavailable;
  }));
}

TEST_F(ReconfigureCloudTest, AnotherPartIdCountsFromTheNextUploadOn) {
  const auto cloud = MakeConnectedCloud();
  CloudConfig config = At(server_);
  config.id = "part-2";
  ASSERT_TRUE(cloud->Reconfigure(config).ok());
  EXPECT_EQ(cloud->uploader().NewSession().part_id, "part-2");
}

TEST_F(ReconfigureCloudTest, MayGetItsAddressLaterAndLoseItAgain) {
  Name(server_, "here");
  const auto created = Cloud::Create({}, Sink());
  ASSERT_TRUE(created.ok()) << created.status();
  Cloud& cloud = **created;
  sync::Uploader& uploader = cloud.uploader();
  Record<bool> ready;
  uploader.SetReadyListener([&](bool now) { ready.Add(now); });
  EXPECT_EQ(WaitForLog("info The robot"), "info The robot is not cloud managed: it only captures");
  EXPECT_EQ(cloud.Status().state, ConnectionState::kNotManaged);
  EXPECT_EQ(uploader.NewSession().part_id, "");
  EXPECT_FALSE(uploader.Ready());
  uploader.RequestConnect();
  EXPECT_FALSE(uploader.WaitUntilReady(Patience(), {}));  // At once.
  const absl::Status nowhere =
      absl::UnavailableError("not connected: the robot is not cloud managed");
  EXPECT_EQ(testing::Unary(uploader, UploadMethod::kDataCaptureUpload, "", {}).status, nowhere);
  testing::OpenedStream stream(uploader, UploadMethod::kFileUpload);
  EXPECT_FALSE(stream.Write(""));
  EXPECT_EQ(stream.Finish().status, nowhere);

  ASSERT_TRUE(cloud.Reconfigure(At(server_)).ok());
  EXPECT_TRUE(uploader.WaitUntilReady(Patience(), {}));
  EXPECT_EQ(cloud.Status().state, ConnectionState::kHealthy);
  ASSERT_TRUE(ready.WaitForCount(1));
  testing::OpenedStream under_way(uploader, UploadMethod::kFileUpload);
  EXPECT_TRUE(under_way.Write(""));

  ASSERT_TRUE(cloud.Reconfigure({}).ok());
  EXPECT_EQ(cloud.Status().state, ConnectionState::kNotManaged);
  EXPECT_EQ(Finish(under_way), "here");
  EXPECT_EQ(ready.All(), (std::vector<bool>{true, false}));
  EXPECT_TRUE(testing::WaitUntil(
      [&] { return CountLog("info The robot is not cloud managed: it only captures") == 2; }));
}

TEST_F(ReconfigureCloudTest, ChangesFromPlaintextToTls) {
  const testing::TempDir directory;
  const testing::CertificateAuthority ca(directory.path(), "ca");
  const auto cloud = MakeConnectedCloud();
  const testing::CertificateFiles files =
      ca.Issue("server", testing::ForHosts({testing::OwnLoopback()}));
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back(
      {testing::ReadFile(files.key), testing::ReadFile(files.certificate)});
  other_.Start(grpc::SslServerCredentials(options));
  ASSERT_TRUE(cloud
                  ->Reconfigure({.id = "part-1",
                                 .app_address = "https://" + other_.address(),
                                 .tls_ca_file = ca.certificate()})
                  .ok());
  EXPECT_TRUE(cloud->uploader().WaitUntilReady(Patience(), {})) << cloud->Status().last_error;
}

TEST_F(ReconfigureCloudTest, IsRefusedInsideALogSink) {
  Record<absl::StatusCode> results;
  Event made;
  std::shared_ptr<Cloud> cloud;
  std::atomic<bool> first = true;
  const auto created = Cloud::Create(At(server_), [&](const LogEntry&) {
    if (!first.exchange(false)) return;
    EXPECT_TRUE(made.Wait());
    results.Add(cloud->Reconfigure({}).code());
  });
  ASSERT_TRUE(created.ok());
  cloud = *created;
  made.Set();
  ASSERT_TRUE(results.WaitForCount(1));
  EXPECT_EQ(results.All()[0], absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(cloud->uploader().WaitUntilReady(Patience(), {}));
}

}  // namespace
}  // namespace datamanager::cloud
