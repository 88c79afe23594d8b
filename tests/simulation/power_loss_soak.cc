// What PowerLoss looks at, for minutes.
#include <gtest/gtest.h>

#include <string>

#include "tests/simulation/power_loss.h"

namespace datamanager::simulation {
namespace {

void ExpectThatNoneBreaksARule(const Recording::Options& options) {
  constexpr size_t kStates = 100000;
  const Survey survey = SurveyStates(Recording(options), kStates);
  Print(survey);
  EXPECT_EQ(survey.distinct, kStates);
  EXPECT_EQ(survey.broken_states, 0U);
  for (const std::string& rule : survey.broken) ADD_FAILURE() << rule;
}

// Each with as many rounds as it takes: of three there are hardly 50,000 states, and of twelve with
// kPeriodic, where less is unflushed, some 60,000.

TEST(PowerLossSoak, LeavesWhatWasPromised) { ExpectThatNoneBreaksARule({.rounds = 12}); }

TEST(PowerLossSoak, LeavesWhatWasFlushedInProgress) {
  ExpectThatNoneBreaksARule({.rounds = 30, .durability = Durability::kPeriodic});
}

// Batches of 300 files, by each way to make them durable.
TEST(PowerLossSoak, LeavesWhatWasPromisedInBatches) {
  constexpr size_t kSamples = 100000;
  for (const CommitMethod method :
       {CommitMethod::kInTurn, CommitMethod::kEach, CommitMethod::kAnchor, CommitMethod::kWhole}) {
    for (const Durability durability : {Durability::kPublished, Durability::kPeriodic}) {
      const Survey survey = SurveyBatch(
          Recording({.batch = 300, .commit_method = method, .durability = durability}), kSamples);
      Print(survey);
      EXPECT_EQ(survey.tried, kSamples);
      EXPECT_EQ(survey.broken_states, 0U);
      for (const std::string& rule : survey.broken) ADD_FAILURE() << rule;
    }
  }
}

}  // namespace
}  // namespace datamanager::simulation
