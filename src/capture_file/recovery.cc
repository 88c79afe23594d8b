#include "capture_file/recovery.h"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/claim.h"
#include "capture_file/file_name.h"
#include "capture_file/further_file.h"
#include "capture_file/writer.h"

namespace datamanager::capture_file {
namespace {

constexpr std::chrono::milliseconds kSettledAge{200};

bool Unchanged(const struct stat& a, const struct stat& b) {
  return FileId::Of(a) == FileId::Of(b) && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

}  // namespace

absl::StatusOr<Recovery> Recoverer::Recover(const std::string& root, const std::string& path,
                                            const KeepGoing& keep_going) {
  const std::string_view name = BaseName(path);
  const std::optional<FurtherOf> further = ParseFurther(name);
  const std::optional<WallTime> begun = ParseStamp(further.has_value() ? further->base_name : name);
  const bool unfinished_remainder = IsUnfinishedRemainder(name);
  if (!IsInProgress(name) || (!begun.has_value() && !unfinished_remainder)) return Recovery{};
  if (further.has_value() && IsOfUncutFile(path, *further)) return Recovery{};
  absl::StatusOr<Claim> claim = ClaimFile(ops_, path);
  if (!claim.ok()) return claim.status();
  switch (claim->outcome) {
    case Claim::Outcome::kNone:
      return Recovery{};
    case Claim::Outcome::kInUse:
      return Recovery{.outcome = RecoveryOutcome::kInUse};
    case Claim::Outcome::kUnknown:
      if (UnchangedFor(path, claim->info) < kLeftBehindAge) {
        return Recovery{.outcome = RecoveryOutcome::kInUse};
      }
      break;
    case Claim::Outcome::kOurs:
      if (clock_.WallNow() - ModifiedAt(claim->info) < kSettledAge &&
          UnchangedFor(path, claim->info) < kSettledAge) {
        return Recovery{.outcome = RecoveryOutcome::kJustWritten};
      }
      break;
  }
  const auto size = static_cast<uint64_t>(claim->info.st_size);
  if (unfinished_remainder) {
    // The damaged file is unchanged: no byte of the remainder is lost.
    if (ops_.Unlink(path.c_str()) != 0) return ErrnoStatus(errno, "remove", path);
    return Recovery{.outcome = RecoveryOutcome::kRemovedEmpty, .cut_bytes = size};
  }
  absl::StatusOr<Salvage> salvage = FindWholeRecords(ops_, claim->fd.get(), size,
                                                     {.begun = begun,
                                                      .changed = ModifiedAt(claim->info),
                                                      .damaged_at = {},
                                                      .keep_going = keep_going});
  if (!salvage.ok()) return Wrap(salvage.status(), path);
  Recovery recovery;
  if (!salvage->damage.ok() || salvage->whole_records == 0) {
    absl::Status status = Cut(root, path, claim->fd.get(), size, *salvage, recovery, keep_going);
    if (!status.ok()) return Wrap(status, path);
  }
  if (salvage->whole_records == 0) {
    recovery.outcome = RecoveryOutcome::kRemovedEmpty;
    return recovery;
  }
  recovery.outcome = RecoveryOutcome::kRecovered;
  recovery.file = Writer::Adopt(ops_, path, std::move(claim->fd), claim->info, salvage->whole_end);
  return recovery;
}

bool Recoverer::IsOfUncutFile(const std::string& path, const FurtherOf& further) {
  struct stat info {};
  const std::string damaged = absl::StrCat(
      ParentPath(path), "/", absl::string_view(further.base_name.data(), further.base_name.size()));
  // A file that cannot be examined may still be uncut.
  if (ops_.Lstat(damaged.c_str(), &info) != 0) return errno != ENOENT;
  return static_cast<uint64_t>(info.st_size) > further.offset;
}

absl::Status Recoverer::Cut(const std::string& root, const std::string& path, int fd, uint64_t size,
                            const Salvage& salvage, Recovery& recovery,
                            const KeepGoing& keep_going) {
  const bool whole = salvage.whole_records > 0;
  recovery.cut_bytes = size - (whole ? salvage.whole_end : 0);
  recovery.damage = std::string(salvage.damage.message());
  recovery.unfinished = salvage.unfinished.size > 0;
  recovery.remainder_bytes = salvage.remainder_bytes();
  if (!whole && salvage.runs.empty() && !salvage.remainders.empty()) {
    // No record of the file can be saved: it is moved as it is.
    absl::StatusOr<std::string> kept = remainders_.Move(root, path, size, keep_going);
    if (!kept.ok()) return kept.status();
    recovery.remainder = *std::move(kept);
    return absl::OkStatus();
  }
  if (!salvage.remainders.empty()) {
    absl::StatusOr<std::string> kept =
        remainders_.Keep(root, path, fd, salvage.whole_end, salvage.remainders, keep_going);
    if (!kept.ok()) return kept.status();
    recovery.remainder = *std::move(kept);
  }
  std::optional<FurtherFile> further;
  UniqueFd directory;
  if (!salvage.runs.empty()) {
    directory = UniqueFd(ops_.Open(ParentPath(path).c_str(), O_RDONLY | O_DIRECTORY, 0));
    if (!directory.valid()) return absl::ErrnoToStatus(errno, "open its directory");
    absl::StatusOr<FurtherFile> written =
        FurtherFile::Write(ops_, directory.get(), BaseName(path), fd, salvage, keep_going);
    if (!written.ok()) return written.status();
    further = *std::move(written);
  }
  if (!whole) {
    if (ops_.Unlink(path.c_str()) != 0) return absl::ErrnoToStatus(errno, "remove");
  } else if (ops_.Ftruncate(fd, static_cast<off_t>(salvage.whole_end)) != 0) {
    return absl::ErrnoToStatus(errno, "cut");
  }
  if (!further.has_value()) return absl::OkStatus();
  // Flush before sync can find the further file: if a power cut undid the cut alone, the further
  // file would be made again.
  if ((whole ? ops_.Fdatasync(fd) : ops_.Fsync(directory.get())) != 0) {
    return absl::ErrnoToStatus(errno, "flush");
  }
  absl::StatusOr<std::string> published = further->Publish(ops_, /*first_name=*/!whole);
  if (!published.ok()) return published.status();
  recovery.further = absl::StrCat(ParentPath(path), "/", *published);
  recovery.salvaged = salvage.run_records;
  return absl::OkStatus();
}

MonotonicTime::duration Recoverer::UnchangedFor(const std::string& path, const struct stat& info) {
  const MonotonicTime now = clock_.MonotonicNow();
  Sighting& sighting = sightings_[path];
  if (!Unchanged(sighting.info, info)) {
    sighting.info = info;
    sighting.first = now;
  }
  sighting.met = true;
  return now - sighting.first;
}

void Recoverer::EndPass() {
  std::erase_if(sightings_, [](const auto& entry) { return !entry.second.met; });
  for (auto& [path, sighting] : sightings_) sighting.met = false;
}

}  // namespace datamanager::capture_file
