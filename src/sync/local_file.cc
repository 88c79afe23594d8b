#include "sync/local_file.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/file_name.h"

namespace datamanager::sync {
namespace {

constexpr int kNameAttempts = 1000;
constexpr uint64_t kCopyBytes = 64 << 10;

bool SameTime(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool Unchanged(const struct stat& a, const struct stat& b) {
  return FileId::Of(a) == FileId::Of(b) && a.st_size == b.st_size &&
         SameTime(a.st_mtim, b.st_mtim) && SameTime(a.st_ctim, b.st_ctim);
}

// Names below failed/, the plain one first.
std::string NumberedName(const std::string& path, int attempt) {
  return attempt == 0 ? path : absl::StrCat(path, ".", attempt);
}

}  // namespace

absl::StatusOr<LocalFile> LocalFile::Open(FileOps& ops, FoundFile found) {
  absl::StatusOr<UniqueFd> fd = OpenFile(ops, found.path, O_RDONLY);
  if (!fd.ok()) return fd.status();
  if (ops.TryLock(fd->get()) != 0) {
    if (errno == EWOULDBLOCK) {
      return absl::UnavailableError(absl::StrCat(found.path, " is locked by another process"));
    }
    return ErrnoStatus(errno, "lock", found.path);
  }
  struct stat info {};
  struct stat named {};
  if (ops.Fstat(fd->get(), &info) != 0) return ErrnoStatus(errno, "look at", found.path);
  if (ops.Lstat(found.path.c_str(), &named) != 0) return ErrnoStatus(errno, "look at", found.path);
  if (FileId::Of(info) != found.id || FileId::Of(named) != found.id || !S_ISREG(info.st_mode)) {
    return absl::NotFoundError(absl::StrCat(found.path, " is another file now"));
  }
  return LocalFile(ops, std::move(found), *std::move(fd), info);
}

absl::Status LocalFile::Read(uint64_t offset, uint64_t size, char* out) const {
  absl::Status status = ReadExactly(*ops_, fd_.get(), static_cast<off_t>(offset), size, out);
  if (!absl::IsDataLoss(status)) return status;
  return absl::AbortedError("the file became shorter while it was read");
}

absl::Status LocalFile::CheckUnchanged() const {
  struct stat opened {};
  struct stat named {};
  if (ops_->Fstat(fd_.get(), &opened) != 0) return ErrnoStatus(errno, "look at", found_.path);
  if (ops_->Lstat(found_.path.c_str(), &named) != 0) {
    return ErrnoStatus(errno, "look at", found_.path);
  }
  if (Unchanged(info_, opened) && Unchanged(info_, named)) return absl::OkStatus();
  return absl::AbortedError("the file changed while it was uploaded");
}

absl::Status LocalFile::Remove() {
  if (absl::Status status = CheckUnchanged(); !status.ok()) return status;
  if (ops_->Unlink(found_.path.c_str()) != 0) return ErrnoStatus(errno, "remove", found_.path);
  return absl::OkStatus();
}

absl::StatusOr<std::string> LocalFile::SetAside() {
  if (absl::Status status = CheckUnchanged(); !status.ok()) return status;
  const std::string target = capture_file::FailedPath(found_.root, found_.path);
  if (absl::Status made = MakeDirectories(*ops_, ParentPath(target)); !made.ok()) return made;
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    std::string name = NumberedName(target, attempt);
    if (ops_->RenameNoReplace(found_.path.c_str(), name.c_str()) == 0) {
      // A power cut that undoes the move has the file refused, and moved, once more.
      SyncDirectory(*ops_, ParentPath(name)).IgnoreError();
      return name;
    }
    if (errno != EEXIST) return ErrnoStatus(errno, "move to failed/", found_.path);
  }
  return absl::AlreadyExistsError(absl::StrCat("move to failed/: too many files named ", target));
}

absl::StatusOr<std::string> LocalFile::SetRestAside(uint64_t metadata_size, uint64_t offset) {
  const std::string target = capture_file::FailedPath(found_.root, found_.path);
  if (absl::Status made = MakeDirectories(*ops_, ParentPath(target)); !made.ok()) return made;
  UniqueFd out;
  std::string name;
  for (int attempt = 0; !out.valid(); ++attempt) {
    name = NumberedName(target, attempt);
    out = UniqueFd(ops_->Open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    if (!out.valid() && (errno != EEXIST || attempt == kNameAttempts)) {
      return ErrnoStatus(errno, "create", name);
    }
  }
  const auto copy = [&](uint64_t begin, uint64_t end) {
    std::vector<char> buffer(std::min(kCopyBytes, end - begin));
    while (begin < end) {
      const uint64_t count = std::min<uint64_t>(buffer.size(), end - begin);
      if (absl::Status status = Read(begin, count, buffer.data()); !status.ok()) return status;
      const ssize_t written = ops_->Write(out.get(), buffer.data(), count);
      if (written <= 0) return ErrnoStatus(written < 0 ? errno : ENOSPC, "write", name);
      begin += static_cast<uint64_t>(written);
    }
    return absl::OkStatus();
  };
  absl::Status status = copy(0, metadata_size);
  if (status.ok()) status = copy(offset, size());
  if (status.ok() && ops_->Fdatasync(out.get()) != 0) status = ErrnoStatus(errno, "flush", name);
  if (status.ok()) status = SyncDirectory(*ops_, ParentPath(name));
  if (!status.ok()) {
    ops_->Unlink(name.c_str());
    return status;
  }
  return name;
}

}  // namespace datamanager::sync
