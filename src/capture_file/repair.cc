#include "capture_file/repair.h"

#include <fcntl.h>

#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/claim.h"
#include "capture_file/file_name.h"
#include "capture_file/further_file.h"
#include "capture_file/remainders.h"
#include "capture_file/salvage.h"

namespace datamanager::capture_file {
namespace {

// Returns all bytes that are neither zeros nor whole records: an operator who repairs a file may
// want to see them.
std::vector<Extent> RestOf(const Salvage& salvage) {
  std::vector<Extent> rest = salvage.remainders;
  if (salvage.unfinished.size > 0) rest.push_back(salvage.unfinished);
  return rest;
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
  const std::string name(BaseName(path));
  const auto beside = [&path](const std::string& other) {
    return absl::StrCat(ParentPath(path), "/", other);
  };
  const auto size = static_cast<uint64_t>(claim->info.st_size);
  absl::StatusOr<Salvage> salvage = FindWholeRecords(ops, fd, size,
                                                     {.begun = ParseStamp(name),
                                                      .changed = ModifiedAt(claim->info),
                                                      .damaged_at = {},
                                                      .keep_going = {}});
  if (!salvage.ok()) return Wrap(salvage.status(), path);
  if (salvage->whole_records == 0 && salvage->runs.empty()) {
    return absl::DataLossError(
        absl::StrCat(path, ": no whole record to save; nothing was changed"));
  }
  const UniqueFd directory(ops.Open(ParentPath(path).c_str(), O_RDONLY | O_DIRECTORY, 0));
  if (!directory.valid()) return ErrnoStatus(errno, "open the directory of", path);
  Repair repair{.records = salvage->whole_records,
                .size = salvage->whole_end,
                .cut_bytes = size - salvage->whole_end,
                .damage = std::string(salvage->damage.message()),
                .further = {},
                .kept = {}};
  std::optional<FurtherFile> further;
  if (repair.cut_bytes == 0) {
    absl::StatusOr<FurtherFile> left = FurtherFile::OpenLeft(ops, directory.get(), name, size);
    if (absl::IsNotFound(left.status())) return repair;
    if (!left.ok()) return left.status();
    further = *std::move(left);
  } else {
    const std::vector<Extent> rest = RestOf(*salvage);
    if (!rest.empty()) {
      absl::StatusOr<std::string> kept = KeepStretches(
          ops, fd, rest, directory.get(), std::string(BaseName(CutPath(path, repair.size))), {});
      if (!kept.ok()) return Wrap(kept.status(), absl::StrCat("keep what is cut from ", path));
      repair.kept = beside(*kept);
      for (const Extent& stretch : rest) repair.kept_bytes += stretch.size;
    }
    absl::Status status;
    if (!salvage->runs.empty()) {
      absl::StatusOr<FurtherFile> written =
          FurtherFile::Write(ops, directory.get(), name, fd, *salvage, {});
      status = written.status();
      if (written.ok()) further = *std::move(written);
    }
    if (status.ok() && ops.Ftruncate(fd, static_cast<off_t>(repair.size)) != 0) {
      status = ErrnoStatus(errno, "cut", path);
    }
    if (!status.ok()) {
      if (further.has_value()) further->Drop(ops);
      if (!repair.kept.empty()) ops.Unlink(repair.kept.c_str());
      return status;
    }
    if (ops.Fdatasync(fd) != 0) return ErrnoStatus(errno, "flush", path);
  }
  if (!further.has_value()) return repair;
  absl::StatusOr<std::string> published = further->Publish(ops, /*first_name=*/false);
  if (!published.ok()) return published.status();
  repair.further = beside(*published);
  repair.salvaged = salvage->run_records;
  return repair;
}

}  // namespace datamanager::capture_file
