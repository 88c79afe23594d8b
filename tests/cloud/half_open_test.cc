// Connections that died without a word: only keepalive pings find them.
#include <gtest/gtest.h>

#include "cloud/address.h"
#include "cloud/call_queue.h"
#include "cloud/connectivity.h"
#include "tests/cloud/fixture.h"
#include "tests/support/blocking_calls.h"
#include "tests/support/tcp_proxy.h"
#include "tests/support/wait_until.h"

namespace datamanager::cloud {
namespace {

using sync::CallResult;
using sync::UploadMethod;

class HalfOpenTest : public CloudTest {
 protected:
  HalfOpenTest() {
    server_.on_data_capture = [this](grpc::ServerContext& context, const auto&, auto&) {
      arrived_.Set();
      TestServer::Hang(context);
      return grpc::Status::OK;
    };
    server_.on_file = [this](grpc::ServerContext& context, TestServer::FileReader& reader, auto&) {
      wire::FileUploadRequest request;
      if (reader.Read(&request)) arrived_.Set();
      TestServer::Hang(context);
      return grpc::Status::OK;
    };
    auto logger = Logger::Create([](const LogEntry&) {});
    auto address = ParseAppAddress("http://" + testing::OwnLoopback(proxy_.port()));
    auto connectivity = Connectivity::Create({.address = *address}, *std::move(logger), listener_,
                                             {.ping_interval = 100ms, .ping_timeout = 400ms});
    EXPECT_TRUE(connectivity.ok()) << connectivity.status();
    connectivity_ = *std::move(connectivity);
    connectivity_->Begin();
    EXPECT_TRUE(connectivity_->WaitUntilReady(Patience(), {}));
  }

  Event arrived_;
  testing::TcpProxy proxy_{server_.port()};
  const std::shared_ptr<ReadyListener> listener_ = std::make_shared<ReadyListener>();
  std::shared_ptr<Connectivity> connectivity_;
  GrpcCallQueue queue_{[this] { return connectivity_; }};
};

TEST_F(HalfOpenTest, IsFoundWithoutAnyCall) {
  Event lost;
  listener_->Set([&](bool ready) {
    if (!ready) lost.Set();
  });
  proxy_.SetSilent(true);
  EXPECT_TRUE(lost.Wait());
  EXPECT_FALSE(connectivity_->Ready());
  listener_->Set(nullptr);
}

// Long before any watchdog, and as what it is: the connection's fault.
TEST_F(HalfOpenTest, EndsAUnaryCallAsOffline) {
  const std::jthread network([&] {
    EXPECT_TRUE(arrived_.Wait());
    proxy_.SetSilent(true);
  });
  const CallResult result =
      testing::Unary(queue_, UploadMethod::kDataCaptureUpload, "", {.timeout = 10 * kPatience});
  EXPECT_EQ(result.status.code(), absl::StatusCode::kUnavailable) << result.status;
  EXPECT_TRUE(result.sent);
  EXPECT_FALSE(result.stalled);
  // The channel's state follows.
  EXPECT_TRUE(testing::WaitUntil([&] { return !connectivity_->Ready(); }));
}

TEST_F(HalfOpenTest, EndsAStreamThatWritesAsOffline) {
  const std::jthread network([&] {
    EXPECT_TRUE(arrived_.Wait());
    proxy_.SetSilent(true);
  });
  testing::OpenedStream stream(std::make_unique<GrpcCallQueue>([this] { return connectivity_; }),
                               UploadMethod::kFileUpload, {.timeout = 10 * kPatience});
  wire::FileUploadRequest request;
  request.mutable_file_contents()->set_data(std::string(64 << 10, 'x'));
  int written = 0;
  while (written < 10000 && stream.Write(request.SerializeAsString())) ++written;
  const CallResult result = stream.Finish();
  EXPECT_EQ(result.status.code(), absl::StatusCode::kUnavailable) << result.status;
  EXPECT_TRUE(testing::WaitUntil([&] { return !connectivity_->Ready(); }));
}

// A server that is only slow answers the pings, of which gRPC sends one a second.
TEST_F(HalfOpenTest, ASlowServerIsNotTakenForADeadConnection) {
  const CallResult result =
      testing::Unary(queue_, UploadMethod::kDataCaptureUpload, "", {.timeout = 2500ms});
  EXPECT_EQ(result.status.code(), absl::StatusCode::kDeadlineExceeded) << result.status;
  EXPECT_TRUE(result.channel_ready);
  EXPECT_TRUE(result.stalled);
}

}  // namespace
}  // namespace datamanager::cloud
