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

}  // namespace
}  // namespace datamanager::simulation
