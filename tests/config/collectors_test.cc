#include "config/collectors.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "config/effective_config.h"

namespace datamanager::config {
namespace {

CollectorConfig Sensor(const std::string& name, float hz = 10) {
  return {.api = "rdk:component:sensor",
          .name = name,
          .method = "Readings",
          .capture_frequency_hz = hz};
}

ConfiguredCollector Only(const CollectorConfig& collector) {
  Config config;
  config.collectors.push_back(collector);
  return ResolveCollectors(config).at(0);
}

TEST(IntervalTest, IsComputedInSinglePrecision) {
  const struct {
    float hz;
    int64_t nanos;
  } kCases[] = {
      {0.1F, 10'000'000'000},
      {0.3F, 3'333'333'248},
      {0.5F, 2'000'000'000},
      {1, 1'000'000'000},
      {3, 333'333'344},
      {7, 142'857'136},
      {30, 33'333'334},
      {60, 16'666'667},
      {100, 10'000'000},
      {500, 2'000'000},
      {1000, 1'000'000},
      {1e-6F, 1'000'000'000'000'000},
      {2e9F, 0},
      {0, 0},
      {1e-7F, 0},
      {-1e-7F, 0},
      {-1, 0},
      {std::numeric_limits<float>::infinity(), 0},
      {-std::numeric_limits<float>::infinity(), 0},
      {std::numeric_limits<float>::quiet_NaN(), 0},
  };
  for (const auto& test : kCases) {
    // At the lowest frequency, only that the quotient is that of floats.
    const int64_t tolerance = test.hz == 1e-6F ? 100'000'000 : 0;
    EXPECT_NEAR(IntervalOf(test.hz).count(), test.nanos, tolerance) << test.hz;
  }
}

TEST(CollectorsTest, RunWithWhatTheConfigSays) {
  CollectorConfig collector = Sensor("cpu", 500);
  collector.additional_params.Set("reader_name", "a");
  const ConfiguredCollector resolved = Only(collector);
  EXPECT_EQ(resolved.state, CollectorState::kRunning);
  EXPECT_EQ(resolved.reason, "");
  EXPECT_EQ(resolved.settings.api, "rdk:component:sensor");
  EXPECT_EQ(resolved.settings.name, "cpu");
  EXPECT_EQ(resolved.settings.method, "Readings");
  EXPECT_EQ(resolved.settings.interval, std::chrono::milliseconds(2));
  EXPECT_EQ(ToJson(resolved.settings.additional_params), R"({"reader_name":"a"})");
}

TEST(CollectorsTest, DoNotRunForAReason) {
  constexpr auto kDisabled = CollectorState::kDisabled;
  constexpr auto kRefused = CollectorState::kRefused;
  const struct {
    std::function<void(CollectorConfig&)> change;
    CollectorState state;
    std::string reason;
  } kCases[] = {
      {[](auto& c) { c.disabled = true; }, kDisabled,
       "collector disabled due to config `disabled` being true"},
      {[](auto& c) { c.capture_frequency_hz = 0; }, kDisabled,
       "collector disabled due to capture_frequency_hz 0 being too close to or less than zero"},
      {[](auto& c) { c.capture_frequency_hz = 1e-7F; }, kDisabled,
       "collector disabled due to capture_frequency_hz 1e-07 being too close to or less than zero"},
      {[](auto& c) { c.capture_frequency_hz = -5; }, kDisabled,
       "collector disabled due to capture_frequency_hz -5 being too close to or less than zero"},
      {[](auto& c) { c.capture_frequency_hz = 2e9F; }, kDisabled,
       "collector disabled due to capture_frequency_hz 2e+09 being too high for a clock of "
       "nanoseconds"},
      {[](auto& c) { c.capture_frequency_hz = std::numeric_limits<float>::quiet_NaN(); }, kRefused,
       "capture_frequency_hz must be a finite number, current value: nan"},
      {[](auto& c) { c.capture_frequency_hz = std::numeric_limits<float>::infinity(); }, kRefused,
       "capture_frequency_hz must be a finite number, current value: inf"},
      {[](auto& c) { c.capture_queue_size = -1; }, kRefused,
       "capture_queue_size can't be less than 0, current value: -1"},
      {[](auto& c) { c.capture_buffer_size = -7; }, kRefused,
       "capture_buffer_size can't be less than 0, current value: -7"},
      {[](auto& c) { c.method = ""; }, kRefused, "method is missing"},
      {[](auto& c) { c.api = ""; }, kRefused, "api is missing"},
      {[](auto& c) { c.name = ""; }, kRefused, "name is missing"},
      {[](auto& c) { c.name = ".."; }, kRefused, "name \"..\" can't be a directory's name"},
      {[](auto& c) { c.name = "."; }, kRefused, "name \".\" can't be a directory's name"},
      {[](auto& c) { c.name = "a/../../b"; }, kRefused,
       "name \"a/../../b\" can't be a directory's name"},
      {[](auto& c) { c.method = "/etc"; }, kRefused, "method \"/etc\" can't be a directory's name"},
      {[](auto& c) { c.api = std::string("a\0b", 3); }, kRefused,
       "api \"a\\u0000b\" can't be a directory's name"},
      {[](auto& c) { c.name = std::string(256, 'x'); }, kRefused, "name is longer than 255 bytes"},
      {[](auto& c) { c.name = "\xff"; }, kRefused, "name is not UTF-8"},
  };
  for (const auto& test : kCases) {
    CollectorConfig collector = Sensor("cpu");
    test.change(collector);
    const ConfiguredCollector resolved = Only(collector);
    EXPECT_EQ(resolved.state, test.state) << test.reason;
    EXPECT_EQ(resolved.reason, test.reason);
  }
}

TEST(CollectorsTest, CaptureDisabledDisablesThemAll) {
  Config config;
  config.capture_disabled = true;
  config.collectors = {Sensor("a"), Sensor("b")};
  for (const ConfiguredCollector& collector : ResolveCollectors(config)) {
    EXPECT_EQ(collector.state, CollectorState::kDisabled);
    EXPECT_EQ(collector.reason, "collector disabled due to config `capture_disabled` being true");
  }
}

TEST(CollectorsTest, OneFaultLeavesTheOthersAlone) {
  Config config;
  config.collectors = {Sensor("a"), Sensor(".."), Sensor("b")};
  const auto resolved = ResolveCollectors(config);
  ASSERT_EQ(resolved.size(), 3U);
  EXPECT_EQ(resolved[0].state, CollectorState::kRunning);
  EXPECT_EQ(resolved[1].state, CollectorState::kRefused);
  EXPECT_EQ(resolved[2].state, CollectorState::kRunning);
}

TEST(CollectorsTest, OfEqualEntriesTheFirstStays) {
  Config config;
  config.collectors = {Sensor("a", 1), Sensor("a", 2), Sensor("b", 3), Sensor("a", 4)};
  const auto resolved = ResolveCollectors(config);
  ASSERT_EQ(resolved.size(), 4U);
  EXPECT_EQ(resolved[0].state, CollectorState::kRunning);
  EXPECT_EQ(resolved[0].settings.interval, std::chrono::seconds(1));
  EXPECT_EQ(resolved[2].state, CollectorState::kRunning);
  for (const size_t later : {1, 3}) {
    EXPECT_EQ(resolved[later].state, CollectorState::kRefused);
    EXPECT_EQ(resolved[later].reason,
              "an earlier entry has the same resource, method and additional_params, and stays");
  }
}

TEST(CollectorsTest, OtherParametersMakeAnotherCollector) {
  Config config;
  config.collectors = {Sensor("a"), Sensor("a"), Sensor("a")};
  config.collectors[1].additional_params.Set("pin", "1");
  config.collectors[2].additional_params.Set("pin", "2");
  for (const ConfiguredCollector& collector : ResolveCollectors(config)) {
    EXPECT_EQ(collector.state, CollectorState::kRunning);
  }
}

TEST(CollectorsTest, ADisabledEntryDoesNotTakeTheFirstPlace) {
  Config config;
  config.collectors = {Sensor("a", 0), Sensor("a", 2), Sensor("a", 3)};
  const auto resolved = ResolveCollectors(config);
  EXPECT_EQ(resolved[0].state, CollectorState::kDisabled);
  EXPECT_EQ(resolved[1].state, CollectorState::kRunning);
  EXPECT_EQ(resolved[2].state, CollectorState::kRefused);
}

TEST(CollectorsTest, SettingsAreEqualIfEveryFieldIs) {
  const CollectorSettings settings = Only(Sensor("a")).settings;
  EXPECT_EQ(settings, Only(Sensor("a")).settings);
  const std::function<void(CollectorConfig&)> kChanges[] = {
      [](auto& c) { c.api = "rdk:component:motor"; },
      [](auto& c) { c.name = "b"; },
      [](auto& c) { c.method = "Position"; },
      [](auto& c) { c.capture_frequency_hz = 11; },
      [](auto& c) { c.additional_params.Set("x", 1); },
  };
  for (size_t i = 0; i < std::size(kChanges); ++i) {
    CollectorConfig collector = Sensor("a");
    kChanges[i](collector);
    const CollectorSettings changed = Only(collector).settings;
    EXPECT_FALSE(settings == changed) << i;
    EXPECT_FALSE(changed == settings) << i;
    EXPECT_EQ(changed, Only(collector).settings) << i;
  }
  // What has no effect restarts nothing.
  CollectorConfig collector = Sensor("a");
  collector.capture_queue_size = 1;
  collector.capture_buffer_size = 1;
  collector.tags = {"x"};
  collector.capture_directory = "/x";
  EXPECT_EQ(settings, Only(collector).settings);
}

}  // namespace
}  // namespace datamanager::config
