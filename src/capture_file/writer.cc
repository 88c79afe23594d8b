#include "capture_file/writer.h"

#include <fcntl.h>
#include <sys/uio.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
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
      return ErrnoStatus(errno, "create capture file", path);
    }
    // Another process's recovery may look at the new file right now and hold its lock: it sees that
    // the file is in use and leaves it, but then later cleans it up, so that it is not ours to
    // keep.
    if (ops.TryLock(fd.get()) != 0) {
      if (errno == EWOULDBLOCK) continue;
      const int error = errno;
      ops.Unlink(path.c_str());
      return ErrnoStatus(error, "lock capture file", path);
    }
    return std::unique_ptr<Writer>(
        new Writer(ops, std::move(path), std::move(fd), std::move(frame)));
  }
  return absl::AlreadyExistsError(absl::StrCat("create capture file: the next ", kNameAttempts,
                                               " names in ", directory, " are taken"));
}

Writer::Writer(FileOps& ops, std::string path, UniqueFd fd, std::string pending)
    : ops_(ops), path_(std::move(path)), fd_(std::move(fd)), pending_(std::move(pending)) {}

absl::Status Writer::Append(std::string_view head, std::string_view tail) {
  if (broken_) return absl::FailedPreconditionError(absl::StrCat(path_, " is broken"));
  const size_t total = pending_.size() + head.size() + tail.size();
  ssize_t written = 0;
  if (pending_.empty() && tail.empty()) {
    written = ops_.Write(fd_.get(), head.data(), head.size());
  } else if (total <= kCopyLimit) {
    std::string whole;
    whole.reserve(total);
    whole.append(pending_).append(head).append(tail);
    written = ops_.Write(fd_.get(), whole.data(), whole.size());
  } else {
    const iovec parts[] = {{pending_.data(), pending_.size()},
                           {const_cast<char*>(head.data()), head.size()},
                           {const_cast<char*>(tail.data()), tail.size()}};
    written = ops_.Writev(fd_.get(), parts, 3);
  }
  if (written == static_cast<ssize_t>(total)) {
    size_ += total;
    pending_.clear();
    return absl::OkStatus();
  }
  // A disk that fills up cuts a write short before it refuses the next one.
  const int error = written < 0 ? errno : ENOSPC;
  if (written > 0 && ops_.Ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0) broken_ = true;
  return ErrnoStatus(error, "write record to", path_);
}

absl::Status Writer::Flush() {
  if (ops_.Fdatasync(fd_.get()) != 0) return ErrnoStatus(errno, "flush", path_);
  return absl::OkStatus();
}

absl::StatusOr<std::string> Writer::Publish() { return PublishPath(ops_, path_); }

bool Writer::Discard() {
  struct stat info {};
  struct stat named {};
  if (ops_.Fstat(fd_.get(), &info) != 0) return false;
  if (ops_.Lstat(path_.c_str(), &named) != 0) return errno == ENOENT;
  // Somebody may have renamed it, and given its name to another file.
  if (FileId::Of(info) != FileId::Of(named)) return true;
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
