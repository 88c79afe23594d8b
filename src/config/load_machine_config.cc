#include <string>

#include "base/read_file.h"
#include "config/json.h"
#include "datamanager/config.h"

namespace datamanager {

absl::StatusOr<MachineConfig> LoadMachineConfig(const std::string& path) {
  // The parser refuses what is larger.
  const absl::StatusOr<std::string> text = ReadFile(path, config::kMaxJsonBytes);
  if (!text.ok()) return text.status();
  return ParseMachineConfig(*text, path);
}

}  // namespace datamanager
