// What passes give, seen by whoever draws.
#include "sync/pass.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "sync/dispatcher.h"
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
  static bool Any(const FoundFile&, const struct stat&) { return true; }
  // What a pass gives: seconds of capture files, names of others. Nothing is done to a file, whose
  // claim ends at once.
  std::vector<std::string> Given(Backlog::Limits limits) {
    std::vector<std::string> given;
    Dispatcher dispatcher(*context_, config_, limits);
    const auto pass = dispatcher.BeginPass(Any);
    while (pass->state() == Pass::State::kUnderWay) {
      std::optional<Job> job;
      if (dispatcher.Next(0, job) != Dispatcher::Drawn::kFile) continue;
      const std::string name(BaseName(job->file.path));
      const auto time = capture_file::ParseStamp(name);
      given.push_back(time.has_value()
                          ? std::to_string(std::chrono::round<seconds>(*time - begin_).count())
                          : name);
      on_given_();
    }
    EXPECT_EQ(dispatcher.EndOf(pass), PassEnd::kComplete);
    return given;
  }

  const WallTime begin_ = std::chrono::floor<seconds>(std::chrono::system_clock::now());
  std::unique_ptr<SyncContext> context_;
  std::function<void()> on_given_ = [] {};
};

TEST_F(PassTest, ABacklogThatDoesNotFitGoesOldestFirstAllTheSame) {
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    CaptureAt("c" + std::to_string(i % 3), (i * 7) % 50);
    expected.push_back(std::to_string(i));
  }
  EXPECT_EQ(Join(Given({.files = 8})), Join(expected));
}

TEST_F(PassTest, NothingIsClaimedBeforeItIsDrawn) {
  const FoundFile file = Found(captured_, CaptureAt("c", 0));
  context_->retries.Put({file, {.attempts = 3, .due = MonotonicTime::min()}});
  Dispatcher dispatcher(*context_, config_);
  const auto pass = dispatcher.BeginPass(Any);
  EXPECT_EQ(context_->tracker.size(), 0U);
  std::optional<Job> job;
  EXPECT_TRUE(WaitUntil([&] { return dispatcher.Next(0, job) == Dispatcher::Drawn::kFile; }));
  EXPECT_EQ(context_->tracker.size(), 1U);
  EXPECT_EQ(job->state.attempts, 3);
  dispatcher.EndPass(pass);
  EXPECT_EQ(pass->state(), Pass::State::kOver);
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
  Dispatcher dispatcher(*context_, config_);
  const auto pass = dispatcher.BeginPass(Any);
  std::string given;
  ASSERT_TRUE(WaitUntil([&] {
    std::optional<Job> job;
    if (dispatcher.Next(0, job) != Dispatcher::Drawn::kFile) return false;
    const bool fresh = job->file.path.find("fresh") != std::string::npos;
    given += fresh ? 'F' : 'b';
    if (fresh) {
      std::filesystem::remove(job->file.path);
    } else {
      const FoundFile file = job->file;
      job.reset();
      context_->retries.Put({file, {.attempts = 1, .due = MonotonicTime::min()}});
    }
    return std::count(given.begin(), given.end(), 'F') == kFresh;
  }));
  dispatcher.EndPass(pass);
  // One of each, once the pass has found the files and is through with the bad ones, the oldest.
  const std::string turns = given.substr(given.find('F'));
  EXPECT_LE(given.size() - turns.size(), 2U * kBad + 4) << given;
  std::string expected = "F";
  for (int i = 1; i < kFresh; ++i) expected += "bF";
  EXPECT_EQ(turns, expected);
}

TEST_F(PassTest, ARootThatHangsAsTheWalksBeginIsLeftOutAndNamed) {
  CaptureAt("c", 0);
  Drop("notes", "hello");
  Dispatcher dispatcher(*context_, config_);
  std::optional<StuckRoots::Work> hangs;
  hangs.emplace(dispatcher.stuck(), files_);
  ASSERT_TRUE(WaitUntil([&] { return dispatcher.stuck().IsStuck(files_); }));
  const auto pass = dispatcher.BeginPass(Any);
  std::optional<Job> job;
  ASSERT_TRUE(WaitUntil([&] { return dispatcher.Next(0, job) == Dispatcher::Drawn::kFile; }));
  hangs.reset();  // It is back while the other one is walked.
  ASSERT_TRUE(WaitUntil([&] {
    dispatcher.Next(0, job);
    return pass->state() != Pass::State::kUnderWay;
  }));
  EXPECT_EQ(pass->StuckPath(), files_);
  EXPECT_EQ(dispatcher.EndOf(pass), PassEnd::kStuck);
}

// The outer root comes first, and is left out because of the other one.
TEST_F(PassTest, OfNestedRootsTheOneThatHangsIsNamed) {
  const std::string nested = captured_ + "/nested";
  std::filesystem::create_directories(nested);
  CaptureAt("c", 0);
  config_.additional_paths = {nested};
  Dispatcher dispatcher(*context_, config_);
  const StuckRoots::Work hangs(dispatcher.stuck(), nested);
  ASSERT_TRUE(WaitUntil([&] { return dispatcher.stuck().IsStuck(nested); }));
  const auto pass = dispatcher.BeginPass(Any);
  ASSERT_TRUE(WaitUntil([&] {
    std::optional<Job> job;
    EXPECT_NE(dispatcher.Next(0, job), Dispatcher::Drawn::kFile);
    return pass->state() != Pass::State::kUnderWay;
  }));
  EXPECT_EQ(pass->state(), Pass::State::kStuck);
  EXPECT_EQ(pass->StuckPath(), nested);
}

// The walk of an outer root would take an inner one's files for its own.
TEST_F(PassTest, ARootThatIsLeftOutIsNotEnteredFromOutside) {
  const std::string outside = dir_.path() + "/outside.txt";
  WriteFile(outside, "hello");
  SetAge(outside, std::chrono::hours(1));
  CaptureAt("c", 0);
  config_.additional_paths = {dir_.path()};
  Dispatcher dispatcher(*context_, config_);
  const auto given = [&] {
    std::vector<std::string> paths;
    const auto pass = dispatcher.BeginPass(Any);
    EXPECT_TRUE(WaitUntil([&] {
      std::optional<Job> job;
      if (dispatcher.Next(0, job) == Dispatcher::Drawn::kFile) {
        paths.emplace_back(BaseName(job->file.path));
      }
      return pass->state() != Pass::State::kUnderWay;
    }));
    dispatcher.EndOf(pass);
    return paths;
  };
  const auto while_it_hangs = [&] {
    const StuckRoots::Work hangs(dispatcher.stuck(), captured_);
    EXPECT_TRUE(WaitUntil([&] { return dispatcher.stuck().IsStuck(captured_); }));
    return given();
  };
  EXPECT_EQ(while_it_hangs(), std::vector<std::string>()) << "where it leads is not known";
  EXPECT_EQ(given().size(), 2U);
  EXPECT_EQ(while_it_hangs(), std::vector<std::string>{"outside.txt"});
}

TEST_F(PassTest, DirectoriesBeyondTheLimitAreGivenInTheOrderOfTheWalk) {
  for (int i = 0; i < 20; ++i) CaptureAt("c" + std::to_string(i), i);
  std::vector<std::string> given = Given({.directories = 4});
  EXPECT_EQ(std::set<std::string>(given.begin(), given.end()).size(), 20U);
  EXPECT_EQ(given.size(), 20U);
}

TEST_F(PassTest, WhatTheBacklogHasNoRoomForIsGivenAllTheSame) {
  const std::string names[] = {
      "1900-01-01T00_00_00.000000Z.capture",      "2026-01-01T00_00_00.000000Z.capture",
      "2026-01-01T00_00_00.000000+01_00.capture", "2026-01-01T00_00_00.000000+02_00.capture",
      "2026-01-01T00_00_00.000000+03_00.capture", "9999-12-31T23_59_59.999999Z.capture"};
  for (const std::string& name : names) WriteFile(DirectoryOf("c") + "/" + name, "bytes");
  EXPECT_EQ(Given({.directories = 2}).size(), std::size(names));
}

TEST_F(PassTest, BesideAnotherItKeepsLessInMindAndOffersAllTheSame) {
  testing::FaultyFileOps ops;
  options_.ops = &ops;
  context_ = std::make_unique<SyncContext>(options_);
  config_.additional_paths = {};
  constexpr size_t kFiles = 40;
  for (size_t i = 0; i < kFiles; ++i) CaptureAt("c", static_cast<int>((i * 7) % kFiles));
  Dispatcher dispatcher(*context_, config_, {.files = kFiles});
  // What a pass looks at, in its order, and how often it reads in the directories for that.
  const auto look = [&](std::vector<std::string>& seen, const std::function<void()>& wait) {
    const int before = ops.Count(testing::FaultyFileOps::Call::kReadDirectory);
    const auto note = [&](const FoundFile& file, const struct stat&) {
      wait();
      seen.push_back(file.path);
      return false;
    };
    const auto pass = dispatcher.BeginPass(note);
    while (pass->state() == Pass::State::kUnderWay) {
      std::optional<Job> job;
      pass->Next(Pass::Row::kBacklog, job);
      pass->Next(Pass::Row::kOther, job);
    }
    EXPECT_EQ(dispatcher.EndOf(pass), PassEnd::kComplete);
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
  on_given_ = [&] { CaptureAt("c", next++); };
  EXPECT_EQ(Given({.files = 4}).size(), 20U);
}

TEST_F(PassTest, WhatWaitsOrIsTakenIsPassedOver) {
  for (int i = 0; i < 4; ++i) CaptureAt("c", i);
  const FoundFile taken = Found(captured_, CaptureAt("c", 10));
  const FoundFile waiting = Found(captured_, CaptureAt("c", 11));
  const auto claim = context_->tracker.TryClaim(taken.id);
  context_->retries.Put({waiting, {.attempts = 1, .due = MonotonicTime::max()}});
  EXPECT_EQ(Join(Given({})), "0 1 2 3");
}

}  // namespace
}  // namespace datamanager::sync
