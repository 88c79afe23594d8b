#include "config/effective_config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/config/text.h"
#include "tests/support/temp_dir.h"

namespace datamanager::config {
namespace {

using ::std::chrono::milliseconds;

using Change = std::function<void(Config&)>;

Environment Somewhere() { return {.home = "/nowhere/home", .viam_home = "", .processors = 8}; }

absl::StatusOr<EffectiveConfig> TryResolve(const Change& change,
                                           const Environment& environment = Somewhere()) {
  Config config;
  change(config);
  return Resolve(config, environment);
}

EffectiveConfig MustResolve(const Change& change, const Environment& environment = Somewhere()) {
  auto resolved = TryResolve(change, environment);
  EXPECT_TRUE(resolved.ok()) << resolved.status();
  return resolved.ok() ? *resolved : EffectiveConfig{};
}

const Change kNothing = [](Config&) {};

TEST(EffectiveConfigTest, Defaults) {
  const EffectiveConfig config = MustResolve(kNothing);
  EXPECT_EQ(config.capture.directory, "/nowhere/home/.viam/capture");
  EXPECT_EQ(config.capture.max_file_bytes, 262144);
  EXPECT_EQ(config.capture.tags, Lines());
  EXPECT_TRUE(config.capture.collectors.empty());
  EXPECT_EQ(config.sync.capture_directory, "/nowhere/home/.viam/capture");
  EXPECT_EQ(config.sync.additional_paths, Lines());
  EXPECT_TRUE(config.sync.scheduled);
  EXPECT_EQ(config.sync.interval, milliseconds(6000));
  EXPECT_EQ(config.sync.workers, 4);
  EXPECT_EQ(config.sync.min_file_age, milliseconds(10000));
  EXPECT_TRUE(config.retention.enabled);
  EXPECT_EQ(config.retention.every_nth, 5);
  EXPECT_EQ(config.retention.disk_threshold, 0.9);
  EXPECT_EQ(config.retention.capture_threshold, 0.5);
  EXPECT_EQ(config.warnings, Lines());
  EXPECT_EQ(config.errors, Lines());
}

TEST(EffectiveConfigTest, ZerosMeanTheDefaults) {
  const EffectiveConfig config = MustResolve([](Config& c) {
    c.maximum_capture_file_size_bytes = 0;
    c.durability_interval_millis = 0;
    c.sync_interval_mins = 0;
    c.file_last_modified_millis = 0;
    c.maximum_num_sync_threads = 0;
    c.delete_every_nth_when_disk_full = 0;
    c.disk_usage_deletion_threshold = 0;
    c.capture_dir_deletion_threshold = 0;
  });
  const EffectiveConfig defaults = MustResolve(kNothing);
  EXPECT_EQ(config.capture, defaults.capture);
  EXPECT_EQ(config.retention, defaults.retention);
  EXPECT_EQ(config.sync, defaults.sync);
  EXPECT_EQ(config.warnings, Lines());
}

TEST(EffectiveConfigTest, Overrides) {
  const EffectiveConfig config = MustResolve([](Config& c) {
    c.capture_dir = "/data/capture";
    c.tags = {"a", "b"};
    c.maximum_capture_file_size_bytes = 5;
    c.durability = Durability::kProcess;
    c.durability_interval_millis = 70;
    c.sync_interval_mins = 2.5;
    c.maximum_num_sync_threads = 3;
    c.additional_sync_paths = {"/one", "/two"};
    c.file_last_modified_millis = 12;
    c.capture_disabled = true;
    c.delete_every_nth_when_disk_full = 2;
    c.disk_usage_deletion_threshold = 0.25;
    c.capture_dir_deletion_threshold = 0.125;
    c.collectors.push_back({.api = "a", .name = "n", .method = "m", .capture_frequency_hz = 1});
  });
  EXPECT_EQ(config.capture.directory, "/data/capture");
  EXPECT_EQ(config.capture.max_file_bytes, 5);
  EXPECT_EQ(config.capture.durability, Durability::kProcess);
  EXPECT_EQ(config.capture.durability_interval, milliseconds(70));
  EXPECT_EQ(config.capture.tags, Lines({"a", "b"}));
  EXPECT_EQ(config.capture.collectors.size(), 1U);
  EXPECT_EQ(config.sync.capture_directory, "/data/capture");
  EXPECT_EQ(config.sync.additional_paths, Lines({"/one", "/two"}));
  EXPECT_EQ(config.sync.tags, Lines({"a", "b"}));
  EXPECT_EQ(config.sync.interval, milliseconds(150'000));
  EXPECT_EQ(config.sync.workers, 3);
  EXPECT_EQ(config.sync.min_file_age, milliseconds(12));
  EXPECT_FALSE(config.retention.enabled);
  EXPECT_EQ(config.retention.every_nth, 2);
  EXPECT_EQ(config.retention.disk_threshold, 0.25);
  EXPECT_EQ(config.retention.capture_threshold, 0.125);
}

TEST(EffectiveConfigTest, FaultsAreThoseOfValidate) {
  const auto resolved = TryResolve([](Config& c) {
    c.sync_interval_mins = -1;
    c.capture_dir = "/";
    c.additional_sync_paths = {"", "/"};
  });
  EXPECT_EQ(resolved.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(resolved.status().message()),
            "data manager config: 4 faults\n"
            "sync_interval_mins: sync_interval_mins can't be negative (got -1)\n"
            "capture_dir: can't be the root directory (got \"/\")\n"
            "additional_sync_paths[0]: must name a directory (got \"\")\n"
            "additional_sync_paths[1]: can't be the root directory (got \"/\")");
}

// --- Directories ---

struct DirectoryCase {
  std::string configured;
  std::string resolved;
};

TEST(CaptureDirectoryTest, IsAbsoluteAndNormal) {
  const DirectoryCase kCases[] = {
      {"", "/nowhere/home/.viam/capture"},
      {"~", "/nowhere/home"},
      {"~/capture", "/nowhere/home/capture"},
      {"~x/y", "/nowhere/home/x/y"},
      {"~/../other/", "/nowhere/other"},
      {"/data//./capture/../x/", "/data/x"},
      {"/a:b", "/a:b"},
      {"/~", "/~"},
  };
  for (const DirectoryCase& test : kCases) {
    const EffectiveConfig config = MustResolve([&](Config& c) { c.capture_dir = test.configured; });
    EXPECT_EQ(config.capture.directory, test.resolved) << test.configured;
    EXPECT_EQ(config.sync.capture_directory, test.resolved) << test.configured;
    EXPECT_EQ(config.warnings, Lines()) << test.configured;
  }
}

TEST(CaptureDirectoryTest, ViamHomeComesBeforeHome) {
  Environment environment = Somewhere();
  environment.viam_home = "/opt/viam/";
  EXPECT_EQ(MustResolve(kNothing, environment).capture.directory, "/opt/viam/capture");
  EXPECT_EQ(MustResolve([](Config& c) { c.capture_dir = "~/x"; }, environment).capture.directory,
            "/nowhere/home/x");
}

TEST(CaptureDirectoryTest, RelativeOnesAreTakenFromTheWorkingDirectory) {
  const std::string here = std::filesystem::current_path().string();
  const EffectiveConfig config = MustResolve([](Config& c) {
    c.capture_dir = "capture";
    c.additional_sync_paths = {"logs", "~/logs"};
  });
  EXPECT_EQ(config.capture.directory, here + "/capture");
  EXPECT_EQ(config.sync.additional_paths, Lines({here + "/logs", "/nowhere/home/logs"}));
  EXPECT_EQ(
      config.warnings,
      Lines({"additional_sync_paths[0]: is relative, so " + here + "/logs is used (got \"logs\")",
             "capture_dir: is relative, so " + here + "/capture is used (got \"capture\")"}));
}

TEST(CaptureDirectoryTest, TheRootIsRefusedHoweverItIsReached) {
  Environment environment = Somewhere();
  environment.home = "/";
  for (const std::string path : {"/", "//", "/.", "/a/..", "~", "~/..", "~/"}) {
    const auto resolved = TryResolve([&](Config& c) { c.capture_dir = path; }, environment);
    EXPECT_EQ(std::string(resolved.status().message()),
              "data manager config: 1 fault\ncapture_dir: can't be the root directory (got \"" +
                  path + "\")");
  }
}

TEST(CaptureDirectoryTest, WithoutAHomeTheDefaultIsAFault) {
  Environment environment = Somewhere();
  environment.home = "";
  for (const std::string path : {"", "~", "~/x"}) {
    const auto resolved = TryResolve([&](Config& c) { c.capture_dir = path; }, environment);
    EXPECT_EQ(resolved.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(Has(std::string(resolved.status().message()), "capture_dir: no home"))
        << std::string(resolved.status().message());
  }
  EXPECT_EQ(MustResolve([](Config& c) { c.capture_dir = "/x"; }, environment).capture.directory,
            "/x");
  environment.viam_home = "/opt";
  EXPECT_EQ(MustResolve(kNothing, environment).capture.directory, "/opt/capture");
}

TEST(CaptureDirectoryTest, AnUntrustedEnvironmentForbidsAnother) {
  Environment environment = Somewhere();
  environment.untrusted = true;
  for (const std::string allowed : {"", "~/.viam/capture", "/nowhere/home/.viam/capture/"}) {
    EXPECT_EQ(
        MustResolve([&](Config& c) { c.capture_dir = allowed; }, environment).capture.directory,
        "/nowhere/home/.viam/capture");
  }
  const auto resolved = TryResolve([](Config& c) { c.capture_dir = "/data"; }, environment);
  EXPECT_EQ(resolved.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(std::string(resolved.status().message()),
            "capture_dir: changing the capture directory is prohibited in this environment "
            "(got \"/data\")");
}

TEST(SyncRootsTest, OverlappingOnesAreWalkedOnce) {
  const struct {
    std::string capture_dir;
    std::vector<std::string> paths;
    std::vector<std::string> roots;
  } kCases[] = {
      {"/c", {"/a", "/b"}, {"/a", "/b"}},
      {"/c", {"/b", "/a"}, {"/b", "/a"}},
      {"/c", {"/a", "/a", "/a/", "/x/../a"}, {"/a"}},
      {"/c", {"/c"}, {}},
      {"/c", {"/c/inside", "/c/a/b"}, {}},
      {"/c", {"/cc", "/c.d"}, {"/cc", "/c.d"}},
      {"/a", {"/b/x", "/b"}, {"/b"}},
      {"/a", {"/b", "/b/x"}, {"/b"}},
      {"/a", {"/b/x", "/d", "/b/y", "/b"}, {"/d", "/b"}},
      // Around the capture directory: kept, and its walk leaves that out.
      {"/data/capture", {"/data"}, {"/data"}},
      {"/data/capture", {"/data/logs", "/data", "/data/capture/x"}, {"/data"}},
  };
  for (const auto& test : kCases) {
    const EffectiveConfig config = MustResolve([&](Config& c) {
      c.capture_dir = test.capture_dir;
      c.additional_sync_paths = test.paths;
    });
    EXPECT_EQ(config.sync.capture_directory, test.capture_dir);
    EXPECT_EQ(config.sync.additional_paths, test.roots) << ::testing::PrintToString(test.paths);
  }
}

class OldDefaultTest : public ::testing::Test {
 protected:
  OldDefaultTest() { environment_.home = home_.path(); }

  std::vector<std::string> Roots(const Change& change) {
    return MustResolve(change, environment_).sync.additional_paths;
  }

  testing::TempDir home_;
  const std::string old_ = home_.path() + "/.viam/capture";
  Environment environment_ = Somewhere();
};

TEST_F(OldDefaultTest, IsWalkedLastIfViamHomeMovedItAndItExists) {
  environment_.viam_home = "/opt/viam";
  const Change more = [](Config& c) { c.additional_sync_paths = {"/a"}; };
  EXPECT_EQ(Roots(more), Lines({"/a"}));
  std::filesystem::create_directories(old_);
  EXPECT_EQ(Roots(more), Lines({"/a", old_}));
  EXPECT_EQ(Roots(kNothing), Lines({old_}));
}

// What lies there may be another program's, which has not asked us to upload and remove it.
TEST_F(OldDefaultTest, IsLeftAloneIfTheConfigNamesADirectory) {
  std::filesystem::create_directories(old_);
  const Change named = [](Config& c) { c.capture_dir = "/elsewhere"; };
  EXPECT_EQ(Roots(named), Lines());
  environment_.viam_home = "/opt/viam";
  EXPECT_EQ(Roots(named), Lines());
}

TEST_F(OldDefaultTest, IsWalkedOnce) {
  std::filesystem::create_directories(old_);
  EXPECT_EQ(Roots(kNothing), Lines());
  environment_.viam_home = "/opt/viam";
  EXPECT_EQ(Roots([&](Config& c) { c.additional_sync_paths = {home_.path()}; }),
            Lines({home_.path()}));
  // It lies around the capture directory.
  environment_.viam_home = home_.path() + "/.viam/capture";
  EXPECT_EQ(Roots(kNothing), Lines({old_}));
}

TEST_F(OldDefaultTest, AFileInItsPlaceIsNoDirectory) {
  environment_.viam_home = "/opt/viam";
  std::filesystem::create_directories(home_.path() + "/.viam");
  std::ofstream(old_) << "x";
  EXPECT_EQ(Roots(kNothing), Lines());
}

// --- Sync ---

TEST(SyncConfigTest, IntervalIsTruncatedToMilliseconds) {
  const struct {
    double minutes;
    int64_t millis;
  } kCases[] = {{0.1, 6000},   {1, 60'000},     {0.0001, 6},           {0.00012, 7},
                {0.5, 30'000}, {1.0 / 7, 8571}, {1e8, 315'360'000'000}};  // Ten years at most.
  for (const auto& test : kCases) {
    const EffectiveConfig config =
        MustResolve([&](Config& c) { c.sync_interval_mins = test.minutes; });
    EXPECT_EQ(config.sync.interval.count(), test.millis) << test.minutes;
    EXPECT_EQ(config.warnings, Lines()) << test.minutes;
  }
}

TEST(SyncConfigTest, AnIntervalBelowTheMinimumIsTheDefault) {
  const EffectiveConfig config = MustResolve([](Config& c) { c.sync_interval_mins = 1e-18; });
  EXPECT_EQ(config.sync.interval, milliseconds(6000));
  EXPECT_EQ(config.warnings,
            Lines({"sync_interval_mins: sync_interval_mins set to 1e-18 below allowed "
                   "minimum, using 0.1 (got 1e-18)"}));
}

TEST(SyncConfigTest, HasAtLeastOneWorker) {
  const struct {
    int processors;
    int64_t configured;
    int workers;
  } kCases[] = {{1, 0, 1}, {2, 0, 1}, {3, 0, 1}, {4, 0, 2}, {16, 0, 8}, {1, 10, 10}, {0, 0, 1}};
  for (const auto& test : kCases) {
    Environment environment = Somewhere();
    environment.processors = test.processors;
    EXPECT_EQ(
        MustResolve([&](Config& c) { c.maximum_num_sync_threads = test.configured; }, environment)
            .sync.workers,
        test.workers);
  }
}

TEST(SyncConfigTest, AbsurdlyManyWorkersAreCut) {
  const EffectiveConfig config = MustResolve(
      [](Config& c) { c.maximum_num_sync_threads = std::numeric_limits<int64_t>::max(); });
  EXPECT_EQ(config.sync.workers, 1024);
  EXPECT_EQ(config.warnings, Lines({"maximum_num_sync_threads: using 1024 (got "
                                    "9223372036854775807)"}));
}

TEST(SyncConfigTest, ScheduledUnlessDisabled) {
  EXPECT_TRUE(MustResolve(kNothing).sync.scheduled);
  EXPECT_FALSE(MustResolve([](Config& c) { c.sync_disabled = true; }).sync.scheduled);
  const EffectiveConfig selective =
      MustResolve([](Config& c) { c.selective_syncer_name = "uplink"; });
  EXPECT_TRUE(selective.sync.scheduled);
  EXPECT_EQ(selective.sync.selective_sensor, "uplink");
  EXPECT_TRUE(selective.errors.empty());
}

TEST(CaptureConfigTest, ControlNeedsAKeyAndSomethingToControl) {
  const CaptureControlSensor sensor{.name = "control", .key = "overrides"};
  EXPECT_EQ(MustResolve([&](Config& c) { c.capture_control_sensor = sensor; }).capture.control,
            sensor);
  const EffectiveConfig keyless =
      MustResolve([](Config& c) { c.capture_control_sensor.name = "control"; });
  EXPECT_EQ(keyless.capture.control, CaptureControlSensor{});
  EXPECT_EQ(keyless.errors,
            Lines({"capture_control_sensor: missing key for capture_control_sensor readings, so "
                   "nothing is controlled (got \"control\")"}));
  const EffectiveConfig disabled = MustResolve([&](Config& c) {
    c.capture_control_sensor = sensor;
    c.capture_disabled = true;
  });
  EXPECT_EQ(disabled.capture.control, CaptureControlSensor{});
}

TEST(SyncConfigTest, EqualityIsSymmetricAndSeesEachField) {
  const Change kChanges[] = {
      kNothing,
      [](Config& c) { c.capture_dir = "/x"; },
      [](Config& c) { c.additional_sync_paths = {"/x"}; },
      [](Config& c) {
        c.additional_sync_paths = {"/x", "/y"};
      },
      [](Config& c) {
        c.additional_sync_paths = {"/y", "/x"};
      },
      [](Config& c) { c.tags = {"x"}; },
      [](Config& c) { c.sync_disabled = true; },
      [](Config& c) { c.sync_interval_mins = 1; },
      [](Config& c) { c.maximum_num_sync_threads = 17; },
      [](Config& c) { c.file_last_modified_millis = 17; },
      [](Config& c) { c.selective_syncer_name = "x"; },
  };
  for (size_t a = 0; a < std::size(kChanges); ++a) {
    for (size_t b = 0; b < std::size(kChanges); ++b) {
      EXPECT_EQ(MustResolve(kChanges[a]).sync == MustResolve(kChanges[b]).sync, a == b)
          << a << " and " << b;
    }
  }
}

TEST(SyncConfigTest, WhatIsOnlyCapturesDoesNotChangeIt) {
  const Change kChanges[] = {
      [](Config& c) { c.capture_disabled = true; },
      [](Config& c) { c.maximum_capture_file_size_bytes = 1; },
      [](Config& c) { c.durability = Durability::kPublished; },
      [](Config& c) { c.durability_interval_millis = 1; },
      [](Config& c) { c.collectors.push_back({.api = "a", .name = "n", .method = "m"}); },
      [](Config& c) { c.sync_interval_mins = 0; },
  };
  for (const Change& change : kChanges) {
    EXPECT_EQ(MustResolve(change).sync, MustResolve(kNothing).sync);
  }
}

TEST(CaptureConfigTest, EqualitySeesEachField) {
  const Change kChanges[] = {
      kNothing,
      [](Config& c) { c.capture_dir = "/x"; },
      [](Config& c) { c.tags = {"x"}; },
      [](Config& c) { c.maximum_capture_file_size_bytes = 1; },
      [](Config& c) { c.durability = Durability::kPublished; },
      [](Config& c) { c.durability_interval_millis = 1; },
      [](Config& c) { c.collectors.push_back({.api = "a", .name = "n", .method = "m"}); },
      [](Config& c) {
        c.collectors.push_back({.api = "a", .name = "n", .method = "m", .capture_frequency_hz = 1});
      },
      [](Config& c) { c.capture_control_sensor = {.name = "x", .key = "y"}; },
      [](Config& c) { c.capture_control_sensor = {.name = "x", .key = "z"}; },
  };
  for (size_t a = 0; a < std::size(kChanges); ++a) {
    for (size_t b = 0; b < std::size(kChanges); ++b) {
      EXPECT_EQ(MustResolve(kChanges[a]).capture == MustResolve(kChanges[b]).capture, a == b)
          << a << " and " << b;
    }
  }
}

TEST(EffectiveConfigTest, WhatHasNoEffectIsWarnedAbout) {
  const EffectiveConfig config = MustResolve([](Config& c) {
    c.disk_usage_deletion_threshold = 1.5;
    c.capture_dir_deletion_threshold = 90;
    c.mongo_capture_configured = true;
  });
  EXPECT_EQ(config.warnings,
            Lines({"disk_usage_deletion_threshold: is above 1, which no disk reaches (got 1.5)",
                   "capture_dir_deletion_threshold: is above 1, which no disk reaches (got 90)",
                   "mongo_capture_config: has no effect: captured data goes to disk and from "
                   "there to the cloud"}));
}

}  // namespace
}  // namespace datamanager::config
