#include "base/file_ops.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager {
namespace {

template <typename Call>
auto RetryInterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace

int FileOps::Open(const char* path, int flags, mode_t mode) {
  return RetryInterrupted([&] { return ::open(path, flags | O_CLOEXEC, mode); });
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

int FileOps::Lstat(const char* path, struct stat* result) { return ::lstat(path, result); }

int FileOps::Ftruncate(int fd, off_t size) {
  return RetryInterrupted([&] { return ::ftruncate(fd, size); });
}

int FileOps::Fdatasync(int fd) {
  return RetryInterrupted([&] { return ::fdatasync(fd); });
}

int FileOps::Fsync(int fd) {
  return RetryInterrupted([&] { return ::fsync(fd); });
}

int FileOps::RenameNoReplace(const char* from, const char* to) {
  const int result = ::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
  if (result == 0 || (errno != EINVAL && errno != ENOSYS)) return result;
  // A file system without the flag: a hard link never replaces either.
  if (::link(from, to) != 0) return -1;
  return ::unlink(from);
}

int FileOps::Unlink(const char* path) { return ::unlink(path); }

int FileOps::Mkdir(const char* path, mode_t mode) { return ::mkdir(path, mode); }

int FileOps::TryLock(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB); }

FileOps& FileOps::System() {
  // Never destroyed: a thread that was left alone may outlive main().
  static auto* const ops = new FileOps;
  return *ops;
}

absl::StatusOr<UniqueFd> OpenFile(FileOps& ops, const std::string& path, int flags, mode_t mode) {
  UniqueFd fd(ops.Open(path.c_str(), flags | O_NOFOLLOW | O_NONBLOCK, mode));
  if (!fd.valid()) return ErrnoStatus(errno, "open", path);
  return fd;
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

absl::Status MakeDirectories(FileOps& ops, const std::string& path) {
  if (ops.Mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno == ENOENT && path.find('/') != std::string::npos) {
    const std::string parent = ParentPath(path);
    if (parent == path) return ErrnoStatus(ENOENT, "create directory", path);
    if (absl::Status status = MakeDirectories(ops, parent); !status.ok()) return status;
    if (ops.Mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  }
  const int error = errno;
  if (error == EEXIST) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return absl::OkStatus();
    return ErrnoStatus(ENOTDIR, "create directory", path);
  }
  return ErrnoStatus(error, "create directory", path);
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
