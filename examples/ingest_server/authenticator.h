// Who a client is: credentials against tokens, tokens against uploads.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_AUTHENTICATOR_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_AUTHENTICATOR_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "datamanager/clock.h"
#include "ingest_server/credentials.h"

namespace ingest {

// Tokens are good as long as the server runs, until they expire or their credentials are revoked:
// each is signed with a key that is made of its credentials and of a random one that no file ever
// holds. After a restart, clients have to authenticate anew. Thread-safe.
class Authenticator {
 public:
  // Reads `credentials_file`. `clock`, whose wall clock counts, must outlive it.
  static absl::StatusOr<std::unique_ptr<Authenticator>> Create(std::string credentials_file,
                                                               std::chrono::seconds token_lifetime,
                                                               const datamanager::Clock& clock);

  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

  // Reads the file again and yields how many credentials it has. What is gone from it is revoked,
  // its tokens included. On an error nothing changes.
  absl::StatusOr<size_t> Reload() DM_EXCLUDES(mutex_);

  // A token. INVALID_ARGUMENT: no such type; UNAUTHENTICATED: wrong.
  absl::StatusOr<std::string> Authenticate(std::string_view type, std::string_view entity,
                                           std::string_view secret) DM_EXCLUDES(mutex_);

  // UNAUTHENTICATED, and why, unless the token is good.
  absl::Status CheckToken(std::string_view token) DM_EXCLUDES(mutex_);
  // The same, and PERMISSION_DENIED unless its credentials are for this part: see credentials.h.
  absl::Status CheckPart(std::string_view token, std::string_view part_id) DM_EXCLUDES(mutex_);

 private:
  Authenticator(std::string credentials_file, std::chrono::seconds token_lifetime,
                const datamanager::Clock& clock, std::string key,
                std::shared_ptr<const Credentials> credentials);

  // Those of `credentials` that the token is of.
  absl::StatusOr<const Credentials::Entry*> OwnerOf(std::string_view token,
                                                    const Credentials& credentials) const;
  std::shared_ptr<const Credentials> Current() DM_EXCLUDES(mutex_);
  std::string KeyFor(const Credentials::Entry& entry) const;

  const std::string credentials_file_;
  const std::chrono::seconds token_lifetime_;
  const datamanager::Clock& clock_;
  const std::string key_;

  datamanager::Mutex mutex_;
  std::shared_ptr<const Credentials> credentials_ DM_GUARDED_BY(mutex_);
};

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_AUTHENTICATOR_H_
