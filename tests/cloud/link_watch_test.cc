// The account of a channel's connection, over each kind of connection.
#include "cloud/link_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "cloud/address.h"
#include "cloud/call_queue.h"
#include "cloud/connectivity.h"
#include "tests/cloud/fixture.h"
#include "tests/support/blocking_calls.h"
#include "tests/support/certificates.h"
#include "tests/support/files.h"
#include "tests/support/tcp_proxy.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::cloud {
namespace {

class LinkWatchTest : public CloudTest {
 protected:
  LinkWatchTest() {
    server_.on_data_capture = [](auto&, const auto&, auto&) { return grpc::Status::OK; };
  }

  void Connect(const std::string& address, const ChannelLimits& limits = {}) {
    Connect(Endpoint{.address = *ParseAppAddress(address)}, limits);
  }
  void Connect(const Endpoint& endpoint, const ChannelLimits& limits = {}) {
    auto connectivity = Connectivity::Create(endpoint, *Logger::Create(Sink()),
                                             std::make_shared<ReadyListener>(), limits);
    ASSERT_TRUE(connectivity.ok()) << connectivity.status();
    connectivity_ = *std::move(connectivity);
    connectivity_->Begin();
    ASSERT_TRUE(connectivity_->WaitUntilReady(Patience(), {}))
        << connectivity_->Status().last_error;
  }
  LinkState State() const { return connectivity_->link().progress().State(); }
  bool WaitForConnection(uint64_t number) const {
    return testing::WaitUntil([&] { return State().connection == number; });
  }
  sync::CallResult Call(uint64_t bytes) {
    GrpcCallQueue queue([this] { return connectivity_; });
    return testing::Unary(queue, sync::UploadMethod::kDataCaptureUpload, Request(bytes));
  }
  // A call of so many bytes, after which the account holds them.
  void ExpectCounted(uint64_t bytes) {
    const uint64_t before = State().acked;
    const sync::CallResult result = Call(bytes);
    EXPECT_TRUE(result.status.ok()) << result.status;
    EXPECT_TRUE(testing::WaitUntil([&] {
      connectivity_->link().Refresh(Clock::System().MonotonicNow());
      return State().acked >= before + bytes;
    }));
  }
  static std::string Request(uint64_t bytes) {
    wire::DataCaptureUploadRequest request;
    request.mutable_metadata()->set_part_id(std::string(bytes, 'x'));
    return request.SerializeAsString();
  }

  std::shared_ptr<Connectivity> connectivity_;
};

TEST_F(LinkWatchTest, CountsTheBytesOfCalls) {
  ASSERT_NO_FATAL_FAILURE(Connect("http://" + server_.address()));
  ASSERT_TRUE(WaitForConnection(1));
  ExpectCounted(100000);
}

TEST_F(LinkWatchTest, CountsTheBytesOfCalls_OverTls) {
  const testing::TempDir directory;
  const testing::CertificateAuthority ca(directory.path(), "ca");
  const testing::CertificateFiles files =
      ca.Issue("server", testing::ForHosts({testing::OwnLoopback()}));
  server_.Stop();
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back(
      {testing::ReadFile(files.key), testing::ReadFile(files.certificate)});
  server_.Start(grpc::SslServerCredentials(options));
  const CloudConfig config{
      .id = "part", .app_address = "https://" + server_.address(), .tls_ca_file = ca.certificate()};
  std::vector<std::string> warnings;
  auto tls = TlsFiles{.ca = ca.certificate()};
  ASSERT_NO_FATAL_FAILURE(
      Connect(Endpoint{.address = *ParseAppAddress(config.app_address), .tls = tls}));
  ASSERT_TRUE(WaitForConnection(1));
  ExpectCounted(100000);
}

TEST_F(LinkWatchTest, CountsTheBytesOfCalls_ThroughAnHttpProxy) {
  testing::TcpProxy proxy(server_.port());
  proxy.AnswerConnect();
  ASSERT_EQ(::setenv("https_proxy", ("http://" + testing::OwnLoopback(proxy.port())).c_str(), 1),
            0);
  Connect("http://app.example.com:80");
  ::unsetenv("https_proxy");
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_TRUE(WaitForConnection(1));
  ExpectCounted(100000);
  EXPECT_GT(proxy.bytes_from_clients(), 100000U);
  connectivity_.reset();  // Before the proxy.
}

TEST_F(LinkWatchTest, FollowsTheChannelToItsNextConnection) {
  testing::TcpProxy proxy(server_.port());
  ASSERT_NO_FATAL_FAILURE(Connect("http://" + testing::OwnLoopback(proxy.port())));
  ASSERT_TRUE(WaitForConnection(1));
  ExpectCounted(100000);
  proxy.BreakConnections();
  EXPECT_TRUE(WaitForConnection(0));
  EXPECT_TRUE(connectivity_->WaitUntilReady(Patience(), {}));
  ASSERT_TRUE(WaitForConnection(2));
  ExpectCounted(100000);
  connectivity_.reset();
}

TEST_F(LinkWatchTest, SaysWhyItEndedAConnection) {
  testing::TcpProxy proxy(server_.port());
  ASSERT_NO_FATAL_FAILURE(Connect("http://" + testing::OwnLoopback(proxy.port()),
                                  {.ping_interval = 1000ms, .ping_timeout = 200ms}));
  ASSERT_TRUE(WaitForConnection(1));
  proxy.SetSilent(true);
  const std::string line = WaitForLog("warning Connection to app at ");
  EXPECT_NE(line.find(": no sign of life for 1."), std::string::npos) << line;
  EXPECT_NE(line.find("s: the connection is ended, and another one is tried"), std::string::npos)
      << line;
  EXPECT_TRUE(WaitForConnection(0));
  connectivity_.reset();
}

TEST_F(LinkWatchTest, GetsAlongWithoutASocket) {
  // No TCP: its end is found by gRPC's own pings, and a call's by the time.
  const std::string path = "unix:" + std::string(::testing::TempDir()) + "/link_watch_test." +
                           std::to_string(::getpid());
  grpc::ServerBuilder builder;
  builder.AddListeningPort(path, grpc::InsecureServerCredentials());
  builder.RegisterService(&server_);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  ASSERT_NO_FATAL_FAILURE(Connect(path));
  EXPECT_NE(WaitForLog("debug Connection to app at " + path + ": its socket is not known"), "");
  EXPECT_EQ(State().connection, 0U);
  EXPECT_TRUE(Call(100000).status.ok());
  connectivity_.reset();
}

}  // namespace
}  // namespace datamanager::cloud
