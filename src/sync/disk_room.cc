#include "sync/disk_room.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/unique_fd.h"

namespace datamanager::sync {
namespace {

constexpr size_t kChunkBytes = 16 << 10;
// Named as in progress, so that nothing uploads it if the process dies before it is removed.
constexpr char kProbeName[] = "room-probe.prog";

double Share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

UniqueFd OpenNameless(FileOps& ops, const std::string& directory) {
  UniqueFd fd(ops.Open(directory.c_str(), O_WRONLY | O_TMPFILE, 0600));
  if (fd.valid() || (errno != EOPNOTSUPP && errno != EISDIR)) return fd;
  const std::string path = absl::StrCat(directory, "/", kProbeName);
  ops.Unlink(path.c_str());
  fd = UniqueFd(ops.Open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  const int error = errno;
  if (fd.valid()) ops.Unlink(path.c_str());
  errno = error;
  return fd;
}

}  // namespace

double DiskUsage::used() const { return size == 0 ? 0 : 1 - Share(available, size); }
double DiskUsage::captured_share() const { return Share(captured, size); }
double DiskUsage::inodes_used() const {
  return inodes == 0 ? 0 : 1 - Share(inodes_available, inodes);
}
double DiskUsage::captured_inode_share() const { return Share(captured_files, inodes); }

absl::StatusOr<DiskUsage> ReadDiskUsage(FileOps& ops, const std::string& directory) {
  struct statvfs volume {};
  if (ops.Statvfs(directory.c_str(), &volume) != 0) {
    return ErrnoStatus(errno, "read the disk usage of", directory);
  }
  return DiskUsage{.size = volume.f_blocks * volume.f_frsize,
                   .available = volume.f_bavail * volume.f_frsize,
                   .free = volume.f_bfree * volume.f_frsize,
                   .inodes = volume.f_files,
                   .inodes_available = volume.f_favail};
}

bool Room::full() const { return error == ENOSPC || error == EDQUOT; }

Room MeasureRoom(FileOps& ops, const std::string& directory) {
  Room room;
  const UniqueFd fd = OpenNameless(ops, directory);
  if (!fd.valid()) {
    room.error = errno;
    return room;
  }
  const std::vector<char> chunk(kChunkBytes);
  while (room.bytes < kRoomLimit) {
    const ssize_t written = ops.Write(fd.get(), chunk.data(), chunk.size());
    if (written < 0) {
      room.error = errno;
      return room;
    }
    room.bytes += static_cast<uint64_t>(written);
  }
  return room;
}

void SettleRemovals(FileOps& ops, const std::string& directory) {
  const UniqueFd fd(ops.Open(directory.c_str(), O_RDONLY | O_DIRECTORY, 0));
  // On failure the numbers stay as they are.
  if (fd.valid()) ops.Syncfs(fd.get());
}

}  // namespace datamanager::sync
