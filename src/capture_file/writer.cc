#include "capture_file/writer.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

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

namespace datamanager::capture_file {
namespace {

// How many names are tried before something else must be wrong.
constexpr int kNameAttempts = 10000;

// Below this a copy into one buffer is cheaper than a second iovec.
constexpr size_t kCopyLimit = 16 << 10;

bool Exists(FileOps& ops, const std::string& path) {
  struct stat info {};
  return ops.Lstat(path.c_str(), &info) == 0;
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
    UniqueFd fd(ops.Open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0600));
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
  if (written == static_cast<ssize_t>(total)) {
    size_ += total;
    pending_.clear();
    return absl::OkStatus();
  }
  // A disk that fills up cuts a write short before it refuses the next one.
  const int error = written < 0 ? errno : ENOSPC;
  if (written > 0 && ops_.Ftruncate(fd_->get(), static_cast<off_t>(size_)) != 0) broken_ = true;
  return DiskError(error, "write record to", path_);
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
  char moved[PATH_MAX];
  const ssize_t size =
      ::readlink(absl::StrCat("/proc/self/fd/", fd_->get()).c_str(), moved, sizeof(moved));
  if (size > 0) {
    std::string path(moved, static_cast<size_t>(size));
    if (ops_.Lstat(path.c_str(), &named) == 0 && FileId::Of(named) == id_) {
      if (IsInProgress(BaseName(path))) return path;
      return absl::FailedPreconditionError(absl::StrCat("somebody has renamed it to ", path));
    }
  }
  return absl::FailedPreconditionError("somebody has moved it away");
}

bool Writer::removed() const {
  struct stat info {};
  return ops_.Fstat(fd_->get(), &info) == 0 && info.st_nlink == 0;
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

bool Writer::Discard() {
  struct stat named {};
  if (ops_.Lstat(path_.c_str(), &named) != 0) return errno == ENOENT;
  // Somebody may have renamed it, and given its name to another file.
  if (FileId::Of(named) != id_) return true;
  return ops_.Unlink(path_.c_str()) == 0;
}

absl::StatusOr<std::string> PublishPath(FileOps& ops, const std::string& in_progress_path) {
  std::string target = CompletePath(in_progress_path);
  const std::optional<WallTime> start = ParseStamp(BaseName(in_progress_path));
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
