#include "sync/file_check.h"

#include <fcntl.h>

#include <string_view>
#include <utility>

#include "base/strings.h"
#include "base/unique_fd.h"
#include "capture_file/sequence.h"

namespace datamanager::sync {

FileCheck::Look FileCheck::LookAt(const OpenedDirectory& directory, FoundFile& file) const {
  FileOps& ops = *context_.options.ops;
  const char* const name = file.path.c_str() + file.path.rfind('/') + 1;
  Look look;
  if (ops.LstatAt(directory.fd, name, &look.info) != 0 || !S_ISREG(look.info.st_mode)) return look;
  file.id = FileId::Of(look.info);
  file.version = FileVersion::Of(look.info);
  look.blocked = CheckFile(ops, directory, file.path, look.info);
  look.ready = look.blocked.ok() && IsReady(file.kind, look.info);
  return look;
}

FileCheck::Look FileCheck::LookAt(FoundFile& file) const {
  FileOps& ops = *context_.options.ops;
  const std::string directory = ParentPath(file.path);
  const absl::StatusOr<UniqueFd> fd = OpenDirectoryWithoutLinks(ops, directory, O_PATH);
  struct stat info {};
  if (!fd.ok() || ops.Fstat(fd->get(), &info) != 0) return {};
  if (absl::Status status = CheckDirectory(ops, fd->get(), directory); !status.ok()) {
    return {.blocked = status};
  }
  return LookAt({.fd = fd->get(), .info = &info}, file);
}

bool FileCheck::IsReady(FileKind kind, const struct stat& info) const {
  if (!FileAges::HasAge(kind)) return true;  // Without a look at the clocks.
  const Clock& clock = *context_.options.clock;
  return context_.ages.IsReady(kind, info, config_.min_file_age, clock.WallNow(),
                               clock.MonotonicNow());
}

std::vector<bool> FileCheck::AreHeld(const std::vector<FoundFile>& sequences) const {
  FileOps& ops = *context_.options.ops;
  std::vector<bool> held(sequences.size());
  if (sequences.empty()) return held;
  std::vector<capture_file::Sequence> contents;
  for (const FoundFile& file : sequences) {
    const UniqueFd fd(
        ops.OpenWithoutLinks(file.path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    auto content =
        capture_file::ReadSequence(ops, fd.get(), static_cast<uint64_t>(file.version.size));
    // One that cannot be read waits for nothing: it is the upload's to judge.
    contents.push_back(content.ok() ? *std::move(content) : capture_file::Sequence());
  }
  const std::vector<bool> data_waits = DataWaits(ops, sequences.front().root, contents);
  const MonotonicTime now = Now();
  for (size_t i = 0; i < sequences.size(); ++i) {
    held[i] = context_.sequence_holds.Holds(sequences[i].id, data_waits[i], now);
  }
  return held;
}

bool FileCheck::IsFree(const FoundFile& file) const {
  // In this order: whoever has it puts it into the table before it lets go.
  if (context_.tracker.IsClaimed(file.id)) return false;
  // As a rule there is nothing to wait for, and no need of the time.
  if (context_.retries.size() == 0 && !context_.breaker.MayRest()) return true;
  const MonotonicTime now = Now();
  if (context_.retries.IsWaiting(file, now)) return false;
  if (!context_.breaker.Rests(CircuitBreaker::Candidate::Of(file.path, /*tried=*/false), now)) {
    return true;
  }
  context_.left_resting = true;
  return false;
}

std::optional<Job> FileCheck::Claim(FoundFile file,
                                    std::shared_ptr<const DirectUpload> direct) const {
  CountedUpload counted(context_.uploads_under_way);
  std::optional<FileTracker::Claim> claim = context_.tracker.TryClaim(file.id);
  if (!claim.has_value()) return std::nullopt;
  Job job{.counted = std::move(counted),
          .file = std::move(file),
          .claim = *std::move(claim),
          .direct = std::move(direct)};
  if (job.direct == nullptr) job.state = context_.retries.Take(job.file);
  return job;
}

}  // namespace datamanager::sync
