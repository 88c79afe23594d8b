// A disk that hangs holds up what lies on it, and nothing else; also with one worker.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/support/hanging_disk.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using testing::HangingDisk;

class StuckDiskTest : public SyncFixture, public ::testing::WithParamInterface<HangingDisk::Call> {
 protected:
  StuckDiskTest() {
    config_.workers = 1;
    config_.uploads_per_worker = 4;
    options_.ops = &disk_;
  }
  // What follows lets go of threads that hang.
  void TearDown() override {
    disk_.gate().Open();
    Close();
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

INSTANTIATE_TEST_SUITE_P(Calls, StuckWalkTest, ::testing::Values(HangingDisk::Call::kReadDirectory),
                         NameOf);

}  // namespace
}  // namespace datamanager::sync
