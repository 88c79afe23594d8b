#include "base/exclusive_rename.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>

#include "base/unique_fd.h"

namespace datamanager {
namespace {

// Where the file system does not report whether a placeholder is open elsewhere, one that has not
// changed for this long counts as left over.
constexpr std::chrono::minutes kLeftOverAge{5};

bool IsEmptyFile(const struct stat& info) {
  return S_ISREG(info.st_mode) && info.st_size == 0 && info.st_nlink <= 1;
}

// Whether `fd`, which is locked, is an empty file with that name and is open nowhere else.
bool IsLeftOver(FileOps& ops, int fd, int dir, const char* name) {
  struct stat info {};
  struct stat named {};
  if (ops.Fstat(fd, &info) != 0 || !IsEmptyFile(info)) return false;
  if (ops.TryLease(fd, F_WRLCK) != 0) {
    if (errno == EAGAIN) return false;
    const WallTime now = Clock::System().WallNow();
    if (now - ChangedAt(info) < kLeftOverAge || now - ModifiedAt(info) < kLeftOverAge) return false;
  }
  return ops.LstatAt(dir, name, &named) == 0 && FileId::Of(named) == FileId::Of(info);
}

// Returns a new placeholder, or one that a dead process left, locked; invalid with errno on
// failure.
UniqueFd Reserve(FileOps& ops, int dir, const char* name) {
  UniqueFd fd(ops.OpenAt(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  if (fd.valid()) {
    struct stat info {};
    struct stat named {};
    // Another process may have found the empty file and locked or removed it by this time. The name
    // is then lost, and the caller tries the next one.
    if (ops.TryLock(fd.get()) == 0 && ops.Fstat(fd.get(), &info) == 0 &&
        ops.LstatAt(dir, name, &named) == 0 && FileId::Of(info) == FileId::Of(named)) {
      return fd;
    }
    errno = EEXIST;
    return {};
  }
  if (errno != EEXIST) return {};
  fd = UniqueFd(ops.OpenAt(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0));
  if (fd.valid() && ops.TryLock(fd.get()) == 0 && IsLeftOver(ops, fd.get(), dir, name)) return fd;
  errno = EEXIST;
  return {};
}

}  // namespace

int RenameOntoPlaceholder(FileOps& ops, int from_dir, const char* from, int to_dir,
                          const char* to) {
  struct stat info {};
  if (ops.LstatAt(from_dir, from, &info) != 0) return -1;
  const UniqueFd placeholder = Reserve(ops, to_dir, to);
  if (!placeholder.valid()) return -1;
  if (ops.RenameAt(from_dir, from, to_dir, to, 0) == 0) return 0;
  const int error = errno;
  // A network file system may report an error of a rename that has happened: then the name is the
  // file's, and there is nothing to undo.
  struct stat reserved {};
  struct stat named {};
  if (ops.Fstat(placeholder.get(), &reserved) == 0 && ops.LstatAt(to_dir, to, &named) == 0) {
    if (FileId::Of(named) == FileId::Of(info)) return 0;
    if (FileId::Of(named) == FileId::Of(reserved)) ops.UnlinkAt(to_dir, to);
  }
  errno = error;
  return -1;
}

}  // namespace datamanager
