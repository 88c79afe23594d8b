#include "base/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/strings.h"
#include "base/unique_fd.h"

namespace datamanager {
namespace {

absl::StatusOr<UniqueFd> Open(const std::string& path, int flags) {
  UniqueFd fd(AboveStandardStreams(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags)));
  if (!fd.valid()) return ErrnoStatus(errno, "open", path);
  return fd;
}

absl::StatusOr<std::string> ReadAll(int fd, const std::string& path, size_t enough) {
  std::string text;
  char buffer[64 << 10];
  while (text.size() <= enough) {
    const ssize_t count = ::read(fd, buffer, sizeof(buffer));
    if (count == 0) break;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "read", path);
    text.append(buffer, static_cast<size_t>(count));
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t enough) {
  const absl::StatusOr<UniqueFd> fd = Open(path, 0);
  return fd.ok() ? ReadAll(fd->get(), path, enough) : fd.status();
}

absl::StatusOr<RegularFile> ReadRegularFile(const std::string& path, size_t enough) {
  // Opening a FIFO would else wait for whoever might write to it.
  const absl::StatusOr<UniqueFd> fd = Open(path, O_NONBLOCK);
  if (!fd.ok()) return fd.status();
  struct stat info {};
  if (::fstat(fd->get(), &info) != 0) return ErrnoStatus(errno, "look at", path);
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(path + " is no regular file");
  absl::StatusOr<std::string> text = ReadAll(fd->get(), path, enough);
  if (!text.ok()) return text.status();
  return RegularFile{.text = *std::move(text),
                     .others_may_read = (info.st_mode & (S_IRGRP | S_IROTH)) != 0};
}

}  // namespace datamanager
