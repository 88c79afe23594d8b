#include "tests/capture/encoder_fuzz.h"

#include <gtest/gtest.h>

namespace datamanager::testing {
namespace {

TEST(EncoderFuzzTest, RandomAnswersAreStoredAsProtobufWouldStoreThem) {
  EncoderFuzz fuzz(20);
  for (int round = 0; round < 40; ++round) {
    for (const capture::Method& method : capture::AllMethods()) {
      const std::string difference = fuzz.Try(method);
      ASSERT_EQ(difference, "") << "round " << round;
    }
  }
  EXPECT_GT(fuzz.stored(), 2000U);
  EXPECT_GT(fuzz.refused(), 20U) << "what cannot be stored is among them too";
}

}  // namespace
}  // namespace datamanager::testing
