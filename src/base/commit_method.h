// Chooses the system calls that make a batch of files durable on a file system.
#ifndef DATAMANAGER_SRC_BASE_COMMIT_METHOD_H_
#define DATAMANAGER_SRC_BASE_COMMIT_METHOD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace datamanager {

// All methods give the same guarantee. They rest on:
//
//   kInTurn  POSIX: fdatasync of each file, fsync of each directory, one after another. Used for
//            file systems in memory, where these calls return at once.
//   kEach    POSIX too, but on several threads, so that a file system that commits for all callers
//            at once does so. Used for all file systems that are not listed below.
//   kAnchor  The journal of ext4 and XFS. The data of all files is written back and waited for
//            (sync_file_range), which leaves their sizes, extents and names in the journal's
//            running transaction or in an earlier one. Then the size of one more file, the anchor,
//            is changed and that file is flushed (fdatasync): this commits the transaction with the
//            anchor's change, and with it every earlier change of the whole file system, after a
//            flush of the device's cache. One commit covers any number of files and names, and both
//            data and names: whatever transaction a rename is in, the sizes and extents of the data
//            that was written back before are in it or in an earlier one, and no transaction is
//            committed before the device's cache is flushed.
//            Traced with every write and flush of a block device recorded: ext4 with 1 and 4 KiB
//            blocks and each data= mode, XFS. Not used with fast commits, because their replay
//            failed, nor without barriers, because nothing holds then, nor without a journal on the
//            same device, because the method rests on it.
//   kWhole   syncfs, which makes the whole file system durable. On btrfs a commit of one file costs
//            a log tree or the whole transaction, so syncfs is cheaper from kWholeFrom files on.
enum class CommitMethod : uint8_t { kInTurn, kEach, kAnchor, kWhole };

inline constexpr size_t kWholeFrom = 8;

// The properties of a mounted file system that decide its CommitMethod.
struct MountFacts {
  std::string type;           // As in /proc/filesystems.
  std::string super_options;  // Comma-separated, as in mountinfo; without those of the mount.
  // /proc/fs/ext4/<device>/options, one a line; empty where it cannot be read.
  std::string ext4_options;
  bool ext4_has_journal = false;       // On the same device.
  bool ext4_has_fast_commits = false;  // /proc/fs/ext4/<device>/fc_info counts some.
};

// Any thread.
CommitMethod CommitMethodOf(const MountFacts& facts);

// Finds the mount through which `fd` was opened, in /proc and /sys; nullopt if it is not there.
std::optional<MountFacts> FindMount(int fd);

// Returns the id of that mount; -1 if the kernel does not report it.
int64_t MountIdOf(int fd);

// Returns CommitMethodOf(*FindMount(fd)), or kEach if there is no such mount. Reads a few small
// files of /proc and /sys.
CommitMethod FindCommitMethod(int fd);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_COMMIT_METHOD_H_
