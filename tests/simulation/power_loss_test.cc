// A power cut at any moment: see medium.h for what it can leave of a disk, and SurveyStates for
// what must come of it.
#include "tests/simulation/power_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace datamanager::simulation {
namespace {

constexpr int kRounds = 3;

std::string Text(const Survey& survey) {
  std::string text;
  for (const std::string& rule : survey.broken) text += rule + "\n";
  return text;
}

bool Finds(const Survey& survey, const std::string& rule) {
  return std::any_of(survey.broken.begin(), survey.broken.end(),
                     [&](const std::string& text) { return text.starts_with(rule); });
}

TEST(PowerLoss, LeavesWhatWasPromised) {
  constexpr size_t kStates = 2000 / SIMULATE_ONE_IN;
  const Survey survey = SurveyStates(Recording({.rounds = kRounds}), kStates);
  Print(survey);
  EXPECT_EQ(survey.distinct, kStates);
  EXPECT_EQ(survey.broken_states, 0U) << Text(survey);
}

TEST(PowerLoss, LeavesWhatWasFlushedInProgress) {
  constexpr size_t kStates = 1000 / SIMULATE_ONE_IN;
  const Survey survey =
      SurveyStates(Recording({.rounds = kRounds, .durability = Durability::kPeriodic}), kStates);
  Print(survey);
  EXPECT_EQ(survey.distinct, kStates);
  EXPECT_EQ(survey.broken_states, 0U) << Text(survey);
}

// Batches, by each way to make them durable.

constexpr int kBatch = 300;      // More than any limit.
constexpr int kSmallBatch = 40;  // More than there are threads.

const char* MethodName(CommitMethod method) {
  switch (method) {
    case CommitMethod::kInTurn:
      return "InTurn";
    case CommitMethod::kEach:
      return "Each";
    case CommitMethod::kAnchor:
      return "Anchor";
    case CommitMethod::kWhole:
      return "Whole";
  }
  return "";
}

class PowerLossOfBatch : public ::testing::TestWithParam<CommitMethod> {};

TEST_P(PowerLossOfBatch, LeavesWhatWasPromised) {
  constexpr size_t kSamples = 300 / SIMULATE_ONE_IN;
  const bool quick = GetParam() == CommitMethod::kInTurn || GetParam() == CommitMethod::kAnchor;
  for (const Durability durability : {Durability::kPublished, Durability::kPeriodic}) {
    const bool large = quick && durability == Durability::kPublished;
    const Survey survey = SurveyBatch(Recording({.batch = large ? kBatch : kSmallBatch,
                                                 .commit_method = GetParam(),
                                                 .durability = durability}),
                                      kSamples);
    Print(survey);
    EXPECT_EQ(survey.tried, kSamples);
    EXPECT_EQ(survey.broken_states, 0U) << Text(survey);
  }
}

INSTANTIATE_TEST_SUITE_P(, PowerLossOfBatch,
                         ::testing::Values(CommitMethod::kInTurn, CommitMethod::kEach,
                                           CommitMethod::kAnchor, CommitMethod::kWhole),
                         [](const auto& test) { return MethodName(test.param); });

// The same rounds as above, with the methods that stand for many files at once.
class PowerLossByMethod : public ::testing::TestWithParam<CommitMethod> {};

TEST_P(PowerLossByMethod, LeavesWhatWasPromised) {
  constexpr size_t kStates = 300 / SIMULATE_ONE_IN;
  const Survey survey = SurveyStates(
      Recording(
          {.rounds = kRounds, .commit_method = GetParam(), .durability = Durability::kPeriodic}),
      kStates);
  Print(survey);
  EXPECT_EQ(survey.distinct, kStates);
  EXPECT_EQ(survey.broken_states, 0U) << Text(survey);
}

INSTANTIATE_TEST_SUITE_P(, PowerLossByMethod,
                         ::testing::Values(CommitMethod::kEach, CommitMethod::kAnchor,
                                           CommitMethod::kWhole),
                         [](const auto& test) { return MethodName(test.param); });

// The rules can be broken. Each of these disks has a flaw that they are there to find.

Survey WithFlaws(Recording::Options options) { return SurveyStates(Recording(options), 2000); }

TEST(PowerLoss, FindsThatDirectoriesAreNotFlushed) {
  const Survey survey = WithFlaws({.rounds = kRounds, .flaws = {.drops_directory_flushes = true}});
  EXPECT_TRUE(Finds(survey, "lost or altered, published: ")) << Text(survey);
}

TEST(PowerLoss, FindsThatFilesArePublishedUnflushed) {
  const Survey survey = WithFlaws({.rounds = kRounds, .flaws = {.drops_data_flushes = true}});
  EXPECT_TRUE(Finds(survey, "lost or altered, published: ")) << Text(survey);
}

TEST(PowerLoss, FindsThatDirectoriesOfFilesInProgressAreNotFlushed) {
  const Survey survey = WithFlaws({.rounds = kRounds,
                                   .durability = Durability::kPeriodic,
                                   .flaws_of_live_flushes = {.drops_directory_flushes = true}});
  EXPECT_TRUE(Finds(survey, "lost or altered, flushed: ")) << Text(survey);
}

TEST(PowerLoss, FindsThatFilesInProgressAreNotFlushed) {
  const Survey survey = WithFlaws({.rounds = kRounds,
                                   .durability = Durability::kPeriodic,
                                   .flaws_of_live_flushes = {.drops_data_flushes = true}});
  EXPECT_TRUE(Finds(survey, "lost or altered, flushed: ")) << Text(survey);
}

TEST(PowerLoss, FindsThatACommitForManyFilesIsDropped) {
  for (const CommitMethod method : {CommitMethod::kAnchor, CommitMethod::kWhole}) {
    const Survey survey = SurveyBatch(
        Recording(
            {.batch = kSmallBatch, .commit_method = method, .flaws = {.drops_commits = true}}),
        200);
    EXPECT_GT(survey.broken_states, 0U) << MethodName(method);
  }
}

TEST(PowerLoss, FindsThatFilesAreNotWrittenBackBeforeACommit) {
  const Survey survey = SurveyBatch(Recording({.batch = kSmallBatch,
                                               .commit_method = CommitMethod::kAnchor,
                                               .flaws = {.drops_data_flushes = true}}),
                                    200);
  EXPECT_TRUE(Finds(survey, "torn: ") || Finds(survey, "lost or altered: ")) << Text(survey);
}

}  // namespace
}  // namespace datamanager::simulation
