// The seam between the library and the disk: every call that decides whether captured data lives
// goes through here, so that tests can make any of them fail.
#ifndef DATAMANAGER_SRC_BASE_FILE_OPS_H_
#define DATAMANAGER_SRC_BASE_FILE_OPS_H_

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/commit_method.h"
#include "base/unique_fd.h"
#include "datamanager/clock.h"

namespace datamanager {

// System calls with their own conventions: they return -1 and set errno on failure, and interrupted
// calls are repeated. `dir` is the descriptor of the directory at which a relative path begins, or
// AT_FDCWD. Thread-safe.
//
// Some file systems (exFAT, some over FUSE or the network) lack some of these calls. The methods
// then do the next best, so that each caller works there too:
//
//   - RenameNoReplaceAt, without RENAME_NOREPLACE: renames onto an empty file that reserves the
//     name, see exclusive_rename.h.
//   - TryLock, without flock: locks within this process, see process_locks.h. Other processes can
//     take the file too.
//   - Fsync and Fdatasync, where a directory or a file cannot be flushed: flush the file system. If
//     that is not possible either, they succeed: an error would only stop all other work.
//   - TryLease, without leases: fails, and its callers decide by the file's age.
//
// The README lists what remains of each guarantee, under "What it guarantees, and what not".
//
// ProbeDirectory in capture/ finds out which of these calls a directory has, and logs it.
class FileOps {
 public:
  virtual ~FileOps() = default;

  // O_CLOEXEC is always added. Never returns the descriptor of a standard stream, even if that is
  // closed: see AboveStandardStreams.
  virtual int OpenAt(int dir, const char* path, int flags, mode_t mode);
  // The same for what exists at an absolute path, but no step of the way follows a link: ELOOP or
  // ENOTDIR where one would.
  virtual int OpenWithoutLinks(const char* path, int flags);
  virtual ssize_t Write(int fd, const void* data, size_t size);
  virtual ssize_t Writev(int fd, const iovec* parts, int count);
  virtual ssize_t Pread(int fd, void* data, size_t size, off_t offset);
  virtual int Fstat(int fd, struct stat* result);
  virtual int LstatAt(int dir, const char* path, struct stat* result);
  // Whether this process may do `mode` (of R_OK, W_OK, X_OK), with the identity that counts for
  // opening and removing. EROFS on a read-only file system, even to root.
  virtual int AccessAt(int dir, const char* path, int mode);
  virtual int Ftruncate(int fd, off_t size);
  virtual int Fdatasync(int fd);
  virtual int Fsync(int fd);
  // Flushes the file like Fdatasync, but without a fallback.
  virtual int FdatasyncOnly(int fd);
  virtual int FsyncOnly(int fd);
  // Starts the writing of the whole file's data, or waits for it; `flags` are those of
  // sync_file_range(2). Makes nothing durable: neither the file's size nor the device's cache.
  virtual int SyncFileRange(int fd, unsigned flags);
  // Makes all that was written to the file system of `fd` durable.
  virtual int Syncfs(int fd);
  // Returns the CommitMethod that suits the file system of `fd`.
  virtual CommitMethod CommitMethodFor(int fd);
  // Never overwrites: EEXIST if `to` exists.
  virtual int RenameNoReplaceAt(int from_dir, const char* from, int to_dir, const char* to);
  // Calls renameat2(2), without a fallback. Without flags it overwrites.
  virtual int RenameAt(int from_dir, const char* from, int to_dir, const char* to, unsigned flags);
  virtual int UnlinkAt(int dir, const char* path);
  virtual int MkdirAt(int dir, const char* path, mode_t mode);
  // Takes the exclusive lock of the open file; EWOULDBLOCK if another open file holds it. The lock
  // ends when a UniqueFd closes `fd`.
  virtual int TryLock(int fd);
  // Calls flock(2) with LOCK_EX | LOCK_NB, without a fallback.
  virtual int Flock(int fd);
  // Takes a lease, F_RDLCK or F_WRLCK, and gives it up at once: EAGAIN if somebody else has the
  // file open, for writing or at all. Any thread with all signals blocked.
  virtual int TryLease(int fd, int type);
  // As readdir(3), which tells the end from an error by errno alone: it is 0 at the end.
  virtual const dirent* ReadDirectory(DIR* directory);
  virtual int Statvfs(const char* path, struct statvfs* result);
  // Returns a text that distinguishes the file behind `fd` from one that had its inode number
  // before; empty if the file system has none.
  virtual std::string Incarnation(int fd);

  // From the working directory.
  int Open(const char* path, int flags, mode_t mode) { return OpenAt(AT_FDCWD, path, flags, mode); }
  int Lstat(const char* path, struct stat* result) { return LstatAt(AT_FDCWD, path, result); }
  int RenameNoReplace(const char* from, const char* to) {
    return RenameNoReplaceAt(AT_FDCWD, from, AT_FDCWD, to);
  }
  int Unlink(const char* path) { return UnlinkAt(AT_FDCWD, path); }
  int Mkdir(const char* path, mode_t mode) { return MkdirAt(AT_FDCWD, path, mode); }

  static FileOps& System();
};

// Whether an error means that the file system, or the kernel, does not have such a call at all.
bool IsUnsupported(int error);
// Whether an error of flock(2) on an open file means that locks are not available.
bool LacksLock(int error);

// What identifies a file, whatever its name.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;

  static FileId Of(const struct stat& info) { return {info.st_dev, info.st_ino}; }
  friend bool operator==(const FileId&, const FileId&) = default;
  template <typename H>
  friend H AbslHashValue(H state, const FileId& id) {
    return H::combine(std::move(state), id.device, id.inode);
  }
};

// A directory being read; closes it.
using DirectoryStream = std::unique_ptr<DIR, int (*)(DIR*)>;
// Null, with errno set, if `path` is no directory that can be read. `flags` are added to those that
// open it.
DirectoryStream OpenDirectory(FileOps& ops, int dir, const char* path, int flags);

// What FileOps::OpenWithoutLinks does where the kernel has no openat2.
int OpenStepByStep(const char* path, int flags);

// When the file was last written to; when it was last changed in any way, published or moved too.
WallTime ModifiedAt(const struct stat& info);
WallTime ChangedAt(const struct stat& info);

// Opens `path` without following a link at its end and without waiting for a FIFO.
absl::StatusOr<UniqueFd> OpenFile(FileOps& ops, const std::string& path, int flags,
                                  mode_t mode = 0);

// The directory at the absolute `path`, if the whole way leads through directories and no link.
// Also O_PATH may be in `flags`.
absl::StatusOr<UniqueFd> OpenDirectoryWithoutLinks(FileOps& ops, const std::string& path,
                                                   int flags);

// Reads exactly `size` bytes; fewer at the file's end is DATA_LOSS.
absl::Status ReadExactly(FileOps& ops, int fd, off_t offset, size_t size, char* out);

// Writes all of `bytes` at the offset of `fd`, and continues after a short write. On error some may
// have been written. Any thread: a limit on the size of files is an error, and raises no signal.
absl::Status WriteAll(FileOps& ops, int fd, std::string_view bytes);

// Makes `path` and what is missing above it, with mode 0700.
absl::Status MakeDirectories(FileOps& ops, const std::string& path);

// Opens the directory `relative` below the directory `root`, and makes what is missing of it, step
// by step and durably: no link on the way is followed. FAILED_PRECONDITION names one, and whatever
// else is in the way.
absl::StatusOr<UniqueFd> MakeDirectoriesBelow(FileOps& ops, const std::string& root,
                                              std::string_view relative);

// Makes the entries of `directory` durable.
absl::Status SyncDirectory(FileOps& ops, const std::string& directory);

// Everything before the last '/', or "." without one; everything after it.
std::string ParentPath(std::string_view path);
std::string_view BaseName(std::string_view path);

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_FILE_OPS_H_
