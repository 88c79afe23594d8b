#include "datamanager/cloud.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>

#include "base/unique_fd.h"
#include "tests/cloud/fixture.h"
#include "tests/support/blocking_calls.h"
#include "tests/support/own_loopback.h"
#include "tests/support/sanitizers.h"

namespace datamanager::cloud {
namespace {

MonotonicTime Now() { return Clock::System().MonotonicNow(); }

// Well above what closing takes, and below the second after which it would give up waiting. Under a
// sanitizer, the tests that use it only find what hangs.
constexpr std::chrono::milliseconds kQuick{900 * testing::kSlowness};

TEST_F(CloudTest, ListsEveryFaultOfItsConfig) {
  const absl::Status status = Cloud::Create({.id = "", .app_address = "nowhere"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "cloud.id: it is empty; write the id of the robot part to file uploads under\n"
            "cloud.app_address: \"nowhere\" has no scheme; write https://nowhere, or http:// for a "
            "server without TLS");
  EXPECT_FALSE(Cloud::Create({.id = "\xff", .app_address = "http://h:1"}).ok());
}

TEST_F(CloudTest, NamesItsStates) {
  EXPECT_EQ(ConnectionStateName(ConnectionState::kNotManaged), "not cloud-managed");
  EXPECT_EQ(ConnectionStateName(ConnectionState::kConnecting), "connecting");
  EXPECT_EQ(ConnectionStateName(ConnectionState::kHealthy), "healthy");
  EXPECT_EQ(ConnectionStateName(ConnectionState::kUnhealthy), "unhealthy");
  EXPECT_EQ(ConnectionStateName(ConnectionState::kClosed), "closed");
}

TEST_F(CloudTest, KeepsThePartId) {
  EXPECT_EQ(MakeCloud(server_.address())->uploader().NewSession().part_id, "part-1");
}

TEST_F(CloudTest, ConnectsThroughAUnixSocket) {
  const std::string target =
      "unix:" + std::string(::testing::TempDir()) + "/cloud_test." + std::to_string(::getpid());
  grpc::ServerBuilder builder;
  builder.AddListeningPort(target, grpc::InsecureServerCredentials());
  builder.RegisterService(&server_);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  absl::StatusOr<std::shared_ptr<Cloud>> cloud =
      Cloud::Create({.id = "part-1", .app_address = target});
  ASSERT_TRUE(cloud.ok()) << cloud.status();
  EXPECT_TRUE((*cloud)->uploader().WaitUntilReady(Patience(), {}));
  EXPECT_EQ((*cloud)->Status().address, target);
}

// As to a host that has no other address. Nobody else's server can be meant: the port is the
// system's choice.
TEST_F(CloudTest, ConnectsToAnAddressOfIpv6) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("[::1]:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&server_);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) GTEST_SKIP() << "this machine has no IPv6";
  const std::string address = "[::1]:" + std::to_string(port);
  const std::shared_ptr<Cloud> cloud = MakeCloud(address);
  EXPECT_TRUE(cloud->uploader().WaitUntilReady(Patience(), {}));
  EXPECT_EQ(cloud->Status().address, address);
}

// Accepts connections and never says a word.
class MutePeer {
 public:
  explicit MutePeer(int port = 0) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(testing::OwnLoopbackNumber());
    address.sin_port = htons(static_cast<uint16_t>(port));
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(socket_.get(), generic, size), 0);
    EXPECT_EQ(::listen(socket_.get(), 8), 0);
    EXPECT_EQ(::getsockname(socket_.get(), generic, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  std::string address() const { return testing::OwnLoopback(port_); }

 private:
  const UniqueFd socket_;
  int port_ = 0;
};

TEST_F(CloudTest, GoesQuicklyWithNobodyListening) {
  server_.Stop();
  std::shared_ptr<Cloud> cloud = MakeCloud(server_.address());
  EXPECT_TRUE(WaitForState(*cloud, ConnectionState::kUnhealthy));
  const MonotonicTime start = Now();
  cloud.reset();
  EXPECT_LT(Now() - start, kQuick);
}

TEST_F(CloudTest, GoesQuicklyBeforeItsFirstTryIsOver) {
  const MonotonicTime start = Now();
  MakeCloud(server_.address());
  EXPECT_LT(Now() - start, kQuick);
}

TEST_F(CloudTest, GoesQuicklyWhenConnected) {
  std::shared_ptr<Cloud> cloud = MakeConnectedCloud();
  const MonotonicTime start = Now();
  cloud.reset();
  EXPECT_LT(Now() - start, kQuick);
}

TEST_F(CloudTest, GoesQuicklyWhileItLooksForTheReasonOfALoss) {
  std::shared_ptr<Cloud> cloud = MakeConnectedCloud();
  Event lost;
  cloud->uploader().SetReadyListener([&](bool ready) {
    if (!ready) lost.Set();
  });
  server_.Stop();
  EXPECT_TRUE(lost.Wait());
  const MutePeer peer(server_.port());
  cloud->uploader().RequestConnect();
  EXPECT_TRUE(WaitForState(*cloud, ConnectionState::kUnhealthy));
  const MonotonicTime start = Now();
  cloud.reset();
  EXPECT_LT(Now() - start, kQuick);
}

TEST_F(CloudTest, NothingWaitsForAPeerThatNeverAnswers) {
  const MutePeer peer;
  const MonotonicTime start = Now();
  std::shared_ptr<Cloud> cloud = MakeCloud(peer.address());
  sync::Uploader& uploader = cloud->uploader();
  EXPECT_EQ(cloud->Status().state, ConnectionState::kConnecting);
  EXPECT_FALSE(uploader.Ready());

  const sync::CallResult unary =
      testing::Unary(uploader, sync::UploadMethod::kDataCaptureUpload, "", {});
  EXPECT_EQ(unary.status, absl::UnavailableError("not connected to " + peer.address()));
  EXPECT_FALSE(unary.channel_ready);

  testing::OpenedStream stream(uploader, sync::UploadMethod::kFileUpload);
  EXPECT_FALSE(stream.Write(""));
  EXPECT_EQ(stream.Finish().status, unary.status);

  EXPECT_FALSE(uploader.WaitUntilReady(Now() + 10ms, {}));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(uploader.WaitUntilReady(Patience(), stop.get_token()));
  cloud.reset();
  EXPECT_LT(Now() - start, kQuick);
}

}  // namespace
}  // namespace datamanager::cloud
