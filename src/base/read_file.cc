#include "base/read_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/strings.h"
#include "base/unique_fd.h"

namespace datamanager {

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t enough) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "open", path);
  std::string text;
  char buffer[64 << 10];
  while (text.size() <= enough) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof(buffer));
    if (count == 0) break;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "read", path);
    text.append(buffer, static_cast<size_t>(count));
  }
  return text;
}

}  // namespace datamanager
