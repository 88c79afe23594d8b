#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>

#include "base/strings.h"
#include "base/unique_fd.h"
#include "config/json.h"
#include "config/machine_config.h"
#include "datamanager/config.h"

namespace datamanager {
namespace {

absl::StatusOr<std::string> ReadAll(const std::string& path) {
  // A pipe is as good as a file.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "open", path);
  std::string text;
  char buffer[64 << 10];
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof(buffer));
    if (count == 0) return text;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "read", path);
    text.append(buffer, static_cast<size_t>(count));
    // The parser refuses it from here on; whoever passes a disk image by mistake learns it at once.
    if (text.size() > config::kMaxJsonBytes) return text;
  }
}

std::optional<std::string> EnvironmentVariable(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): sets none.
  return value == nullptr ? std::nullopt : std::make_optional<std::string>(value);
}

}  // namespace

absl::StatusOr<MachineConfig> LoadMachineConfig(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadAll(path);
  if (!text.ok()) return text.status();
  return config::ParseMachineConfig(*text, path, EnvironmentVariable);
}

}  // namespace datamanager
