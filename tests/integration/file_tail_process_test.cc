// A log that is written and rotated while the robot is killed and started again.
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/integration/robot_world.h"

namespace datamanager::testing {
namespace {

class FileTailProcessTest : public RobotWorld {
 protected:
  std::string Tail(const std::string& attributes = "") const {
    return absl::StrCat(
        R"({"name": "tail", "api": "rdk:component:sensor", "model": "file-tail",)",
        R"("attributes": {"path": ")", Path("log"), R"(", "from": "start")", attributes, "},",
        R"("service_configs": [{"type": "data_manager", "attributes": {"capture_methods": [)",
        R"({"method": "Readings", "capture_frequency_hz": 100}]}}]})");
  }
  void StartTail() { RunWith(Machine(CloudOf(address_), {Tail()}, Service())); }

  // The program that writes the log.
  void Append(int lines) {
    std::ofstream log(Path("log"), std::ios::app);
    for (int i = 0; i < lines; ++i) log << written_++ << " of the log\n";
  }
  void Rotate(bool copy) {
    const std::string to = Path(absl::StrCat("log.", ++rotated_));
    if (copy) {
      std::filesystem::copy_file(Path("log"), to);
      std::filesystem::resize_file(Path("log"), 0);
    } else {
      std::filesystem::rename(Path("log"), to);
    }
  }
  // The numbers of the lines that were captured since then, in their order.
  std::vector<int> ArrivedLines(absl::Time since = absl::InfinitePast()) const {
    std::vector<ingest::Received> rows = ArrivedFrom("tail");
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.time_requested < b.time_requested; });
    std::vector<int> lines;
    for (const ingest::Received& row : rows) {
      absl::Time captured;
      std::string fault;
      EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, row.time_requested, &captured, &fault))
          << fault;
      if (captured < since) continue;
      const auto json = ParseStruct(row.json);
      const auto& readings = json.fields().at("readings").struct_value().fields();
      for (const auto& line : readings.at("lines").list_value().values()) {
        lines.push_back(std::atoi(line.string_value().c_str()));
      }
    }
    return lines;
  }
  size_t DistinctLines() const {
    const std::vector<int> lines = ArrivedLines();
    return std::set<int>(lines.begin(), lines.end()).size();
  }

  // The numbers of lines that did not arrive, for the text of a failure.
  std::string Missing() const {
    const std::vector<int> arrived = ArrivedLines();
    const std::set<int> there(arrived.begin(), arrived.end());
    std::vector<int> missing;
    for (int line = 0; line < written_; ++line) {
      if (!there.contains(line)) missing.push_back(line);
    }
    return absl::StrCat(missing.size(), " of ", written_,
                        " are missing: ", absl::StrJoin(missing, " "));
  }

  int written_ = 0;
  int rotated_ = 0;
};

TEST_F(FileTailProcessTest, NoLineIsLostOverKillsAndRotations) {
  // A soak sets a greater number of kills in the environment.
  const char* const given = std::getenv("TAIL_KILLS");  // NOLINT(concurrency-mt-unsafe)
  const int kills = given == nullptr ? 3 : std::atoi(given);
  std::mt19937_64 random(1);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<uint64_t>(n)); };
  ASSERT_NO_FATAL_FAILURE(StartServer());
  Append(10);
  // Files rotated before the very first look do not count as new.
  StartTail();
  ASSERT_TRUE(WaitUntil([&] { return DistinctLines() == static_cast<size_t>(written_); }));
  robot_->Kill();
  for (int i = 0; i < kills; ++i) {
    StartTail();
    // Some of the lines arrive, then the robot is killed at any moment.
    const size_t target = static_cast<size_t>(written_) + static_cast<size_t>(below(30));
    ASSERT_TRUE(WaitUntil([&] {
      Append(below(5));
      if (below(8) == 0) Rotate(below(2) == 0);
      return DistinctLines() >= target;
    })) << Missing();
    robot_->Kill();
    for (int step = below(4); step > 0; --step) {
      Append(1 + below(20));
      Rotate(below(2) == 0);
    }
    Append(1 + below(20));
  }
  StartTail();
  EXPECT_TRUE(WaitUntil([&] { return DistinctLines() == static_cast<size_t>(written_); }))
      << Missing();
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
  const std::vector<int> lines = ArrivedLines();
  std::printf("%d kills, %d lines, %d rotations, %zu given again\n", kills, written_, rotated_,
              lines.size() - static_cast<size_t>(written_));

  // After a clean end, none is given again. Files that a kill left in progress may arrive only now.
  const absl::Time ended = absl::Now();
  Append(3);
  StartTail();
  ASSERT_TRUE(WaitUntil([&] { return DistinctLines() == static_cast<size_t>(written_); }))
      << Missing();
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
  EXPECT_EQ(ArrivedLines(ended), std::vector<int>({written_ - 3, written_ - 2, written_ - 1}));
}

TEST_F(FileTailProcessTest, AStateThatWouldBeUploadedIsAFaultOfTheConfig) {
  const std::string state = config_.capture_dir + "/tail.state";
  RunWith(Machine("", {Tail(R"(, "state": ")" + state + "\"")}, Service()));
  EXPECT_EQ(robot_->ExitCode(), 2);
  EXPECT_TRUE(robot_->Said("uploaded and then removed")) << robot_->Output();
  RunWith(Machine("", {Tail(R"(, "state": "/proc/none/state")")}, Service()));
  EXPECT_EQ(robot_->ExitCode(), 2);
  EXPECT_TRUE(robot_->Said("attribute \"state\"")) << robot_->Output();
}

TEST_F(FileTailProcessTest, ASecondRobotWithTheSameStateIsRefused) {
  Append(1);
  const std::string config = Machine("", {Tail()}, Service());
  RunWith(config);
  ASSERT_TRUE(WaitUntil([&] { return Exists(ConfigFile() + ".state/tail.tail"); }));
  Process second({ROBOT_PATH, "--config", ConfigFile()}, Path("second.out"));
  EXPECT_EQ(second.ExitCode(), 2);
  EXPECT_TRUE(second.Said("is in use by another process")) << second.Output();
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
}

}  // namespace
}  // namespace datamanager::testing
