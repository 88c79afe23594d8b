// How much room a volume has, as far as it can be found out.
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
  uint64_t available = 0;  // To who is not privileged.
  uint64_t captured = 0;   // What the capture directory takes, all files in it.
  uint64_t free = 0;       // The file system's reserve included.
  // 0: the file system has no fixed number of inodes (btrfs), or does not report it (vfat).
  uint64_t inodes = 0;
  uint64_t inodes_available = 0;
  uint64_t captured_files = 0;

  double used() const;
  double captured_share() const;
  double inodes_used() const;
  double captured_inode_share() const;
};

// Reads all but what is captured.
absl::StatusOr<DiskUsage> ReadDiskUsage(FileOps& ops, const std::string& directory);

// What a new file takes, up to kRoomLimit.
struct Room {
  uint64_t bytes = 0;
  int error = 0;  // Of the write that was refused; 0: all were taken.

  // Whether space, inodes or a quota are used up.
  bool full() const;
};
inline constexpr uint64_t kRoomLimit = 256 << 10;

// Finds out by writing a file without a name into `directory`, which goes at once: the only way to
// see quotas of every kind on every file system. Nothing is flushed.
Room MeasureRoom(FileOps& ops, const std::string& directory);

// Has the file system settle what removed files took: some (btrfs, XFS) give it back only later.
// Blocks on the disk.
void SettleRemovals(FileOps& ops, const std::string& directory);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_DISK_ROOM_H_
