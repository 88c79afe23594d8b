// Several uploads of one worker, seen through sync.
#include "sync/upload_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "sync/dispatcher.h"
#include "sync/upload_window.h"
#include "tests/support/hanging_disk.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

TEST(UploadWindowTest, DoublesEachRoundUntilAStallAndThenGrowsByOne) {
  UploadWindow window(2, 16);
  const auto round = [&](UploadWindow::Outcome outcome) {
    int begun = 0;
    while (window.Begin()) ++begun;
    for (int i = 0; i < begun; ++i) window.End(i == 0 ? outcome : UploadWindow::Outcome::kStored);
    return begun;
  };
  using Outcome = UploadWindow::Outcome;
  EXPECT_EQ(round(Outcome::kStored), 2);
  EXPECT_EQ(round(Outcome::kStored), 4);
  EXPECT_EQ(round(Outcome::kStored), 8);
  EXPECT_EQ(round(Outcome::kStored), 16);
  EXPECT_EQ(round(Outcome::kStored), 16);
  EXPECT_EQ(round(Outcome::kStalled), 16);
  const int after = round(Outcome::kStored);
  EXPECT_GE(after, 8);
  EXPECT_LE(after, 10);
  EXPECT_EQ(round(Outcome::kStored), after + 1);
}

TEST(UploadWindowTest, AFailureLeavesItAndOneIsAlwaysAllowed) {
  UploadWindow window(2, 16);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(window.Begin());
    window.End(UploadWindow::Outcome::kStalled);
  }
  ASSERT_TRUE(window.Begin());
  EXPECT_FALSE(window.Begin());
  EXPECT_TRUE(window.End(UploadWindow::Outcome::kOther)) << "another one was refused";
  ASSERT_TRUE(window.Begin());
  EXPECT_FALSE(window.End(UploadWindow::Outcome::kOther));
}

// How many more uploads may begin; they begin.
int Fill(UploadWindow& window) {
  int begun = 0;
  while (window.Begin()) ++begun;
  return begun;
}

TEST(UploadWindowTest, Stall_HalvesTheWindow_DownToOne) {
  UploadWindow window(8, 16);
  for (const int places : {8, 4, 2, 1, 1}) {
    EXPECT_EQ(Fill(window), places);
    for (int i = 0; i < places; ++i) {
      window.End(i == 0 ? UploadWindow::Outcome::kStalled : UploadWindow::Outcome::kOther);
    }
  }
}

TEST(UploadWindowTest, Window_NeverExceedsTheMost) {
  UploadWindow window(8, 3);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(Fill(window), 3);
    for (int i = 0; i < 3; ++i) window.End(UploadWindow::Outcome::kStored);
  }
}

TEST(UploadWindowTest, GiveBack_IsNoEnd_AndKeepsARefusal) {
  UploadWindow window(1, 16);
  ASSERT_TRUE(window.Begin());
  EXPECT_FALSE(window.Begin());
  window.GiveBack();
  EXPECT_EQ(window.under_way(), 0);
  EXPECT_EQ(Fill(window), 1) << "the window has not grown";
  window.GiveBack();
  ASSERT_TRUE(window.Begin());
  EXPECT_TRUE(window.End(UploadWindow::Outcome::kOther)) << "another one was refused";
}

TEST(UploadWindowTest, SetAside_FreesAPlace_AndReportsARefusal) {
  UploadWindow window(1, 16);
  ASSERT_TRUE(window.Begin());
  EXPECT_FALSE(window.SetAside()) << "none was refused";
  EXPECT_EQ(Fill(window), 1) << "the place is free, and the window has not grown";
  EXPECT_TRUE(window.SetAside()) << "another one was refused";
  EXPECT_EQ(window.under_way(), 2);
  ASSERT_TRUE(window.Begin());
  EXPECT_FALSE(window.End(UploadWindow::Outcome::kOther)) << "the refusal was reported before";
}

TEST(UploadWindowTest, Free_TakesThePlaceAgain) {
  UploadWindow window(1, 16);
  ASSERT_TRUE(window.Begin());
  window.SetAside();
  ASSERT_TRUE(window.Begin());
  window.Free();
  EXPECT_EQ(window.under_way(), 2);
  EXPECT_FALSE(window.Begin());
  window.End(UploadWindow::Outcome::kOther);
  EXPECT_FALSE(window.Begin()) << "the other one has the place";
  window.End(UploadWindow::Outcome::kOther);
  EXPECT_EQ(Fill(window), 1);
}

class UploadLoopTest : public SyncFixture {
 protected:
  UploadLoopTest() {
    config_.workers = 1;
    config_.uploads_per_worker = 8;
    // Until the window is open.
    for (int i = 0; i < 20; ++i) Capture("first", 1);
    Start();
    RunUntilIdle();
    server_->Block();
  }
};

TEST_F(UploadLoopTest, OneWorkerHasSeveralUploadsUnderWay) {
  for (int i = 0; i < 10; ++i) Capture("arm", 1);
  for (int i = 0; i < 10; ++i) Drop("notes" + std::to_string(i), "hello");
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 8; }));
  EXPECT_EQ(sync_->Stats().uploading, 8U);
  EXPECT_EQ(sync_->context()->tracker.size(), 8U) << "nothing else is claimed";
  server_->Release();
  RunUntilIdle();
  EXPECT_EQ(server_->stored_count(), 40U);
  EXPECT_EQ(server_->repeats(), 0U);
}

TEST_F(UploadLoopTest, OneThatHangsHoldsUpNoOther) {
  Capture("stuck", 1);
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  server_->BlockOnly("stuck");
  for (int i = 0; i < 50; ++i) Capture("arm", 1);
  EXPECT_TRUE(WaitUntil([&] { return Waiting() == "stuck"; }));
  EXPECT_EQ(server_->blocked(), 1U);
  server_->Release();
  RunUntilIdle();
}

TEST_F(UploadLoopTest, LargeRequestsAreFewer) {
  const std::string text(3 << 20, 'x');
  for (int i = 0; i < 8; ++i) Publish(TabularMetadata("arm"), {Reading(i, text)});
  // 9 MB are under way, and no more begins.
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 3; }));
  const size_t checks = server_->ready_checks();
  EXPECT_TRUE(WaitAwake([&] { return server_->ready_checks() > checks + 10; }));
  EXPECT_EQ(server_->blocked(), 3U);
  server_->Release();
  RunUntilIdle();
}

TEST_F(UploadLoopTest, AStopEndsAllOfThem) {
  for (int i = 0; i < 20; ++i) Capture("arm", 1);
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 8; }));
  Close();
  EXPECT_EQ(FilesBelow(captured_).size(), 20U);
}

// One loop and its window on a disk that hangs below the additional directory. The test plays the
// scheduler.
class HangingLoopTest : public SyncFixture {
 protected:
  void Start(testing::HangingDisk::Call call) { Start(call, files_); }
  void Start(testing::HangingDisk::Call call, const std::string& directory) {
    disk_ = std::make_unique<testing::HangingDisk>(directory, call);
    options_.ops = disk_.get();
    context_ = std::make_unique<SyncContext>(options_);
    dispatcher_ = std::make_unique<Dispatcher>(*context_, config_);
    dispatcher_->AddWorker([this] { ++wakes_; });
    loop_ = std::make_unique<UploadLoop>(*context_, config_, *dispatcher_, window_,
                                         /*most_uploads=*/1, stop_.get_token());
    StartThread();
  }
  void StartThread() {
    threads_.emplace_back([this] { loop_->Run(); });
  }
  void BeginPass(bool awaited = false) {
    dispatcher_->BeginPass([](const FoundFile&, const struct stat&) { return true; }, awaited);
  }
  bool Hangs() {
    return WaitUntil([this] { return disk_->gate().waiting() == 1; });
  }
  // The scheduler looks when every step takes too long.
  bool TakeFromStuck() {
    return loop_->TakeFromStuck(Clock::System().MonotonicNow() + 2 * LoopTurn::kPatience);
  }
  void EndAll() {
    disk_->gate().Open();
    server_->Release();
    stop_.request_stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  void TearDown() override { EndAll(); }

  UploadWindow window_{1, 1};
  std::atomic<int> wakes_{0};
  std::stop_source stop_;
  std::unique_ptr<testing::HangingDisk> disk_;
  std::unique_ptr<SyncContext> context_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<UploadLoop> loop_;
  std::vector<std::thread> threads_;
};

TEST_F(HangingLoopTest, AnotherUpload_HasThePlace_WhileOneHangs) {
  const MonotonicTime begin = Clock::System().MonotonicNow();
  Start(testing::HangingDisk::Call::kRemove);
  disk_->gate().Close();
  Drop("notes", "hello");
  BeginPass();
  ASSERT_TRUE(Hangs());
  Capture("arm", 1);
  BeginPass();
  EXPECT_FALSE(loop_->TakeFromStuck(begin)) << "the step has just begun";
  EXPECT_FALSE(window_.Begin());
  const int wakes = wakes_;
  EXPECT_TRUE(TakeFromStuck()) << "no thread runs the loop";
  EXPECT_GT(wakes_, wakes) << "a worker that was refused is woken";
  EXPECT_TRUE(TakeFromStuck()) << "no thread was started";
  StartThread();
  EXPECT_TRUE(WaitUntil([&] { return Waiting() == "notes"; })) << Waiting();
  EXPECT_FALSE(loop_->TakeFromStuck(begin)) << "the second thread runs the loop";
  disk_->gate().Open();
  EXPECT_TRUE(WaitUntil([&] { return context_->uploads_under_way == 0; }));
  EXPECT_EQ(Uploaded(), "arm:1 notes");
  EXPECT_EQ(server_->repeats(), 0U);
  EndAll();
  EXPECT_EQ(window_.under_way(), 0);
  EXPECT_EQ(Fill(window_), 1) << "the place is taken again and given back once";
}

// An upload without a reply has the only place, so the thread looks ahead, which needs none.
TEST_F(HangingLoopTest, AStepThatTakesNoPlace_FreesNone_WhenItHangs) {
  server_->Block();
  Start(testing::HangingDisk::Call::kReadDirectory);
  Capture("arm", 1);
  BeginPass();
  ASSERT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  disk_->gate().Close();
  BeginPass(/*awaited=*/true);
  ASSERT_TRUE(Hangs());
  EXPECT_TRUE(TakeFromStuck());
  EXPECT_FALSE(window_.Begin()) << "the upload still has the place";
  StartThread();
  server_->Release();
  EXPECT_TRUE(WaitUntil([&] { return OnDisk() == ""; })) << "the second thread handles the reply";
  EndAll();
  EXPECT_EQ(window_.under_way(), 0);
  EXPECT_EQ(Fill(window_), 1);
}

// The upload with the only place and the thread that looks ahead are in the same root.
TEST_F(HangingLoopTest, AnUploadThatWaitsForAHangingRoot_LeavesItsPlaceToOthers) {
  server_->Block();
  server_->BlockOnly("arm");
  Start(testing::HangingDisk::Call::kReadDirectory, captured_);
  Capture("arm", 1);
  BeginPass();
  ASSERT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  disk_->gate().Close();
  BeginPass(/*awaited=*/true);
  ASSERT_TRUE(Hangs());
  ASSERT_TRUE(WaitUntil([&] { return dispatcher_->stuck().IsStuck(captured_); }));
  EXPECT_TRUE(TakeFromStuck());
  StartThread();
  Drop("notes", "hello");
  BeginPass();
  server_->Release();
  EXPECT_TRUE(WaitUntil([&] { return Waiting() == "arm"; })) << Waiting();
  disk_->gate().Open();
  EXPECT_TRUE(WaitUntil([&] { return context_->uploads_under_way == 0; }));
  EXPECT_EQ(Uploaded(), "arm:1 notes");
  EndAll();
  EXPECT_EQ(window_.under_way(), 0);
  EXPECT_EQ(Fill(window_), 1) << "the place is taken again and given back once";
}

// Many idle workers would keep each other awake.
TEST_F(HangingLoopTest, AWorkerThatFindsNothing_WakesNone) {
  Start(testing::HangingDisk::Call::kReadDirectory);
  disk_->gate().Close();
  BeginPass();
  ASSERT_TRUE(Hangs());
  EXPECT_FALSE(window_.Begin()) << "the place is taken for what the worker may find";
  const int wakes = wakes_;
  const MonotonicTime opened = Clock::System().MonotonicNow();
  const bool stuck = dispatcher_->stuck().Any();
  disk_->gate().Open();
  EXPECT_TRUE(WaitUntil([&] { return window_.under_way() == 0; }));
  EndAll();
  // Workers are woken when a thread is back from a root that was stuck, as on a busy machine.
  if (stuck || Clock::System().MonotonicNow() - opened >= std::chrono::milliseconds(500)) {
    GTEST_SKIP() << "the machine is too slow to tell";
  }
  EXPECT_EQ(wakes_, wakes);
}

class FullLinkTest : public UploadLoopTest {};

TEST_F(FullLinkTest, NothingIsDrawnWhileTwoCallsWaitForTheLink) {
  server_->SetWaiting(1);
  Capture("arm", 1);
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; })) << "beside one large upload";
  server_->SetWaiting(2);
  for (int i = 0; i < 5; ++i) Capture("arm", 1);
  // The worker has looked several times.
  EXPECT_TRUE(WaitUntil([&, asked = server_->asked()] { return server_->asked() >= asked + 10; }));
  EXPECT_EQ(sync_->Stats().uploading, 1U);
  server_->SetWaiting(0);
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 6; })) << "nobody has woken the worker";
  server_->Release();
  RunUntilIdle();
}

// Has no memory for one call.
class ThrowingWalk final : public FileOps {
 public:
  void ThrowOnce() { throws_ = true; }
  bool threw() const { return !throws_; }
  const dirent* ReadDirectory(DIR* directory) override {
    if (throws_.exchange(false)) throw std::bad_alloc();
    return FileOps::ReadDirectory(directory);
  }

 private:
  std::atomic<bool> throws_ = false;
};

class ThrowingWalkTest : public SyncFixture {
 protected:
  // The next walk throws, with a file in each of two directories.
  void StartAndThrow(ThrowingWalk& disk, bool scheduled = false) {
    options_.ops = &disk;
    config_.scheduled = scheduled;
    config_.workers = 1;
    Capture("arm", 1);
    Drop("notes", "hello");
    Start();
    disk.ThrowOnce();
  }
};

TEST_F(ThrowingWalkTest, TheNextPassFindsTheFiles_AndNoPlaceIsLost) {
  ThrowingWalk disk;
  options_.ops = &disk;
  config_.workers = 1;
  config_.uploads_per_worker = 1;
  impatient_ = true;
  Start();
  for (int round = 0; round < 3; ++round) {
    disk.ThrowOnce();
    EXPECT_TRUE(WaitAwake([&] { return disk.threw(); }));
    Capture("arm", 1);
    RunUntilIdle();
  }
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
  EXPECT_TRUE(Logged("looking for files to upload: RESOURCE_EXHAUSTED"));
  EXPECT_EQ(sync_->Stats().uploading, 0U);
  Close();
}

TEST_F(ThrowingWalkTest, OtherDirectoriesGoOn) {
  ThrowingWalk disk;
  // No call of Sync, which would wake the worker.
  config_.interval = std::chrono::milliseconds(200);
  StartAndThrow(disk, /*scheduled=*/true);
  RunUntilIdle();
  EXPECT_TRUE(disk.threw());
  EXPECT_EQ(Uploaded(), "arm:1 notes");
  Close();
}

TEST_F(ThrowingWalkTest, ACallThatHandsOverIsToldThatNotAllWasSeen) {
  ThrowingWalk disk;
  StartAndThrow(disk);
  const absl::Status status = SyncNow(Wait::kHandedOver);
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_TRUE(WaitUntil([&] { return Uploaded() == "notes" || Uploaded() == "arm:1"; }));
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1 notes");
  Close();
}

// At any instant, whatever is drawn, fails, waits and is drawn again.
class ClaimsTest : public SyncFixture {};

TEST_F(ClaimsTest, AreNeverMoreThanUploadsThatMayBeUnderWay) {
  config_.workers = 3;
  config_.uploads_per_worker = 4;
  impatient_ = true;
  std::atomic<int> calls{0};
  server_->OnCall([&](const UploadCall&) {
    return ++calls % 3 == 0 ? absl::UnavailableError("busy") : absl::OkStatus();
  });
  for (int i = 0; i < 300; ++i) Capture("c" + std::to_string(i % 7), 1);
  for (int i = 0; i < 100; ++i) Drop("notes" + std::to_string(i), "hello");
  std::atomic<bool> over{false};
  size_t most = 0;
  Start();
  std::thread watcher([&] {
    while (!over) most = std::max(most, sync_->context()->tracker.size());
  });
  RunUntilIdle();
  over = true;
  watcher.join();
  EXPECT_GT(most, 0U);
  EXPECT_LE(most, 12U);
  Close();
}

}  // namespace
}  // namespace datamanager::sync
