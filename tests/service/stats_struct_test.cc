#include "service/stats_struct.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace datamanager::service {
namespace {

const google::protobuf::Value& At(const google::protobuf::Struct& map, const std::string& key) {
  const auto found = map.fields().find(key);
  static const google::protobuf::Value nothing;
  EXPECT_NE(found, map.fields().end()) << key;
  return found == map.fields().end() ? nothing : found->second;
}

TEST(StatsStructTest, HasWhatWasCounted) {
  ManagerStats stats;
  stats.capture_dir = "/data";
  stats.collectors.push_back(
      {.api = "rdk:component:sensor", .name = "cpu", .captured = 7, .no_data = 8});
  stats.collectors[0].dropped.disk_full = 2;
  stats.collectors[0].achieved_hz = 9.5;
  stats.collectors[0].lateness.p99 = std::chrono::nanoseconds(1500);
  stats.collectors[0].source_time.max = std::chrono::milliseconds(2);
  stats.collectors[0].frequency_hz = 10;
  stats.control.sensor = "control";
  stats.control.open_sequences = 2;
  stats.sync.binary.files = 3;
  stats.sync.sequences.files = 4;
  stats.sync.retries.oldest = std::chrono::milliseconds(1500);
  stats.sync.retries.most_tried.push_back({.path = "/data/x", .tries = 4});
  stats.disk.directories.push_back({.path = "/data",
                                    .role = DirectorySummary::Role::kFormer,
                                    .waiting = {.files = 5, .bytes = 50},
                                    .oldest_waiting = WallTime(std::chrono::seconds(1))});
  stats.disk.evicted_by_collector["a/b/c"] = {.files = 6, .bytes = 60};
  stats.connection.state = ConnectionState::kHealthy;
  const google::protobuf::Struct map = ToStruct(ToMap(stats));

  EXPECT_EQ(At(map, "capture_dir").string_value(), "/data");
  const auto& collector = At(map, "collectors").list_value().values(0).struct_value();
  EXPECT_EQ(At(collector, "name").string_value(), "cpu");
  EXPECT_EQ(At(collector, "captured").number_value(), 7);
  EXPECT_EQ(At(collector, "no_data").number_value(), 8);
  EXPECT_EQ(At(collector, "state").string_value(), "running");
  EXPECT_EQ(At(At(collector, "dropped").struct_value(), "disk_full").number_value(), 2);
  EXPECT_EQ(At(collector, "frequency_hz").number_value(), 10);
  EXPECT_EQ(At(collector, "achieved_hz").number_value(), 9.5);
  EXPECT_EQ(At(At(collector, "lateness_us").struct_value(), "p99").number_value(), 1.5);
  EXPECT_EQ(At(At(collector, "source_time_us").struct_value(), "max").number_value(), 2000);
  const auto& control = At(map, "control").struct_value();
  EXPECT_EQ(At(control, "sensor").string_value(), "control");
  EXPECT_EQ(At(control, "open_sequences").number_value(), 2);
  const auto& sync = At(map, "sync").struct_value();
  EXPECT_EQ(At(At(sync, "sequences").struct_value(), "files").number_value(), 4);
  EXPECT_EQ(At(At(sync, "binary").struct_value(), "files").number_value(), 3);
  const auto& retries = At(sync, "retries").struct_value();
  EXPECT_EQ(At(retries, "oldest_ms").number_value(), 1500);
  EXPECT_EQ(At(retries, "most_tried").list_value().values_size(), 1);
  EXPECT_EQ(At(sync, "paused").list_value().values_size(), 0);
  const auto& disk = At(map, "disk").struct_value();
  const auto& directory = At(disk, "directories").list_value().values(0).struct_value();
  EXPECT_EQ(At(directory, "role").string_value(), "former");
  EXPECT_EQ(At(At(directory, "waiting").struct_value(), "bytes").number_value(), 50);
  EXPECT_EQ(At(directory, "oldest_waiting").string_value(), "1970-01-01T00:00:01+00:00");
  EXPECT_EQ(directory.fields().count("oldest_in_progress"), 0U);
  EXPECT_EQ(At(At(At(disk, "evicted_by_collector").struct_value(), "a/b/c").struct_value(), "files")
                .number_value(),
            6);
  EXPECT_EQ(At(At(map, "connection").struct_value(), "state").string_value(), "healthy");
}

TEST(StatsStructTest, TextThatIsNotUtf8IsEscaped) {
  ManagerStats stats;
  stats.capture_dir = "/data/\xff";
  const google::protobuf::Struct map = ToStruct(ToMap(stats));
  EXPECT_EQ(At(map, "capture_dir").string_value(), "/data/\\xff");
  google::protobuf::Struct parsed;
  EXPECT_TRUE(parsed.ParseFromString(map.SerializeAsString()));
}

}  // namespace
}  // namespace datamanager::service
