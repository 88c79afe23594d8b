#include "cloud/connectivity.h"

#include <atomic>

#include "tests/cloud/fixture.h"

namespace datamanager::cloud {
namespace {

TEST(NextStateTest, FollowsTheChannel) {
  using enum ConnectionState;
  struct Case {
    ConnectionState before;
    grpc_connectivity_state channel;
    ConnectionState after;
  };
  const Case cases[] = {
      {kConnecting, GRPC_CHANNEL_IDLE, kConnecting},
      {kHealthy, GRPC_CHANNEL_IDLE, kHealthy},
      {kUnhealthy, GRPC_CHANNEL_IDLE, kUnhealthy},
      {kConnecting, GRPC_CHANNEL_CONNECTING, kConnecting},
      {kHealthy, GRPC_CHANNEL_CONNECTING, kUnhealthy},
      {kUnhealthy, GRPC_CHANNEL_CONNECTING, kUnhealthy},
      {kConnecting, GRPC_CHANNEL_READY, kHealthy},
      {kHealthy, GRPC_CHANNEL_READY, kHealthy},
      {kUnhealthy, GRPC_CHANNEL_READY, kHealthy},
      {kConnecting, GRPC_CHANNEL_TRANSIENT_FAILURE, kUnhealthy},
      {kHealthy, GRPC_CHANNEL_TRANSIENT_FAILURE, kUnhealthy},
      {kUnhealthy, GRPC_CHANNEL_TRANSIENT_FAILURE, kUnhealthy},
      {kConnecting, GRPC_CHANNEL_SHUTDOWN, kClosed},
      {kHealthy, GRPC_CHANNEL_SHUTDOWN, kClosed},
      {kUnhealthy, GRPC_CHANNEL_SHUTDOWN, kClosed},
  };
  for (const Case& expected : cases) {
    EXPECT_EQ(NextState(expected.before, expected.channel, Admission::State::kGranted),
              expected.after)
        << ConnectionStateName(expected.before) << ", channel state " << expected.channel;
    if (expected.channel == GRPC_CHANNEL_READY) continue;
    for (const auto admission : {Admission::State::kPending, Admission::State::kDenied}) {
      EXPECT_EQ(NextState(expected.before, expected.channel, admission), expected.after);
    }
  }
}

TEST(NextStateTest, AReadyChannelIsOfNoUseUntilTheServerLetsUsIn) {
  using enum ConnectionState;
  for (const ConnectionState before : {kConnecting, kHealthy, kUnhealthy}) {
    EXPECT_EQ(NextState(before, GRPC_CHANNEL_READY, Admission::State::kPending), before);
    EXPECT_EQ(NextState(before, GRPC_CHANNEL_READY, Admission::State::kDenied), kUnhealthy);
  }
}

using ConnectivityTest = CloudTest;

TEST_F(ConnectivityTest, TellsOfAServerThatComesGoesAndComesBack) {
  const std::string address = server_.address();
  server_.Stop();
  Record<bool> ready;
  const auto cloud = MakeCloud(address);
  cloud->uploader().SetReadyListener([&](bool now) { ready.Add(now); });
  const std::string first = WaitForLog("info No connection to app at " + address + " yet: ");
  EXPECT_NE(first.find("Connection refused"), std::string::npos) << first;
  ConnectionStatus status = cloud->Status();
  EXPECT_EQ(status.state, ConnectionState::kUnhealthy);
  EXPECT_EQ(status.address, address);
  EXPECT_NE(status.last_error.find("Connection refused"), std::string::npos) << status.last_error;
  const WallTime unhealthy_since = status.since;

  server_.Start();
  EXPECT_TRUE(cloud->uploader().WaitUntilReady(Patience(), {}));
  EXPECT_EQ(WaitForLog("info Connected"), "info Connected to app at " + address);
  status = cloud->Status();
  EXPECT_EQ(status.state, ConnectionState::kHealthy);
  EXPECT_GT(status.since, unhealthy_since);
  EXPECT_NE(status.last_error, "");

  server_.Stop();
  ASSERT_TRUE(ready.WaitForCount(2));
  cloud->uploader().RequestConnect();
  const std::string lost = WaitForLog("info Lost connection to app at " + address + ": ");
  EXPECT_NE(lost.find("Connection refused"), std::string::npos) << lost;
  EXPECT_EQ(cloud->Status().state, ConnectionState::kUnhealthy);

  server_.Start();
  EXPECT_TRUE(cloud->uploader().WaitUntilReady(Patience(), {}));
  EXPECT_EQ(WaitForLog("info Regained"), "info Regained connection to app at " + address);
  EXPECT_EQ(cloud->Status().state, ConnectionState::kHealthy);

  cloud->uploader().SetReadyListener(nullptr);
  EXPECT_EQ(ready.All(), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(log_.All().front(), "info Connecting to app at " + address);
  EXPECT_EQ(log_.All().size(), 5U);
}

TEST_F(ConnectivityTest, WaitUntilReadyWakesAnIdleChannel) {
  const auto cloud = MakeConnectedCloud();
  Record<bool> ready;
  cloud->uploader().SetReadyListener([&](bool now) { ready.Add(now); });
  server_.Stop();
  server_.Start();
  ASSERT_TRUE(ready.WaitForCount(1));
  // Idle: nobody has asked for a connection since.
  EXPECT_FALSE(cloud->uploader().Ready());
  EXPECT_EQ(cloud->Status().state, ConnectionState::kHealthy);

  EXPECT_TRUE(cloud->uploader().WaitUntilReady(Patience(), {}));
  ASSERT_TRUE(ready.WaitForCount(2));
  cloud->uploader().SetReadyListener(nullptr);
  EXPECT_EQ(ready.All(), (std::vector<bool>{false, true}));
  // Nobody could miss it, and so nobody is told that it was lost.
  for (const std::string& line : log_.All())
    EXPECT_EQ(line.find("Lost"), std::string::npos) << line;
}

TEST_F(ConnectivityTest, TakingTheListenerAwayWaitsForItsCall) {
  const auto cloud = MakeConnectedCloud();
  Event entered;
  Event leave;
  std::atomic<bool> left = false;
  cloud->uploader().SetReadyListener([&](bool) {
    entered.Set();
    EXPECT_TRUE(leave.Wait());
    left = true;
  });
  server_.Stop();
  ASSERT_TRUE(entered.Wait());
  const std::jthread taker([&] {
    cloud->uploader().SetReadyListener(nullptr);
    EXPECT_TRUE(left);
  });
  leave.Set();
}

TEST_F(ConnectivityTest, TheListenerMayTakeItselfAway) {
  const auto cloud = MakeConnectedCloud();
  Event called;
  cloud->uploader().SetReadyListener([&](bool) {
    cloud->uploader().SetReadyListener(nullptr);
    called.Set();
  });
  server_.Stop();
  EXPECT_TRUE(called.Wait());
}

}  // namespace
}  // namespace datamanager::cloud
