#include "ingest_server/input_file.h"

#include <sys/stat.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/read_file.h"

namespace ingest {
namespace {

// Far more than keys take.
constexpr size_t kMaxBytes = 1 << 20;

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  absl::StatusOr<std::string> content = datamanager::ReadFile(path, kMaxBytes);
  if (content.ok() && content->size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is larger than ", kMaxBytes, " bytes"));
  }
  return content;
}

absl::StatusOr<std::string> ReadSecretFile(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
      (info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    std::fprintf(stderr, "ingest_server: warning: others may read %s: chmod 600 %s\n", path.c_str(),
                 path.c_str());
  }
  return ReadFile(path);
}

}  // namespace ingest
