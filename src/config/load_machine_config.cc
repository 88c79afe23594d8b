#include <cstdlib>
#include <optional>
#include <string>

#include "base/read_file.h"
#include "config/json.h"
#include "config/machine_config.h"
#include "datamanager/config.h"

namespace datamanager {
namespace {

std::optional<std::string> EnvironmentVariable(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): sets none.
  return value == nullptr ? std::nullopt : std::make_optional<std::string>(value);
}

}  // namespace

absl::StatusOr<MachineConfig> LoadMachineConfig(const std::string& path) {
  // The parser refuses what is larger.
  const absl::StatusOr<std::string> text = ReadFile(path, config::kMaxJsonBytes);
  if (!text.ok()) return text.status();
  return config::ParseMachineConfig(*text, path, EnvironmentVariable);
}

}  // namespace datamanager
