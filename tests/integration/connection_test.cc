// The cloud in its three states – not there yet, healthy, unhealthy – and between them.
#include "tests/integration/world.h"

namespace datamanager::testing {
namespace {

class ConnectionTest : public World {
 protected:
  ConnectionTest() {
    AddSensor("cpu", 100);
    options_.connect_timeout = 100ms;
  }

  // Sync gives up after connect_timeout, and says what is wrong.
  absl::Status SyncInVain() {
    const auto begin = std::chrono::steady_clock::now();
    absl::Status status = manager_->Sync();
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_TRUE(HasCode(absl::StatusCode::kUnavailable, status));
    EXPECT_TRUE(Has(status.ToString(), "not connected to the cloud: "));
    EXPECT_LT(took, 5s);  // The machine may be busy; without the limit it would be 20 s and more.
    return status;
  }
  void ExpectScheduledSyncRests() {
    const uint64_t passes = Uploads().passes;
    const size_t files = OnDisk(".capture").size();
    EXPECT_TRUE(WaitForMore("cpu", 10));
    EXPECT_EQ(Uploads().passes, passes);
    // Nor are files finished for nothing.
    EXPECT_EQ(OnDisk(".capture").size(), files);
    EXPECT_EQ(OnDisk(".prog").size(), 1U);
  }
};

// TestSync, TestSyncEnabled: "no connection".
TEST_F(ConnectionTest, AMachineThatIsNotCloudManagedOnlyCaptures) {
  MakeManager(/*with_cloud=*/false);
  ASSERT_TRUE(IsOk(Reconfigure()));
  ExpectScheduledSyncRests();
  EXPECT_TRUE(Has(SyncInVain().ToString(), "not cloud-managed"));
  EXPECT_EQ(manager_->Stats().connection.state, ConnectionState::kNotManaged);
  EXPECT_TRUE(WaitForLog("datamanager can't sync as the robot is not cloud managed"));
}

TEST_F(ConnectionTest, WhereNobodyEverListenedSyncSaysSoAndScheduledSyncRests) {
  ReserveAddress();
  const WallTime begin = Clock::System().WallNow();
  MakeManager();
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  ASSERT_TRUE(WaitUntil([&] { return !manager_->Stats().connection.last_error.empty(); }));
  const std::string said = SyncInVain().ToString();
  EXPECT_TRUE(Has(said, "unhealthy for "));
  EXPECT_TRUE(Has(said, address_));
  EXPECT_TRUE(Has(said, "last error: "));
  EXPECT_TRUE(Has(said, "refused"));
  ExpectScheduledSyncRests();
  const ConnectionStatus connection = manager_->Stats().connection;
  EXPECT_EQ(connection.address, address_);
  EXPECT_GE(connection.since, begin);
  EXPECT_TRUE(Has(connection.last_error, "refused"));
  EXPECT_TRUE(WaitForLog("Not syncing to cloud. cloud connection is in state"));
  EXPECT_TRUE(WaitForLog("No connection to app at"));
  EXPECT_FALSE(log_.Has("Lost connection"));

  // At last somebody does.
  StartServer();
  ASSERT_TRUE(WaitForArrived("cpu"));
  EXPECT_EQ(manager_->Stats().connection.state, ConnectionState::kHealthy);
  Drain();
  ExpectArrivedOnce("cpu");
}

TEST_F(ConnectionTest, SyncWaitsForTheFirstConnection) {
  ReserveAddress();
  options_.connect_timeout = kPatience;
  config_.sync_disabled = true;
  MakeManager();
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(WaitForCaptured("cpu", 3));
  std::jthread call([&] { EXPECT_TRUE(IsOk(SyncAll())); });
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  StartServer();
  call.join();
  EXPECT_GE(CountFrom("cpu"), 3);
}

TEST_F(ConnectionTest, SyncOfflineEndsWhenItIsStopped) {
  ReserveAddress();
  options_.connect_timeout = 1h;
  MakeManager();
  ASSERT_TRUE(IsOk(Reconfigure()));
  std::stop_source stop;
  absl::Status result;
  std::jthread call([&] { result = SyncAll(stop.get_token()); });
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  stop.request_stop();
  call.join();
  EXPECT_TRUE(HasCode(absl::StatusCode::kCancelled, result));
}

TEST_F(ConnectionTest, LostAndBackAgain) {
  Start();
  ASSERT_TRUE(WaitForArrived("cpu"));
  EXPECT_EQ(manager_->Stats().connection.state, ConnectionState::kHealthy);
  EXPECT_EQ(manager_->Stats().connection.last_error, "");
  const WallTime healthy_since = manager_->Stats().connection.since;

  StopServer();
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  ASSERT_TRUE(WaitUntil([&] { return !manager_->Stats().connection.last_error.empty(); }));
  EXPECT_GE(manager_->Stats().connection.since, healthy_since);
  EXPECT_TRUE(Has(SyncInVain().ToString(), "unhealthy for "));
  // What was finished before the loss waits; nothing more comes.
  ASSERT_TRUE(WaitUntil([&] { return OnDisk(".prog").size() == 1; }));
  ExpectScheduledSyncRests();

  StartServer();
  ASSERT_TRUE(WaitForConnection(ConnectionState::kHealthy));
  options_.connect_timeout = kPatience;
  Drain();
  ExpectArrivedOnce("cpu");
}

// An idle channel – nobody calls, the server has closed it – is nothing that waits by itself.
TEST_F(ConnectionTest, SyncWakesAnIdleChannel) {
  config_.sync_disabled = true;
  options_.connect_timeout = kPatience;
  Start();
  ASSERT_TRUE(WaitForConnection(ConnectionState::kHealthy));
  for (int restart = 0; restart < 2; ++restart) {
    StopServer();
    StartServer();
    ASSERT_TRUE(WaitForMore("cpu", 2));
    ASSERT_TRUE(IsOk(SyncAll()));
  }
  Drain();
  ExpectArrivedOnce("cpu");
}

TEST_F(ConnectionTest, ScheduledSyncWakesAnIdleChannel) {
  config_.sync_interval_mins = 0.01;  // Longer than the restart.
  Start();
  ASSERT_TRUE(WaitForArrived("cpu"));
  const int64_t before = CountFrom("cpu");
  StopServer();
  StartServer();
  ASSERT_TRUE(WaitForArrived("cpu", before + 1));
}

}  // namespace
}  // namespace datamanager::testing
