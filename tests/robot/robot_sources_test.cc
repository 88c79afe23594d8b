#include "robot/sources/robot_sources.h"

#include <memory>
#include <string>
#include <vector>

#include "robot/sources/attributes.h"
#include "tests/robot/robot_fixture.h"

namespace robot {
namespace {

using datamanager::ComponentConfig;
using datamanager::SourceFunction;
using datamanager::ValueMap;

constexpr char kAllModels[] =
    "host-cpu, host-memory, host-network, host-disk, host-thermal, simulated-camera, counter, "
    "file-readings, file-tail, remote";

class RobotSourcesTest : public RobotTest {
 protected:
  absl::Status Update(const std::vector<ComponentConfig>& components) {
    return sources_.Update(components);
  }
  std::string Faults(const std::vector<ComponentConfig>& components) {
    return std::string(Update(components).message());
  }
  // What the library compares to see whether a collector must restart.
  std::shared_ptr<const SourceFunction> Sensor(const std::string& name) const {
    return sources_.sources().Find(kSensor, name, "Readings");
  }
  std::shared_ptr<const SourceFunction> Camera(const std::string& name) const {
    return sources_.sources().Find(kCamera, name, "GetImages");
  }

  RobotSources sources_;
};

TEST_F(RobotSourcesTest, TakesTheModelFromEitherPlace) {
  ASSERT_TRUE(
      Update({Component("a", "host-memory"), Component("b", "", Attribute("model", "host-memory")),
              Component("c", "rdk:builtin:fake", Attribute("model", "host-memory"))})
          .ok());
  for (const char* name : {"a", "b", "c"}) EXPECT_NE(Sensor(name), nullptr) << name;
}

TEST_F(RobotSourcesTest, KeepsASourceWhileItsComponentIsTheSame) {
  const ComponentConfig cpu = Component("cpu", "host-cpu");
  const ComponentConfig camera = Component("cam", "simulated-camera", Attribute("width", 320));
  ASSERT_TRUE(Update({cpu, camera, Component("old", "host-memory")}).ok());
  const auto cpu_before = Sensor("cpu");
  const auto camera_before = Camera("cam");
  ASSERT_NE(cpu_before, nullptr);
  ASSERT_NE(camera_before, nullptr);

  ASSERT_TRUE(Update({camera, cpu, Component("new", "host-memory")}).ok());
  EXPECT_EQ(Sensor("cpu"), cpu_before);
  EXPECT_EQ(Camera("cam"), camera_before);
  EXPECT_EQ(Sensor("old"), nullptr);
  EXPECT_NE(Sensor("new"), nullptr);

  ASSERT_TRUE(Update({Component("cpu", "host-thermal"),
                      Component("cam", "simulated-camera", Attribute("width", 400))})
                  .ok());
  EXPECT_NE(Sensor("cpu"), cpu_before);
  EXPECT_NE(Camera("cam"), camera_before);
  EXPECT_EQ(Sensor("new"), nullptr);
}

TEST_F(RobotSourcesTest, ChangesNothingOnError) {
  ASSERT_TRUE(Update({Component("cpu", "host-cpu"), Component("mem", "host-memory")}).ok());
  const auto cpu_before = Sensor("cpu");
  EXPECT_FALSE(Update({Component("cpu", "host-disk"), Component("bad", "no-such")}).ok());
  EXPECT_EQ(Sensor("cpu"), cpu_before);
  EXPECT_NE(Sensor("mem"), nullptr);
  EXPECT_EQ(Sensor("bad"), nullptr);
}

TEST_F(RobotSourcesTest, ACopyChangesByItself) {
  ASSERT_TRUE(Update({Component("cpu", "host-cpu")}).ok());
  RobotSources copy = sources_;
  ASSERT_TRUE(copy.Update({Component("cpu", "host-cpu"), Component("mem", "host-memory")}).ok());
  EXPECT_EQ(copy.sources().Find(kSensor, "cpu", "Readings"), Sensor("cpu"));
  EXPECT_EQ(Sensor("mem"), nullptr);
}

TEST_F(RobotSourcesTest, NamesTheNearestModel) {
  EXPECT_EQ(Faults({Component("cpu", "host-cpus")}),
            std::string("component \"cpu\": model \"host-cpus\" is not known; the nearest is "
                        "\"host-cpu\" (known are ") +
                kAllModels + ")");
  EXPECT_EQ(Faults({Component("cpu", "")}),
            std::string("component \"cpu\": has no model; known are ") + kAllModels);
}

TEST_F(RobotSourcesTest, ListsEveryFaultOfEveryComponent) {
  ValueMap camera = Attribute("width", "wide");
  camera.Set("hight", 5);
  camera.Set("mime_type", "image/jpeg");
  ComponentConfig misplaced = Component("misplaced", "host-cpu");
  misplaced.api = kCamera;
  EXPECT_EQ(
      Faults({Component("cam", "simulated-camera", camera), misplaced, Component("c1", "counter"),
              Component("c2", "counter", Attribute("journal", 7)),
              Component("c3", "counter", Attribute("journal", Path("no/journal"))),
              Component("c3", "host-cpu")}),
      "component \"cam\": attribute \"mime_type\" = \"image/jpeg\" is not supported by "
      "simulated-camera: it makes image/png only\n"
      "component \"cam\": attribute \"width\" = \"wide\" must be a whole number from 116 to 4096\n"
      "component \"cam\": attribute \"hight\" = 5 is not known to this model; the nearest known "
      "one "
      "is \"height\"\n"
      "component \"misplaced\": api \"rdk:component:camera\" does not fit model \"host-cpu\", "
      "which "
      "is a \"rdk:component:sensor\"\n"
      "component \"c1\": attribute \"journal\" is missing; it must be text\n"
      "component \"c2\": attribute \"journal\" = 7 must be text\n"
      "component \"c3\": attribute \"journal\" = \"" +
          Path("no/journal") + "\" does not work: open " + Path("no/journal") +
          ": No such file or directory\n"
          "component \"c3\": is declared twice with api \"rdk:component:sensor\"");
}

TEST(NearestOfTest, CountsEdits) {
  EXPECT_EQ(NearestOf("hight", {"width", "height"}), "height");
  EXPECT_EQ(NearestOf("", {"abc", "a"}), "a");
  EXPECT_EQ(NearestOf("abc", {"abd", "abc"}), "abc");
}

}  // namespace
}  // namespace robot
