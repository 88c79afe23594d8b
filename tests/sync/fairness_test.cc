// Healthy files flow whatever the others do: told by counts of calls, never by time.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using std::chrono::seconds;

class FairnessTest : public SyncFixture {
 protected:
  FairnessTest() { config_.workers = 1; }

  // How many of the first `count` calls were for each component.
  std::map<std::string, size_t> Shares(size_t count) const {
    std::map<std::string, size_t> shares;
    const std::vector<UploadCall> calls = server_->calls();
    for (size_t i = 0; i < std::min(count, calls.size()); ++i) {
      ++shares[calls[i].metadata.component_name()];
    }
    return shares;
  }
};

// More files than the retry table holds would take; here as many as show it.
TEST_F(FairnessTest, AnyNumberOfFailingFilesCostTheHealthyNothingButTheirTries) {
  config_.workers = 4;
  server_->OnCall([](const UploadCall& call) {
    return call.metadata.component_name() == "bad" ? absl::UnavailableError("busy")
                                                   : absl::OkStatus();
  });
  for (int i = 0; i < 300; ++i) Capture("bad", 1);
  for (int i = 0; i < 30; ++i) Capture("good", 1);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return Uploaded() == "good:" + Up(30); })) << Uploaded();
  EXPECT_TRUE(WaitUntil([&] { return !sync_->Stats().paused.empty(); }));
  // While they wait they have no worker, and only they wait.
  for (int i = 0; i < 30; ++i) Capture("good", 1);
  EXPECT_TRUE(WaitUntil([&] { return Uploaded() == "good:" + Up(60); })) << Uploaded();
}

// Three of four workers are with files that never end.
TEST_F(FairnessTest, FilesThatHangTakeTheirWorkersAndNoOthers) {
  config_.workers = 4;
  server_->Block();
  for (int i = 0; i < 3; ++i) Capture("stuck", 1);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 3; }));
  server_->BlockOnly("stuck");
  for (int i = 0; i < 50; ++i) Capture("good", 1);
  EXPECT_TRUE(WaitUntil([&] { return Uploaded() == "good:" + Up(50); })) << Uploaded();
  EXPECT_EQ(server_->blocked(), 3U);
  server_->Release();
  RunUntilIdle();
}

TEST_F(FairnessTest, TheNewIsNotStarvedByTheOldNorTheOldByTheNew) {
  server_->Block();
  for (int i = 0; i < 100; ++i) Capture("old", 1);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  // Each call sees another file published, as capture goes on.
  server_->OnCall([&](const UploadCall&) {
    if (last("new") < 100) sync_->Hint(Capture("new", 1));
    return absl::OkStatus();
  });
  sync_->Hint(Capture("new", 1));
  server_->Release();
  EXPECT_TRUE(WaitUntil([&] { return server_->call_count() >= 150; }));
  const std::map<std::string, size_t> shares = Shares(100);
  EXPECT_GE(shares.at("old"), 40U);
  EXPECT_GE(shares.at("new"), 40U);
  server_->OnCall(nullptr);
  RunUntilIdle();
}

// A file that found the table full waits for a pass, and passes keep a minute's distance; what is
// in the table is tried all the same.
TEST_F(FairnessTest, WithAFullTablePassesAreAMinuteApart) {
  config_.workers = 4;
  config_.min_file_age = seconds(0);
  server_->OnCall([](const UploadCall&) { return absl::UnavailableError("busy"); });
  options_.most_retries = 10;
  for (int i = 0; i < 60; ++i) Drop(std::to_string(i), "x");
  Start();
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().passes >= 1; }));
  const uint64_t passes = sync_->Stats().passes;
  const uint64_t retries = sync_->Stats().arbitrary.retries;
  EXPECT_GE(retries, CircuitBreaker::kLimit);
  // After the breaker's pause.
  clock_.Advance(seconds(5));
  EXPECT_TRUE(WaitAwake([&] { return sync_->Stats().arbitrary.retries > retries; }));
  EXPECT_EQ(sync_->Stats().passes, passes);
  clock_.Advance(seconds(61));
  EXPECT_TRUE(WaitAwake([&] { return sync_->Stats().passes > passes; }));
}

}  // namespace
}  // namespace datamanager::sync
