#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "datamanager/config.h"

namespace datamanager {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kMaxInt = std::numeric_limits<int64_t>::max();

std::string FaultsOf(const std::function<void(Config&)>& change) {
  Config config;
  change(config);
  return std::string(Validate(config).message());
}

TEST(ValidateTest, DefaultsAndZerosAreFine) {
  EXPECT_TRUE(Validate({}).ok());
  Config zeros;
  zeros.sync_interval_mins = 0;
  zeros.file_last_modified_millis = 0;
  zeros.maximum_capture_file_size_bytes = 0;
  zeros.delete_every_nth_when_disk_full = 0;
  zeros.disk_usage_deletion_threshold = 0;
  zeros.capture_dir_deletion_threshold = 0;
  EXPECT_TRUE(Validate(zeros).ok());
}

TEST(ValidateTest, RefusesWhatTheReferenceRefusesInItsWords) {
  const struct {
    std::string line;
    std::function<void(Config&)> change;
  } kCases[] = {
      {"sync_interval_mins: sync_interval_mins can't be negative (got -1)",
       [](Config& c) { c.sync_interval_mins = -1; }},
      {"maximum_num_sync_threads: maximum_num_sync_threads can't be negative (got -2)",
       [](Config& c) { c.maximum_num_sync_threads = -2; }},
      {"file_last_modified_millis: file_last_modified_millis can't be negative (got -3)",
       [](Config& c) { c.file_last_modified_millis = -3; }},
      {"maximum_capture_file_size_bytes: maximum_capture_file_size_bytes can't be negative (got "
       "-4)",
       [](Config& c) { c.maximum_capture_file_size_bytes = -4; }},
      {"durability_interval_millis: durability_interval_millis can't be negative (got -1)",
       [](Config& c) { c.durability_interval_millis = -1; }},
      {"durability: must be one of \"process\", \"published\", \"periodic\" (got 7)",
       [](Config& c) { c.durability = static_cast<Durability>(7); }},
      {"delete_every_nth_when_disk_full: delete_every_nth_when_disk_full can't be negative (got "
       "-5)",
       [](Config& c) { c.delete_every_nth_when_disk_full = -5; }},
      {"disk_usage_deletion_threshold: disk_usage_deletion_threshold can't be negative (got -0.1)",
       [](Config& c) { c.disk_usage_deletion_threshold = -0.1; }},
      {"capture_dir_deletion_threshold: capture_dir_deletion_threshold can't be negative (got "
       "-0.7)",
       [](Config& c) { c.capture_dir_deletion_threshold = -0.7; }},
      {"sync_interval_mins: must be a finite number (got nan)",
       [](Config& c) { c.sync_interval_mins = kNan; }},
      {"disk_usage_deletion_threshold: must be a finite number (got inf)",
       [](Config& c) { c.disk_usage_deletion_threshold = kInfinity; }},
      {"capture_dir_deletion_threshold: must be a finite number (got -inf)",
       [](Config& c) { c.capture_dir_deletion_threshold = -kInfinity; }},
      {"sync_interval_mins: is too large (got 1e+300)",
       [](Config& c) { c.sync_interval_mins = 1e300; }},
      {"file_last_modified_millis: is too large (got 9223372036854775807)",
       [](Config& c) { c.file_last_modified_millis = kMaxInt; }},
      {"capture_dir: can't be the root directory (got \"/\")",
       [](Config& c) { c.capture_dir = "/"; }},
      {"capture_dir: can't be the root directory (got \"//x/../.\")",
       [](Config& c) { c.capture_dir = "//x/../."; }},
      {"capture_dir: must not contain a zero byte (got \"/a\\u0000b\")",
       [](Config& c) { c.capture_dir = std::string("/a\0b", 4); }},
      {"additional_sync_paths[1]: can't be the root directory (got \"/\")",
       [](Config& c) {
         c.additional_sync_paths = {"/a", "/"};
       }},
      {"additional_sync_paths[0]: must name a directory (got \"\")",
       [](Config& c) { c.additional_sync_paths = {""}; }},
      {"tags[1]: must be UTF-8 (got 1 bytes)",
       [](Config& c) {
         c.tags = {"a", "\xff"};
       }},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(FaultsOf(test.change), "data manager config: 1 fault\n" + test.line);
  }
}

TEST(ValidateTest, ListsEveryFaultInTheReferencesOrder) {
  EXPECT_EQ(FaultsOf([](Config& c) {
              c.capture_dir_deletion_threshold = -1;
              c.sync_interval_mins = -1;
              c.file_last_modified_millis = -1;
            }),
            "data manager config: 3 faults\n"
            "sync_interval_mins: sync_interval_mins can't be negative (got -1)\n"
            "file_last_modified_millis: file_last_modified_millis can't be negative (got -1)\n"
            "capture_dir_deletion_threshold: capture_dir_deletion_threshold can't be negative "
            "(got -1)");
}

TEST(ValidateTest, HasNoUpperBoundsWhereNothingOverflows) {
  Config config;
  config.disk_usage_deletion_threshold = 1.5;
  config.capture_dir_deletion_threshold = 100;
  config.maximum_num_sync_threads = kMaxInt;
  config.maximum_capture_file_size_bytes = kMaxInt;
  config.delete_every_nth_when_disk_full = kMaxInt;
  config.sync_interval_mins = 1e8;
  EXPECT_TRUE(Validate(config).ok()) << Validate(config);
}

TEST(ValidateTest, FaultsOfOneCollectorAreNotTheServices) {
  Config config;
  config.collectors.push_back({.api = "x", .name = "..", .capture_queue_size = -1});
  EXPECT_TRUE(Validate(config).ok());
}

}  // namespace
}  // namespace datamanager
