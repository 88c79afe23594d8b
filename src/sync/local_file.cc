#include "sync/local_file.h"

#include <fcntl.h>

#include <cerrno>
#include <climits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/process_locks.h"
#include "base/strings.h"
#include "capture_file/copy.h"
#include "capture_file/file_name.h"
#include "sync/permission.h"

namespace datamanager::sync {
namespace {

constexpr int kNameAttempts = 1000;

absl::Status BecameShorter() {
  return absl::AbortedError("the file became shorter while it was read");
}

// Whether the file may have been removed or moved between its being found and locked, by another
// process that had the lock. A removal within the same tick of the file system's clock leaves the
// times as they were; the count of links tells it, except where times are whole seconds.
bool MayBeGone(const struct stat& info, const FileVersion& found) {
  return info.st_nlink == 0 || info.st_ctim.tv_nsec == 0 || FileVersion::Of(info) != found;
}

// Names below failed/, the plain one first; a long one gives way to its number.
std::string NumberedName(std::string_view path, int attempt) {
  if (attempt == 0) return std::string(path);
  const std::string number = absl::StrCat(".", attempt);
  const size_t length = BaseName(path).size() + number.size();
  if (length > NAME_MAX) path.remove_suffix(length - NAME_MAX);
  return absl::StrCat(ToAbsl(path), number);
}

}  // namespace

absl::StatusOr<LocalFile> LocalFile::Open(FileOps& ops, FoundFile found) {
  const std::string& path = found.path;
  const auto another = [&] {
    return absl::NotFoundError(absl::StrCat(path, " is another file now"));
  };
  // If it is no regular file any longer, the open neither waits nor takes a terminal.
  UniqueFd fd(ops.OpenWithoutLinks(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) {
    if (errno == ELOOP || errno == ENOTDIR || errno == ENXIO || errno == ENODEV) return another();
    return ErrnoStatus(errno, "open", path);
  }
  if (ops.TryLock(fd.get()) != 0) {
    if (errno == EWOULDBLOCK) {
      return absl::UnavailableError(absl::StrCat(path, " is locked by another process"));
    }
    return ErrnoStatus(errno, "lock", path);
  }
  struct stat info {};
  if (ops.Fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (FileId::Of(info) != found.id || !S_ISREG(info.st_mode)) return another();
  if (MayBeGone(info, found.version)) {
    struct stat named {};
    if (ops.Lstat(path.c_str(), &named) != 0) return ErrnoStatus(errno, "look at", path);
    if (FileId::Of(named) != found.id) return another();
  }
  if (IsLinkToAnothers(info)) {
    return absl::NotFoundError(absl::StrCat(path, " is a hard link to another user's file"));
  }
  const bool locks_reach_others = !ProcessLocks::Holds(fd.get());
  LocalFile file(ops, std::move(found), std::move(fd), info);
  if (file.found_.kind == FileKind::kCapture && locks_reach_others) return file;
  file.known_complete_ = ops.TryLease(file.fd(), F_RDLCK) == 0;
  if (!file.known_complete_ && errno == EAGAIN) {
    return absl::UnavailableError(absl::StrCat(file.found_.path, " is open for writing elsewhere"));
  }
  return file;
}

absl::Status LocalFile::Read(uint64_t offset, uint64_t size, char* out) const {
  absl::Status status = ReadExactly(*ops_, fd_.get(), static_cast<off_t>(offset), size, out);
  if (!absl::IsDataLoss(status)) return status;
  return BecameShorter();
}

absl::Status LocalFile::CheckContents() const {
  struct stat opened {};
  if (ops_->Fstat(fd_.get(), &opened) != 0) return ErrnoStatus(errno, "look at", found_.path);
  if (FileVersion::Of(opened) == FileVersion::Of(info_)) return absl::OkStatus();
  return CheckUnchanged();
}

absl::StatusOr<UniqueFd> LocalFile::DirectoryOfUnchanged() const {
  absl::StatusOr<UniqueFd> directory =
      OpenDirectoryWithoutLinks(*ops_, ParentPath(found_.path), O_PATH);
  if (!directory.ok()) return directory;
  struct stat named {};
  if (ops_->LstatAt(directory->get(), name_.c_str(), &named) != 0) {
    return ErrnoStatus(errno, "look at", found_.path);
  }
  if (FileId::Of(named) == FileId::Of(info_) && FileVersion::Of(named) == FileVersion::Of(info_)) {
    return directory;
  }
  return absl::AbortedError("the file changed while it was uploaded");
}

absl::Status LocalFile::CheckUnchanged() const { return DirectoryOfUnchanged().status(); }

absl::Status LocalFile::CheckNoWriter() const {
  if (ops_->TryLease(fd_.get(), F_RDLCK) == 0 || errno != EAGAIN) return absl::OkStatus();
  return absl::UnavailableError("somebody has opened the file for writing");
}

absl::Status LocalFile::Remove() {
  // First, so that who opens it from here on is at work on a file of which all else is stored.
  if (absl::Status status = CheckNoWriter(); !status.ok()) return status;
  absl::StatusOr<UniqueFd> directory = DirectoryOfUnchanged();
  if (!directory.ok()) return directory.status();
  if (ops_->UnlinkAt(directory->get(), name_.c_str()) != 0) {
    return ErrnoStatus(errno, "remove", found_.path);
  }
  return absl::OkStatus();
}

absl::Status LocalFile::Evict() {
  absl::Status removed = Remove();
  if (!absl::IsResourceExhausted(removed)) return removed;
  absl::StatusOr<UniqueFd> directory = DirectoryOfUnchanged();
  if (directory.ok() && Empty(directory->get()) &&
      ops_->UnlinkAt(directory->get(), name_.c_str()) == 0) {
    return absl::OkStatus();
  }
  return removed;
}

bool LocalFile::Empty(int directory) {
  if (info_.st_nlink != 1) return false;  // The content stays under its other name.
  const UniqueFd fd(
      ops_->OpenAt(directory, name_.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0));
  struct stat info {};
  return fd.valid() && ops_->Fstat(fd.get(), &info) == 0 && FileId::Of(info) == FileId::Of(info_) &&
         ops_->Ftruncate(fd.get(), 0) == 0;
}

absl::StatusOr<LocalFile::Place> LocalFile::MakePlace() const {
  Place place{.path = capture_file::FailedPath(found_.root, found_.path)};
  const size_t below = found_.root == "/" ? 1 : found_.root.size() + 1;
  absl::StatusOr<UniqueFd> directory =
      MakeDirectoriesBelow(*ops_, found_.root, ParentPath(place.path).substr(below));
  if (!directory.ok()) return directory.status();
  place.directory = *std::move(directory);
  return place;
}

absl::StatusOr<std::string> LocalFile::SetAside() {
  if (absl::Status status = CheckNoWriter(); !status.ok()) return status;
  absl::StatusOr<UniqueFd> directory = DirectoryOfUnchanged();
  if (!directory.ok()) return directory.status();
  absl::StatusOr<Place> place = MakePlace();
  if (!place.ok()) return place.status();
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    std::string path = NumberedName(place->path, attempt);
    if (ops_->RenameNoReplaceAt(directory->get(), name_.c_str(), place->directory.get(),
                                std::string(BaseName(path)).c_str()) == 0) {
      // A power cut that undoes the move has the file refused, and moved, once more.
      ops_->Fsync(place->directory.get());
      return path;
    }
    if (errno == EXDEV) {
      absl::StatusOr<std::string> copy = CopyTo(*place);
      if (!copy.ok()) return copy;
      absl::Status removed = Remove();
      // A removal may have happened although it returned an error.
      if (removed.ok() || absl::IsNotFound(CheckUnchanged())) return copy;
      ops_->UnlinkAt(place->directory.get(), std::string(BaseName(*copy)).c_str());
      return removed;
    }
    if (errno != EEXIST) return ErrnoStatus(errno, "move to failed/", found_.path);
  }
  return absl::AlreadyExistsError(
      absl::StrCat("move to failed/: too many files named ", place->path));
}

absl::StatusOr<std::string> LocalFile::CopyTo(const Place& place) const {
  UniqueFd out;
  std::string path;
  std::string name;
  for (int attempt = 0; !out.valid(); ++attempt) {
    path = NumberedName(place.path, attempt);
    name = BaseName(path);
    out = UniqueFd(ops_->OpenAt(place.directory.get(), name.c_str(),
                                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    if (!out.valid() && (errno != EEXIST || attempt == kNameAttempts)) {
      return ErrnoStatus(errno, "create", path);
    }
  }
  absl::Status status = capture_file::CopyBytes(*ops_, fd_.get(), 0, size(), out.get());
  if (absl::IsDataLoss(status)) status = BecameShorter();
  if (status.ok() && ops_->Fdatasync(out.get()) != 0) status = ErrnoStatus(errno, "flush", path);
  if (status.ok() && ops_->Fsync(place.directory.get()) != 0) {
    status = ErrnoStatus(errno, "flush the directory of", path);
  }
  if (!status.ok()) {
    ops_->UnlinkAt(place.directory.get(), name.c_str());
    return status;
  }
  return path;
}

absl::StatusOr<capture_file::FurtherFile> LocalFile::WriteFurther(
    const capture_file::Salvage& salvage, const capture_file::KeepGoing& keep_going) const {
  absl::StatusOr<UniqueFd> directory = DirectoryOfUnchanged();
  if (!directory.ok()) return directory.status();
  return capture_file::FurtherFile::Write(*ops_, directory->get(), name_, fd_.get(), salvage,
                                          keep_going);
}

}  // namespace datamanager::sync
