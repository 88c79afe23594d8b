#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "robot/sources/models.h"
#include "robot/sources/pseudo_file.h"
#include "robot/sources/scan.h"

namespace robot {
namespace {

namespace fs = std::filesystem;

struct Sensor {
  std::string name;
  std::unique_ptr<PseudoFile> millidegrees;
};

// In order of their names; none if the directory is missing.
std::vector<fs::path> Entries(const fs::path& directory, const std::string& prefix) {
  std::vector<fs::path> entries;
  std::error_code ignored;  // A machine without such sensors lacks the directory.
  for (fs::directory_iterator it(directory, ignored), end; it != end; it.increment(ignored)) {
    if (it->path().filename().string().starts_with(prefix)) entries.push_back(it->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

// The one word that `file` holds; "unknown" if it cannot be read.
std::string Word(const fs::path& file) {
  PseudoFile pseudo_file(file.string());
  absl::StatusOr<std::string_view> text = pseudo_file.Read();
  const std::string_view word = text.ok() ? NextField(*text) : std::string_view();
  return word.empty() ? "unknown" : std::string(word);
}

class HostThermal {
 public:
  explicit HostThermal(const fs::path& sys_class) {
    for (const fs::path& zone : Entries(sys_class / "thermal", "thermal_zone")) {
      AddSensor(zone.filename().string() + "/" + Word(zone / "type"), zone / "temp");
    }
    zones_ = sensors_.size();
    for (const fs::path& chip : Entries(sys_class / "hwmon", "hwmon")) {
      for (const fs::path& input : Entries(chip, "temp")) {
        std::string name = input.filename().string();
        constexpr std::string_view kSuffix = "_input";
        if (!name.ends_with(kSuffix)) continue;
        name.resize(name.size() - kSuffix.size());
        AddSensor(chip.filename().string() + "/" + Word(chip / "name") + "/" + name, input);
      }
    }
  }

  absl::Status Read(datamanager::Readings& out) {
    out.Set("zones", zones_);
    if (sensors_.empty()) return absl::OkStatus();
    datamanager::ValueMap& temperatures = out.Add("temperatures_celsius").SetMap();
    for (Sensor& sensor : sensors_) {
      datamanager::Value& value = temperatures.Add(sensor.name);
      // Sensors that sleep or warm up return an error.
      absl::StatusOr<std::string_view> text = sensor.millidegrees->Read();
      if (text.ok()) value.SetNumber(NextNumber<double>(*text) / 1000);
    }
    return absl::OkStatus();
  }

 private:
  void AddSensor(std::string name, const fs::path& file) {
    sensors_.push_back({std::move(name), std::make_unique<PseudoFile>(file.string())});
  }

  std::vector<Sensor> sensors_;
  size_t zones_ = 0;
};

}  // namespace

datamanager::SourceFunction MakeHostThermalAt(const std::string& sys_class) {
  return ReadingsFrom(std::make_shared<HostThermal>(sys_class));
}

datamanager::SourceFunction MakeHostThermal(Attributes&) { return MakeHostThermalAt("/sys/class"); }

}  // namespace robot
