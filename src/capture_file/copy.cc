#include "capture_file/copy.h"

#include <algorithm>
#include <cerrno>
#include <vector>

namespace datamanager::capture_file {

absl::Status CopyBytes(FileOps& ops, int from, uint64_t offset, uint64_t size, int to) {
  constexpr uint64_t kChunkBytes = 64 << 10;
  std::vector<char> chunk(std::min(size, kChunkBytes));
  while (size > 0) {
    const size_t part = std::min<uint64_t>(size, chunk.size());
    absl::Status status = ReadExactly(ops, from, static_cast<off_t>(offset), part, chunk.data());
    if (!status.ok()) return status;
    size_t written = 0;
    while (written < part) {
      const ssize_t count = ops.Write(to, chunk.data() + written, part - written);
      if (count < 0) return absl::ErrnoToStatus(errno, "write");
      written += static_cast<size_t>(count);
    }
    offset += part;
    size -= part;
  }
  return absl::OkStatus();
}

}  // namespace datamanager::capture_file
