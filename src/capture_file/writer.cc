#include "capture_file/writer.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/copy.h"
#include "capture_file/file_name.h"
#include "capture_file/format.h"
#include "capture_file/salvage.h"

namespace datamanager::capture_file {
namespace {

// Below this a copy into one buffer is cheaper than a second iovec.
constexpr size_t kCopyLimit = 16 << 10;

// The suffix that the kernel adds to the path of an open file that has lost its name.
constexpr std::string_view kDeleted = " (deleted)";

bool Exists(FileOps& ops, const std::string& path) {
  struct stat info {};
  return ops.Lstat(path.c_str(), &info) == 0;
}

// The flags that open a new file.
constexpr int kCreateFlags = O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW;

// Renames `path` to the first in-progress name in `directory`, from `start` on, for which both that
// name and the complete name are free.
absl::StatusOr<std::string> RenameToInProgress(FileOps& ops, const std::string& path,
                                               const std::string& directory, WallTime start) {
  for (int attempt = 0; attempt < kNameAttempts; ++attempt, start += std::chrono::microseconds(1)) {
    if (Exists(ops, absl::StrCat(directory, "/", CompleteName(start)))) continue;
    std::string target = absl::StrCat(directory, "/", InProgressName(start));
    if (ops.RenameNoReplace(path.c_str(), target.c_str()) == 0) return target;
    if (errno != EEXIST) return DiskError(errno, "rename", path);
  }
  return absl::AlreadyExistsError(
      absl::StrCat("rename ", path, ": the next ", kNameAttempts, " names are taken"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Writer>> Writer::Create(FileOps& ops, const std::string& directory,
                                                       WallTime now, std::string_view metadata) {
  std::string frame(VarintSize(metadata.size()), '\0');
  WriteVarint(metadata.size(), frame.data());
  frame.append(metadata);

  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    const WallTime start = now + std::chrono::microseconds(attempt);
    if (Exists(ops, absl::StrCat(directory, "/", CompleteName(start)))) continue;
    std::string path = absl::StrCat(directory, "/", InProgressName(start));
    UniqueFd fd(ops.Open(path.c_str(), kCreateFlags, 0600));
    if (!fd.valid()) {
      if (errno == EEXIST) continue;
      return DiskError(errno, "create capture file", path);
    }
    // A recovery may look at the new file right now and hold its lock. It leaves alone what was
    // just written, but may have gone too far for that: the file is not ours to keep.
    if (ops.TryLock(fd.get()) != 0) {
      const int error = errno;
      ops.Unlink(path.c_str());
      if (error == EWOULDBLOCK) continue;
      return DiskError(error, "lock capture file", path);
    }
    struct stat info {};
    if (ops.Fstat(fd.get(), &info) != 0) {
      const int error = errno;
      ops.Unlink(path.c_str());
      return DiskError(error, "look at", path);
    }
    return std::unique_ptr<Writer>(
        new Writer(ops, std::move(path), std::move(fd), FileId::Of(info), std::move(frame)));
  }
  return absl::AlreadyExistsError(absl::StrCat("create capture file: the next ", kNameAttempts,
                                               " names in ", directory, " are taken"));
}

std::unique_ptr<Writer> Writer::Adopt(FileOps& ops, std::string path, UniqueFd fd,
                                      const struct stat& info, uint64_t size) {
  std::unique_ptr<Writer> file(
      new Writer(ops, std::move(path), std::move(fd), FileId::Of(info), ""));
  file->size_ = size;
  return file;
}

Writer::Writer(FileOps& ops, std::string path, UniqueFd fd, FileId id, std::string pending)
    : ops_(ops),
      path_(std::move(path)),
      fd_(std::make_shared<const UniqueFd>(std::move(fd))),
      id_(id),
      pending_(std::move(pending)) {}

absl::Status Writer::Append(std::string_view head, std::string_view tail) {
  if (broken_) return absl::FailedPreconditionError(absl::StrCat(path_, " is broken"));
  const size_t total = pending_.size() + head.size() + tail.size();
  ssize_t written = 0;
  if (pending_.empty() && tail.empty()) {
    written = ops_.Write(fd_->get(), head.data(), head.size());
  } else if (total <= kCopyLimit) {
    std::string whole;
    whole.reserve(total);
    whole.append(pending_).append(head).append(tail);
    written = ops_.Write(fd_->get(), whole.data(), whole.size());
  } else {
    const iovec parts[] = {{pending_.data(), pending_.size()},
                           {const_cast<char*>(head.data()), head.size()},
                           {const_cast<char*>(tail.data()), tail.size()}};
    written = ops_.Writev(fd_->get(), parts, 3);
  }
  int error = written < 0 ? errno : 0;
  if (written >= 0 && written < static_cast<ssize_t>(total)) {
    error = WriteRemainder(static_cast<size_t>(written), head, tail);
  }
  if (error == 0) {
    size_ += total;
    pending_.clear();
    return absl::OkStatus();
  }
  if (written > 0 && ops_.Ftruncate(fd_->get(), static_cast<off_t>(size_)) != 0) broken_ = true;
  return DiskError(error, "write record to", path_);
}

int Writer::WriteRemainder(size_t done, std::string_view head, std::string_view tail) {
  std::string_view parts[] = {pending_, head, tail};
  for (std::string_view& part : parts) {
    const size_t skipped = std::min(done, part.size());
    part.remove_prefix(skipped);
    done -= skipped;
    while (!part.empty()) {
      const ssize_t written = ops_.Write(fd_->get(), part.data(), part.size());
      if (written < 0) return errno;
      if (written == 0) return ENOSPC;
      part.remove_prefix(static_cast<size_t>(written));
    }
  }
  return 0;
}

absl::Status Writer::Flush() {
  if (ops_.Fdatasync(fd_->get()) != 0) return ErrnoStatus(errno, "flush", path_);
  return absl::OkStatus();
}

absl::StatusOr<std::string> Writer::Publish() {
  absl::StatusOr<std::string> path = CurrentPath();
  if (!path.ok()) return Wrap(path.status(), absl::StrCat("publish ", path_));
  return PublishPath(ops_, *path);
}

absl::StatusOr<std::string> Writer::CurrentPath() const {
  struct stat named {};
  if (ops_.Lstat(path_.c_str(), &named) == 0) {
    if (FileId::Of(named) == id_) return path_;
  } else if (errno != ENOENT && errno != ENOTDIR) {
    return absl::ErrnoToStatus(errno, "look for it");
  }
  if (removed()) return absl::NotFoundError("it was removed while records were in it");
  const std::string path = LinkedPath();
  if (!path.empty() && ops_.Lstat(path.c_str(), &named) == 0 && FileId::Of(named) == id_) {
    if (IsInProgress(BaseName(path))) return path;
    return absl::FailedPreconditionError(absl::StrCat("somebody has renamed it to ", path));
  }
  return absl::FailedPreconditionError("somebody has moved it away");
}

std::string Writer::LinkedPath() const {
  char path[PATH_MAX];
  const ssize_t size =
      ::readlink(absl::StrCat("/proc/self/fd/", fd_->get()).c_str(), path, sizeof(path));
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : std::string();
}

bool Writer::removed() const {
  struct stat info {};
  if (ops_.Fstat(fd_->get(), &info) != 0) return false;
  if (info.st_nlink == 0) return true;
  // Over FUSE and NFS a file that is removed while it is open keeps a hidden name until it is
  // closed, and that name counts as a link.
  if (ops_.Lstat(path_.c_str(), &info) == 0 || (errno != ENOENT && errno != ENOTDIR)) return false;
  const std::string path = LinkedPath();
  return std::string_view(path).ends_with(kDeleted) || IsRemovedWhileOpen(BaseName(path));
}

absl::StatusOr<std::unique_ptr<Writer>> Writer::CopyRemoved() {
  const std::string directory = ParentPath(path_);
  if (absl::Status made = MakeDirectories(ops_, directory); !made.ok()) return made;
  absl::StatusOr<std::unique_ptr<Writer>> copy =
      Create(ops_, directory, *ParseStamp(BaseName(path_)), "");
  if (!copy.ok()) return copy;
  if (absl::Status copied = CopyBytes(ops_, fd_->get(), 0, size_, (*copy)->fd_->get());
      !copied.ok()) {
    (*copy)->Discard();
    return Wrap(copied, absl::StrCat("copy what was in ", path_));
  }
  (*copy)->pending_.clear();
  (*copy)->size_ = size_;
  return copy;
}

absl::Status Writer::CopyWhole(int to) const {
  absl::Status copied = CopyReadableBytes(ops_, fd_->get(), size_, to);
  if (!copied.ok()) return copied;
  absl::StatusOr<Salvage> found = FindWholeRecords(ops_, to, size_, {});
  if (!found.ok()) return found.status();
  return found->damage;
}

absl::StatusOr<std::unique_ptr<Writer>> Writer::CopyAfterFailedFlush() {
  if (!has_records()) {
    return absl::FailedPreconditionError(absl::StrCat(path_, " holds no record to copy"));
  }
  const std::string context = absl::StrCat("read back ", path_, ", whose flush failed");
  // A file that was moved is copied where it is; one that was removed, where it was.
  const std::string original = removed() ? path_ : CurrentPath().value_or(path_);
  const std::string directory = ParentPath(original);
  if (absl::Status made = MakeDirectories(ops_, directory); !made.ok()) return made;
  std::string path;
  UniqueFd fd;
  for (int attempt = 0; !fd.valid(); ++attempt) {
    path = ReadBackPath(original, attempt);
    fd = UniqueFd(ops_.Open(path.c_str(), kCreateFlags, 0600));
    if (!fd.valid() && (errno != EEXIST || attempt == kNameAttempts)) {
      return Wrap(DiskError(errno, "create", path), context);
    }
  }
  struct stat info {};
  absl::Status status;
  if (ops_.TryLock(fd.get()) != 0) {
    status = DiskError(errno, "lock", path);
  } else if (ops_.Fstat(fd.get(), &info) != 0) {
    status = DiskError(errno, "look at", path);
  } else {
    status = CopyWhole(fd.get());
  }
  if (absl::IsDataLoss(status)) {
    // A flush is worth the attempt: bytes that can be read may soon be gone from memory.
    ops_.Fdatasync(fd.get());
    return Wrap(
        absl::DataLossError(absl::StrCat(status.message(), "; what can be read is kept in ", path)),
        context);
  }
  if (status.ok()) {
    absl::StatusOr<std::string> renamed =
        RenameToInProgress(ops_, path, directory, *ParseStamp(BaseName(path_)));
    if (renamed.ok()) {
      std::unique_ptr<Writer> copy(
          new Writer(ops_, *std::move(renamed), std::move(fd), FileId::Of(info), ""));
      copy->size_ = size_;
      return copy;
    }
    status = renamed.status();
  }
  ops_.Unlink(path.c_str());
  return Wrap(status, context);
}

bool Writer::Discard() {
  struct stat named {};
  if (ops_.Lstat(path_.c_str(), &named) != 0) return errno == ENOENT;
  // Somebody may have renamed it, and given its name to another file.
  if (FileId::Of(named) != id_) return true;
  return ops_.Unlink(path_.c_str()) == 0;
}

absl::StatusOr<std::string> PublishPath(FileOps& ops, const std::string& in_progress_path) {
  std::string target = CompletePath(in_progress_path);
  std::optional<WallTime> start = ParseStamp(BaseName(in_progress_path));
  // A further file: the damaged file has, or had, the name of its stamp.
  if (const auto further = ParseFurther(BaseName(in_progress_path)); further.has_value()) {
    start = *ParseStamp(further->base_name) + std::chrono::microseconds(1);
    target = absl::StrCat(ParentPath(in_progress_path), "/", CompleteName(*start));
  }
  for (int attempt = 1; attempt < kNameAttempts; ++attempt) {
    if (ops.RenameNoReplace(in_progress_path.c_str(), target.c_str()) == 0) return target;
    if (errno != EEXIST || !start.has_value()) {
      return ErrnoStatus(errno, "publish", in_progress_path);
    }
    target = absl::StrCat(ParentPath(in_progress_path), "/",
                          CompleteName(*start + std::chrono::microseconds(attempt)));
  }
  return absl::AlreadyExistsError(
      absl::StrCat("publish ", in_progress_path, ": the next ", kNameAttempts, " names are taken"));
}

}  // namespace datamanager::capture_file
