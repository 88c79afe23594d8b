#include "ingest_server/fault_spec.h"

#include <gtest/gtest.h>

#include <string>

namespace ingest {
namespace {

using std::chrono::milliseconds;

TEST(FaultSpecTest, TakesAllParts) {
  const auto spec = FaultSpec::Parse(
      "unavailable=0.1,delay=5ms..1.5s,drop-after-store=1,data_loss=0.7,internal=0,stall=0.2,"
      "match=a=b c");
  ASSERT_TRUE(spec.ok()) << spec.status();
  ASSERT_EQ(spec->failures.size(), 3u);
  EXPECT_EQ(spec->failures[0].code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(spec->failures[0].probability, 0.1);
  EXPECT_EQ(spec->failures[1].code, grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(spec->delay_min, milliseconds(5));
  EXPECT_EQ(spec->delay_max, milliseconds(1500));
  EXPECT_EQ(spec->drop_after_store, 1);
  EXPECT_EQ(spec->stall, 0.2);
  EXPECT_EQ(spec->match, "a=b c");
}

TEST(FaultSpecTest, ByDefaultNothingFails) {
  const FaultSpec spec;
  EXPECT_TRUE(spec.failures.empty());
  EXPECT_EQ(spec.delay_max, milliseconds(0));
  EXPECT_EQ(spec.drop_after_store, 0);
  EXPECT_EQ(spec.stall, 0);
  EXPECT_EQ(spec.match, "");
}

struct Wrong {
  const char* name;
  const char* text;
  const char* error;
};

class FaultSpecErrorTest : public ::testing::TestWithParam<Wrong> {};

TEST_P(FaultSpecErrorTest, NamesThePartAndTheReason) {
  const auto spec = FaultSpec::Parse(GetParam().text);
  ASSERT_FALSE(spec.ok());
  EXPECT_EQ(spec.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_PRED_FORMAT2(::testing::IsSubstring, GetParam().error,
                      std::string(spec.status().message()));
}

INSTANTIATE_TEST_SUITE_P(
    All, FaultSpecErrorTest,
    ::testing::Values(
        Wrong{"Empty", "", "\"\": expected NAME=VALUE"},
        Wrong{"NoValue", "internal=0.1,unavailable", "\"unavailable\": expected NAME=VALUE"},
        Wrong{"EmptyPart", "internal=0.1,", "\"\": expected NAME=VALUE"},
        Wrong{"Misspelt", "unavailble=0.1",
              "\"unavailble=0.1\": there is no fault \"unavailble\"; "
              "did you mean \"unavailable\"?"},
        Wrong{"Ok", "ok=0.1", "there is no fault \"ok\""},
        Wrong{"Stalls", "stalls=0.1", "did you mean \"stall\"?"},
        Wrong{"StallTooOften", "stall=1.5", "\"1.5\" is not a probability from 0 to 1"},
        Wrong{"MatchNothing", "internal=1,match=", "\"match=\": the text to match is missing"},
        Wrong{"MatchAlone", "match=cpu", "there is no fault for \"match\" to restrict"},
        Wrong{"MatchTwice", "internal=1,match=a,match=b", "\"match\" is given twice"},
        Wrong{"SumWithStalls", "internal=0.6,stall=0.5", "of a stall add up to 1.1, more than 1"},
        Wrong{"NotANumber", "internal=often", "\"often\" is not a probability from 0 to 1"},
        Wrong{"EmptyNumber", "internal=", "\"\" is not a probability"},
        Wrong{"NaN", "internal=nan", "\"nan\" is not a probability"},
        Wrong{"Negative", "internal=-0.1", "\"-0.1\" is not a probability"},
        Wrong{"OverOne", "drop-after-store=1.1", "\"1.1\" is not a probability"},
        Wrong{"SumOverOne", "internal=0.6,unavailable=0.5", "add up to 1.1, more than 1"},
        Wrong{"Twice", "internal=0.1,internal=0.2", "\"internal\" is given twice"},
        Wrong{"NoRange", "delay=5ms", "\"5ms\" is not a range of durations"},
        Wrong{"NoUnit", "delay=5..50", "\"5..50\" is not a range of durations"},
        Wrong{"Downwards", "delay=50ms..5ms", "\"50ms..5ms\" does not run upwards"},
        Wrong{"NegativeDelay", "delay=-5ms..5ms", "does not run upwards between 0 and 24h"},
        Wrong{"Forever", "delay=0..inf", "does not run upwards between 0 and 24h"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(FaultSpecTest, RoundingIsNoSumOverOne) {
  EXPECT_TRUE(FaultSpec::Parse("cancelled=0.1,unknown=0.1,not_found=0.1,aborted=0.1,internal=0.1,"
                               "unavailable=0.1,data_loss=0.1,out_of_range=0.1,"
                               "unimplemented=0.1,already_exists=0.1")
                  .ok());
}

}  // namespace
}  // namespace ingest
