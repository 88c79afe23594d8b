#include <filesystem>
#include <fstream>
#include <string>

#include "robot/sources/models.h"
#include "tests/robot/robot_fixture.h"

namespace robot {
namespace {

using datamanager::Readings;
using datamanager::Value;
using datamanager::ValueMap;

// Sources on this machine's own /proc.
class HostSourcesTest : public RobotTest {
 protected:
  void Start(const std::string& model, ValueMap attributes = {}) {
    const absl::Status status = sources_.Update({Component("it", model, std::move(attributes))});
    ASSERT_TRUE(status.ok()) << status;
  }
  absl::Status Tick() { return Read(sources_, "it", readings_); }
  double Number(const std::string& key) const {
    const Value* value = readings_.Find(key);
    EXPECT_TRUE(value != nullptr && value->kind() == Value::Kind::kNumber) << key;
    return value == nullptr ? -1 : value->AsNumber();
  }
  void ExpectPercent(const std::string& key) const {
    EXPECT_GE(Number(key), 0) << key;
    EXPECT_LE(Number(key), 100) << key;
  }

  RobotSources sources_;
  Readings readings_;
};

TEST_F(HostSourcesTest, CpuTellsUseAndLoad) {
  Start("host-cpu");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Tick().ok());
    for (const char* key : {"usage_percent", "user_percent", "system_percent", "iowait_percent"}) {
      ExpectPercent(key);
    }
    const ValueMap& cores = readings_.Find("core_usage_percent")->AsMap();
    ASSERT_FALSE(cores.empty());
    EXPECT_EQ(cores.begin()->key.substr(0, 3), "cpu");
    for (const char* key : {"load_1m", "load_5m", "load_15m"}) EXPECT_GE(Number(key), 0);
  }
}

TEST_F(HostSourcesTest, MemoryAddsUp) {
  Start("host-memory");
  ASSERT_TRUE(Tick().ok());
  EXPECT_GT(Number("total_bytes"), 0);
  EXPECT_GT(Number("available_bytes"), 0);
  EXPECT_EQ(Number("used_bytes"), Number("total_bytes") - Number("available_bytes"));
  ExpectPercent("used_percent");
  EXPECT_GE(Number("swap_total_bytes"), Number("swap_used_bytes"));
}

TEST_F(HostSourcesTest, NetworkTellsRatesFromTheSecondReadingOn) {
  Start("host-network");
  ASSERT_TRUE(Tick().ok());
  const Value* loopback = readings_.Find("interfaces")->AsMap().Find("lo");
  ASSERT_NE(loopback, nullptr);
  EXPECT_TRUE(loopback->AsMap().Find("rx_bytes_per_s")->is_null());
  const double before = loopback->AsMap().Find("rx_bytes")->AsNumber();

  ASSERT_TRUE(Tick().ok());
  loopback = readings_.Find("interfaces")->AsMap().Find("lo");
  ASSERT_NE(loopback, nullptr);
  EXPECT_GE(loopback->AsMap().Find("rx_bytes")->AsNumber(), before);
  EXPECT_EQ(loopback->AsMap().Find("rx_bytes_per_s")->kind(), Value::Kind::kNumber);
  EXPECT_EQ(loopback->AsMap().size(), 10);
}

TEST_F(HostSourcesTest, DiskTellsSpaceOfThePath) {
  Start("host-disk", Attribute("path", Path("")));
  ASSERT_TRUE(Tick().ok());
  EXPECT_EQ(readings_.Find("path")->AsString(), Path(""));
  EXPECT_GT(Number("total_bytes"), 0);
  EXPECT_GE(Number("total_bytes"), Number("available_bytes"));
  ExpectPercent("used_percent");
}

TEST_F(HostSourcesTest, DiskNamesAPathThatIsNotThere) {
  Start("host-disk", Attribute("path", Path("gone")));
  const absl::Status status = Tick();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_NE(status.message().find(Path("gone")), absl::string_view::npos) << status;
}

TEST_F(HostSourcesTest, ThermalNeverFails) {
  Start("host-thermal");
  ASSERT_TRUE(Tick().ok());
  EXPECT_GE(Number("zones"), 0);
}

TEST_F(HostSourcesTest, ThermalReportsZeroZonesWithoutSensors) {
  ASSERT_TRUE(Read(MakeHostThermalAt(Path("nothing")), readings_).ok());
  EXPECT_EQ(datamanager::ToJson(readings_), R"({"zones":0})");
}

TEST_F(HostSourcesTest, ThermalReadsZonesAndChips) {
  const auto write = [&](const std::string& name, const std::string& text) {
    const std::filesystem::path path = Path(name);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  };
  write("thermal/thermal_zone0/type", "x86_pkg_temp");
  write("thermal/thermal_zone0/temp", "45500");
  write("thermal/thermal_zone1/type", "asleep");
  write("hwmon/hwmon0/name", "coretemp");
  write("hwmon/hwmon0/temp2_input", "-1500");
  write("hwmon/hwmon0/temp2_max", "100000");
  const datamanager::SourceFunction source = MakeHostThermalAt(Path(""));
  ASSERT_TRUE(Read(source, readings_).ok());
  EXPECT_EQ(datamanager::ToJson(readings_),
            R"({"temperatures_celsius":{"hwmon0/coretemp/temp2":-1.5,"thermal_zone0/x86_pkg_temp":)"
            R"(45.5,"thermal_zone1/asleep":null},"zones":2})");

  write("thermal/thermal_zone0/temp", "46000");
  ASSERT_TRUE(Read(source, readings_).ok());
  EXPECT_EQ(readings_.Find("temperatures_celsius")
                ->AsMap()
                .Find("thermal_zone0/x86_pkg_temp")
                ->AsNumber(),
            46);
}

}  // namespace
}  // namespace robot
