#include "cloud/secret_file.h"

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
  const absl::StatusOr<RegularFile> file = ReadRegularFile(path, kMaxBytes);
  if (!file.ok()) {
    return fault(file.status().message(), "; name a file that this process can read");
  }
  const std::string& text = file->text;
  if (text.size() > kMaxBytes) {
    return fault(path, " has more than ", kMaxBytes,
                 " bytes, which no secret has; name the right file");
  }
  std::string line = text.substr(0, text.find('\n'));
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty()) {
    return fault("the first line of ", path, " is empty; write there what the cloud gave you");
  }
  if (file->others_may_read) {
    warnings.push_back(absl::StrCat(ToAbsl(field), ": ", OthersMayRead(path)));
  }
  return line;
}

std::string OthersMayRead(const std::string& path) {
  return absl::StrCat("others may read ", path, "; chmod 600 it");
}

}  // namespace datamanager::cloud
