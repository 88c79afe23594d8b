#include "capture_file/claim.h"

#include <fcntl.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/strings.h"

namespace datamanager::capture_file {

absl::StatusOr<Claim> ClaimFile(FileOps& ops, const std::string& path) {
  absl::StatusOr<UniqueFd> fd = OpenFile(ops, path, O_RDWR);
  if (!fd.ok()) {
    // Gone: its owner has just published it. A link is nothing that we made.
    if (absl::IsNotFound(fd.status())) return Claim{};
    struct stat link {};
    if (ops.Lstat(path.c_str(), &link) == 0 && !S_ISREG(link.st_mode)) return Claim{};
    return fd.status();
  }
  struct stat info {};
  if (ops.Fstat(fd->get(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (!S_ISREG(info.st_mode)) return Claim{};
  if (ops.TryLock(fd->get()) != 0) {
    if (errno == EWOULDBLOCK) return Claim{.outcome = Claim::Outcome::kInUse};
    return ErrnoStatus(errno, "lock", path);
  }
  // Its owner may have published it, and another file may have taken its name, before we had the
  // lock.
  struct stat named {};
  if (ops.Lstat(path.c_str(), &named) != 0) {
    if (errno == ENOENT) return Claim{};
    return ErrnoStatus(errno, "look at", path);
  }
  if (FileId::Of(named) != FileId::Of(info)) return Claim{};
  Claim claim{.outcome = Claim::Outcome::kOurs, .fd = *std::move(fd)};
  if (ops.TryLease(claim.fd.get(), F_WRLCK) != 0) {
    if (errno == EAGAIN) return Claim{.outcome = Claim::Outcome::kInUse};
    claim.outcome = Claim::Outcome::kUnknown;
  }
  // The size from before the lock may be old.
  if (ops.Fstat(claim.fd.get(), &claim.info) != 0) return ErrnoStatus(errno, "look at", path);
  return claim;
}

}  // namespace datamanager::capture_file
