// What passes offer, seen by whoever takes it.
#include "sync/pass.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using std::chrono::seconds;

class PassTest : public SyncFixture {
 protected:
  void SetUp() override { context_ = std::make_unique<SyncContext>(options_); }

  std::string CaptureAt(const std::string& component, int second) {
    std::string path =
        DirectoryOf(component) + "/" + capture_file::CompleteName(begin_ + seconds(second));
    WriteFile(path, "bytes");
    return path;
  }
  // What a pass offers: seconds of capture files, names of others. Taken, nothing is done to it.
  std::vector<std::string> Offered(Backlog::Limits limits) {
    std::vector<std::string> offered;
    std::stop_source over;
    std::thread taker([&] {
      while (std::optional<Job> job = channel_.Receive(over.get_token())) {
        const std::string name(BaseName(job->file.path));
        const auto time = capture_file::ParseStamp(name);
        offered.push_back(time.has_value()
                              ? std::to_string(std::chrono::round<seconds>(*time - begin_).count())
                              : name);
        on_taken_();
      }
    });
    Passes passes(*context_, config_, channel_, limits);
    EXPECT_EQ(passes.Run(
                  {}, [](const FoundFile&, const struct stat&) { return true; }, [] {}),
              PassEnd::kComplete);
    over.request_stop();
    taker.join();
    return offered;
  }

  const WallTime begin_ = std::chrono::floor<seconds>(std::chrono::system_clock::now());
  std::unique_ptr<SyncContext> context_;
  Channel<Job> channel_;
  std::function<void()> on_taken_ = [] {};
};

TEST_F(PassTest, ABacklogThatDoesNotFitGoesOldestFirstAllTheSame) {
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    CaptureAt("c" + std::to_string(i % 3), (i * 7) % 50);
    expected.push_back(std::to_string(i));
  }
  EXPECT_EQ(Join(Offered({.files = 8})), Join(expected));
}

TEST_F(PassTest, DirectoriesBeyondTheLimitAreOfferedInTheOrderOfTheWalk) {
  for (int i = 0; i < 20; ++i) CaptureAt("c" + std::to_string(i), i);
  std::vector<std::string> offered = Offered({.directories = 4});
  EXPECT_EQ(std::set<std::string>(offered.begin(), offered.end()).size(), 20U);
  EXPECT_EQ(offered.size(), 20U);
}

TEST_F(PassTest, WhatIsPublishedMeanwhileIsLeftToHintsAndTheNextPass) {
  for (int i = 0; i < 20; ++i) CaptureAt("c", i);
  int next = 100;
  on_taken_ = [&] { CaptureAt("c", next++); };
  EXPECT_EQ(Offered({.files = 4}).size(), 20U);
}

TEST_F(PassTest, WhatWaitsOrIsTakenIsPassedOver) {
  for (int i = 0; i < 4; ++i) CaptureAt("c", i);
  const FoundFile taken = Found(captured_, CaptureAt("c", 10));
  const FoundFile waiting = Found(captured_, CaptureAt("c", 11));
  const auto claim = context_->tracker.TryClaim(taken.id);
  context_->retries.Put({waiting, {.attempts = 1, .due = MonotonicTime::max()}});
  EXPECT_EQ(Join(Offered({})), "0 1 2 3");
}

}  // namespace
}  // namespace datamanager::sync
