// A disk that hangs holds up what lies on it, and nothing else; also with one worker.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "sync/stuck_roots.h"
#include "tests/support/hanging_disk.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using testing::HangingDisk;

// Threads that Close has left alone still use what the process destroys as it ends.
bool AnyWorker() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (name == "dm-upload") return true;
  }
  return false;
}

// Waits until whatever hangs by now has hung for longer than any thread is given.
bool WaitUntilStuck() {
  const MonotonicTime seen = Clock::System().MonotonicNow();
  return WaitUntil([seen] {
    const auto hung = Clock::System().MonotonicNow() - seen;
    return hung >= StuckRoots::kPatience && hung >= LoopTurn::kPatience;
  });
}

TEST(StuckRootsTest, StuckRoots_CallsBack_WhenTheLastThreadLeavesARootThatWasStuck) {
  std::atomic<int> calls{0};
  std::atomic<bool> stuck_when_called{true};
  std::optional<StuckRoots> roots;
  roots.emplace([&] {
    stuck_when_called = roots->IsStuck("/a");
    ++calls;
  });
  std::optional<StuckRoots::Work> first(std::in_place, *roots, "/a");
  std::optional<StuckRoots::Work> last(std::in_place, *roots, "/a");
  { const StuckRoots::Work work(*roots, "/a"); }
  { const StuckRoots::Work work(*roots, "/b"); }
  EXPECT_EQ(calls, 0) << "none is stuck yet";
  ASSERT_TRUE(WaitUntilStuck());
  EXPECT_TRUE(roots->IsStuck("/a"));
  EXPECT_FALSE(roots->IsStuck("/b"));
  { const StuckRoots::Work work(*roots, "/b"); }
  EXPECT_EQ(calls, 0) << "this root was never stuck";
  { const StuckRoots::Work work(*roots, "/a"); }
  EXPECT_EQ(calls, 0) << "this thread was not stuck, and the root still is";
  first.reset();
  EXPECT_TRUE(roots->IsStuck("/a")) << "another thread hangs there";
  const int before = calls;
  last.reset();
  EXPECT_EQ(calls, before + 1);
  EXPECT_FALSE(stuck_when_called) << "the root is free when the callback looks";
  EXPECT_FALSE(roots->Any());
}

class HangingDiskFixture : public SyncFixture {
 protected:
  // Also for those that a Close has left alone.
  void CloseAndAwaitThreads() {
    std::shared_ptr<SyncContext> context = sync_->context();
    Close();
    EXPECT_TRUE(WaitUntil([&] { return context.use_count() == 1; })) << "a thread uses it";
    context.reset();
    EXPECT_TRUE(WaitUntil([] { return !AnyWorker(); }));
  }
};

class StuckDiskTest : public HangingDiskFixture,
                      public ::testing::WithParamInterface<HangingDisk::Call> {
 protected:
  StuckDiskTest() {
    config_.workers = 1;
    config_.uploads_per_worker = 4;
    options_.ops = &disk_;
  }
  // What follows lets go of threads that hang.
  void TearDown() override {
    disk_.gate().Open();
    CloseAndAwaitThreads();
  }

  HangingDisk disk_{files_, GetParam()};
};

TEST_P(StuckDiskTest, OtherDirectoriesGoOn) {
  for (int i = 0; i < 3; ++i) Drop("notes" + std::to_string(i), "hello");
  disk_.gate().Close();
  Start();
  EXPECT_TRUE(WaitUntil([&] { return disk_.gate().waiting() > 0; }));
  for (int i = 0; i < 20; ++i) Capture("arm", 1);
  EXPECT_TRUE(WaitUntil([&] { return Waiting().find("arm") == std::string::npos; })) << Waiting();
  // And again: what hangs does not use up threads.
  for (int round = 0; round < 3; ++round) {
    Capture("arm", 1);
    EXPECT_TRUE(WaitUntil([&] { return Waiting().find("arm") == std::string::npos; }));
  }
  const int hanging = disk_.gate().waiting();
  EXPECT_GE(hanging, 1);
  EXPECT_LE(hanging, config_.uploads_per_worker + 1);
  EXPECT_TRUE(Logged("the disk hangs"));
  disk_.gate().Open();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:" + Up(23) + " notes0 notes1 notes2");
  EXPECT_EQ(server_->repeats(), 0U);
}

// Each takes one of the two uploads that may be under way at first.
TEST_P(StuckDiskTest, TwoThatHangHoldUpNoOthers) {
  config_.additional_paths = {files_ + "/a", files_ + "/b"};
  for (const std::string name : {"a", "b"}) {
    std::filesystem::create_directories(files_ + "/" + name);
    Drop(name + "/notes", "hello");
  }
  disk_.gate().Close();
  Start();
  EXPECT_TRUE(WaitUntil([&] { return disk_.gate().waiting() == 2; }));
  for (int i = 0; i < 20; ++i) Capture("arm", 1);
  EXPECT_TRUE(WaitUntil([&] { return Waiting().find("arm") == std::string::npos; })) << Waiting();
  disk_.gate().Open();
  RunUntilIdle();
  EXPECT_EQ(server_->repeats(), 0U);
}

TEST_P(StuckDiskTest, OtherDirectoriesGoOn_WithOneUploadAtATime) {
  config_.uploads_per_worker = 1;
  Drop("notes", "hello");
  disk_.gate().Close();
  Start();
  EXPECT_TRUE(WaitUntil([&] { return disk_.gate().waiting() > 0; }));
  for (int round = 0; round < 3; ++round) {
    Capture("arm", 2);
    EXPECT_TRUE(WaitUntil([&] { return Waiting().find("arm") == std::string::npos; })) << Waiting();
  }
  EXPECT_LE(disk_.gate().waiting(), 2);
  disk_.gate().Open();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:" + Up(6) + " notes");
  EXPECT_EQ(server_->repeats(), 0U);
}

TEST_P(StuckDiskTest, CloseDoesNotWaitForIt) {
  Drop("notes", "hello");
  disk_.gate().Close();
  Start();
  EXPECT_TRUE(WaitUntil([&] { return disk_.gate().waiting() > 0; }));
  const MonotonicTime begin = Clock::System().MonotonicNow();
  const absl::Status closed = sync_->Close(In(std::chrono::milliseconds(300)));
  EXPECT_LT(Clock::System().MonotonicNow() - begin, std::chrono::seconds(2));
  EXPECT_TRUE(absl::IsDeadlineExceeded(closed)) << closed;
  disk_.gate().Open();
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 0; }));
}

std::string NameOf(const ::testing::TestParamInfo<HangingDisk::Call>& info) {
  const char* const names[] = {"Open", "Look", "ReadDirectory", "Read", "Remove"};
  return names[static_cast<size_t>(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Calls, StuckDiskTest,
                         ::testing::Values(HangingDisk::Call::kOpen, HangingDisk::Call::kLook,
                                           HangingDisk::Call::kReadDirectory,
                                           HangingDisk::Call::kRead, HangingDisk::Call::kRemove),
                         NameOf);

class StuckWalkTest : public StuckDiskTest {};

TEST_P(StuckWalkTest, ACallOfSyncHandsOverTheRestAndNamesTheDirectory) {
  config_.scheduled = false;
  Drop("notes", "hello");
  Capture("arm", 3);
  disk_.gate().Close();
  Start();
  const absl::Status status = SyncNow(Wait::kHandedOver);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_NE(status.message().find("the disk hangs below " + files_), std::string::npos) << status;
  EXPECT_TRUE(WaitUntil([&] { return Uploaded() == "arm:1,2,3"; }));
  disk_.gate().Open();
  EXPECT_TRUE(WaitUntil([&] { return SyncNow().ok(); }));
  EXPECT_EQ(Uploaded(), "arm:1,2,3 notes");
}

// The call looks for what is left, which no worker touches: it waits for a retry. The call may have
// looked before the disk hangs. It would look again after a pause of the stopped clock, so the
// tests wake it.
class StuckLookTest : public StuckDiskTest {
 protected:
  // Until no further call of Sync has the file tried.
  void Fail() {
    config_.scheduled = false;
    server_->OnCall([](const UploadCall&) { return absl::InternalError("busy"); });
    Drop("notes", "hello");
    StartAndWait();
    clock_.Advance(std::chrono::hours(2));
    clock_.Stop();
    for (size_t calls = 1; calls <= 2; ++calls) {
      ASSERT_TRUE(SyncNow(Wait::kHandedOver).ok());
      ASSERT_TRUE(WaitUntil([&] {
        return server_->call_count() == calls && sync_->Stats().waiting_retries == 1 &&
               sync_->Stats().uploading == 0;
      }));
    }
  }
};

TEST_P(StuckLookTest, ACallOfSyncThatWaitsForUploadsNamesTheDirectory) {
  Fail();
  std::future<absl::Status> sync = SyncInBackground(Wait::kUploaded);
  disk_.gate().Close();
  EXPECT_TRUE(WaitAwake([&] { return disk_.gate().waiting() > 0; }));
  const absl::Status status = sync.get();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_NE(status.message().find("the disk hangs below " + files_), std::string::npos) << status;
  EXPECT_EQ(server_->call_count(), 2U);
  disk_.gate().Open();
}

TEST_P(StuckLookTest, TheStopEndsACallOfSyncThatLooksForWhatIsLeft) {
  Fail();
  std::stop_source stop;
  std::future<absl::Status> sync = SyncInBackground(Wait::kUploaded, stop.get_token());
  disk_.gate().Close();
  EXPECT_TRUE(WaitAwake([&] { return disk_.gate().waiting() > 0; }));
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(sync.get()));
  disk_.gate().Open();
}

INSTANTIATE_TEST_SUITE_P(Calls, StuckLookTest,
                         ::testing::Values(HangingDisk::Call::kOpen, HangingDisk::Call::kLook,
                                           HangingDisk::Call::kReadDirectory),
                         NameOf);

class NoRoomOnAStuckDiskTest : public StuckDiskTest {};

TEST_P(NoRoomOnAStuckDiskTest, ACallOfSyncNamesTheDirectoryAlthoughNoWorkerHasRoom) {
  config_.scheduled = false;
  config_.uploads_per_worker = 1;
  server_->Block();
  Capture("arm", 1);
  Start();
  std::future<absl::Status> first = SyncInBackground(Wait::kHandedOver);
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  EXPECT_TRUE(first.get().ok());
  disk_.gate().Close();
  Drop("notes", "hello");
  std::future<absl::Status> hands_over = SyncInBackground(Wait::kHandedOver);
  EXPECT_TRUE(WaitUntil([&] { return disk_.gate().waiting() == 1; }));
  const absl::Status status = SyncNow(Wait::kUploaded);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_NE(status.message().find("the disk hangs below " + files_), std::string::npos) << status;
  EXPECT_TRUE(absl::IsUnavailable(hands_over.get()));
  disk_.gate().Open();
  server_->Release();
}

INSTANTIATE_TEST_SUITE_P(Calls, NoRoomOnAStuckDiskTest,
                         ::testing::Values(HangingDisk::Call::kReadDirectory), NameOf);

INSTANTIATE_TEST_SUITE_P(Calls, StuckWalkTest, ::testing::Values(HangingDisk::Call::kReadDirectory),
                         NameOf);

// The removal of stored capture files hangs. Uploads from the additional directory go on.
class StuckRemovalTest : public HangingDiskFixture {
 protected:
  StuckRemovalTest() {
    config_.workers = 1;
    config_.uploads_per_worker = 4;
    options_.ops = &disk_;
    server_->Block();
    server_->BlockOnly("waiting");
  }
  void TearDown() override {
    disk_.gate().Open();
    server_->Release();
    CloseAndAwaitThreads();
  }
  // One upload waits for the reply, and the thread hangs with another one.
  void HangWhileAnotherWaits() {
    Start();
    Capture("waiting", 1);
    ASSERT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
    disk_.gate().Close();
    Capture("hanging", 1);
    ASSERT_TRUE(WaitUntil([&] { return disk_.gate().waiting() == 1; }));
  }
  // Uploads files from the other directory, one after the other.
  void UploadOthers(int count) {
    for (int i = 0; i < count; ++i) {
      const size_t stored = server_->stored_count();
      const std::string path = Drop("notes" + std::to_string(++others_), "hello");
      EXPECT_TRUE(WaitUntil([&] { return !std::filesystem::exists(path); })) << Waiting();
      EXPECT_EQ(server_->stored_count(), stored + 1);
    }
  }
  // The reply for the upload that waits arrives while the disk hangs.
  void ReplyWhileItHangs() {
    ASSERT_TRUE(WaitUntilStuck());
    UploadOthers(1);
    const size_t stored = server_->stored_count();
    server_->Release();
    ASSERT_TRUE(WaitUntil([&] { return server_->stored_count() == stored + 1; }));
    UploadOthers(3);
  }

  HangingDisk disk_{captured_, HangingDisk::Call::kRemove};
  int others_ = 0;
};

TEST_F(StuckRemovalTest, ASecondUploadFromTheStuckDirectory_TakesNoThread_AndEndsLater) {
  HangWhileAnotherWaits();
  ReplyWhileItHangs();
  EXPECT_EQ(disk_.gate().waiting(), 1) << "the second upload does not go to the disk";
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 2; }));
  EXPECT_EQ(Waiting(), "hanging waiting");
  disk_.gate().Open();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "hanging:1 notes1 notes2 notes3 notes4 waiting:1");
  EXPECT_EQ(server_->repeats(), 0U);
  EXPECT_EQ(server_->call_count(), 6U) << "nothing is sent again";
}

TEST_F(StuckRemovalTest, Close_LeavesASecondUpload_ThatEndsWhenTheDiskIsBack) {
  HangWhileAnotherWaits();
  ReplyWhileItHangs();
  const absl::Status closed = sync_->Close(In(std::chrono::milliseconds(300)));
  EXPECT_TRUE(absl::IsDeadlineExceeded(closed)) << closed;
  EXPECT_EQ(disk_.gate().waiting(), 1);
  disk_.gate().Open();
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 0; }));
  EXPECT_EQ(OnDisk(), "") << "both were stored, so both are removed";
  EXPECT_EQ(sync_->context()->tracker.size(), 0U);
}

// The scheduler's thread may have ended before the step takes too long.
class CloseOnAStuckDiskTest : public HangingDiskFixture {
 protected:
  CloseOnAStuckDiskTest() {
    config_.workers = 1;
    config_.uploads_per_worker = 4;
    options_.ops = &disk_;
    server_->Block();
    server_->BlockOnly("arm");
  }
  void SetUp() override {
    Start();
    Capture("arm", 1);
    ASSERT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
    disk_.gate().Close();
    Drop("notes", "hello");
    ASSERT_TRUE(WaitUntil([&] { return disk_.gate().waiting() == 1; }));
    EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 2; }));
  }
  void TearDown() override {
    disk_.gate().Open();
    CloseAndAwaitThreads();
  }

  HangingDisk disk_{files_, HangingDisk::Call::kRemove};
};

TEST_F(CloseOnAStuckDiskTest, Close_EndsUploadsFromElsewhere_AndReportsTheThreadThatHangs) {
  const MonotonicTime limit = In(std::chrono::seconds(2));
  const absl::Status closed = sync_->Close(limit);
  EXPECT_LT(Clock::System().MonotonicNow() - limit, std::chrono::seconds(5));
  EXPECT_TRUE(absl::IsDeadlineExceeded(closed)) << closed;
  EXPECT_NE(closed.message().find("1 threads of sync were left alone"), std::string::npos)
      << closed;
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 1; }))
      << "another thread ends the upload";
  EXPECT_EQ(sync_->context()->tracker.size(), 1U);
  EXPECT_EQ(server_->blocked(), 0U);
  EXPECT_EQ(disk_.gate().waiting(), 1);
  EXPECT_EQ(Uploaded(), "notes");
  EXPECT_EQ(OnDisk(), "arm notes");
  disk_.gate().Open();
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 0; }));
  EXPECT_EQ(OnDisk(), "arm");
}

TEST_F(CloseOnAStuckDiskTest, Close_WaitsForADisk_ThatHangsForAWhile) {
  auto closed =
      std::async(std::launch::async, [&] { return sync_->Close(In(std::chrono::seconds(20))); });
  // No sooner than the thread that hangs has lost the turn.
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 1; }));
  EXPECT_FALSE(IsDone(closed)) << "a thread still hangs";
  disk_.gate().Open();
  const absl::Status status = closed.get();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(sync_->Stats().uploading, 0U);
  EXPECT_EQ(sync_->context()->tracker.size(), 0U);
  EXPECT_EQ(Uploaded(), "notes");
  EXPECT_EQ(OnDisk(), "arm");
}

}  // namespace
}  // namespace datamanager::sync
