// The robot as a program, with its config file and counters that keep journals.
#ifndef DATAMANAGER_TESTS_INTEGRATION_ROBOT_WORLD_H_
#define DATAMANAGER_TESTS_INTEGRATION_ROBOT_WORLD_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "tests/integration/world.h"
#include "tests/support/process.h"

namespace datamanager::testing {

class RobotWorld : public World {
 protected:
  ~RobotWorld() override {
    if (HasFailure() && robot_ != nullptr) {
      std::fprintf(stderr, "the robot:\n%s", robot_->Output().c_str());
    }
  }

  std::string Journal(const std::string& name) const { return Path(name + ".journal"); }
  // A component of the machine config.
  std::string Counter(const std::string& name, int hz) const {
    return absl::StrCat(
        R"({"name": ")", name, R"(", "api": "rdk:component:sensor", "model": "counter",)",
        R"("attributes": {"journal": ")", Journal(name), R"("},)",
        R"("service_configs": [{"type": "data_manager", "attributes": {"capture_methods": [)",
        R"({"method": "Readings", "capture_frequency_hz": )", hz, "}]}}]}");
  }
  // The service, with further attributes, each after a comma.
  std::string Service(const std::string& attributes = "") const {
    return absl::StrCat(
        R"({"name": "data", "api": "rdk:service:data_manager", "model": "rdk:builtin:builtin",)",
        R"("attributes": {"capture_dir": ")", config_.capture_dir,
        R"(", "sync_interval_mins": 0.001)", attributes, "}}");
  }
  std::string CloudOf(const std::string& address) const {
    return absl::StrCat(R"("cloud": {"id": "part-1", "app_address": "http://)", address, R"("},)");
  }
  std::string Machine(const std::string& cloud, const std::vector<std::string>& components,
                      const std::string& service) const {
    return absl::StrCat("{", cloud, R"("components": [)", absl::StrJoin(components, ","),
                        R"(], "services": [)", service, "]}");
  }

  std::string ConfigFile() const { return Path("robot.json"); }
  void Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), ROBOT_PATH);
    robot_ = std::make_unique<Process>(std::move(arguments), Path("robot.out"));
  }
  void RunWith(const std::string& config, std::vector<std::string> further = {}) {
    WriteFile(ConfigFile(), config);
    further.insert(further.begin(), {"--config", ConfigFile()});
    Run(std::move(further));
  }
  bool WaitForOutput(const std::string& text) const {
    return WaitUntil([&] { return robot_->Said(text); });
  }
  // Lines "run seq".
  std::vector<std::string> Journalled(const std::string& name) const {
    return absl::StrSplit(ReadFile(Journal(name)), '\n', absl::SkipEmpty());
  }
  bool WaitForJournal(const std::string& name, size_t lines) const {
    return WaitUntil([&] { return Journalled(name).size() >= lines; });
  }
  // The same for what arrived, sorted as the journal is.
  std::vector<std::string> ArrivedAsJournalled(const std::string& name) const {
    std::vector<std::pair<std::string, int>> arrived;
    for (const ingest::Received& row : ArrivedFrom(name)) {
      const auto json = ParseStruct(row.json);
      const auto& readings = json.fields().at("readings").struct_value().fields();
      arrived.emplace_back(readings.at("run").string_value(),
                           static_cast<int>(readings.at("seq").number_value()));
    }
    std::sort(arrived.begin(), arrived.end());
    std::vector<std::string> lines;
    for (const auto& [run, seq] : arrived) lines.push_back(absl::StrCat(run, " ", seq));
    return lines;
  }

  std::unique_ptr<Process> robot_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_INTEGRATION_ROBOT_WORLD_H_
