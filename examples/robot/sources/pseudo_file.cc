#include "robot/sources/pseudo_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace robot {

absl::Status PseudoFile::Fail(const char* step) {
  absl::Status status = absl::ErrnoToStatus(errno, step + (" " + path_));
  fd_.Reset(-1);
  return status;
}

absl::StatusOr<std::string_view> PseudoFile::Read() {
  if (!fd_.valid()) {
    fd_.Reset(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd_.valid()) return Fail("open");
  }
  // The kernel hands out about a page per call, whatever the size asked for: only 0 is the end.
  size_t size = 0;
  while (true) {
    if (size == buffer_.size()) buffer_.resize(std::max<size_t>(4096, 2 * size));
    const ssize_t n =
        ::pread(fd_.get(), buffer_.data() + size, buffer_.size() - size, static_cast<off_t>(size));
    if (n == 0) return std::string_view(buffer_.data(), size);
    if (n > 0) {
      size += static_cast<size_t>(n);
    } else if (errno != EINTR) {
      return Fail("read");
    }
  }
}

}  // namespace robot
