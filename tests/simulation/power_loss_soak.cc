// What PowerLoss looks at, for minutes.
#include <gtest/gtest.h>

#include "tests/simulation/power_loss.h"

namespace datamanager::simulation {
namespace {

// Of three rounds there are hardly 50,000 states.
constexpr int kRounds = 12;

void ExpectThatNoneBreaksARule(const Recording::Options& options) {
  constexpr size_t kStates = 100000;
  const Survey survey = SurveyStates(Recording(options), kStates);
  Print(survey);
  EXPECT_EQ(survey.distinct, kStates);
  EXPECT_EQ(survey.broken_states, 0U);
  for (const std::string& rule : survey.broken) ADD_FAILURE() << rule;
}

TEST(PowerLossSoak, LeavesWhatWasPromised) { ExpectThatNoneBreaksARule({.rounds = kRounds}); }

TEST(PowerLossSoak, LeavesWhatWasFlushedInProgress) {
  ExpectThatNoneBreaksARule({.rounds = kRounds, .durability = Durability::kPeriodic});
}

}  // namespace
}  // namespace datamanager::simulation
