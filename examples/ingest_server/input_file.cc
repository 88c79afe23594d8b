#include "ingest_server/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/unique_fd.h"

namespace ingest {
namespace {

using datamanager::UniqueFd;

// Far more than keys take; whoever passes a disk image by mistake learns it at once.
constexpr size_t kMaxBytes = 1 << 20;

absl::StatusOr<UniqueFd> Open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return datamanager::ErrnoStatus(errno, "open", path);
  return fd;
}

absl::StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t count = ::read(fd, buffer, sizeof(buffer));
    if (count == 0) return content;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return datamanager::ErrnoStatus(errno, "read", path);
    content.append(buffer, static_cast<size_t>(count));
    if (content.size() > kMaxBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " is larger than ", kMaxBytes, " bytes"));
    }
  }
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const absl::StatusOr<UniqueFd> fd = Open(path);
  return fd.ok() ? ReadAll(fd->get(), path) : fd.status();
}

absl::StatusOr<std::string> ReadSecretFile(const std::string& path) {
  const absl::StatusOr<UniqueFd> fd = Open(path);
  if (!fd.ok()) return fd.status();
  struct stat info {};
  if (::fstat(fd->get(), &info) == 0 && S_ISREG(info.st_mode) &&
      (info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    std::fprintf(stderr, "ingest_server: warning: others may read %s: chmod 600 %s\n", path.c_str(),
                 path.c_str());
  }
  return ReadAll(fd->get(), path);
}

}  // namespace ingest
