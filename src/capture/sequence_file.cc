#include "capture/sequence_file.h"

#include <fcntl.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/file_name.h"

namespace datamanager::capture {
namespace {

absl::Status Fill(FileOps& ops, int fd, const std::string& text, const std::string& path,
                  bool flush) {
  // Before it has its name, so that nobody recovers it.
  if (ops.TryLock(fd) != 0) return DiskError(errno, "lock", path);
  const ssize_t size = ops.Write(fd, text.data(), text.size());
  if (size < 0) return DiskError(errno, "write", path);
  if (static_cast<size_t>(size) < text.size()) return DiskError(ENOSPC, "write", path);
  if (flush && ops.Fdatasync(fd) != 0) return DiskError(errno, "flush", path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> WriteSequenceFile(FileOps& ops, const std::string& directory,
                                           const std::string& name,
                                           const capture_file::Sequence& sequence, bool flush) {
  if (absl::Status status = MakeDirectories(ops, directory); !status.ok()) return status;
  const std::string path = absl::StrCat(directory, "/", name);
  const std::string temporary = absl::StrCat(path, ToAbsl(capture_file::kTemporarySuffix));
  ops.Unlink(temporary.c_str());  // Of a process that died.
  UniqueFd fd(ops.Open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK,
                       S_IRUSR | S_IWUSR));
  if (!fd.valid()) return DiskError(errno, "create", temporary);
  absl::Status status = Fill(ops, fd.get(), capture_file::ToText(sequence), temporary, flush);
  if (status.ok() && ops.RenameNoReplace(temporary.c_str(), path.c_str()) != 0) {
    status = DiskError(errno, "rename", temporary);
  }
  if (status.ok()) return fd;
  ops.Unlink(temporary.c_str());
  return status;
}

}  // namespace datamanager::capture
