// Collectors of remote components: what they do while the other side hangs, goes away and returns.
#include <grpcpp/channel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capture/capture.h"
#include "capture_file/file_name.h"
#include "datamanager/remote_source.h"
#include "remote/connection_wait.h"
#include "tests/capture/captured.h"
#include "tests/support/component_server.h"
#include "tests/support/log_capture.h"
#include "tests/support/own_loopback.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::capture {
namespace {

using std::chrono::milliseconds;
using testing::ComponentServer;
using testing::In;
using testing::PatienceEnds;
using testing::WaitUntil;

constexpr char kMotor[] = "rdk:component:motor";
constexpr char kIsPowered[] = "viam.component.motor.v1.MotorService/IsPowered";

class RemoteCollectorTest : public ::testing::Test {
 protected:
  RemoteCollectorTest() {
    server_.Start(testing::OwnLoopback(0));
    config_.directory = dir_.path();
    config_.max_file_bytes = 262144;
    config_.durability = Durability::kProcess;
    config::ConfiguredCollector collector;
    collector.settings = {
        .api = kMotor, .name = "near", .method = "IsPowered", .interval = milliseconds(2)};
    config_.collectors.push_back(collector);
    EXPECT_TRUE(RemoteSource(*ConnectRemote(server_.address()), kMotor, "far")
                    .AddTo(sources_, "near")
                    .ok());
    logger_ = *Logger::Create(log_.sink());
    capture_ = *Capture::Create({.logger = logger_});
  }
  ~RemoteCollectorTest() override {
    capture_->Close(PatienceEnds(), PatienceEnds()).IgnoreError();
    server_.Stop();
  }

  void Answer(ComponentServer::Answer answer) {
    server_.Set(kIsPowered, "far", {std::move(answer)});
  }
  void Start() { ASSERT_TRUE(capture_->Reconfigure(config_, sources_, PatienceEnds())); }
  CollectorStats Stats() const { return capture_->Stats().at(0); }
  [[nodiscard]] bool WaitForCaptured(uint64_t more = 1) const {
    return WaitUntil([this, end = Stats().captured + more] { return Stats().captured >= end; });
  }
  [[nodiscard]] bool WaitForFailed(uint64_t more = 1) const {
    return WaitUntil([this, end = Stats().failed + more] { return Stats().failed >= end; });
  }
  [[nodiscard]] bool WaitForCall() const {
    return WaitUntil([this] { return !server_.Asked(kIsPowered, "far").empty(); });
  }

  const testing::TempDir dir_;
  testing::LogCapture log_;
  ComponentServer server_;
  std::shared_ptr<Logger> logger_;
  config::CaptureConfig config_;
  Sources sources_;
  std::unique_ptr<Capture> capture_;
};

TEST_F(RemoteCollectorTest, WhatDisappearsAndReturnsIsCapturedAgain) {
  Answer({.messages = {"is_on: true power_pct: 0.5"}});
  Start();
  EXPECT_TRUE(WaitForCaptured(3));
  server_.Stop();
  EXPECT_TRUE(WaitForFailed(3));
  EXPECT_NE(
      Stats().last_error.find("cannot reach rdk:component:motor \"far\" at " + server_.address()),
      std::string::npos)
      << Stats().last_error;
  server_.Start("");
  EXPECT_TRUE(WaitForCaptured(3));
  EXPECT_EQ(server_.most_at_once(), 1);
}

TEST_F(RemoteCollectorTest, WhatIsNotThereYetIsCapturedOnceItIs) {
  Answer({.messages = {""}});
  server_.Stop();
  Start();
  EXPECT_TRUE(WaitForFailed(3));
  server_.Start("");
  EXPECT_TRUE(WaitForCaptured());
}

TEST_F(RemoteCollectorTest, AFilteredTickIsNoRecordAndNoError) {
  Answer({.status = {grpc::StatusCode::FAILED_PRECONDITION, "no capture from filter module"}});
  Start();
  EXPECT_TRUE(WaitUntil([this] { return Stats().no_data >= 3; }));
  EXPECT_EQ(Stats().failed, 0U);
  EXPECT_EQ(Stats().records, 0U);
}

TEST_F(RemoteCollectorTest, ClosingCancelsACallThatHangs) {
  Answer({.hangs = true});
  Start();
  ASSERT_TRUE(WaitForCall());
  // Far less than the call's own deadline.
  EXPECT_TRUE(capture_->Close(In(milliseconds(5000)), PatienceEnds()).ok());
  EXPECT_TRUE(WaitUntil([this] { return server_.cancelled() == 1; }));
  EXPECT_EQ(server_.Asked(kIsPowered, "far").size(), 1U) << "one at a time";
  EXPECT_EQ(Stats().records, 0U);
}

TEST_F(RemoteCollectorTest, AChangedCollectorWaitsForNoCallThatHangs) {
  Answer({.hangs = true});
  Start();
  ASSERT_TRUE(WaitForCall());
  Answer({.messages = {""}});
  config_.collectors[0].settings.interval = milliseconds(3);
  EXPECT_TRUE(capture_->Reconfigure(config_, sources_, In(milliseconds(5000))));
  EXPECT_TRUE(WaitForCaptured());
  // The server may hear of the old call's end only after the next call.
  EXPECT_TRUE(WaitUntil([this] { return server_.cancelled() == 1; }));
}

// A look at whether the server is back costs as much as a call.
TEST_F(RemoteCollectorTest, OneThreadLooksForTheServerThoughManyCollectorsWaitForIt) {
  const std::string address = server_.address();
  server_.Stop();
  config_.collectors.clear();
  constexpr int kCollectors = 50;
  std::vector<RemoteChannel> channels;
  for (int i = 0; i < kCollectors; ++i) {
    channels.push_back(*ConnectRemote(address));  // As the robot does for each component.
    const std::string name = absl::StrCat("near", i);
    ASSERT_TRUE(RemoteSource(channels.back(), kMotor, "far").AddTo(sources_, name).ok());
    config::ConfiguredCollector collector;
    collector.settings = {
        .api = kMotor, .name = name, .method = "IsPowered", .interval = milliseconds(20)};
    config_.collectors.push_back(collector);
  }
  const auto wait = remote::ConnectionWait::Of(channels[0].channel);
  EXPECT_EQ(wait, remote::ConnectionWait::Of(channels[7].channel));
  Start();
  const auto failed = [this] {
    uint64_t count = 0;
    for (const CollectorStats& stats : capture_->Stats()) count += stats.failed;
    return count;
  };
  // Some calls fail before the connection counts as lost.
  ASSERT_TRUE(WaitUntil([&] { return wait->looks() > 0; }));
  const uint64_t failed_before = failed();
  const uint64_t looks_before = wait->looks();
  ASSERT_TRUE(WaitUntil([&] { return failed() >= failed_before + 10 * kCollectors; }));
  // If each collector waited alone, there would be ten looks for each failed tick.
  EXPECT_LT(wait->looks() - looks_before, failed() - failed_before);

  server_.Start(address);
  Answer({.messages = {"is_on: true"}});
  EXPECT_TRUE(WaitUntil([&] {
    const std::vector<CollectorStats> all = capture_->Stats();
    return std::all_of(all.begin(), all.end(),
                       [](const CollectorStats& stats) { return stats.captured > 0; });
  })) << "all go on by themselves";
}

TEST(ConnectionWaitTest, EachChannelHasOne) {
  const RemoteChannel channel = *ConnectRemote("127.0.0.1:1");
  EXPECT_EQ(channel.channel, ConnectRemote("127.0.0.1:1")->channel);
  EXPECT_NE(channel.channel, ConnectRemote("127.0.0.1:2")->channel);
  const auto wait = remote::ConnectionWait::Of(channel.channel);
  EXPECT_NE(wait, remote::ConnectionWait::Of(ConnectRemote("127.0.0.1:2")->channel));
}

TEST(ConnectionWaitTest, TheNextLeadsWhereTheFirstIsStopped) {
  const RemoteChannel channel = *ConnectRemote(absl::StrCat(testing::OwnLoopback(1)));
  const auto wait = remote::ConnectionWait::Of(channel.channel);
  ASSERT_TRUE(
      WaitUntil([&] { return channel.channel->GetState(true) == GRPC_CHANNEL_TRANSIENT_FAILURE; }));
  std::stop_source stop;
  std::atomic<int> returned = 0;
  std::vector<std::jthread> threads;
  threads.emplace_back([&] {
    wait->Wait(testing::kPatience, stop.get_token());
    ++returned;
  });
  ASSERT_TRUE(WaitUntil([&] { return wait->looks() > 0; }));
  std::stop_source others;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      wait->Wait(testing::kPatience, others.get_token());
      ++returned;
    });
  }
  stop.request_stop();
  EXPECT_TRUE(WaitUntil([&] { return returned == 1; }));
  const uint64_t looks = wait->looks();
  EXPECT_TRUE(WaitUntil([&] { return wait->looks() > looks + 3; })) << "another one leads";
  others.request_stop();
  EXPECT_TRUE(WaitUntil([&] { return returned == 5; }));
}

}  // namespace
}  // namespace datamanager::capture
