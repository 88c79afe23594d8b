#include "base/file_ops.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/exclusive_rename.h"
#include "base/file_size_signal.h"
#include "base/process_locks.h"
#include "base/strings.h"

namespace datamanager {
namespace {

template <typename Call>
auto RetryInterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

WallTime ToWallTime(const timespec& time) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(
      std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
}

// Flushes the whole file system if a flush failed with errno because it is unsupported.
int FlushAll(FileOps& ops, int fd) {
  if (!IsUnsupported(errno)) return -1;
  // If nothing can be flushed, an error would only stop all other work.
  return ops.Syncfs(fd) == 0 || IsUnsupported(errno) || errno == EPERM ? 0 : -1;
}

}  // namespace

bool LacksLock(int error) {
  // ENOLCK: the server of a network file system has no lock manager. EBADF: NFS and SMB lock for
  // writing only what is open for writing.
  return IsUnsupported(error) || error == ENOLCK || error == EBADF;
}

bool IsUnsupported(int error) {
  return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == ENOTTY;
}

int FileOps::OpenAt(int dir, const char* path, int flags, mode_t mode) {
  const int opened = RetryInterrupted([&] { return ::openat(dir, path, flags | O_CLOEXEC, mode); });
  const int fd = AboveStandardStreams(opened);
  // The caller learns that it has no file, so none may be left.
  if (fd < 0 && opened >= 0 && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) {
    ::unlinkat(dir, path, 0);
    errno = EMFILE;
  }
  return fd;
}

int FileOps::OpenWithoutLinks(const char* path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_NO_SYMLINKS;
  const auto fd = static_cast<int>(
      RetryInterrupted([&] { return ::syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)); }));
  // Kernels before 5.6, and sandboxes that do not know the call.
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return AboveStandardStreams(fd);
  return OpenStepByStep(path, flags);
}

ssize_t FileOps::Write(int fd, const void* data, size_t size) {
  return RetryInterrupted([&] { return ::write(fd, data, size); });
}

ssize_t FileOps::Writev(int fd, const iovec* parts, int count) {
  return RetryInterrupted([&] { return ::writev(fd, parts, count); });
}

ssize_t FileOps::Pread(int fd, void* data, size_t size, off_t offset) {
  return RetryInterrupted([&] { return ::pread(fd, data, size, offset); });
}

int FileOps::Fstat(int fd, struct stat* result) { return ::fstat(fd, result); }

int FileOps::LstatAt(int dir, const char* path, struct stat* result) {
  return ::fstatat(dir, path, result, AT_SYMLINK_NOFOLLOW);
}

int FileOps::AccessAt(int dir, const char* path, int mode) {
  return ::faccessat(dir, path, mode, AT_EACCESS | AT_SYMLINK_NOFOLLOW);
}

int FileOps::Ftruncate(int fd, off_t size) {
  return RetryInterrupted([&] { return ::ftruncate(fd, size); });
}

int FileOps::Fdatasync(int fd) { return FdatasyncOnly(fd) == 0 ? 0 : FlushAll(*this, fd); }

int FileOps::Fsync(int fd) { return FsyncOnly(fd) == 0 ? 0 : FlushAll(*this, fd); }

int FileOps::FdatasyncOnly(int fd) {
  return RetryInterrupted([&] { return ::fdatasync(fd); });
}

int FileOps::FsyncOnly(int fd) {
  return RetryInterrupted([&] { return ::fsync(fd); });
}

int FileOps::SyncFileRange(int fd, unsigned flags) {
  return RetryInterrupted([&] { return ::sync_file_range(fd, 0, 0, flags); });
}

int FileOps::Syncfs(int fd) {
  return RetryInterrupted([&] { return ::syncfs(fd); });
}

CommitMethod FileOps::CommitMethodFor(int fd) { return FindCommitMethod(fd); }

int FileOps::RenameNoReplaceAt(int from_dir, const char* from, int to_dir, const char* to) {
  const int result = RenameAt(from_dir, from, to_dir, to, RENAME_NOREPLACE);
  // Sandboxes refuse unknown system calls with EPERM. If EPERM has another cause, the fallback
  // fails with it too.
  if (result == 0 || (!IsUnsupported(errno) && errno != EPERM)) return result;
  return RenameOntoPlaceholder(*this, from_dir, from, to_dir, to);
}

int FileOps::RenameAt(int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
  if (flags == 0) return ::renameat(from_dir, from, to_dir, to);
  return ::renameat2(from_dir, from, to_dir, to, flags);
}

int FileOps::UnlinkAt(int dir, const char* path) { return ::unlinkat(dir, path, 0); }

int FileOps::MkdirAt(int dir, const char* path, mode_t mode) { return ::mkdirat(dir, path, mode); }

int FileOps::TryLock(int fd) {
  const int result = Flock(fd);
  return result == 0 || !LacksLock(errno) ? result : ProcessLocks::Take(fd);
}

int FileOps::Flock(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB); }

int FileOps::TryLease(int fd, int type) {
  // If somebody opens the file in the instant in which we hold the lease, the kernel tells us by a
  // signal. The default one kills; this one is ignored by default, and comes to this thread only,
  // which blocks it. To give the lease up forgets both.
  thread_local const pid_t self = ::gettid();
  const f_owner_ex owner{.type = F_OWNER_TID, .pid = self};
  if (::fcntl(fd, F_SETOWN_EX, &owner) != 0 || ::fcntl(fd, F_SETSIG, SIGURG) != 0) return -1;
  if (::fcntl(fd, F_SETLEASE, type) != 0) return -1;
  return ::fcntl(fd, F_SETLEASE, F_UNLCK);
}

const dirent* FileOps::ReadDirectory(DIR* directory) {
  errno = 0;
  return ::readdir(directory);
}

int FileOps::Statvfs(const char* path, struct statvfs* result) {
  return RetryInterrupted([&] { return ::statvfs(path, result); });
}

std::string FileOps::Incarnation(int fd) {
  std::string incarnation;
  // Combines the inode number with its generation.
  alignas(file_handle) char buffer[sizeof(file_handle) + MAX_HANDLE_SZ] = {};
  auto* const handle = reinterpret_cast<file_handle*>(buffer);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount = 0;
  if (::name_to_handle_at(fd, "", handle, &mount, AT_EMPTY_PATH) == 0) {
    incarnation.assign(buffer, sizeof(file_handle) + handle->handle_bytes);
  }
  struct statx info {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &info) == 0 &&
      (info.stx_mask & STATX_BTIME) != 0) {
    absl::StrAppend(&incarnation, " ", info.stx_btime.tv_sec, ".", info.stx_btime.tv_nsec);
  }
  return incarnation;
}

FileOps& FileOps::System() {
  // Never destroyed: a thread that was left alone may outlive main().
  static auto* const ops = new FileOps;
  return *ops;
}

int OpenStepByStep(const char* path, int flags) {
  std::vector<std::string> names = {"/"};
  for (const absl::string_view name : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    names.emplace_back(name);
  }
  UniqueFd fd;
  for (const std::string& name : names) {
    const int step = &name == &names.back() ? flags : O_PATH | O_DIRECTORY;
    fd = UniqueFd(AboveStandardStreams(RetryInterrupted(
        [&] { return ::openat(fd.get(), name.c_str(), step | O_NOFOLLOW | O_CLOEXEC); })));
    if (!fd.valid()) return -1;
  }
  return fd.Release();
}

DirectoryStream OpenDirectory(FileOps& ops, int dir, const char* path, int flags) {
  UniqueFd fd(ops.OpenAt(dir, path, O_RDONLY | O_DIRECTORY | flags, 0));
  DirectoryStream stream(fd.valid() ? ::fdopendir(fd.get()) : nullptr, &::closedir);
  if (stream != nullptr) fd.Release();  // The stream's.
  return stream;
}

WallTime ModifiedAt(const struct stat& info) { return ToWallTime(info.st_mtim); }

WallTime ChangedAt(const struct stat& info) { return ToWallTime(info.st_ctim); }

absl::StatusOr<UniqueFd> OpenFile(FileOps& ops, const std::string& path, int flags, mode_t mode) {
  UniqueFd fd(ops.Open(path.c_str(), flags | O_NOFOLLOW | O_NONBLOCK, mode));
  if (!fd.valid()) return ErrnoStatus(errno, "open", path);
  return fd;
}

absl::StatusOr<UniqueFd> OpenDirectoryWithoutLinks(FileOps& ops, const std::string& path,
                                                   int flags) {
  UniqueFd fd(ops.OpenWithoutLinks(path.c_str(), flags | O_DIRECTORY));
  if (fd.valid()) return fd;
  if (errno == ELOOP || errno == ENOTDIR) {
    return absl::NotFoundError(
        absl::StrCat("open directory ", path, ": something else, or a link, is on the way"));
  }
  return ErrnoStatus(errno, "open directory", path);
}

absl::Status ReadExactly(FileOps& ops, int fd, off_t offset, size_t size, char* out) {
  size_t done = 0;
  while (done < size) {
    const ssize_t count = ops.Pread(fd, out + done, size - done, offset + static_cast<off_t>(done));
    if (count < 0) return absl::ErrnoToStatus(errno, "read");
    if (count == 0) {
      return absl::DataLossError(
          absl::StrCat("read: the file ends ", size - done, " bytes too early"));
    }
    done += static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

absl::Status WriteAll(FileOps& ops, int fd, std::string_view bytes) {
  const FileSizeSignalBlocked no_signal;
  while (!bytes.empty()) {
    const ssize_t written = ops.Write(fd, bytes.data(), bytes.size());
    if (written < 0) return absl::ErrnoToStatus(errno, "write");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status MakeDirectories(FileOps& ops, const std::string& path) {
  if (ops.Mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno == ENOENT && path.find('/') != std::string::npos) {
    const std::string parent = ParentPath(path);
    if (parent == path) return DiskError(ENOENT, "create directory", path);
    if (absl::Status status = MakeDirectories(ops, parent); !status.ok()) return status;
    if (ops.Mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  }
  const int error = errno;
  if (error == EEXIST) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return absl::OkStatus();
    return DiskError(ENOTDIR, "create directory", path);
  }
  return DiskError(error, "create directory", path);
}

absl::StatusOr<UniqueFd> MakeDirectoriesBelow(FileOps& ops, const std::string& root,
                                              std::string_view relative) {
  absl::StatusOr<UniqueFd> directory = OpenDirectoryWithoutLinks(ops, root, O_RDONLY);
  std::string path = root;
  while (directory.ok() && !relative.empty()) {
    const std::string name(relative.substr(0, relative.find('/')));
    relative.remove_prefix(std::min(relative.size(), name.size() + 1));
    if (name.empty()) continue;
    absl::StrAppend(&path, path == "/" ? "" : "/", name);
    const int parent = directory->get();
    if (ops.MkdirAt(parent, name.c_str(), 0700) == 0) {
      if (ops.Fsync(parent) != 0) return ErrnoStatus(errno, "flush the directory of", path);
    } else if (errno != EEXIST) {
      return ErrnoStatus(errno, "create directory", path);
    }
    UniqueFd fd(ops.OpenAt(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0));
    if (!fd.valid() && (errno == ELOOP || errno == ENOTDIR)) {
      return absl::FailedPreconditionError(absl::StrCat(
          path, " is a link, or no directory: remove it, so that files can be moved there"));
    }
    if (!fd.valid()) return ErrnoStatus(errno, "open directory", path);
    directory = std::move(fd);
  }
  return directory;
}

absl::Status SyncDirectory(FileOps& ops, const std::string& directory) {
  UniqueFd fd(ops.Open(directory.c_str(), O_RDONLY | O_DIRECTORY, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "open directory", directory);
  if (ops.Fsync(fd.get()) != 0) return ErrnoStatus(errno, "flush directory", directory);
  return absl::OkStatus();
}

std::string ParentPath(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(slash == 0 ? "/" : path.substr(0, slash));
}

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace datamanager
