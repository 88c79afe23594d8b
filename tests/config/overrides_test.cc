#include "config/overrides.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "config/collectors.h"

namespace datamanager::config {
namespace {

using Lines = std::vector<std::string>;
constexpr char kSensor[] = "rdk:component:sensor";
constexpr char kPower[] = "rdk:component:power_sensor";

class OverridesTest : public ::testing::Test {
 protected:
  // A collector of the machine's config, at 10 Hz.
  CollectorConfig& Configure(const std::string& name, const std::string& api = kSensor) {
    return config_.collectors.emplace_back(CollectorConfig{
        .api = api, .name = name, .method = "Readings", .capture_frequency_hz = 10});
  }
  // A resource that can be captured though the config does not mention it.
  void Offer(const std::string& name, const std::string& api) { offers_.emplace_back(name, api); }

  // "<name> <Hz> <state> [tags]" of each collector, in order.
  Lines With(const Overrides& overrides) {
    CaptureConfig capture;
    capture.tags = {"service"};
    capture.collectors = ResolveCollectors(config_);
    complaints_.clear();
    result_ = WithOverrides(
        capture, overrides,
        [this](std::string_view name, std::string_view method) {
          std::vector<std::string> apis;
          for (const auto& [offered, api] : offers_) {
            if (offered == name && method == "Readings") apis.push_back(api);
          }
          return apis;
        },
        complaints_);
    Lines lines;
    for (const ConfiguredCollector& collector : result_.collectors) {
      const int64_t interval = collector.settings.interval.count();
      std::string line = collector.settings.name + " " +
                         std::to_string(interval == 0 ? 0 : 1000000000 / interval) + " " +
                         std::string(CollectorStateNameOf(collector.state));
      if (collector.tags.has_value()) {
        line += " [";
        for (const std::string& tag : *collector.tags) line += tag;
        line += "]";
      }
      lines.push_back(std::move(line));
    }
    return lines;
  }
  static const char* CollectorStateNameOf(CollectorState state) {
    switch (state) {
      case CollectorState::kRunning:
        return "runs";
      case CollectorState::kDisabled:
        return "off";
      default:
        return "refused";
    }
  }

  Config config_;
  std::vector<std::pair<std::string, std::string>> offers_;
  CaptureConfig result_;
  Lines complaints_;
};

Override Hz(float hz) { return {.hz = hz}; }

TEST_F(OverridesTest, NothingChangesWithoutOverrides) {
  Configure("a");
  EXPECT_EQ(With({}), Lines({"a 10 runs"}));
  EXPECT_EQ(result_.collectors[0].reason, "");
}

TEST_F(OverridesTest, AFrequencyReplacesTheConfigs) {
  Configure("a");
  Configure("b");
  EXPECT_EQ(With({{{"a", "Readings"}, Hz(50)}}), Lines({"a 50 runs", "b 10 runs"}));
  EXPECT_EQ(result_.collectors[0].reason, "capture control: 50 Hz in place of 10 Hz");
  EXPECT_EQ(complaints_, Lines{});
}

TEST_F(OverridesTest, ZeroAndLessAndAlmostNothingSwitchOff) {
  Configure("a");
  for (const float hz : {0.0F, -5.0F, 1e-7F, -std::numeric_limits<float>::max()}) {
    EXPECT_EQ(With({{{"a", "Readings"}, Hz(hz)}}), Lines({"a 0 off"})) << hz;
    EXPECT_NE(result_.collectors[0].reason.find("capture control: "), std::string::npos);
  }
}

TEST_F(OverridesTest, APositiveFrequencyEnablesWhatTheConfigHasOff) {
  Configure("disabled").disabled = true;
  Configure("slow").capture_frequency_hz = 0;
  EXPECT_EQ(With({{{"disabled", "Readings"}, Hz(5)}, {{"slow", "Readings"}, Hz(4)}}),
            Lines({"disabled 5 runs", "slow 4 runs"}));
  EXPECT_EQ(result_.collectors[0].reason,
            "capture control: enabled at 5 Hz, though collector disabled due to config `disabled` "
            "being true");
  // Tags alone do not.
  EXPECT_EQ(With({{{"disabled", "Readings"}, {.tags = Lines{"x"}}}}),
            Lines({"disabled 10 off [x]", "slow 0 off"}));
}

TEST_F(OverridesTest, TagsReplaceTheServicesAndMayBeNone) {
  Configure("a");
  EXPECT_EQ(With({{{"a", "Readings"}, {.tags = Lines{"x", "y"}}}}), Lines({"a 10 runs [xy]"}));
  EXPECT_EQ(result_.collectors[0].reason, "capture control: tags [x, y]");
  EXPECT_EQ(With({{{"a", "Readings"}, {.tags = Lines{}}}}), Lines({"a 10 runs []"}));
  EXPECT_EQ(With({{{"a", "Readings"}, {.hz = 20.0F, .tags = Lines{"x"}}}}),
            Lines({"a 20 runs [x]"}));
  EXPECT_EQ(result_.collectors[0].reason, "capture control: 20 Hz in place of 10 Hz; tags [x]");
}

TEST_F(OverridesTest, NothingEnablesWhatIsAtFault) {
  Configure("negative").capture_queue_size = -1;
  CollectorConfig& both = Configure("both");
  both.disabled = true;
  both.capture_buffer_size = -2;
  EXPECT_EQ(With({{{"negative", "Readings"}, Hz(5)}, {{"both", "Readings"}, Hz(5)}}),
            Lines({"negative 10 refused", "both 10 off"}));
  EXPECT_EQ(complaints_,
            Lines({"both Readings: capture_buffer_size can't be less than 0, current value: -2",
                   "negative Readings: capture_queue_size can't be less than 0, current value: "
                   "-1"}));
}

TEST_F(OverridesTest, OfEntriesThatBecomeEqualOneRuns) {
  Configure("a").disabled = true;
  Configure("a");
  EXPECT_EQ(With({{{"a", "Readings"}, Hz(5)}}), Lines({"a 5 runs", "a 5 refused"}));
}

TEST_F(OverridesTest, WhatTheConfigDoesNotMentionIsAdded) {
  Offer("new", kSensor);
  EXPECT_EQ(With({{{"new", "Readings"}, {.hz = 5.0F, .tags = Lines{"t"}}}}),
            Lines({"new 5 runs [t]"}));
  EXPECT_EQ(result_.collectors[0].settings.api, kSensor);
  EXPECT_EQ(With({{{"new", "Readings"}, Hz(0)}}), Lines{});
  EXPECT_EQ(With({{{"new", "Readings"}, {.tags = Lines{"t"}}}}), Lines{});
  EXPECT_EQ(complaints_, Lines{});
}

TEST_F(OverridesTest, WhatNobodyHasIsSaid) {
  EXPECT_EQ(With({{{"ghost", "Readings"}, Hz(5)}, {{"new", "Ghost"}, Hz(5)}}), Lines{});
  EXPECT_EQ(complaints_, Lines({"ghost Readings: no resource of this name has such a method",
                                "new Ghost: no resource of this name has such a method"}));
}

TEST_F(OverridesTest, OneNameInTwoApisIsNeverTakenAtRandom) {
  Offer("twin", kPower);
  Offer("twin", kSensor);
  EXPECT_EQ(With({{{"twin", "Readings"}, Hz(5)}}), Lines{});
  EXPECT_EQ(complaints_, Lines({"twin Readings: resources of several APIs have this name: write "
                                "rdk:component:power_sensor/twin or rdk:component:sensor/twin"}));
  EXPECT_EQ(With({{{"rdk:component:sensor/twin", "Readings"}, Hz(5)}}), Lines({"twin 5 runs"}));
  EXPECT_EQ(result_.collectors[0].settings.api, kSensor);
  // Of those in the config a short name means all, and an exact one goes before it.
  Configure("twin", kSensor);
  Configure("twin", kPower);
  EXPECT_EQ(With({{{"twin", "Readings"}, Hz(5)}}), Lines({"twin 5 runs", "twin 5 runs"}));
  EXPECT_EQ(With({{{"twin", "Readings"}, Hz(5)},
                  {{"rdk:component:power_sensor/twin", "Readings"}, Hz(7)}}),
            Lines({"twin 5 runs", "twin 7 runs"}));
}

}  // namespace
}  // namespace datamanager::config
