#include "base/durable_names.h"

#include <fcntl.h>

#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/unique_fd.h"

namespace datamanager {

absl::Status DurableNames::Flush(const std::string& directory) {
  std::vector<std::pair<std::string, Directory>> flushed;
  std::optional<dev_t> device;
  std::string path = directory;
  while (true) {
    const UniqueFd fd(ops_.Open(path.c_str(), O_RDONLY | O_DIRECTORY, 0));
    if (!fd.valid()) {
      // What we may not read we have made nothing in.
      if (errno == EACCES && path != directory) break;
      return ErrnoStatus(errno, "open directory", path);
    }
    struct stat info {};
    if (ops_.Fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "look at", path);
    // The directory before is a mount point: no name in this one.
    if (device.has_value() && *device != info.st_dev) break;
    device = info.st_dev;
    if (ops_.Fsync(fd.get()) != 0) return ErrnoStatus(errno, "flush directory", path);
    Directory found{.id = FileId::Of(info), .incarnation = ops_.Incarnation(fd.get())};
    {
      MutexLock lock(mutex_);
      const auto known = durable_.find(path);
      if (known != durable_.end() && !found.incarnation.empty() && known->second == found) break;
    }
    flushed.emplace_back(path, std::move(found));
    std::string parent = ParentPath(path);
    if (parent == path || parent == ".") break;
    path = std::move(parent);
  }
  MutexLock lock(mutex_);
  for (auto& [name, found] : flushed) durable_[name] = std::move(found);
  return absl::OkStatus();
}

}  // namespace datamanager
