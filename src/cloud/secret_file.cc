#include "cloud/secret_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "base/read_file.h"
#include "base/strings.h"

namespace datamanager::cloud {
namespace {

// Far more than a key or a secret needs.
constexpr size_t kMaxBytes = 64 << 10;

}  // namespace

absl::StatusOr<std::string> ReadSecretFile(std::string_view field, const std::string& path,
                                           std::vector<std::string>& warnings) {
  const auto fault = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat(ToAbsl(field), ": ", what...));
  };
  const auto failed = [&](const absl::Status& status) {
    return fault(status.message(), "; name a file that this process can read");
  };
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return failed(ErrnoStatus(errno, "open", path));
  // One would wait for whoever might write to a FIFO.
  if (!S_ISREG(info.st_mode)) return fault(path, " is no regular file; name one");
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxBytes);
  if (!text.ok()) return failed(text.status());
  if (text->size() > kMaxBytes) {
    return fault(path, " has more than ", kMaxBytes,
                 " bytes, which no secret has; name the right file");
  }
  std::string line = text->substr(0, text->find('\n'));
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty()) {
    return fault("the first line of ", path, " is empty; write there what the cloud gave you");
  }
  if ((info.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    warnings.push_back(absl::StrCat(ToAbsl(field), ": others may read ", path, "; chmod 600 it"));
  }
  return line;
}

}  // namespace datamanager::cloud
