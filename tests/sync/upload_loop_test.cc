// Several uploads of one worker, seen through sync.
#include "sync/upload_loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "sync/upload_window.h"
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
