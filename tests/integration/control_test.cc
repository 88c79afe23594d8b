// Sensors that change what a robot does, end to end: from a file that a sensor reads to what the
// server has.
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "ingest_server/sequence_store.h"
#include "tests/integration/robot_world.h"

namespace datamanager::testing {
namespace {

class RobotControlTest : public RobotWorld {
 protected:
  // A sensor that says what is in a file.
  std::string FileReadings(const std::string& name) const {
    return absl::StrCat(R"({"name": ")", name,
                        R"(", "api": "rdk:component:sensor", "model": "file-readings",)",
                        R"("attributes": {"path": ")", Path(name + ".json"), R"("}})");
  }
  // Never read half-written.
  void Say(const std::string& name, const std::string& json) const {
    WriteFile(Path(name + ".new"), json);
    std::filesystem::rename(Path(name + ".new"), Path(name + ".json"));
  }
  static std::string Override(const std::string& name, const std::string& what) {
    return absl::StrCat(R"({"resource_name": ")", name, R"(", "method": "Readings", )", what, "}");
  }
  static std::string Overrides(const std::vector<std::string>& entries) {
    return absl::StrCat(R"({"overrides": [)", absl::StrJoin(entries, ","), "]}");
  }
  // One sequence of a resource's readings.
  static std::string Sequence(const std::string& name, const std::string& tag) {
    return absl::StrCat(R"({"sequences": [{"sequence_tags": [")", tag,
                        R"("], "resources": [{"resource_name": ")", name,
                        R"(", "method": "Readings"}]}]})");
  }
  std::string ControlledService(const std::string& more = "") const {
    return Service(R"(, "capture_control_sensor": {"name": "control", "key": "overrides"})" + more);
  }
  void RunRobot(const std::vector<std::string>& components, const std::string& service) {
    RunWith(Machine(CloudOf(address_), components, service));
  }
  std::vector<ingest::ReceivedSequence> SequencesThatArrived() const {
    auto rows = server_->sequences().Rows();
    EXPECT_TRUE(rows.ok()) << rows.status();
    return *std::move(rows);
  }
  bool WaitForSequences(size_t count) const {
    return WaitUntil([&] { return SequencesThatArrived().size() >= count; });
  }
};

TEST_F(RobotControlTest, AControlSensorChangesFrequencyAndTagsAndEnables) {
  StartServer();
  Say("control", "{}");
  std::string off = Counter("off", 1);
  off.replace(off.find("\"method\""), 0, "\"disabled\": true, ");
  RunRobot({Counter("count", 20), off, FileReadings("control")}, ControlledService());
  ASSERT_TRUE(WaitForJournal("count", 2));
  EXPECT_EQ(Journalled("off").size(), 0U);

  Say("control", Overrides({Override("count", R"("capture_frequency_hz": 200, "tags": ["fast"])"),
                            Override("off", R"("capture_frequency_hz": 100)")}));
  ASSERT_TRUE(WaitForJournal("off", 3));
  ASSERT_TRUE(WaitForOutput("capture control sensor enabling rdk:component:sensor/off"));
  ASSERT_TRUE(WaitForOutput("200 Hz in place of 20 Hz; tags [fast]"));
  ASSERT_TRUE(WaitForJournal("count", Journalled("count").size() + 5));
  // Everything off, so that what has arrived can be compared.
  Say("control", Overrides({Override("count", R"("capture_frequency_hz": 0)"),
                            Override("off", R"("capture_frequency_hz": -1)")}));
  ASSERT_TRUE(WaitForOutput("capture control sensor disabling rdk:component:sensor/count"));
  for (const char* name : {"count", "off"}) {
    EXPECT_TRUE(WaitUntil([&] { return ArrivedAsJournalled(name) == Journalled(name); })) << name;
  }
  size_t tagged = 0;
  for (const ingest::Received& row : ArrivedFrom("count")) {
    if (row.tags == R"(["fast"])") ++tagged;
  }
  EXPECT_GE(tagged, 5U);
  EXPECT_LT(tagged, Journalled("count").size());

  // The sensor is taken away: after its hold the config's own would be back; so it is at once when
  // it says so.
  Say("control", "{}");
  ASSERT_TRUE(WaitForJournal("count", Journalled("count").size() + 2));
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
}

TEST_F(RobotControlTest, ASequenceArrivesAfterItsDataOverAKillToo) {
  StartServer();
  Say("control", "{}");
  const std::vector<std::string> components = {Counter("count", 100), FileReadings("control")};
  RunRobot(components, ControlledService());
  ASSERT_TRUE(WaitForJournal("count", 3));
  Say("control", Sequence("count", "pick"));
  ASSERT_TRUE(WaitForOutput("sequence started"));
  ASSERT_TRUE(WaitForJournal("count", Journalled("count").size() + 20));
  Say("control", "{}");
  ASSERT_TRUE(WaitForSequences(1));
  const ingest::ReceivedSequence pick = SequencesThatArrived()[0];
  EXPECT_EQ(pick.part_id, "part-1");
  EXPECT_EQ(pick.tags, R"(["pick"])");
  EXPECT_EQ(pick.resources, R"(["count Readings"])");
  EXPECT_LT(pick.start_time, pick.end_time);
  size_t data = 0;
  for (const ingest::Received& row : ArrivedFrom("count")) {
    if (row.time_requested < pick.start_time || row.time_requested > pick.end_time) continue;
    ++data;
    EXPECT_LE(row.arrived_at, pick.arrived_at);
  }
  EXPECT_GE(data, 19U);

  // Killed with one open: the next run ends it with its data.
  Say("control", Sequence("count", "place"));
  const auto open = [&] { return OnDisk(".progseq").size(); };
  ASSERT_TRUE(WaitUntil([&] { return open() == 1; }));
  ASSERT_TRUE(WaitForJournal("count", Journalled("count").size() + 10));
  robot_->Signal(SIGKILL);
  robot_->ExitCode();
  const std::string killed = Journalled("count").front();
  const std::string run = killed.substr(0, killed.find(' '));
  Say("control", "{}");
  RunRobot(components, ControlledService());
  ASSERT_TRUE(WaitForSequences(2));
  const ingest::ReceivedSequence place = SequencesThatArrived()[1];
  EXPECT_EQ(place.tags, R"(["place"])");
  EXPECT_GT(place.start_time, pick.end_time);
  std::string last;
  for (const ingest::Received& row : ArrivedFrom("count")) {
    if (Has(row.json, run)) last = std::max(last, row.time_requested);
  }
  EXPECT_GE(place.end_time, last);
  EXPECT_EQ(open(), 0U);
  EXPECT_TRUE(WaitUntil([&] { return OnDisk(".seq").empty(); }));
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
}

TEST_F(RobotControlTest, ASelectiveSensorSaysWhenToSync) {
  StartServer();
  Say("uplink", R"({"should_sync": false})");
  RunRobot({Counter("count", 100), FileReadings("uplink")},
           Service(R"(, "selective_syncer_name": "uplink")"));
  ASSERT_TRUE(WaitForOutput("NOT syncing data to the cloud as it's selective sync sensor"));
  ASSERT_TRUE(WaitForJournal("count", 20));
  EXPECT_EQ(CountFrom("count"), 0);
  Say("uplink", R"({"should_sync": true})");
  ASSERT_TRUE(WaitForArrived("count", 20));
  // What it does not say is a no, and an error that is told once.
  Say("uplink", R"({"should_sync": "yes"})");
  ASSERT_TRUE(WaitForOutput("sensor uplink does not say whether to sync"));
  ASSERT_TRUE(WaitForOutput("should_sync must be a bool (got \"yes\")"));
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
}

TEST_F(RobotControlTest, WithoutTheSelectiveSensorNothingIsScheduled) {
  StartServer();
  RunRobot({Counter("count", 100)}, Service(R"(, "selective_syncer_name": "nobody")"));
  ASSERT_TRUE(WaitForOutput(
      "selective_syncer_name: no source of readings was added under the name nobody; scheduled "
      "sync stays off"));
  ASSERT_TRUE(WaitForJournal("count", 20));
  EXPECT_EQ(CountFrom("count"), 0);
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
}

TEST_F(RobotControlTest, NewLinesOfAFileArrive) {
  StartServer();
  WriteFile(Path("app.log"), "old\n");
  const std::string tail = absl::StrCat(
      R"({"name": "tail", "api": "rdk:component:sensor", "model": "file-tail",)",
      R"("attributes": {"path": ")", Path("app.log"), R"("},)",
      R"("service_configs": [{"type": "data_manager", "attributes": {"capture_methods": [)",
      R"({"method": "Readings", "capture_frequency_hz": 50}]}}]})");
  RunRobot({tail, Counter("count", 100)}, Service());
  ASSERT_TRUE(WaitForJournal("count", 10));
  std::ofstream(Path("app.log"), std::ios::app) << "one\ntwo\n";
  ASSERT_TRUE(WaitForArrived("tail"));
  EXPECT_EQ(ArrivedFrom("tail")[0].json,
            R"({"readings":{"lines":["one","two"],"replaced_bytes":0}})");
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
}

}  // namespace
}  // namespace datamanager::testing
