// Collectors of remote components: what they do while the other side hangs, goes away and returns.
#include <grpcpp/channel.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "capture/capture.h"
#include "capture_file/file_name.h"
#include "datamanager/remote_source.h"
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
  EXPECT_EQ(server_.most_at_once(), 1) << "the old call was over before the next";
}

}  // namespace
}  // namespace datamanager::capture
