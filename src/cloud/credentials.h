// What the robot proves with who it is.
#ifndef DATAMANAGER_SRC_CLOUD_CREDENTIALS_H_
#define DATAMANAGER_SRC_CLOUD_CREDENTIALS_H_

#include <optional>
#include <string>
#include <vector>

#include "datamanager/config.h"

namespace datamanager::cloud {

struct Credentials {
  std::string type;     // "api-key" or "robot-secret".
  std::string entity;   // The key's id, or the part's. No secret.
  std::string payload;  // The secret. Goes into no text for people.
  std::string field;    // The place in the config: "cloud.api_key" or "cloud.secret".

  friend bool operator==(const Credentials&, const Credentials&) = default;
};

// The API key of `config` if it has one, else its secret, else nothing; files are read. Adds to
// `faults` and `warnings` a line for each thing that is wrong, without the secret.
std::optional<Credentials> LoadCredentials(const CloudConfig& config,
                                           std::vector<std::string>& faults,
                                           std::vector<std::string>& warnings);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_CREDENTIALS_H_
