#include "capture_file/recovery.h"

#include <cerrno>
#include <chrono>
#include <utility>

#include "base/strings.h"
#include "capture_file/claim.h"
#include "capture_file/file_name.h"
#include "capture_file/writer.h"

namespace datamanager::capture_file {
namespace {

constexpr std::chrono::milliseconds kSettledAge{200};

bool Unchanged(const struct stat& a, const struct stat& b) {
  return FileId::Of(a) == FileId::Of(b) && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

}  // namespace

absl::StatusOr<Recovery> Recoverer::Recover(const std::string& path) {
  if (!IsInProgress(BaseName(path)) || !ParseStamp(BaseName(path)).has_value()) return Recovery{};
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
  uint64_t whole = size;
  if (auto part = FindWholePart(ops_, claim->fd.get(), size); part.ok()) {
    whole = part->size;
  } else if (!absl::IsDataLoss(part.status())) {
    return Wrap(part.status(), path);
  }  // Else kept whole, for sync to set aside: it may be somebody's data.

  Recovery recovery{.cut_bytes = size - whole};
  if (whole == 0) {
    if (ops_.Unlink(path.c_str()) != 0) return ErrnoStatus(errno, "remove", path);
    recovery.outcome = RecoveryOutcome::kRemovedEmpty;
    return recovery;
  }
  if (whole < size && ops_.Ftruncate(claim->fd.get(), static_cast<off_t>(whole)) != 0) {
    return ErrnoStatus(errno, "cut", path);
  }
  recovery.outcome = RecoveryOutcome::kRecovered;
  recovery.file = Writer::Adopt(ops_, path, std::move(claim->fd), claim->info, whole);
  return recovery;
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
