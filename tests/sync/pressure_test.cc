// How much a server that fails or throttles is sent, and how much is logged of it.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class PressureTest : public SyncFixture {
 protected:
  PressureTest() {
    config_.workers = 4;
    config_.interval = seconds(6);
  }
  ~PressureTest() override {
    server_->OnCall(nullptr);
    Close();
  }
  // Every call ends so from here on.
  void AnswerAll(const absl::Status& status) {
    server_->OnCall([status](const UploadCall&) { return status; });
  }
  // Time passes, and sync does what is due.
  void Pass(seconds time) {
    clock_.Advance(time);
    const size_t checks = server_->ready_checks();
    EXPECT_TRUE(WaitAwake(
        [&] { return server_->ready_checks() > checks + 3 && sync_->Stats().uploading == 0; }));
  }
  // The one file fails so often.
  void FailTimes(size_t times) {
    while (server_->call_count() < times && !HasFailure()) {
      clock_.Advance(seconds(31));
      EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
      EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 0; }));
    }
  }
  size_t LinesOfFailures() const { return log_.Count("upload of ") + log_.Count(" in a row"); }
};

class EveryCodeTest : public PressureTest, public ::testing::WithParamInterface<int> {};

// More files than the retry table holds, in several directories, for an hour.
TEST_P(EveryCodeTest, AnHour_CostsFewRequestsAndLinesAndNoFile) {
  const auto code = static_cast<absl::StatusCode>(GetParam());
  options_.most_retries = 20;
  constexpr size_t kFiles = 80;
  for (size_t i = 0; i < kFiles / 4; ++i) {
    for (const char* component : {"arm", "leg", "eye"}) Capture(component, 1);
    Drop("notes" + std::to_string(i), "hello");
  }
  AnswerAll(absl::Status(code, "no"));
  StartAndWait();
  Pass(seconds(12));
  EXPECT_TRUE(WaitAwake([&] { return server_->call_count() >= CircuitBreaker::kLimit; }));
  Pass(seconds(48));
  const size_t first_minute = server_->call_count();
  EXPECT_LE(first_minute, 40U);
  for (int i = 0; i < 295; ++i) Pass(seconds(12));
  const size_t calls = server_->call_count();
  EXPECT_GE(calls, CircuitBreaker::kLimit + 4);
  EXPECT_LE(calls, 100U);
  EXPECT_LE(LinesOfFailures(), 100U + 1);
  const SyncStats stats = sync_->Stats();
  ASSERT_FALSE(stats.paused.empty());
  EXPECT_NE(stats.paused[0].last_error.find("no"), std::string::npos);

  server_->OnCall(nullptr);
  // By itself, without a call of Sync.
  EXPECT_TRUE(WaitAwake([&] {
    clock_.Advance(minutes(10));
    return Waiting() == "" && sync_->Stats().uploading == 0;
  })) << Waiting();
  const uint64_t refused = sync_->Stats().tabular.refused + sync_->Stats().arbitrary.refused;
  EXPECT_EQ(server_->stored_count() + refused, kFiles);
  if (code == absl::StatusCode::kInvalidArgument) {
    EXPECT_GE(refused, CircuitBreaker::kLimit);
    EXPECT_LE(refused, 40U);
  } else {
    EXPECT_EQ(refused, 0U);
  }
  EXPECT_EQ(server_->repeats(), 0U);
  EXPECT_TRUE(sync_->Stats().paused.empty());
}

INSTANTIATE_TEST_SUITE_P(, EveryCodeTest, ::testing::Range(1, 17), [](const auto& test) {
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(test.param));
});

TEST_F(PressureTest, ACallOfSyncInALoop_DoesNotUndoTheWaitOfAFile) {
  config_.scheduled = false;
  Capture("arm", 1);
  AnswerAll(absl::InternalError("no"));
  StartAndWait();
  clock_.Stop();  // All in one moment.
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
    EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 0; }));
  }
  // The first call finds it, and the next one cuts its wait short.
  EXPECT_EQ(server_->call_count(), 2U);
}

TEST_F(PressureTest, ACallOfSyncInALoop_DoesNotUndoThePause) {
  config_.scheduled = false;
  for (int i = 0; i < 100; ++i) {
    Capture("arm", 1);
    Capture("leg", 1);
  }
  AnswerAll(absl::ResourceExhaustedError("busy"));
  StartAndWait();
  clock_.Stop();
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
    EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 0; }));
  }
  // A streak, what was under way, and the one probe.
  EXPECT_LE(server_->call_count(), CircuitBreaker::kLimit + 4 + 1);
}

TEST_F(PressureTest, ACallThatWaitsForAll_WaitsForTheWaitOfAFile) {
  config_.scheduled = false;
  Capture("arm", 1);
  AnswerAll(absl::InternalError("no"));
  StartAndWait();
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  std::stop_source stop;
  auto stopped = SyncInBackground(Wait::kUploaded, stop.get_token());
  EXPECT_TRUE(WaitUntil([&] { return server_->call_count() >= 3; }));
  EXPECT_FALSE(IsDone(stopped));
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(stopped.get()));
  server_->OnCall(nullptr);
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  EXPECT_EQ(Uploaded(), "arm:1");
}

TEST_F(PressureTest, TheWaitThatTheServerAsksFor_HoldsForAllUploads) {
  config_.workers = 1;
  for (int i = 0; i < 30; ++i) Capture("arm", 1);
  config_.scheduled = false;
  server_->PushBackNext(1, seconds(60));
  clock_.Stop();
  Start();
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 0; }));
  EXPECT_EQ(server_->call_count(), 1U);
  const SyncStats stats = sync_->Stats();
  ASSERT_EQ(stats.paused.size(), 1U);
  EXPECT_EQ(stats.paused[0].reason, PauseReason::kAsked);
  EXPECT_EQ(stats.paused[0].next_try, seconds(60));
  EXPECT_TRUE(
      Logged("RESOURCE_EXHAUSTED: the server is busy and asked for a pause; all uploads "
             "rest for 1m"));
  // Not even a call of Sync cuts it short.
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  EXPECT_EQ(server_->call_count(), 1U);
}

TEST_F(PressureTest, WhatTheServerAskedFor_IsNoFailureForTheBreaker) {
  for (int i = 0; i < 30; ++i) {
    Capture("arm", 1);
    Capture("leg", 1);
  }
  server_->PushBackNext(40, milliseconds(1));
  StartAndWait();
  EXPECT_TRUE(WaitAwake([&] {
    clock_.Advance(seconds(6));
    return Waiting() == "";
  }));
  EXPECT_EQ(server_->stored_count(), 60U);
  EXPECT_EQ(sync_->Stats().failure_pauses, 0U);
  EXPECT_GE(sync_->Stats().asked_pauses, 1U);
}

TEST_F(PressureTest, AServerWithoutTheService_IsNamedOnceAndTriedAgainWhenItConnects) {
  const std::string path = Drop("notes.txt", "hello");
  AnswerAll(absl::UnimplementedError(""));
  StartAndWait();
  FailTimes(20);
  const WaitingRetries retries = sync_->Stats().retries;
  EXPECT_EQ(retries.hopeless, 1U);
  ASSERT_FALSE(retries.most_tried.empty());
  EXPECT_EQ(retries.most_tried[0].path, path);
  EXPECT_EQ(retries.most_tried[0].advice,
            "no DataSyncService at cloud.test:443: check cloud.app_address");
  EXPECT_TRUE(Logged("warning: upload of " + path + " failed: FileUpload: UNIMPLEMENTED"));
  EXPECT_TRUE(Logged("no DataSyncService at cloud.test:443: check cloud.app_address"));
  // Half a day by the jitter of these tests, and no time passes here.
  EXPECT_GE(retries.most_tried[0].next_due, hours(10));
  server_->OnCall(nullptr);
  server_->SetReady(false);
  server_->SetReady(true);
  EXPECT_TRUE(WaitAwake([&] { return Waiting() == ""; }));
}

TEST_F(PressureTest, AHopelessFileThatChanges_IsTriedAgain) {
  const std::string path = Drop("notes.txt", "hello");
  AnswerAll(absl::DataLossError("no"));
  StartAndWait();
  FailTimes(20);
  // The server takes nothing until the file has its final time: it would be removed before that.
  WriteFile(path, "other");
  SetAge(path, hours(1));
  server_->OnCall(nullptr);
  // Minutes are enough, while the same bytes would wait for hours.
  int advances = 0;
  EXPECT_TRUE(WaitAwake([&] {
    if (++advances < 100) clock_.Advance(seconds(6));
    return Waiting() == "";
  }));
}

TEST_F(PressureTest, ANewConnection_ForgetsHowLargeAMessageMayBe) {
  const std::string text(30000, 'x');
  const auto publish = [&] {
    Publish(TabularMetadata("arm"),
            {Reading(1, text), Reading(2, text), Reading(3, text), Reading(4, text)});
  };
  server_->OnCall([](const UploadCall& call) {
    if (call.request.size() <= 100000) return absl::OkStatus();
    return absl::ResourceExhaustedError("Received message larger than max (120000 vs. 100000)");
  });
  publish();
  StartAndWait();
  clock_.Advance(seconds(6));
  EXPECT_TRUE(WaitAwake([&] { return Waiting() == ""; }));
  EXPECT_EQ(server_->stored_count(), 2U);
  server_->OnCall(nullptr);
  server_->SetReady(false);
  server_->SetReady(true);
  publish();
  EXPECT_TRUE(WaitAwake([&] {
    clock_.Advance(seconds(6));
    return Waiting() == "";
  }));
  EXPECT_EQ(server_->stored_count(), 3U) << "it is one request again";
}

TEST_F(PressureTest, AnotherAddress_EndsEveryPause) {
  for (int i = 0; i < 30; ++i) {
    Capture("arm", 1);
    Capture("leg", 1);
  }
  AnswerAll(absl::InvalidArgumentError("no"));
  StartAndWait();
  clock_.Advance(seconds(12));
  ASSERT_TRUE(WaitAwake([&] { return !sync_->Stats().paused.empty(); }));
  server_->OnCall(nullptr);
  server_->SetStatus({.state = ConnectionState::kHealthy, .address = "other.test:443"});
  server_->SetReady(true);
  EXPECT_TRUE(sync_->Stats().paused.empty());
  EXPECT_TRUE(WaitAwake([&] {
    clock_.Advance(seconds(6));
    return Waiting() == "";
  }));
}

// The interval may be long, and the file was never tried.
TEST_F(PressureTest, AfterAPause_TheFilesThatItLeftAreNotLeftToTheNextInterval) {
  config_.interval = hours(10);
  for (int i = 0; i < 30; ++i) {
    Capture("arm", 1);
    Capture("leg", 1);
  }
  AnswerAll(absl::InternalError("no"));
  StartAndWait();
  clock_.Advance(hours(6));
  ASSERT_TRUE(WaitAwake([&] { return !sync_->Stats().paused.empty(); }));
  server_->OnCall(nullptr);
  EXPECT_TRUE(WaitAwake([&] {
    clock_.Advance(seconds(1));
    return Waiting() == "";
  }));
  EXPECT_EQ(server_->stored_count(), 60U);
}

}  // namespace
}  // namespace datamanager::sync
