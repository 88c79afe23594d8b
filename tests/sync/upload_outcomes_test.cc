#include "sync/upload_outcomes.h"

#include <gtest/gtest.h>

#include <stop_token>
#include <thread>

#include "tests/support/wait_until.h"

namespace datamanager::sync {
namespace {

using Expectation = UploadOutcomes::Expectation;

constexpr char kPath[] = "/data/a";
constexpr FileId kFile{.device = 1, .inode = 1};
constexpr FileId kOther{.device = 1, .inode = 2};

UploadOutcome OutcomeOf(const FileId& file, uint64_t bytes) {
  return {.file = file, .bytes = bytes};
}

// What there is to hear without waiting: the bytes, or 0 for nothing.
uint64_t Heard(Expectation& expectation) {
  const std::optional<UploadOutcome> outcome = expectation.Await(MonotonicTime(), {});
  return outcome.has_value() ? outcome->bytes : 0;
}

TEST(UploadOutcomesTest, TheFirstTryOfThePathIsHeard) {
  UploadOutcomes outcomes;
  outcomes.Report(kPath, nullptr, OutcomeOf(kFile, 1));  // Nobody waits.
  Expectation expectation(outcomes, kPath);
  EXPECT_EQ(Heard(expectation), 0U);
  outcomes.Report("/data/b", nullptr, OutcomeOf(kFile, 2));
  EXPECT_EQ(Heard(expectation), 0U);
  outcomes.Report(kPath, nullptr, OutcomeOf(kFile, 3));
  outcomes.Report(kPath, nullptr, OutcomeOf(kFile, 4));
  EXPECT_EQ(Heard(expectation), 3U);
}

TEST(UploadOutcomesTest, OnlyOfOneFileOthersOfItsNameAreNotHeardWhenever) {
  UploadOutcomes outcomes;
  Expectation expectation(outcomes, kPath);
  outcomes.Report(kPath, nullptr, OutcomeOf(kOther, 1));
  outcomes.Report(kPath, nullptr, OutcomeOf(kFile, 2));
  expectation.OnlyOf(kFile);
  EXPECT_EQ(Heard(expectation), 2U);

  Expectation later(outcomes, kPath);
  later.OnlyOf(kFile);
  outcomes.Report(kPath, nullptr, OutcomeOf(kOther, 3));
  EXPECT_EQ(Heard(later), 0U);
  outcomes.Report(kPath, nullptr, OutcomeOf(kFile, 4));
  EXPECT_EQ(Heard(later), 4U);
}

// As that of a file that was removed as another was made.
TEST(UploadOutcomesTest, WhatWasToldBeforeTheFileHadItsNameIsNotOfItThoughTheInodeIsTheSame) {
  UploadOutcomes outcomes;
  Expectation expectation(outcomes, kPath);
  outcomes.Report(kPath, nullptr, OutcomeOf(kFile, 1));
  expectation.AboutToName();
  outcomes.Report(kPath, nullptr, OutcomeOf(kFile, 2));
  expectation.OnlyOf(kFile);
  EXPECT_EQ(Heard(expectation), 2U);

  // Another has taken the name: that one's tries count, whenever.
  Expectation joined(outcomes, kPath);
  outcomes.Report(kPath, nullptr, OutcomeOf(kOther, 3));
  joined.AboutToName();
  EXPECT_EQ(Heard(joined), 3U);
}

TEST(UploadOutcomesTest, ATryForOneCallerIsNobodyElses) {
  UploadOutcomes outcomes;
  const int mine = 0;
  const int others = 0;
  Expectation of_caller(outcomes, kPath, &mine);
  Expectation of_anybody(outcomes, kPath);
  outcomes.Report(kPath, &others, OutcomeOf(kFile, 1));
  EXPECT_EQ(Heard(of_caller), 0U);
  EXPECT_EQ(Heard(of_anybody), 0U);
  outcomes.Report(kPath, &mine, OutcomeOf(kFile, 2));
  outcomes.Report(kPath, nullptr, OutcomeOf(kFile, 3));
  EXPECT_EQ(Heard(of_caller), 2U);
  EXPECT_EQ(Heard(of_anybody), 3U);
}

TEST(UploadOutcomesTest, WaitingEndsWithTheReportOrTheStop) {
  UploadOutcomes outcomes;
  Expectation expectation(outcomes, kPath);
  std::stop_source stop;
  {
    const std::jthread stopper([&] { stop.request_stop(); });
    EXPECT_FALSE(expectation.Await(testing::PatienceEnds(), stop.get_token()).has_value());
  }
  const std::jthread worker([&] { outcomes.Report(kPath, nullptr, OutcomeOf(kFile, 1)); });
  EXPECT_TRUE(expectation.Await(testing::PatienceEnds(), {}).has_value());
}

}  // namespace
}  // namespace datamanager::sync
