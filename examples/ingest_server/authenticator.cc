#include "ingest_server/authenticator.h"

#include <openssl/rand.h>

#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "ingest_server/token.h"

namespace ingest {
namespace {

constexpr size_t kKeyBytes = 32;
// Of a type that a client has made up, as much as tells what it is.
constexpr size_t kMaxTypeShown = 32;

using std::chrono::seconds;

}  // namespace

absl::StatusOr<std::unique_ptr<Authenticator>> Authenticator::Create(
    std::string credentials_file, std::chrono::seconds token_lifetime,
    const datamanager::Clock& clock) {
  absl::StatusOr<Credentials> credentials = Credentials::Read(credentials_file);
  if (!credentials.ok()) return credentials.status();
  std::string key(kKeyBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), static_cast<int>(key.size())) != 1) {
    return absl::UnavailableError("no random bytes to sign tokens with");
  }
  return std::unique_ptr<Authenticator>(
      new Authenticator(std::move(credentials_file), token_lifetime, clock, std::move(key),
                        std::make_shared<const Credentials>(*std::move(credentials))));
}

Authenticator::Authenticator(std::string credentials_file, std::chrono::seconds token_lifetime,
                             const datamanager::Clock& clock, std::string key,
                             std::shared_ptr<const Credentials> credentials)
    : credentials_file_(std::move(credentials_file)),
      token_lifetime_(token_lifetime),
      clock_(clock),
      key_(std::move(key)),
      credentials_(std::move(credentials)) {}

absl::StatusOr<size_t> Authenticator::Reload() {
  absl::StatusOr<Credentials> read = Credentials::Read(credentials_file_);
  if (!read.ok()) return read.status();
  auto credentials = std::make_shared<const Credentials>(*std::move(read));
  const size_t count = credentials->entries().size();
  datamanager::MutexLock lock(mutex_);
  credentials_ = std::move(credentials);
  return count;
}

std::shared_ptr<const Credentials> Authenticator::Current() {
  datamanager::MutexLock lock(mutex_);
  return credentials_;
}

std::string Authenticator::KeyFor(const Credentials::Entry& entry) const {
  return Hmac(key_, entry.digest);
}

absl::StatusOr<std::string> Authenticator::Authenticate(std::string_view type,
                                                        std::string_view entity,
                                                        std::string_view secret) {
  if (type != kApiKey && type != kRobotSecret) {
    return absl::InvalidArgumentError(
        absl::StrCat("do not know how to handle credential type \"",
                     absl::CHexEscape(datamanager::ToAbsl(type.substr(0, kMaxTypeShown))), "\""));
  }
  const std::shared_ptr<const Credentials> credentials = Current();
  const Credentials::Entry* entry = credentials->Find(type, entity, secret);
  if (entry == nullptr) return absl::UnauthenticatedError("invalid credentials");
  const datamanager::WallTime now = clock_.WallNow();
  const auto begin = std::chrono::floor<seconds>(now.time_since_epoch());
  // Rounded up, so that none ends before its lifetime does.
  const auto end = std::chrono::ceil<seconds>(now.time_since_epoch()) + token_lifetime_;
  return SignToken({.sub = entry->entity, .iat = begin.count(), .exp = end.count()},
                   KeyFor(*entry));
}

absl::StatusOr<const Credentials::Entry*> Authenticator::OwnerOf(
    std::string_view token, const Credentials& credentials) const {
  for (const Credentials::Entry& entry : credentials.entries()) {
    const std::optional<Claims> claims = VerifyToken(token, KeyFor(entry));
    if (!claims) continue;
    if (clock_.WallNow().time_since_epoch() < seconds(claims->exp)) return &entry;
    return absl::UnauthenticatedError("unauthenticated: the token has expired");
  }
  return absl::UnauthenticatedError(
      "unauthenticated: the token is not of this server's, or its credentials were revoked");
}

absl::Status Authenticator::CheckToken(std::string_view token) {
  return OwnerOf(token, *Current()).status();
}

absl::Status Authenticator::CheckPart(std::string_view token, std::string_view part_id) {
  const std::shared_ptr<const Credentials> credentials = Current();
  const absl::StatusOr<const Credentials::Entry*> owner = OwnerOf(token, *credentials);
  if (!owner.ok()) return owner.status();
  if ((*owner)->MayUploadFor(part_id)) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(
      (*owner)->type, " \"", absl::CHexEscape((*owner)->entity), "\" may not upload for part \"",
      absl::CHexEscape(datamanager::ToAbsl(part_id)), "\""));
}

}  // namespace ingest
