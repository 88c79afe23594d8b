#include "cloud/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "base/unique_fd.h"

namespace datamanager::cloud {

absl::StatusOr<std::string> ReadSecretFile(FileOps& ops, std::string_view field,
                                           const std::string& path,
                                           std::vector<std::string>& warnings) {
  const auto fault = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat(ToAbsl(field), ": ", what...));
  };
  const auto failed = [&](const char* step) {
    return fault(ErrnoStatus(errno, step, path).message(),
                 "; name a file that this process can read");
  };
  // Never waits for whoever might write to a FIFO.
  const UniqueFd fd(ops.Open(path.c_str(), O_RDONLY | O_NONBLOCK, 0));
  if (!fd.valid()) return failed("open");
  struct stat info {};
  if (ops.Fstat(fd.get(), &info) != 0) return failed("stat");
  if (!S_ISREG(info.st_mode)) return fault(path, " is no regular file; name one");

  std::string text(kMaxSecretFileBytes + 1, '\0');
  const ssize_t size = ops.Pread(fd.get(), text.data(), text.size(), 0);
  if (size < 0) return failed("read");
  if (static_cast<size_t>(size) > kMaxSecretFileBytes) {
    return fault(path, " has more than ", kMaxSecretFileBytes,
                 " bytes, and so is no such file; name the right one");
  }
  text.resize(static_cast<size_t>(size));
  if ((info.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    warnings.push_back(absl::StrCat(ToAbsl(field), ": others than its owner can read ", path,
                                    "; take their rights away: chmod 600 ", path));
  }
  return text;
}

}  // namespace datamanager::cloud
