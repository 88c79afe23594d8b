// Who may upload: API keys and robot secrets, from a file.
//
//   {"api_keys": [{"id": "key-1", "key": "...", "part_ids": ["part-1", "part-2"]}],
//    "robot_secrets": [{"id": "part-1", "secret": "..."}]}
//
// A robot's secret is for the part of its id alone; an API key for those in `part_ids`, or for all
// without that. Either list may be absent, and an id may have several secrets, so that one can be
// replaced without a gap.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_CREDENTIALS_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_CREDENTIALS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace ingest {

// As clients name them in `Credentials.type`.
inline constexpr char kApiKey[] = "api-key";
inline constexpr char kRobotSecret[] = "robot-secret";

// Immutable. Keeps hashes in place of secrets.
class Credentials {
 public:
  struct Entry {
    std::string type;
    std::string entity;
    std::string digest;                                // Of the type, the entity and the secret.
    std::optional<std::vector<std::string>> part_ids;  // Absent: all.

    bool MayUploadFor(std::string_view part_id) const;
  };

  // INVALID_ARGUMENT tells what is wrong, and nothing that may be secret.
  static absl::StatusOr<Credentials> Parse(std::string_view json);
  static absl::StatusOr<Credentials> Read(const std::string& path);

  // Null if there is none. How long it takes does not depend on what in the secret differs.
  const Entry* Find(std::string_view type, std::string_view entity, std::string_view secret) const;

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  explicit Credentials(std::vector<Entry> entries) : entries_(std::move(entries)) {}

  std::vector<Entry> entries_;
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_CREDENTIALS_H_
