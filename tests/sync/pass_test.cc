// What passes offer, seen by whoever takes it.
#include "sync/pass.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/faulty_file_ops.h"
#include "tests/support/gate.h"
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

// Retries fail each time and are due again at once.
TEST_F(PassTest, FreshFilesAndDueRetriesTakeTurns) {
  constexpr int kBad = 10;
  constexpr int kFresh = 40;
  for (int i = 0; i < kBad; ++i) {
    const FoundFile file = Found(captured_, CaptureAt("bad" + std::to_string(i), i));
    context_->retries.Put({file, {.attempts = 1, .due = MonotonicTime::min()}});
  }
  for (int i = 0; i < kFresh; ++i) CaptureAt("fresh", kBad + i);
  std::string offered;
  std::stop_source over;
  std::thread taker([&] {
    while (std::count(offered.begin(), offered.end(), 'F') < kFresh) {
      std::optional<Job> job = channel_.Receive(over.get_token());
      if (!job.has_value()) return;
      const bool fresh = job->file.path.find("fresh") != std::string::npos;
      offered += fresh ? 'F' : 'b';
      if (fresh) continue;
      const FoundFile file = job->file;
      job.reset();
      context_->retries.Put({file, {.attempts = 1, .due = MonotonicTime::min()}});
    }
    over.request_stop();
  });
  Passes passes(*context_, config_, channel_);
  passes.Run(
      over.get_token(), [](const FoundFile&, const struct stat&) { return true; }, [] {});
  over.request_stop();
  taker.join();
  // One of each, once the pass is through with the bad ones, the oldest.
  const size_t begin = offered.find('F');
  ASSERT_NE(begin, std::string::npos) << offered;
  const auto bad = std::count(offered.begin() + static_cast<ptrdiff_t>(begin), offered.end(), 'b');
  EXPECT_EQ(std::count(offered.begin(), offered.end(), 'F'), kFresh) << offered;
  EXPECT_GE(bad, kFresh - kBad) << offered;
  EXPECT_LE(bad, kFresh + kBad) << offered;
}

TEST_F(PassTest, WhatNobodyTookBeforeTheStopKeepsItsTries) {
  const FoundFile file = Found(captured_, CaptureAt("c", 0));
  context_->retries.Put({file, {.attempts = 3, .due = MonotonicTime::min()}});
  Passes passes(*context_, config_, channel_);
  std::stop_source stop;
  std::thread pass([&] {
    EXPECT_EQ(
        passes.Run(
            stop.get_token(), [](const FoundFile&, const struct stat&) { return true; }, [] {}),
        PassEnd::kStopped);
  });
  EXPECT_TRUE(WaitUntil([&] { return context_->tracker.IsClaimed(file.id); }));
  stop.request_stop();
  pass.join();
  EXPECT_FALSE(context_->tracker.IsClaimed(file.id));
  EXPECT_EQ(context_->retries.Take(file).attempts, 3);
}

TEST_F(PassTest, DirectoriesBeyondTheLimitAreOfferedInTheOrderOfTheWalk) {
  for (int i = 0; i < 20; ++i) CaptureAt("c" + std::to_string(i), i);
  std::vector<std::string> offered = Offered({.directories = 4});
  EXPECT_EQ(std::set<std::string>(offered.begin(), offered.end()).size(), 20U);
  EXPECT_EQ(offered.size(), 20U);
}

TEST_F(PassTest, WhatTheBacklogHasNoRoomForIsOfferedAllTheSame) {
  const std::string names[] = {
      "1900-01-01T00_00_00.000000Z.capture",      "2026-01-01T00_00_00.000000Z.capture",
      "2026-01-01T00_00_00.000000+01_00.capture", "2026-01-01T00_00_00.000000+02_00.capture",
      "2026-01-01T00_00_00.000000+03_00.capture", "9999-12-31T23_59_59.999999Z.capture"};
  for (const std::string& name : names) WriteFile(DirectoryOf("c") + "/" + name, "bytes");
  EXPECT_EQ(Offered({.directories = 2}).size(), std::size(names));
}

TEST_F(PassTest, BesideAnotherItKeepsLessInMindAndOffersAllTheSame) {
  testing::FaultyFileOps ops;
  options_.ops = &ops;
  context_ = std::make_unique<SyncContext>(options_);
  constexpr size_t kFiles = 40;
  for (size_t i = 0; i < kFiles; ++i) CaptureAt("c", static_cast<int>((i * 7) % kFiles));
  Passes passes(*context_, config_, channel_, {.files = kFiles});
  // What a pass looks at, in its order, and how often it reads in the directories for that.
  const auto look = [&](std::vector<std::string>& seen, const std::function<void()>& wait) {
    const int before = ops.Count(testing::FaultyFileOps::Call::kReadDirectory);
    const auto note = [&](const FoundFile& file, const struct stat&) {
      wait();
      seen.push_back(file.path);
      return false;
    };
    EXPECT_EQ(passes.Run({}, note, [] {}), PassEnd::kComplete);
    return ops.Count(testing::FaultyFileOps::Call::kReadDirectory) - before;
  };

  std::vector<std::string> alone;
  const int reads = look(alone, [] {});
  EXPECT_EQ(alone.size(), kFiles);
  EXPECT_TRUE(std::is_sorted(alone.begin(), alone.end()));

  testing::Gate gate;
  gate.Close();
  std::vector<std::string> held;
  std::thread other([&] { look(held, [&] { gate.Pass(); }); });
  EXPECT_TRUE(WaitUntil([&] { return gate.waiting() == 1; }));
  std::vector<std::string> beside;
  EXPECT_EQ(look(beside, [] {}), 4 * reads);
  EXPECT_EQ(beside, alone);
  gate.Open();
  other.join();
  EXPECT_EQ(held, alone);

  std::vector<std::string> after;
  EXPECT_EQ(look(after, [] {}), reads);
  EXPECT_EQ(after, alone);
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
