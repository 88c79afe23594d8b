#include "capture_file/further_file.h"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/copy.h"
#include "capture_file/file_name.h"

namespace datamanager::capture_file {
namespace {

// Room in a name for the suffix that is added to it.
constexpr size_t kFurtherNameReserve = 48;

// Returns a name under which the further file of `damaged` may be published: its stamp plus
// `attempt` microseconds, or, where there is no stamp, with a number.
std::string CompleteNameFor(std::string_view damaged, int attempt) {
  if (const std::optional<WallTime> stamp = ParseStamp(damaged); stamp.has_value()) {
    return CompleteName(*stamp + std::chrono::microseconds(attempt));
  }
  if (attempt == 0 && IsComplete(damaged)) return std::string(damaged);
  if (IsComplete(damaged)) damaged.remove_suffix(kCompleteSuffix.size());
  return absl::StrCat(ToAbsl(damaged.substr(0, NAME_MAX - kFurtherNameReserve)), ".", attempt,
                      ToAbsl(kCompleteSuffix));
}

}  // namespace

absl::StatusOr<FurtherFile> FurtherFile::Write(FileOps& ops, int directory, std::string_view name,
                                               int fd, const Salvage& salvage,
                                               const KeepGoing& keep_going) {
  // A separate descriptor: the caller's may be of a kind that cannot flush a directory.
  UniqueFd own(ops.OpenAt(directory, ".", O_RDONLY | O_DIRECTORY, 0));
  if (!own.valid()) return ErrnoStatus(errno, "open the directory of", name);
  std::string temporary = NameFor(name, salvage.whole_end);
  // A file of that name was left by a process that died before it cut the damaged file.
  if (ops.UnlinkAt(own.get(), temporary.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, "remove", temporary);
  }
  UniqueFd out(ops.OpenAt(own.get(), temporary.c_str(),
                          O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0600));
  if (!out.valid()) return ErrnoStatus(errno, "create", temporary);
  FurtherFile file(std::move(own), std::move(out), std::string(name), std::move(temporary));
  absl::Status status;
  if (ops.TryLock(file.fd_.get()) != 0) status = ErrnoStatus(errno, "lock", file.name_);
  if (status.ok()) {
    status = CopyBytes(ops, fd, salvage.metadata.offset, salvage.metadata.size, file.fd_.get(),
                       keep_going);
  }
  for (const Extent& run : salvage.runs) {
    if (status.ok()) {
      status = CopyBytes(ops, fd, run.offset, run.size, file.fd_.get(), keep_going);
    }
  }
  if (status.ok() && ops.Fdatasync(file.fd_.get()) != 0) {
    status = ErrnoStatus(errno, "flush", file.name_);
  }
  if (status.ok() && ops.Fsync(file.directory_.get()) != 0) {
    status = ErrnoStatus(errno, "flush the directory of", file.name_);
  }
  if (status.ok()) return file;
  file.Drop(ops);
  return Wrap(status, "keep the whole records behind the damage");
}

absl::StatusOr<FurtherFile> FurtherFile::OpenLeft(FileOps& ops, int directory,
                                                  std::string_view name, uint64_t offset) {
  UniqueFd own(ops.OpenAt(directory, ".", O_RDONLY | O_DIRECTORY, 0));
  if (!own.valid()) return ErrnoStatus(errno, "open the directory of", name);
  std::string temporary = NameFor(name, offset);
  UniqueFd fd(ops.OpenAt(own.get(), temporary.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "open", temporary);
  if (ops.TryLock(fd.get()) != 0) return ErrnoStatus(errno, "lock", temporary);
  return FurtherFile(std::move(own), std::move(fd), std::string(name), std::move(temporary));
}

std::string FurtherFile::NameFor(std::string_view name, uint64_t offset) {
  return FurtherName(name.substr(0, NAME_MAX - kFurtherNameReserve), offset);
}

absl::StatusOr<std::string> FurtherFile::Publish(FileOps& ops, bool first_name) {
  for (int attempt = first_name ? 0 : 1; attempt < kNameAttempts; ++attempt) {
    std::string name = CompleteNameFor(damaged_, attempt);
    if (ops.RenameNoReplaceAt(directory_.get(), name_.c_str(), directory_.get(), name.c_str()) ==
        0) {
      if (ops.Fsync(directory_.get()) != 0) {
        return ErrnoStatus(errno, "flush the directory of", name);
      }
      return name;
    }
    if (errno != EEXIST) return ErrnoStatus(errno, "publish", name_);
  }
  return absl::AlreadyExistsError(
      absl::StrCat("publish ", name_, ": the next ", kNameAttempts, " names are taken"));
}

void FurtherFile::Drop(FileOps& ops) { ops.UnlinkAt(directory_.get(), name_.c_str()); }

}  // namespace datamanager::capture_file
