// What the tests of the robot's sources share.
#ifndef DATAMANAGER_TESTS_ROBOT_ROBOT_FIXTURE_H_
#define DATAMANAGER_TESTS_ROBOT_ROBOT_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>

#include "datamanager/config.h"
#include "datamanager/source.h"
#include "robot/sources/robot_sources.h"
#include "tests/support/temp_dir.h"

namespace robot {

inline constexpr char kSensor[] = "rdk:component:sensor";
inline constexpr char kCamera[] = "rdk:component:camera";

inline datamanager::ComponentConfig Component(const std::string& name, const std::string& model,
                                              datamanager::ValueMap attributes = {}) {
  return {.name = name,
          .api = model == "simulated-camera" ? kCamera : kSensor,
          .model = model,
          .attributes = std::move(attributes)};
}

template <typename T>
datamanager::ValueMap Attribute(const std::string& name, T&& value) {
  datamanager::ValueMap map;
  map.Set(name, std::forward<T>(value));
  return map;
}

// Asks a source once, in place of the library.
class RobotTest : public ::testing::Test {
 protected:
  // The source of the component `name` in `sources`.
  static absl::Status Read(const RobotSources& sources, const std::string& name,
                           datamanager::Readings& out) {
    const auto source = sources.sources().Find(kSensor, name, "Readings");
    if (source == nullptr) return absl::NotFoundError(name);
    return Read(*source, out);
  }
  static absl::Status Read(const datamanager::SourceFunction& source, datamanager::Readings& out) {
    const datamanager::ValueMap extra;
    out.Clear();
    return std::get<datamanager::ReadingsSource>(source)(
        {.method = "Readings", .extra = extra, .params = extra}, out);
  }
  static absl::Status Capture(const RobotSources& sources, const std::string& name,
                              datamanager::Images& out) {
    const auto source = sources.sources().Find(kCamera, name, "GetImages");
    if (source == nullptr) return absl::NotFoundError(name);
    const datamanager::ValueMap extra;
    out.Clear();
    return std::get<datamanager::ImagesSource>(*source)(
        {.method = "GetImages", .extra = extra, .params = extra}, out);
  }

  // A path in the test's own directory.
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }

 private:
  datamanager::testing::TempDir directory_;
};

}  // namespace robot

#endif  // DATAMANAGER_TESTS_ROBOT_ROBOT_FIXTURE_H_
