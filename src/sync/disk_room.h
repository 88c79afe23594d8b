// How much room a volume has, as far as that can be measured.
#ifndef DATAMANAGER_SRC_SYNC_DISK_ROOM_H_
#define DATAMANAGER_SRC_SYNC_DISK_ROOM_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_ops.h"

namespace datamanager::sync {

// What the volume of a directory reports, and what the capture directory takes of it.
struct DiskUsage {
  uint64_t size = 0;
  uint64_t available = 0;  // To unprivileged processes.
  uint64_t captured = 0;   // Taken by all files in the capture directory.
  uint64_t free = 0;       // Includes the file system's reserve.
  // 0: the file system has no fixed number of inodes (btrfs), or does not report it (vfat).
  uint64_t inodes = 0;
  uint64_t inodes_available = 0;
  uint64_t captured_files = 0;

  double used() const;
  double captured_share() const;
  double inodes_used() const;
  double captured_inode_share() const;
};

// Reads everything except `captured` and `captured_files`.
absl::StatusOr<DiskUsage> ReadDiskUsage(FileOps& ops, const std::string& directory);

// How much a new file can hold, up to kRoomLimit.
struct Room {
  uint64_t bytes = 0;
  int error = 0;  // Errno of the refused write; 0: all were taken.

  // Whether space, inodes or a quota are used up.
  bool full() const;
};
inline constexpr uint64_t kRoomLimit = 256 << 10;

// Writes a file without a name into `directory`, which is gone when this returns: the only way to
// see quotas of every kind on every file system. Flushes nothing.
Room MeasureRoom(FileOps& ops, const std::string& directory);

// Makes the file system give back the room of removed files: some (btrfs, XFS) do so only later.
// Blocks on the disk.
void SettleRemovals(FileOps& ops, const std::string& directory);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_DISK_ROOM_H_
