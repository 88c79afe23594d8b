#include "sync/sync.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <atomic>
#include <chrono>
#include <future>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/support/hanging_reads.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

class SyncTest : public SyncFixture {
 protected:
  static std::chrono::steady_clock::duration TimeOf(const std::function<void()>& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::steady_clock::now() - begin;
  }
  void Unschedule() { config_.scheduled = false; }
};

// --- SyncNow.

TEST_F(SyncTest, KUploadedReturnsWhenAllIsStored) {
  Unschedule();
  Capture("arm", 3);
  CaptureImage("cam", 1500000);
  Drop("notes.txt", "hello");
  Start();
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  EXPECT_EQ(Uploaded(), "arm:1,2,3 cam:1500000B notes.txt");
  EXPECT_EQ(OnDisk(), "");
  EXPECT_EQ(flushes_, 1);
  // Whoever sees the files gone finds them counted.
  const SyncStats stats = sync_->Stats();
  EXPECT_EQ(stats.tabular.files + stats.binary.files + stats.arbitrary.files, 3U);
}

TEST_F(SyncTest, WithNothingToDoItReturnsAtOnce) {
  Unschedule();
  Start();
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  std::filesystem::remove_all(captured_);
  std::filesystem::remove_all(files_);
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
}

TEST_F(SyncTest, KUploadedWaitsForRetries) {
  Unschedule();
  Capture("arm", 3);
  server_->FailNext(1, absl::StatusCode::kUnavailable);
  Start();
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
  EXPECT_EQ(server_->call_count(), 2U);
}

TEST_F(SyncTest, KUploadedDoesNotWaitForWhatCameLater) {
  Unschedule();
  config_.workers = 1;
  for (int i = 0; i < 5; ++i) Capture("old", 1);
  // Whenever a file is uploaded, two are new.
  std::atomic<int> made{0};
  server_->OnCall([&](const UploadCall&) {
    if (made < 200) {
      made += 2;
      sync_->Hint(Capture("new", 1));
      sync_->Hint(Capture("new", 1));
    }
    return absl::OkStatus();
  });
  Start();
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  EXPECT_NE(Uploaded().find("old:1,2,3,4,5"), std::string::npos) << Uploaded();
  EXPECT_LT(made, 200);
  EXPECT_NE(OnDisk(), "");
  Close();  // Before what the hook uses is gone.
}

TEST_F(SyncTest, KUploadedTellsOfRefusals) {
  Unschedule();
  Capture("arm", 1);
  Capture("bad", 1);
  CaptureBytes("garbage", "no capture file");
  server_->OnCall([](const UploadCall& call) {
    return call.metadata.component_name() == "bad" ? absl::InvalidArgumentError("no")
                                                   : absl::OkStatus();
  });
  Start();
  const absl::Status status = SyncNow(Wait::kUploaded);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_NE(status.ToString().find("refused 2 files"), std::string::npos) << status;
  EXPECT_EQ(Uploaded(), "arm:1");
  EXPECT_EQ(OnDisk(), "failed/bad failed/garbage");
  // Those are dealt with.
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
}

TEST_F(SyncTest, KUploadedNamesWhatAnotherProcessUsesAndDoesNotWaitForEver) {
  Unschedule();
  options_.in_use_timeout = milliseconds(50);
  const std::string path = Capture("arm", 1);
  Capture("leg", 1);
  const UniqueFd lock(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  Start();
  const absl::Status status = SyncNow(Wait::kUploaded);
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  EXPECT_NE(status.ToString().find("other processes have 1 files locked or open for writing, such "
                                   "as " +
                                   path),
            std::string::npos)
      << status;
  EXPECT_EQ(Uploaded(), "leg:1");
  ASSERT_EQ(flock(lock.get(), LOCK_UN), 0);
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  EXPECT_EQ(Uploaded(), "arm:1 leg:1");
}

TEST_F(SyncTest, KUploadedWaitsForWhatAnotherProcessUsesForAMoment) {
  Unschedule();
  options_.in_use_timeout = hours(1);
  const std::string path = Capture("arm", 1);
  const UniqueFd lock(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  Start();
  auto sync = SyncInBackground(Wait::kUploaded);
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().passes >= 3; }));
  EXPECT_FALSE(IsDone(sync));
  ASSERT_EQ(flock(lock.get(), LOCK_UN), 0);
  EXPECT_TRUE(sync.get().ok());
  EXPECT_EQ(Uploaded(), "arm:1");

  // Or until it is stopped.
  const std::string other = Capture("arm", 1);
  const UniqueFd held(open(other.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(held.get(), LOCK_EX | LOCK_NB), 0);
  std::stop_source stop;
  sync = SyncInBackground(Wait::kUploaded, stop.get_token());
  const uint64_t passes = sync_->Stats().passes;
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().passes >= passes + 3; }));
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(sync.get()));
}

TEST_F(SyncTest, KHandedOverReturnsWhenEachFileIsWithAWorker) {
  Unschedule();
  server_->Block();
  for (int i = 0; i < 3; ++i) Capture("arm", 1);
  Start();
  auto sync = SyncInBackground(Wait::kHandedOver);
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 2; }));
  EXPECT_FALSE(IsDone(sync));  // The third has no worker.
  server_->Release();
  EXPECT_TRUE(sync.get().ok());

  RunUntilIdle();
  server_->Block();
  Capture("arm", 1);
  Capture("arm", 1);
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 2; }));
  EXPECT_EQ(server_->stored_count(), 3U);
  server_->Release();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3,4,5");
}

TEST_F(SyncTest, MakesWaitingRetriesDue) {
  Unschedule();
  Capture("arm", 1);
  server_->OnCall([](const UploadCall&) { return absl::InternalError("busy"); });
  StartAndWait();
  clock_.Advance(hours(2));
  clock_.Stop();  // Nothing becomes due by itself.
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  EXPECT_TRUE(WaitUntil(
      [&] { return sync_->Stats().waiting_retries == 1 && sync_->Stats().uploading == 0; }));
  server_->OnCall(nullptr);
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1");
}

TEST_F(SyncTest, TwoAtOnceUploadEachFileOnce) {
  Unschedule();
  config_.workers = 4;
  for (int i = 0; i < 40; ++i) Capture("arm", 1);
  Start();
  auto one = SyncInBackground();
  auto other = SyncInBackground(Wait::kHandedOver);
  EXPECT_TRUE(SyncNow().ok());
  EXPECT_TRUE(one.get().ok());
  EXPECT_TRUE(other.get().ok());
  EXPECT_EQ(Uploaded(), "arm:" + Up(40));
  EXPECT_EQ(server_->call_count(), 40U);
  EXPECT_EQ(OnDisk(), "");
}

TEST_F(SyncTest, TwoThatWaitForARetryDoNotDriveEachOther) {
  Unschedule();
  Capture("arm", 1);
  server_->OnCall([](const UploadCall&) { return absl::InternalError("busy"); });
  StartAndWait();
  clock_.Stop();  // Nothing becomes due by itself.
  std::stop_source stop;
  auto one = SyncInBackground(Wait::kUploaded, stop.get_token());
  EXPECT_TRUE(WaitUntil(
      [&] { return sync_->Stats().waiting_retries == 1 && sync_->Stats().uploading == 0; }));
  const MonotonicTime begin = Clock::System().MonotonicNow();
  const uint64_t passes = sync_->Stats().passes;
  auto other = SyncInBackground(Wait::kUploaded, stop.get_token());
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().passes >= passes + 12; }));
  // The looks of each lie 20, 40, 80 ms and so on apart.
  EXPECT_GE(Clock::System().MonotonicNow() - begin, milliseconds(300));
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(one.get()));
  EXPECT_TRUE(absl::IsCancelled(other.get()));
}

TEST_F(SyncTest, BesideScheduledPassesEachFileIsUploadedOnce) {
  config_.interval = milliseconds(6);
  Start();
  for (int i = 0; i < 20; ++i) {
    Capture("arm", 1);
    EXPECT_TRUE(SyncNow().ok());
  }
  EXPECT_EQ(Uploaded(), "arm:" + Up(20));
  EXPECT_EQ(server_->call_count(), 20U);
}

TEST_F(SyncTest, TheCallersStopEndsTheCallAndNotTheUploads) {
  Unschedule();
  server_->Block();
  Capture("arm", 3);
  Start();
  std::stop_source stop;
  auto sync = SyncInBackground(Wait::kUploaded, stop.get_token());
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  const auto took = TimeOf([&] {
    stop.request_stop();
    EXPECT_TRUE(absl::IsCancelled(sync.get()));
  });
  EXPECT_LT(took, seconds(1));
  EXPECT_EQ(server_->blocked(), 1U);
  server_->Release();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
  EXPECT_EQ(server_->call_count(), 1U);
}

// Whatever it is doing when the stop comes: it must not take a look cut short for the end.
TEST_F(SyncTest, AStoppedCallNeverSaysThatAllIsStored) {
  Unschedule();
  server_->Block();
  for (int i = 0; i < 2; ++i) Capture("arm", 1);
  Start();
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  for (int i = 0; i < 50; ++i) {
    std::stop_source stop;
    const int flushes = flushes_;
    auto sync = SyncInBackground(Wait::kUploaded, stop.get_token());
    EXPECT_TRUE(WaitUntil([&] { return flushes_ > flushes; }));
    stop.request_stop();
    EXPECT_TRUE(absl::IsCancelled(sync.get()));
  }
  server_->Release();
}

TEST_F(SyncTest, TheCallersStopEndsACallThatWaitsForAWorker) {
  Unschedule();
  config_.workers = 1;
  server_->Block();
  Capture("arm", 1);
  Capture("arm", 1);
  Start();
  std::stop_source stop;
  auto sync = SyncInBackground(Wait::kHandedOver, stop.get_token());
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  EXPECT_EQ(sync_->Stats().uploading, 1U);
  EXPECT_FALSE(IsDone(sync));
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(sync.get()));
  EXPECT_EQ(sync_->Stats().uploading, 1U);
  server_->Release();
}

// --- Offline.

TEST_F(SyncTest, OfflineItSaysSoWithinTheConnectTimeout) {
  Capture("arm", 3);
  Unschedule();
  server_->SetReady(false);
  server_->SetStatus({.state = ConnectionState::kUnhealthy,
                      .since = std::chrono::system_clock::now() - seconds(12),
                      .address = "cloud.test:443",
                      .last_error = "certificate expired"});
  Start();
  for (const Wait wait : {Wait::kHandedOver, Wait::kUploaded}) {
    const size_t asked = server_->connect_requests();
    absl::Status status;
    const auto took = TimeOf([&] { status = SyncNow(wait); });
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    const std::string text = status.ToString();
    EXPECT_NE(text.find("not connected to the cloud: unhealthy for 12."), std::string::npos)
        << text;
    EXPECT_NE(text.find("address cloud.test:443"), std::string::npos) << text;
    EXPECT_NE(text.find("last error: certificate expired"), std::string::npos) << text;
    EXPECT_GE(took, options_.connect_timeout);
    EXPECT_LT(took, seconds(2));
    EXPECT_GT(server_->connect_requests(), asked);
  }
  EXPECT_EQ(flushes_, 0);
  EXPECT_EQ(server_->call_count(), 0U);
  EXPECT_EQ(OnDisk(), "arm");
}

TEST_F(SyncTest, NotYetConnectedItWaitsForTheConnection) {
  Unschedule();
  options_.connect_timeout = seconds(10);
  server_->SetReady(false);
  Capture("arm", 3);
  Start();
  auto sync = SyncInBackground();
  EXPECT_TRUE(WaitUntil([&] { return server_->connect_requests() == 1; }));
  server_->SetReady(true);
  EXPECT_TRUE(sync.get().ok());
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
}

TEST_F(SyncTest, TheCallersStopEndsTheWaitForTheConnection) {
  Unschedule();
  options_.connect_timeout = hours(1);
  server_->SetReady(false);
  Start();
  std::stop_source stop;
  auto sync = SyncInBackground(Wait::kUploaded, stop.get_token());
  EXPECT_TRUE(WaitUntil([&] { return server_->connect_requests() == 1; }));
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(sync.get()));
}

TEST_F(SyncTest, GoneOfflineMeanwhileItWaitsAndSaysSo) {
  Unschedule();
  Capture("arm", 1);
  server_->OnCall([&](const UploadCall&) {
    server_->SetReady(false);
    return absl::OkStatus();
  });
  Start();
  const absl::Status status = SyncNow(Wait::kUploaded);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_NE(status.ToString().find("not connected to the cloud"), std::string::npos);
  EXPECT_EQ(OnDisk(), "arm");
}

TEST_F(SyncTest, GoneOfflineForAMomentItGoesOn) {
  Unschedule();
  options_.connect_timeout = seconds(10);
  config_.workers = 1;
  for (int i = 0; i < 5; ++i) Capture("arm", 1);
  server_->OnCall([&, calls = 0](const UploadCall&) mutable {
    if (++calls == 2) server_->SetReady(false);
    return absl::OkStatus();
  });
  Start();
  auto sync = SyncInBackground();
  EXPECT_TRUE(WaitUntil([&] { return server_->connect_requests() >= 2; }));
  server_->SetReady(true);
  EXPECT_TRUE(sync.get().ok());
  EXPECT_EQ(Uploaded(), "arm:" + Up(5));
}

TEST_F(SyncTest, WithoutACloudItSaysSo) {
  options_.uploader = nullptr;
  Capture("arm", 3);
  Start();
  for (const Wait wait : {Wait::kHandedOver, Wait::kUploaded}) {
    const absl::Status status = SyncNow(wait);
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_EQ(status.message(), "not connected to the cloud: not cloud-managed");
  }
  EXPECT_TRUE(Logged("robot is not cloud managed"));
  EXPECT_EQ(OnDisk(), "arm");
  EXPECT_EQ(sync_->Connection().state, ConnectionState::kNotManaged);
  sync_->Hint("anything");
}

// --- Reconfigure and Close.

TEST_F(SyncTest, AnEqualConfigRestartsNothing) {
  server_->Block();
  Capture("arm", 3);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  Reconfigure();
  EXPECT_EQ(server_->blocked(), 1U);
  EXPECT_EQ(server_->call_count(), 0U);
  server_->Release();
  RunUntilIdle();
  EXPECT_EQ(server_->call_count(), 1U);
  EXPECT_TRUE(Logged("starting sync worker pool"));
  EXPECT_EQ(log_.Count("starting sync worker pool"), 1U);
}

TEST_F(SyncTest, AnotherConfigEndsUploadsAndTheirFilesAreUploadedLater) {
  config_.workers = 1;
  server_->Block();
  Capture("arm", 3);
  Capture("leg", 3);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  auto waiting = SyncInBackground();
  EXPECT_TRUE(WaitUntil([&] { return server_->connect_requests() == 1; }));
  config_.interval = milliseconds(30);
  const auto took = TimeOf([&] { Reconfigure(); });
  EXPECT_LT(took, seconds(1));
  EXPECT_TRUE(absl::IsCancelled(waiting.get()));
  ASSERT_GE(server_->call_count(), 1U);
  EXPECT_TRUE(absl::IsCancelled(server_->calls()[0].status));
  EXPECT_TRUE(Logged("sync config changes"));
  server_->Release();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3 leg:1,2,3");
  // Our own stop was no attempt.
  EXPECT_EQ(sync_->Stats().tabular.retries, 0U);
}

TEST_F(SyncTest, EachChangeOfTheConfigTakesEffect) {
  Start();
  config_.interval = hours(1);
  config_.workers = 5;
  Reconfigure();
  EXPECT_TRUE(Logged("starting sync worker pool of size: 5"));
  const uint64_t passes = sync_->Stats().passes;

  server_->Block();
  for (int i = 0; i < 6; ++i) Capture("arm", 1);
  auto sync = SyncInBackground();
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 5; }));
  server_->Release();
  EXPECT_TRUE(sync.get().ok());

  Unschedule();
  config_.interval = milliseconds(6);
  Reconfigure();
  EXPECT_TRUE(Logged("Sync Disabled"));
  Capture("arm", 1);
  EXPECT_LE(sync_->Stats().passes, passes + 10);  // None but those of SyncNow.
  EXPECT_EQ(OnDisk(), "arm");

  config_.scheduled = true;
  Reconfigure();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:" + Up(7));
}

TEST_F(SyncTest, TagsOfTheConfigGoWithArbitraryFiles) {
  config_.tags = {"one", "two"};
  Drop("notes.txt", "hello");
  Start();
  RunUntilIdle();
  const UploadCall call = server_->stored()[0];
  ASSERT_EQ(call.metadata.tags_size(), 2);
  EXPECT_EQ(call.metadata.tags(0), "one");
  EXPECT_EQ(call.metadata.tags(1), "two");
}

TEST_F(SyncTest, CloseEndsEverythingAtOnceAndLeavesTheFiles) {
  config_.workers = 8;
  server_->Block();
  for (int i = 0; i < 20; ++i) Capture("arm", 1);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 8; }));
  auto uploaded = SyncInBackground(Wait::kUploaded);
  auto handed_over = SyncInBackground(Wait::kHandedOver);
  EXPECT_TRUE(WaitUntil([&] { return server_->connect_requests() == 2; }));
  EXPECT_EQ(sync_->Stats().uploading, 8U);
  const auto took = TimeOf([&] { EXPECT_TRUE(sync_->Close(In(seconds(5))).ok()); });
  EXPECT_LT(took, seconds(1));
  EXPECT_TRUE(absl::IsCancelled(uploaded.get()));
  EXPECT_TRUE(absl::IsCancelled(handed_over.get()));
  EXPECT_EQ(FilesBelow(captured_).size(), 20U);
  EXPECT_EQ(sync_->Stats().uploading, 0U);
  EXPECT_EQ(server_->stored_count(), 0U);
}

TEST_F(SyncTest, AFailedFlushIsTheStatusOfACallThatUploadedTheRest) {
  options_.flush = [](MonotonicTime, std::stop_token) {
    return absl::PermissionDeniedError("flush: cannot publish x.prog");
  };
  for (const Wait wait : {Wait::kUploaded, Wait::kHandedOver}) {
    Capture("arm", 1);
    if (wait == Wait::kUploaded) Start();
    EXPECT_EQ(sync_->SyncNow(wait, {}),
              absl::PermissionDeniedError("flush: cannot publish x.prog"));
    EXPECT_TRUE(WaitUntil([&] { return OnDisk() == ""; }));
  }
}

TEST_F(SyncTest, CloseEndsAStreamAndAFlush) {
  Drop("big.bin", Noise(2000000));
  std::atomic<bool> flushing{false};
  options_.flush = [&](MonotonicTime deadline, std::stop_token stop) {
    Mutex mutex;
    CondVar changed;
    flushing = true;
    MutexLock lock(mutex);
    changed.WaitUntil(mutex, stop, deadline + hours(1), [] { return false; });
    return absl::CancelledError("stopped");
  };
  Start();
  EXPECT_TRUE(WaitUntil([&] { return flushing.load(); }));
  const auto took = TimeOf([&] { Close(); });
  EXPECT_LT(took, seconds(1));
  EXPECT_EQ(OnDisk(), "big.bin");
}

// Threads are joined by one caller at a time.
TEST_F(SyncTest, CloseLeavesTheThreadsToAReconfigureThatWaitsForThem) {
  testing::HangingReads disk;
  options_.ops = &disk;
  Capture("arm", 1);
  disk.gate().Close();
  Start();
  ASSERT_TRUE(WaitUntil([&] { return disk.gate().waiting() == 1; }));
  config_.workers = 3;
  absl::Status reconfigured;
  std::jthread reconfigure(
      [&] { reconfigured = sync_->Reconfigure(config_, testing::PatienceEnds()); });
  ASSERT_TRUE(WaitUntil([&] { return log_.Has("sync starts anew"); }));
  const absl::Status closed = sync_->Close(testing::In(milliseconds(20)));
  EXPECT_EQ(closed.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_NE(closed.message().find("a change of the config waits"), std::string::npos) << closed;
  disk.gate().Open();
  reconfigure.join();
  EXPECT_EQ(reconfigured.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(server_->stored_count(), 0U);
  Close();
}

TEST_F(SyncTest, AfterCloseNothingRuns) {
  Start();
  EXPECT_TRUE(sync_->Close(In(seconds(5))).ok());
  EXPECT_TRUE(sync_->Close(In(seconds(5))).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(SyncNow()));
  Capture("arm", 1);
  EXPECT_TRUE(absl::IsCancelled(sync_->Reconfigure(config_, In(seconds(5)))));
  EXPECT_TRUE(absl::IsFailedPrecondition(SyncNow()));
  sync_->Hint(Capture("arm", 1));
  server_->SetReady(false);
  server_->SetReady(true);
  EXPECT_EQ(server_->call_count(), 0U);
}

TEST_F(SyncTest, BeforeTheFirstReconfigureNothingRuns) {
  sync_ = std::make_unique<Sync>(options_);
  EXPECT_TRUE(absl::IsFailedPrecondition(SyncNow()));
  EXPECT_EQ(sync_->Stats().passes, 0U);
}

// The next run goes on where this one ended.
TEST_F(SyncTest, WhatWasNotUploadedIsUploadedByTheNextRun) {
  server_->Block();
  for (int i = 0; i < 5; ++i) Capture("arm", 1);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 2; }));
  Close();
  server_->Release();
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:" + Up(5));
}

// As with two processes: they share the files and nothing else.
TEST_F(SyncTest, TwoOnOneDirectoryUploadEachFileOnce) {
  auto other_server = std::make_shared<testing::FakeUploader>();
  SyncOptions other_options = options_;
  other_options.uploader = other_server;
  for (int i = 0; i < 60; ++i) Capture("arm", 1);
  Sync other(other_options);
  Start();
  EXPECT_TRUE(other.Reconfigure(config_, In(seconds(5))).ok());
  RunUntilIdle();
  EXPECT_TRUE(other.Close(In(seconds(5))).ok());

  std::vector<UploadCall> stored = server_->stored();
  for (const UploadCall& call : other_server->stored()) stored.push_back(call);
  EXPECT_EQ(Describe(stored), "arm:" + Up(60));
  EXPECT_EQ(server_->call_count() + other_server->call_count(), 60U);
}

// --- Tables of the reference.

enum class Kind { kTabular, kBinary, kNone };
enum class Connection { kReady, kNone, kNotReady };

// What is uploaded, and how often it is tried, whichever way sync is set off.
class UploadIntegrationTest
    : public SyncTest,
      public ::testing::WithParamInterface<std::tuple<Kind, std::string, Connection>> {};

TEST_P(UploadIntegrationTest, EverythingArrivesOnceOrStays) {
  const auto& [kind, way, connection] = GetParam();
  config_.scheduled = way != "manual";
  std::string expected;
  if (kind == Kind::kTabular) {
    for (int i = 0; i < 3; ++i) Capture("arm", 2);
    expected = "arm:1,2,3,4,5,6";
  } else if (kind == Kind::kBinary) {
    for (int i = 0; i < 3; ++i) CaptureImage("cam", 100);
    expected = "cam:100B cam:100B cam:100B";
  }
  const std::string disk = OnDisk();
  if (way == "failing") server_->FailNext(3, absl::StatusCode::kUnavailable);
  if (connection == Connection::kNone) options_.uploader = nullptr;
  if (connection == Connection::kNotReady) server_->SetReady(false);
  Start();

  if (connection == Connection::kReady) {
    if (way == "manual" || way == "both") {
      EXPECT_TRUE(SyncNow().ok());
      EXPECT_TRUE(SyncNow().ok());
    }
    RunUntilIdle();
    EXPECT_EQ(Uploaded(), expected);
    EXPECT_EQ(OnDisk(), "");
    EXPECT_EQ(server_->repeats(), 0U);
    if (way != "failing") return;
    EXPECT_EQ(server_->call_count(), kind == Kind::kNone ? 0U : 6U);
    return;
  }
  if (way == "manual" || way == "both") {
    EXPECT_TRUE(absl::IsUnavailable(SyncNow()));
  } else if (connection == Connection::kNotReady) {
    EXPECT_TRUE(WaitUntil([&] { return server_->connect_requests() >= 3; }));
  }
  EXPECT_EQ(server_->call_count(), 0U);
  EXPECT_EQ(OnDisk(), disk);
}

std::string RowName(
    const ::testing::TestParamInfo<std::tuple<Kind, std::string, Connection>>& row) {
  static constexpr const char* kKinds[] = {"Tabular", "Binary", "None"};
  static constexpr const char* kConnections[] = {"Ready", "NoCloud", "NotReady"};
  const auto& [kind, way, connection] = row.param;
  return std::string(kKinds[static_cast<int>(kind)]) + "_" + way + "_" +
         kConnections[static_cast<int>(connection)];
}

INSTANTIATE_TEST_SUITE_P(
    Rows, UploadIntegrationTest,
    ::testing::Combine(::testing::Values(Kind::kTabular, Kind::kBinary, Kind::kNone),
                       ::testing::Values("scheduled", "manual", "both", "failing"),
                       ::testing::Values(Connection::kReady, Connection::kNone,
                                         Connection::kNotReady)),
    RowName);

// On or off at first, on or off after Reconfigure.
class SyncEnabledTest : public SyncTest,
                        public ::testing::WithParamInterface<std::tuple<bool, bool, Connection>> {
 protected:
  void ExpectUploads(bool enabled, const std::string& uploaded) {
    if (enabled && std::get<2>(GetParam()) == Connection::kReady) {
      RunUntilIdle();
      EXPECT_EQ(Uploaded(), uploaded);
      return;
    }
    EXPECT_NE(OnDisk(), "");
    if (enabled && std::get<2>(GetParam()) == Connection::kNotReady) {
      const size_t before = server_->connect_requests();
      EXPECT_TRUE(WaitUntil([&] { return server_->connect_requests() >= before + 2; }));
    }
    if (!enabled && std::get<2>(GetParam()) != Connection::kNone) {
      EXPECT_TRUE(Logged("Sync Disabled"));
    }
  }
};

TEST_P(SyncEnabledTest, UploadsHappenExactlyWhenEnabledAndReady) {
  const auto& [before, after, connection] = GetParam();
  if (connection == Connection::kNone) options_.uploader = nullptr;
  if (connection == Connection::kNotReady) server_->SetReady(false);
  config_.scheduled = before;
  Capture("arm", 1);
  Start();
  ExpectUploads(before, "arm:1");
  const size_t calls = server_->call_count();
  EXPECT_EQ(calls, before && connection == Connection::kReady ? 1U : 0U);

  config_.scheduled = after;
  Reconfigure();
  Capture("arm", 1);
  ExpectUploads(after, "arm:1,2");
  if (!after) {
    EXPECT_EQ(server_->call_count(), calls);
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, SyncEnabledTest,
                         ::testing::Combine(::testing::Bool(), ::testing::Bool(),
                                            ::testing::Values(Connection::kReady, Connection::kNone,
                                                              Connection::kNotReady)));

// An arbitrary file in an additional path.
class ArbitraryFileTest : public SyncTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(ArbitraryFileTest, ArrivesOnceAndIsRemoved) {
  const std::string bytes = Noise(200000);
  const std::string path = Drop("tag=red/dataset=d1/picture.png", bytes);
  config_.scheduled = GetParam() != "manual";
  Start();
  if (GetParam() != "scheduled") {
    EXPECT_TRUE(SyncNow().ok());
  }
  RunUntilIdle();
  ASSERT_EQ(server_->stored_count(), 1U);
  EXPECT_EQ(server_->call_count(), 1U);
  const UploadCall call = server_->stored()[0];
  EXPECT_EQ(call.metadata.type(), wire::DATA_TYPE_FILE);
  EXPECT_EQ(call.metadata.file_name(), path);
  EXPECT_EQ(call.metadata.file_extension(), ".png");
  EXPECT_EQ(call.metadata.part_id(), "part-1");
  ASSERT_EQ(call.metadata.tags_size(), 1);
  EXPECT_EQ(call.metadata.tags(0), "red");
  ASSERT_EQ(call.metadata.dataset_ids_size(), 1);
  EXPECT_EQ(call.metadata.dataset_ids(0), "d1");
  EXPECT_TRUE(call.contents == bytes);
  EXPECT_EQ(OnDisk(), "");
}

INSTANTIATE_TEST_SUITE_P(Ways, ArbitraryFileTest, ::testing::Values("scheduled", "manual", "both"),
                         [](const auto& row) { return row.param; });

TEST_F(SyncTest, AnArbitraryFileStaysWhenTheServerFailsOrItIsEmpty) {
  Unschedule();
  Drop("notes.txt", "hello");
  Drop("empty.txt", "");
  server_->OnCall([](const UploadCall&) { return absl::InternalError("at close"); });
  Start();
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  EXPECT_TRUE(WaitUntil([&] { return server_->call_count() >= 1; }));
  EXPECT_EQ(server_->stored_count(), 0U);
  EXPECT_EQ(OnDisk(), "empty.txt notes.txt");
}

}  // namespace
}  // namespace datamanager::sync
