// PowerLoss.LeavesWhatWasPromised for minutes.
#include <gtest/gtest.h>

#include "tests/simulation/power_loss.h"

namespace datamanager::simulation {
namespace {

TEST(PowerLossSoak, LeavesWhatWasPromised) {
  // Of three rounds there are hardly 50,000 states.
  constexpr int kRounds = 12;
  const Survey survey = SurveyStates(Recording(kRounds), 100000);
  Print(survey);
  EXPECT_EQ(survey.distinct, 100000U);
  EXPECT_EQ(survey.broken_states, 0U);
  for (const std::string& rule : survey.broken) ADD_FAILURE() << rule;
}

}  // namespace
}  // namespace datamanager::simulation
