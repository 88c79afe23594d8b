#include "capture/control_reading.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capture/last_good.h"

namespace datamanager::capture {
namespace {

using Lines = std::vector<std::string>;
using config::Override;
using config::Overrides;

constexpr char kOverridesKey[] = "overrides";

// Adds a well-formed entry to the list under the key.
ValueMap& Entry(ValueList& list, const char* resource = "arm", const char* method = "EndPosition") {
  ValueMap& entry = list.Add().SetMap();
  entry.Set("resource_name", resource);
  entry.Set("method", method);
  return entry;
}

TEST(ParseOverridesTest, WithoutTheKeyThereAreNone) {
  Readings readings;
  readings.Set("other", 5);
  EXPECT_EQ(*ParseOverrides(readings, kOverridesKey), Overrides{});
}

TEST(ParseOverridesTest, ReadsFrequenciesAndTags) {
  Readings readings;
  ValueList& list = readings.Add(kOverridesKey).SetList();
  Entry(list, "a").Set("capture_frequency_hz", 2.5);
  Entry(list, "b").Add("tags").SetList();
  ValueList& tags = Entry(list, "c").Add("tags").SetList();
  tags.Append("x");
  tags.Append("y");
  ValueMap& nulls = Entry(list, "d");
  nulls.Set("capture_frequency_hz", nullptr);
  nulls.Set("tags", nullptr);
  Entry(list, "e").Set("capture_frequency_hz", -1);
  const auto overrides = ParseOverrides(readings, kOverridesKey);
  ASSERT_TRUE(overrides.ok()) << overrides.status();
  EXPECT_EQ(*overrides, (Overrides{{{"a", "EndPosition"}, {.hz = 2.5F}},
                                   {{"b", "EndPosition"}, {.tags = Lines{}}},
                                   {{"c", "EndPosition"}, {.tags = Lines{"x", "y"}}},
                                   {{"d", "EndPosition"}, {}},
                                   {{"e", "EndPosition"}, {.hz = -1.0F}}}));
}

TEST(ParseOverridesTest, OfTheSameTheLastCounts) {
  Readings readings;
  ValueList& list = readings.Add(kOverridesKey).SetList();
  Entry(list).Set("capture_frequency_hz", 1);
  Entry(list, "other");
  Entry(list).Add("tags").SetList();
  const auto overrides = ParseOverrides(readings, kOverridesKey);
  ASSERT_TRUE(overrides.ok()) << overrides.status();
  EXPECT_EQ(overrides->at({"arm", "EndPosition"}), Override{.tags = Lines{}});
}

struct Broken {
  std::function<void(Value& list)> make;
  std::string what;
};

void ExpectEachBroken(const std::vector<Broken>& cases,
                      const std::function<absl::Status(const Value&)>& parse) {
  for (const Broken& broken : cases) {
    Value list;
    broken.make(list);
    const absl::Status status = parse(list);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << broken.what;
    EXPECT_NE(status.message().find(broken.what), absl::string_view::npos) << status;
    EXPECT_LT(status.message().size(), 400U);
  }
}

TEST(ParseOverridesTest, SaysWhereAReadingMakesNoSense) {
  const auto first = [](Value& list) -> ValueMap& { return Entry(list.SetList()); };
  ExpectEachBroken(
      {
          {[](Value& v) { v.SetNull(); }, "overrides must be a list (got null)"},
          {[](Value& v) { v.Set(5); }, "overrides must be a list (got 5)"},
          {[](Value& v) { v.Set(std::string(100000, 'x')); }, "overrides must be a list"},
          {[](Value& v) { v.SetMap().Set("a", 1); }, "overrides must be a list (got "},
          {[](Value& v) { v.SetList().Append(1); }, "overrides[0] must be a map (got 1)"},
          {[](Value& v) { v.SetList().Add().SetMap(); }, "overrides[0].resource_name is missing"},
          {[](Value& v) { v.SetList().Add().SetMap().Set("resource_name", 5); },
           "overrides[0].resource_name must be a text (got 5)"},
          {[](Value& v) { v.SetList().Add().SetMap().Set("resource_name", "x"); },
           "overrides[0].method is missing"},
          {[](Value& v) { Entry(v.SetList(), ""); }, "overrides[0].resource_name is empty"},
          {[](Value& v) { Entry(v.SetList(), "a", "\xff"); }, "overrides[0].method must be UTF-8"},
          {[](Value& v) { v.SetList().Add().SetMap().Add("resource_name").SetBytes("x"); },
           "overrides[0].resource_name must be a text"},
          {[&](Value& v) { first(v).Set("capture_frequency_hz", "10"); },
           "overrides[0].capture_frequency_hz must be a finite number (got \"10\")"},
          {[&](Value& v) {
             first(v).Set("capture_frequency_hz", std::numeric_limits<double>::quiet_NaN());
           },
           "overrides[0].capture_frequency_hz must be a finite number"},
          {[&](Value& v) { first(v).Set("capture_frequency_hz", 1e300); },
           "overrides[0].capture_frequency_hz must be a finite number (got 1e+300)"},
          {[&](Value& v) { first(v).Set("capture_frequency_hz", true); },
           "overrides[0].capture_frequency_hz must be a finite number (got true)"},
          {[&](Value& v) { first(v).Set("tags", "x"); },
           "overrides[0].tags must be a list (got \"x\")"},
          {[&](Value& v) { first(v).Add("tags").SetList().Append(1); },
           "overrides[0].tags must be a text (got 1)"},
          {[](Value& v) {
             ValueList& list = v.SetList();
             for (size_t i = 0; i <= kMaxControlEntries; ++i) Entry(list);
           },
           "overrides has 4097 entries, of which at most 4096 are taken"},
          // One entry spoils the others.
          {[](Value& v) {
             ValueList& list = v.SetList();
             Entry(list).Set("capture_frequency_hz", 1);
             list.Append(nullptr);
           },
           "overrides[1] must be a map"},
      },
      [](const Value& list) {
        Readings readings;
        readings.Set(kOverridesKey, list);
        return ParseOverrides(readings, kOverridesKey).status();
      });
}

TEST(ParseSequencesTest, OrderAndRepetitionDoNotMatter) {
  const auto parse = [](const std::vector<std::string>& resources, const Lines& tags) {
    Readings readings;
    ValueMap& sequence = readings.Add("sequences").SetList().Add().SetMap();
    ValueList& list = sequence.Add("resources").SetList();
    for (const std::string& resource : resources) Entry(list, resource.c_str());
    ValueList& tag_list = sequence.Add("sequence_tags").SetList();
    for (const std::string& tag : tags) tag_list.Append(tag);
    Lines complaints;
    auto sequences = ParseSequences(readings, complaints);
    EXPECT_TRUE(sequences.ok()) << sequences.status();
    EXPECT_EQ(complaints, Lines{});
    return *std::move(sequences);
  };
  const WantedSequences both = parse({"a", "b"}, {"x", "y"});
  ASSERT_EQ(both.size(), 1U);
  EXPECT_EQ(both.begin()->resources.size(), 2U);
  EXPECT_EQ(both, parse({"b", "a", "b"}, {"y", "x"}));
  EXPECT_EQ(both, parse({"b", "rdk:component:arm/a"}, {"x", "y"}));
  EXPECT_NE(both, parse({"a", "b"}, {"x"}));
  EXPECT_NE(both, parse({"a", "c"}, {"x", "y"}));
}

TEST(ParseSequencesTest, OneWithoutResourcesIsDropped) {
  Readings readings;
  ValueList& list = readings.Add("sequences").SetList();
  list.Add().SetMap().Add("sequence_tags").SetList().Append("x");
  Entry(list.Add().SetMap().Add("resources").SetList());
  Lines complaints;
  const auto sequences = ParseSequences(readings, complaints);
  ASSERT_TRUE(sequences.ok()) << sequences.status();
  EXPECT_EQ(sequences->size(), 1U);
  EXPECT_EQ(complaints, Lines({"sequences[0] names no resources, and is dropped"}));
  EXPECT_EQ(*ParseSequences({}, complaints), WantedSequences{});
}

TEST(ParseSequencesTest, SaysWhereAReadingMakesNoSense) {
  ExpectEachBroken(
      {
          {[](Value& v) { v.Set("x"); }, "sequences must be a list (got \"x\")"},
          {[](Value& v) { v.SetList().Append(1); }, "sequences[0] must be a map"},
          {[](Value& v) { v.SetList().Add().SetMap().Set("resources", 1); },
           "sequences[0].resources must be a list"},
          {[](Value& v) { v.SetList().Add().SetMap().Add("resources").SetList().Append(1); },
           "sequences[0].resources[0] must be a map"},
          {[](Value& v) { v.SetList().Add().SetMap().Add("sequence_tags").SetList().Append(1); },
           "sequences[0].sequence_tags must be a text"},
          {[](Value& v) {
             const std::string name(1000, 'x');
             ValueList& list = v.SetList().Add().SetMap().Add("resources").SetList();
             for (int i = 0; i < 200; ++i) Entry(list, absl::StrCat(name, i).c_str());
           },
           "sequences[0] says more than the 131072 bytes"},
      },
      [](const Value& list) {
        Readings readings;
        readings.Set("sequences", list);
        Lines complaints;
        return ParseSequences(readings, complaints).status();
      });
}

TEST(ParseShouldSyncTest, TakesABoolAndNothingElse) {
  Readings readings;
  EXPECT_FALSE(ParseShouldSync(readings).ok());
  for (const Value& value : {Value(1), Value("true"), Value(nullptr)}) {
    readings.Clear();
    readings.Set("should_sync", value);
    const auto said = ParseShouldSync(readings);
    EXPECT_TRUE(absl::IsInvalidArgument(said.status()));
    EXPECT_NE(said.status().message().find("should_sync must be a bool"), absl::string_view::npos);
  }
  for (const bool wanted : {true, false}) {
    readings.Clear();
    readings.Set("should_sync", wanted);
    EXPECT_EQ(*ParseShouldSync(readings), wanted);
  }
}

TEST(LastGoodTest, HoldsForTenSeconds) {
  LastGood<int> last;
  const MonotonicTime start;
  EXPECT_EQ(last.At(start), nullptr);
  last.Hear(7, start);
  ASSERT_NE(last.At(start), nullptr);
  EXPECT_EQ(*last.At(start + std::chrono::milliseconds(9999)), 7);
  EXPECT_EQ(last.At(start + std::chrono::seconds(10)), nullptr);
  last.Hear(8, start + std::chrono::seconds(11));
  EXPECT_EQ(*last.At(start + std::chrono::seconds(20)), 8);
}

}  // namespace
}  // namespace datamanager::capture
