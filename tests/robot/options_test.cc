#include "robot/options.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace robot {
namespace {

using std::chrono::milliseconds;

std::string Faults(const std::vector<std::string>& arguments, const std::string& robot_log = "") {
  return std::string(ParseOptions(arguments, robot_log).status().message());
}

TEST(ParseDurationTest, ReadsGoStyleDurations) {
  const std::vector<std::pair<std::string, int64_t>> cases = {
      {"500ms", 500},    {"30s", 30'000}, {"5m", 300'000},      {"1h", 3'600'000},
      {"1m30s", 90'000}, {"1.5s", 1'500}, {"1h1m1s", 3'661'000}};
  for (const auto& [text, expected] : cases) {
    const absl::StatusOr<milliseconds> duration = ParseDuration(text);
    ASSERT_TRUE(duration.ok()) << text << ": " << duration.status();
    EXPECT_EQ(duration->count(), expected) << text;
  }
}

TEST(ParseDurationTest, RefusesTheRestAndQuotesIt) {
  for (const std::string text :
       {"", "5", "s", "5 minutes", "-1s", "0s", "inf", "10000000h", "1s2", "1us"}) {
    const absl::StatusOr<milliseconds> duration = ParseDuration(text);
    ASSERT_FALSE(duration.ok()) << text;
    EXPECT_EQ(duration.status().message().find("\"" + text + "\""), 0) << duration.status();
  }
}

TEST(ParseOptionsTest, ReadsEveryFlagInBothForms) {
  const absl::StatusOr<Options> options =
      ParseOptions({"--config", "robot.json", "--run-for=30s", "--capture-dir", "/c",
                    "--status-every=500ms", "--upload-stall-timeout=5s"},
                   "debug");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->config, "robot.json");
  EXPECT_EQ(options->run_for, milliseconds(30'000));
  EXPECT_EQ(options->capture_dir, "/c");
  EXPECT_EQ(options->status_every, milliseconds(500));
  EXPECT_EQ(options->upload_stall_timeout, milliseconds(5'000));
  EXPECT_EQ(options->log_level, datamanager::LogLevel::kDebug);
}

TEST(ParseOptionsTest, DefaultsToRunningQuietlyUntilASignal) {
  const absl::StatusOr<Options> options = ParseOptions({"--config=robot.json"}, "");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_FALSE(options->run_for);
  EXPECT_FALSE(options->status_every);
  EXPECT_FALSE(options->upload_stall_timeout);
  EXPECT_EQ(options->capture_dir, "");
  EXPECT_EQ(options->log_level, datamanager::LogLevel::kInfo);
}

TEST(ParseOptionsTest, HelpNeedsNothingElse) {
  const absl::StatusOr<Options> options = ParseOptions({"--help"}, "");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->help);
  EXPECT_NE(HelpText().find("simulated-camera"), std::string::npos);
}

TEST(ParseOptionsTest, ListsEveryFault) {
  EXPECT_EQ(Faults({}), "--config FILE is missing; see robot --help");
  EXPECT_EQ(Faults({"--confg", "--run-for=5", "--capture-dir"}, "loud"),
            "unknown argument \"--confg\"; see robot --help\n"
            "--run-for: \"5\" is no duration; write it like 500ms, 30s, 5m, 1h or 1m30s\n"
            "--capture-dir needs a value\n"
            "ROBOT_LOG=loud: must be debug, info, warning or error");
}

}  // namespace
}  // namespace robot
