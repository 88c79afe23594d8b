#include "robot/sources/regular_file.h"

#include <fcntl.h>

#include <cerrno>

namespace robot {

absl::Status OpenRegularFile(const std::string& path, Fd& fd, struct stat& info) {
  fd.Reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, "open " + path);
  if (::fstat(fd.get(), &info) != 0) return absl::ErrnoToStatus(errno, "look at " + path);
  if (S_ISREG(info.st_mode)) return absl::OkStatus();
  fd.Reset(-1);
  return absl::InvalidArgumentError(path + " is no regular file");
}

}  // namespace robot
