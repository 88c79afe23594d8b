#include "capture_file/repair.h"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/claim.h"
#include "capture_file/copy.h"
#include "capture_file/file_name.h"

namespace datamanager::capture_file {
namespace {

// Copies what lies from `offset` on to a new file, and makes that durable.
absl::Status Keep(FileOps& ops, int fd, uint64_t offset, uint64_t size, const std::string& path) {
  absl::StatusOr<UniqueFd> kept = OpenFile(ops, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!kept.ok()) return kept.status();
  absl::Status status = CopyBytes(ops, fd, offset, size, kept->get());
  if (status.ok() && ops.Fdatasync(kept->get()) != 0) status = absl::ErrnoToStatus(errno, "flush");
  if (status.ok()) status = SyncDirectory(ops, ParentPath(path));
  if (status.ok()) return status;
  ops.Unlink(path.c_str());
  return Wrap(status, absl::StrCat("keep the cut bytes in ", path));
}

}  // namespace

absl::StatusOr<Repair> RepairFile(FileOps& ops, const std::string& path, WallTime now) {
  absl::StatusOr<Claim> claim = ClaimFile(ops, path);
  if (!claim.ok()) return claim.status();
  switch (claim->outcome) {
    case Claim::Outcome::kNone:
      return absl::NotFoundError(absl::StrCat(path, ": there is no regular file of this name"));
    case Claim::Outcome::kInUse:
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is in use: a process has it open; nothing was changed"));
    case Claim::Outcome::kUnknown:
      if (now - ModifiedAt(claim->info) < kLeftBehindAge) {
        return absl::FailedPreconditionError(absl::StrCat(
            path,
            " may be in use: this file system does not tell, and the file was changed less "
            "than 5 minutes ago; nothing was changed"));
      }
      break;
    case Claim::Outcome::kOurs:
      break;
  }
  const int fd = claim->fd.get();
  const auto size = static_cast<uint64_t>(claim->info.st_size);
  absl::StatusOr<WholePart> whole = FindWholePart(ops, fd, size);
  if (!whole.ok()) return Wrap(whole.status(), path);
  if (whole->records == 0) {
    return absl::DataLossError(
        absl::StrCat(path, ": no whole record to save; nothing was changed"));
  }
  Repair repair{.records = whole->records, .size = whole->size, .cut_bytes = size - whole->size};
  if (repair.cut_bytes == 0) return repair;
  repair.damage = std::string(whole->torn.message());
  repair.kept = CutPath(path, repair.size);
  if (absl::Status status = Keep(ops, fd, repair.size, repair.cut_bytes, repair.kept);
      !status.ok()) {
    return status;
  }
  if (ops.Ftruncate(fd, static_cast<off_t>(repair.size)) != 0) {
    const int error = errno;
    ops.Unlink(repair.kept.c_str());
    return ErrnoStatus(error, "cut", path);
  }
  if (ops.Fdatasync(fd) != 0) return ErrnoStatus(errno, "flush", path);
  return repair;
}

}  // namespace datamanager::capture_file
