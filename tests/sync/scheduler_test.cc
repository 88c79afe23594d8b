// When passes and retries happen, seen through sync.
#include "sync/scheduler.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/support/gate.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

class SchedulerTest : public SyncFixture {};

TEST_F(SchedulerTest, PassesFollowOneAnother) {
  Start();
  for (int i = 1; i <= 3; ++i) {
    Capture("arm", 1);
    RunUntilIdle();
  }
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
  RunForSomePasses();
}

TEST_F(SchedulerTest, TheFirstPassDoesNotComeAtOnce) {
  config_.interval = hours(1);
  Capture("arm", 1);
  Start();
  EXPECT_TRUE(Logged("starting sync worker pool of size: 2"));
  EXPECT_EQ(sync_->Stats().passes, 0U);
  EXPECT_EQ(server_->call_count(), 0U);
}

// Where each robot of a fleet draws its own.
TEST_F(SchedulerTest, PassesOfAFleet_HaveARandomPhase) {
  config_.interval = hours(1);
  options_.random = [] { return 0.25; };
  StartAndWait();
  const auto passes_after = [&](std::chrono::minutes time, uint64_t expected) {
    clock_.Advance(time);
    return WaitAwake([&] { return sync_->Stats().passes >= expected; });
  };
  EXPECT_TRUE(passes_after(std::chrono::minutes(16), 1));
  const size_t checks = server_->ready_checks();
  clock_.Advance(std::chrono::minutes(58));
  EXPECT_TRUE(WaitAwake([&] { return server_->ready_checks() > checks + 3; }));
  EXPECT_EQ(sync_->Stats().passes, 1U);
  EXPECT_TRUE(passes_after(std::chrono::minutes(3), 2));
  EXPECT_EQ(sync_->Stats().passes, 2U);
}

TEST_F(SchedulerTest, DisabledNothingHappensUntilSyncNow) {
  config_.scheduled = false;
  Capture("arm", 3);
  Start();
  EXPECT_TRUE(Logged("Sync Disabled"));
  server_->SetReady(true);  // Wakes it.
  EXPECT_EQ(server_->call_count(), 0U);
  EXPECT_EQ(flushes_, 0);
  EXPECT_TRUE(SyncNow().ok());
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
  EXPECT_EQ(OnDisk(), "");
  EXPECT_EQ(flushes_, 1);
}

TEST_F(SchedulerTest, DisabledWhatSyncNowBeganIsTriedAgain) {
  config_.scheduled = false;
  Capture("arm", 3);
  server_->FailNext(1, absl::StatusCode::kInternal);
  Start();
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
}

TEST_F(SchedulerTest, FilesBeingCapturedToAreFinishedBeforeEachPass) {
  options_.flush = [this](MonotonicTime deadline, std::stop_token) {
    EXPECT_GT(deadline, Clock::System().MonotonicNow());
    ++flushes_;
    Capture("arm", 1);  // What it finishes, the pass finds.
    return absl::OkStatus();
  };
  config_.interval = milliseconds(30);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return server_->stored_count() >= 3; }));
  EXPECT_GE(flushes_, 3);
}

TEST_F(SchedulerTest, AFailedFlushIsToldAndThePassGoesOn) {
  options_.flush = [](MonotonicTime, std::stop_token) {
    return absl::DeadlineExceededError("a source hangs");
  };
  Capture("arm", 1);
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1");
  EXPECT_TRUE(Logged("warning: DEADLINE_EXCEEDED: a source hangs"));
  RunForSomePasses();
  EXPECT_EQ(log_.Count("a source hangs"), 1U);
}

TEST_F(SchedulerTest, FilesBeingCapturedToAreFinishedWhileALongPassBlocks) {
  config_.workers = 1;
  server_->Block();
  Capture("arm", 1);
  Capture("leg", 1);
  Start();
  // One file is with the worker, and nobody holds the other.
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1 && sync_->Stats().uploading == 1; }));
  const int before = flushes_;
  EXPECT_TRUE(WaitUntil([&] { return flushes_ > before; }));
  EXPECT_EQ(sync_->Stats().uploading, 1U);
  server_->Release();
  RunUntilIdle();
}

// Each file is taken at once, so that the pass never waits; still it must not go without.
TEST_F(SchedulerTest, FilesBeingCapturedToAreFinishedWhileALongPassMoves) {
  config_.workers = 1;
  for (int i = 0; i < 20; ++i) Capture("arm", 1);
  int flushes_in_pass = 0;
  server_->OnCall([&, calls = 0](const UploadCall&) mutable {
    // Each call takes as long as an interval.
    const int before = flushes_;
    clock_.Advance(seconds(1));
    EXPECT_TRUE(WaitAwake([&] { return flushes_ > before; }));
    if (++calls == 20) flushes_in_pass = flushes_;
    return absl::OkStatus();
  });
  Start();
  RunUntilIdle();
  EXPECT_GE(flushes_in_pass, 10);
}

TEST_F(SchedulerTest, OneBadFileDoesNotHoldUpTheOthers) {
  config_.workers = 1;
  server_->OnCall([](const UploadCall& call) {
    return call.metadata.component_name() == "bad" ? absl::UnavailableError("busy")
                                                   : absl::OkStatus();
  });
  Capture("bad", 1);
  for (int i = 0; i < 50; ++i) Capture("good", 1);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return Waiting() == "bad"; })) << Waiting();
  EXPECT_EQ(Uploaded(), "good:" + Up(50));
  EXPECT_GE(sync_->Stats().tabular.retries, 1U);
  // A file is counted once it is gone.
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().tabular.files == 50; }));
}

// Each retry takes long, so that another is always due; the backlog still has its turns.
TEST_F(SchedulerTest, SlowBadFilesDoNotHoldUpTheOthers) {
  config_.workers = 1;
  config_.interval = seconds(1);
  server_->OnCall([&](const UploadCall& call) {
    if (call.metadata.component_name() == "good") return absl::OkStatus();
    clock_.Advance(seconds(100));  // Whatever waits for its next try is due again.
    return absl::UnavailableError("busy");
  });
  for (int i = 0; i < 4; ++i) Capture("bad", 1);
  Start();
  const auto time_passes = [&] {
    clock_.Advance(seconds(1));
    server_->SetReady(true);  // Wakes it.
  };
  EXPECT_TRUE(WaitUntil([&] {
    time_passes();
    return sync_->Stats().tabular.retries >= 8;
  }));
  for (int i = 0; i < 4; ++i) Capture("good", 1);
  EXPECT_TRUE(WaitUntil([&] {
    time_passes();
    return Uploaded() == "good:1,2,3,4";
  })) << Uploaded();
}

TEST_F(SchedulerTest, OfflineNothingIsWalkedNorFlushedAndTheChannelIsAskedToConnect) {
  Capture("arm", 3);
  server_->SetReady(false);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return server_->connect_requests() >= 3; }));
  EXPECT_EQ(sync_->Stats().passes, 0U);
  EXPECT_EQ(flushes_, 0);
  EXPECT_EQ(server_->call_count(), 0U);
  EXPECT_EQ(OnDisk(), "arm");
  EXPECT_TRUE(
      Logged("info: data manager: Not syncing to cloud. cloud connection is in state "
             "unhealthy, waiting for READY: connection refused"));
  EXPECT_EQ(log_.Count("Not syncing to cloud"), 1U);
  server_->SetReady(true);
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
}

TEST_F(SchedulerTest, ConnectedAgainItMakesThePassItOwesAtOnce) {
  config_.interval = hours(1);
  server_->SetReady(false);
  Capture("arm", 3);
  StartAndWait();
  clock_.Advance(hours(1));
  server_->SetReady(false);  // Wakes it, for the pass that is due.
  EXPECT_TRUE(WaitUntil([&] { return server_->connect_requests() == 1; }));
  EXPECT_EQ(server_->call_count(), 0U);
  server_->SetReady(true);  // The next pass would be in an hour.
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
}

TEST_F(SchedulerTest, APassThatEndedOfflineIsMadeAnewWhenConnected) {
  config_.interval = hours(1);
  config_.workers = 1;
  for (int i = 0; i < 5; ++i) Capture("arm", 1);
  server_->OnCall([&, first = true](const UploadCall&) mutable {
    if (std::exchange(first, false)) server_->SetReady(false);
    return absl::OkStatus();
  });
  StartAndWait();
  clock_.Advance(hours(1));
  server_->SetReady(true);  // Wakes it.
  EXPECT_TRUE(WaitUntil([&] { return server_->connect_requests() >= 1; }));
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 0; }));
  EXPECT_EQ(server_->stored_count(), 0U);
  EXPECT_TRUE(Logged("connectivity: offline; failed tries: 1"));
  server_->SetReady(true);
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:" + Up(5));
}

// No timer fires here, only the reconnection.
TEST_F(SchedulerTest, ConnectedAgainItCutsShortTheWaitsThatBeganOffline) {
  config_.scheduled = false;
  Capture("arm", 3);
  // Lost only when all is handed over: SyncNow would wait for the connection.
  std::promise<void> handed_over;
  server_->OnCall([&, first = true](const UploadCall&) mutable {
    if (std::exchange(first, false)) {
      handed_over.get_future().wait();
      server_->SetReady(false);
    }
    return absl::OkStatus();
  });
  StartAndWait();
  clock_.Advance(hours(1));
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  handed_over.set_value();
  EXPECT_TRUE(WaitUntil(
      [&] { return sync_->Stats().waiting_retries == 1 && sync_->Stats().uploading == 0; }));
  EXPECT_EQ(server_->call_count(), 1U);
  server_->SetReady(true);
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
}

// No change is to be waited for: the clock is an hour ahead, and no wait ends by itself.
TEST_F(SchedulerTest, AWaitThatBeganOfflineWhenTheConnectionIsBackIsCutShort) {
  config_.scheduled = false;
  Capture("arm", 3);
  server_->LoseConnectionForAMoment(1);
  StartAndWait();
  clock_.Advance(hours(1));
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
  EXPECT_EQ(server_->call_count(), 2U);
}

TEST_F(SchedulerTest, OfflineWithRetriesWaitingTheChannelIsAskedToConnect) {
  config_.scheduled = false;
  Capture("arm", 3);
  StartAndWait();
  clock_.Advance(hours(1));
  // Lost only when nobody waits for the connection to come back.
  const auto answer = std::make_shared<testing::Gate>();
  answer->Close();
  server_->OnCall([this, answer](const UploadCall&) {
    answer->Pass();
    server_->SetReady(false);
    return absl::OkStatus();
  });
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  answer->Open();
  EXPECT_TRUE(WaitUntil(
      [&] { return sync_->Stats().waiting_retries == 1 && sync_->Stats().uploading == 0; }));
  const size_t before = server_->connect_requests();
  server_->SetReady(false);  // Idle, say: nobody else wakes it.
  EXPECT_TRUE(WaitUntil([&] { return server_->connect_requests() > before; }));
}

TEST_F(SchedulerTest, StatisticsAreToldEachMinuteWhenThereIsNews) {
  config_.scheduled = false;
  const uint64_t bytes = std::filesystem::file_size(Capture("arm", 3));
  StartAndWait();
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  RunUntilIdle();
  clock_.Advance(seconds(61));
  server_->SetReady(true);  // Wakes it.
  EXPECT_TRUE(
      Logged("info: uploads since start (and in the last interval): tabular files=1 (+1) "
             "bytes=" +
             std::to_string(bytes) + " (+" + std::to_string(bytes) +
             ") refused=0 (+0) retries=0 (+0); binary files=0"));
  Capture("arm", 1);
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  RunUntilIdle();
  clock_.Advance(seconds(61));
  server_->SetReady(true);
  EXPECT_TRUE(Logged("tabular files=2 (+1)"));
  // Without news, silence.
  clock_.Advance(seconds(61));
  const size_t checks = server_->ready_checks();
  server_->SetReady(true);
  EXPECT_TRUE(WaitUntil([&] { return server_->ready_checks() > checks + 1; }));
  EXPECT_EQ(log_.Count("uploads since start"), 2U);
  Capture("arm", 1);
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  RunUntilIdle();
  clock_.Advance(seconds(61));
  server_->SetReady(true);
  EXPECT_TRUE(Logged("tabular files=3 (+1)"));
  EXPECT_EQ(log_.Count("uploads since start"), 3U);
}

TEST_F(SchedulerTest, AHintTakesItsTurnInAPass) {
  config_.workers = 1;
  server_->Block();
  for (int i = 0; i < 5; ++i) Capture("arm", 1);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  sync_->Hint(Capture("new", 1));
  sync_->Hint(captured_ + "/nowhere.capture");
  server_->Release();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:" + Up(5) + " new:1");
  // Behind the file with the worker and the one that was being offered.
  const std::vector<UploadCall> stored = server_->stored();
  EXPECT_EQ(Describe({stored.begin(), stored.begin() + 3}).find("new:1") == std::string::npos,
            false);
}

TEST_F(SchedulerTest, DisablingEndsWhatPassesBegan) {
  Capture("arm", 1);
  server_->OnCall([](const UploadCall&) { return absl::UnavailableError("busy"); });
  Start();
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().waiting_retries == 1; }));
  config_.scheduled = false;
  Reconfigure();
  EXPECT_EQ(sync_->Stats().waiting_retries, 0U);
  server_->OnCall(nullptr);
  server_->SetReady(true);  // Wakes it.
  EXPECT_TRUE(Logged("Sync Disabled"));
  EXPECT_EQ(OnDisk(), "arm");
  EXPECT_TRUE(SyncNow().ok());
  EXPECT_EQ(Uploaded(), "arm:1");
}

TEST_F(SchedulerTest, WhatIsNoLongerWalkedIsNotTriedAgain) {
  Drop("notes.txt", "hello");
  server_->OnCall([](const UploadCall&) { return absl::UnavailableError("busy"); });
  Start();
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().waiting_retries == 1; }));
  config_.additional_paths = {};
  Reconfigure();
  server_->OnCall(nullptr);
  RunForSomePasses();
  EXPECT_EQ(OnDisk(), "notes.txt");
  EXPECT_EQ(Uploaded(), "");
}

}  // namespace
}  // namespace datamanager::sync
