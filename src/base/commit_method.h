// How a file system is asked to make a batch of files durable.
#ifndef DATAMANAGER_SRC_BASE_COMMIT_METHOD_H_
#define DATAMANAGER_SRC_BASE_COMMIT_METHOD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace datamanager {

// Each method gives the same guarantee, and rests on:
//
//   kInTurn  POSIX: fdatasync of each file, fsync of each directory, one after another. For file
//            systems in memory, where these calls return at once.
//   kEach    POSIX too, on several threads, so that a file system that commits for all callers at
//            once does so. For everything that is not listed below.
//   kAnchor  The journal of ext4 and XFS. The data of all files is written back and waited for
//            (sync_file_range), which leaves their sizes, extents and names in the journal's
//            running transaction or in an earlier one. Then the size of one more file, the anchor,
//            is changed and that file is flushed (fdatasync): this commits the transaction with the
//            anchor's change, and with it every earlier change of the whole file system, after a
//            flush of the device's cache. One commit stands for any number of files and names.
//            Traced with every write and flush of a block device recorded: ext4 with 1 and 4 KiB
//            blocks and each data= mode, XFS. Not with fast commits, whose replay failed; without
//            barriers nothing holds, and without a journal on the same device there is none.
//   kWhole   syncfs, which makes the whole file system durable. On btrfs a commit of one file costs
//            a log tree or the whole transaction, so from kWholeFrom files on this is cheaper.
enum class CommitMethod : uint8_t { kInTurn, kEach, kAnchor, kWhole };

inline constexpr size_t kWholeFrom = 8;

// What is known of a mounted file system.
struct MountFacts {
  std::string type;           // As in /proc/filesystems.
  std::string super_options;  // Of the file system, as in mountinfo: comma-separated.
  // /proc/fs/ext4/<device>/options, one a line; empty where it cannot be read.
  std::string ext4_options;
  bool ext4_has_journal = false;       // On the same device.
  bool ext4_has_fast_commits = false;  // It has made some, by /proc/fs/ext4/<device>/fc_info.
};

// Any thread.
CommitMethod CommitMethodOf(const MountFacts& facts);

// The mount through which `fd` was opened, by /proc and /sys; nullopt where they do not tell.
std::optional<MountFacts> FindMount(int fd);

// The id of that mount; -1 where the kernel does not tell.
int64_t MountIdOf(int fd);

// CommitMethodOf(*FindMount(fd)), and kEach where that is not known. Reads a few small files of
// /proc and /sys.
CommitMethod FindCommitMethod(int fd);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_COMMIT_METHOD_H_
