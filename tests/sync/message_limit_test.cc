#include "sync/message_limit.h"

#include <gtest/gtest.h>

#include <string>

namespace datamanager::sync {
namespace {

std::string Figures(const absl::Status& status) {
  const auto found = ParseTooLarge(status);
  if (!found.has_value()) return "none";
  return std::to_string(found->size) + " of " + std::to_string(found->limit);
}

absl::Status Exhausted(const std::string& text) { return absl::ResourceExhaustedError(text); }

TEST(ParseTooLargeTest, KnowsTheWordingsOfGrpc) {
  for (const char* text : {
           "Received message larger than max (5000000 vs. 4194304)",
           "Sent message larger than max (5000000 vs. 4194304)",
           "CLIENT: Sent message larger than max (5000000 vs. 4194304)",
           "grpc: received message larger than max (5000000 vs. 4194304)",
           "grpc: received message after decompression larger than max (5000000 vs. 4194304)",
           "trying to send message larger than max (5000000 vs. 4194304)",
           "Received message larger than max (5000000 vs 4194304)",
           "gRPC message exceeds maximum size 4194304: 5000000",
       }) {
    EXPECT_EQ(Figures(Exhausted(text)), "5000000 of 4194304") << text;
  }
  EXPECT_EQ(Figures(absl::OutOfRangeError("Error, decoded message length too large: found 5000000 "
                                          "bytes, the limit is: 4194304 bytes")),
            "5000000 of 4194304");
}

TEST(ParseTooLargeTest, TakesNothingElseForALimit) {
  for (const char* text : {
           "",
           "quota exceeded",
           "Received message larger than max",
           "Received message larger than max (5000000)",
           "Received message larger than max (5000000 vs. 4194304",
           "Received message larger than max (5000000 vs. )",
           "Received message larger than max ( vs. 4194304)",
           "Received message larger than max (-5 vs. -7)",
           "Received message larger than max (5e6 vs. 4e6)",
           "Received message larger than max (+5000000 vs. 4194304)",
           "Received message larger than max (4194304 vs. 4194304)",
           "Received message larger than max (100 vs. 4194304)",
           "Received message larger than max (99999999999999999999 vs. 4194304)",
           "gRPC message exceeds maximum size 4194304",
           "gRPC message exceeds maximum size 5000000: 4194304",
       }) {
    EXPECT_EQ(Figures(Exhausted(text)), "none") << text;
  }
  EXPECT_EQ(Figures(absl::InternalError("Received message larger than max (5 vs. 4)")), "none");
}

TEST(MessageLimitTest, LearnsTheLowestAndForgets) {
  MessageLimit limit;
  EXPECT_EQ(limit.AtMost(4 << 20), 4U << 20);
  EXPECT_TRUE(limit.Learn(Exhausted("Received message larger than max (9000 vs. 5000)")));
  EXPECT_EQ(limit.AtMost(4 << 20), 5000U);
  EXPECT_EQ(limit.AtMost(100), 100U);
  // Nothing new.
  EXPECT_FALSE(limit.Learn(Exhausted("Received message larger than max (9000 vs. 5000)")));
  EXPECT_FALSE(limit.Learn(Exhausted("Received message larger than max (9000 vs. 6000)")));
  EXPECT_FALSE(limit.Learn(Exhausted("quota exceeded")));
  EXPECT_TRUE(limit.Check(5000).ok());
  EXPECT_EQ(Figures(limit.Check(5001)), "5001 of 5000");
  limit.Forget();
  EXPECT_EQ(limit.AtMost(4 << 20), 4U << 20);
  EXPECT_TRUE(limit.Check(5001).ok());
}

TEST(MessageLimitTest, DoesNotBelieveALimitThatLeavesNoRoom) {
  MessageLimit limit;
  EXPECT_FALSE(limit.Learn(Exhausted("Received message larger than max (9000 vs. 10)")));
  EXPECT_EQ(limit.AtMost(100000), 100000U);
}

}  // namespace
}  // namespace datamanager::sync
