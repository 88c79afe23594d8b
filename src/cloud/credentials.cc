#include "cloud/credentials.h"

#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "cloud/secret_file.h"

namespace datamanager::cloud {
namespace {

class CredentialsReader {
 public:
  CredentialsReader(std::vector<std::string>& faults, std::vector<std::string>& warnings)
      : faults_(faults), warnings_(warnings) {}

  // What stands in the config as `field`, or in the first line of the file that `field`_file names;
  // empty if neither is there.
  std::string Read(std::string_view field, const std::string& value, const std::string& file) {
    if (file.empty()) return Checked(field, value);
    const std::string file_field = absl::StrCat(ToAbsl(field), "_file");
    if (!value.empty()) {
      Fault(file_field, absl::StrCat("stands beside ", ToAbsl(field), "; write one of them"));
      return {};
    }
    absl::StatusOr<std::string> line = ReadSecretFile(file_field, file, warnings_);
    if (line.ok()) return Checked(file_field, *std::move(line));
    faults_.emplace_back(ToStd(line.status().message()));
    return {};
  }
  std::string Checked(std::string_view field, std::string text) {
    if (IsUtf8(text)) return text;
    Fault(field, "it is not UTF-8, as the cloud demands");
    return {};
  }
  void Fault(std::string_view field, std::string_view what) {
    faults_.push_back(absl::StrCat(ToAbsl(field), ": ", ToAbsl(what)));
  }

 private:
  std::vector<std::string>& faults_;
  std::vector<std::string>& warnings_;
};

}  // namespace

std::optional<Credentials> LoadCredentials(const CloudConfig& config,
                                           std::vector<std::string>& faults,
                                           std::vector<std::string>& warnings) {
  CredentialsReader reader(faults, warnings);
  const ApiKey& api_key = config.api_key;
  if (api_key == ApiKey{}) {
    std::string secret = reader.Read("cloud.secret", config.secret, config.secret_file);
    if (secret.empty()) return std::nullopt;
    return Credentials{.type = "robot-secret",
                       .entity = config.id,
                       .payload = std::move(secret),
                       .field = "cloud.secret"};
  }
  std::string id = reader.Checked("cloud.api_key.id", api_key.id);
  if (api_key.id.empty()) {
    reader.Fault("cloud.api_key.id", "it is missing; write the id that belongs to the key");
  }
  if (api_key.key.empty() && api_key.key_file.empty()) {
    reader.Fault("cloud.api_key.key",
                 "it is missing; write the key, or as key_file the name of a file that has it");
  }
  std::string key = reader.Read("cloud.api_key.key", api_key.key, api_key.key_file);
  if (id.empty() || key.empty()) return std::nullopt;
  return Credentials{.type = "api-key",
                     .entity = std::move(id),
                     .payload = std::move(key),
                     .field = "cloud.api_key"};
}

}  // namespace datamanager::cloud
