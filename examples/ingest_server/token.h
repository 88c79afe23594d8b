// Tokens: JSON Web Tokens, signed with HMAC-SHA256 (RFC 7519, `HS256`).
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_TOKEN_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_TOKEN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ingest {

// Times are whole seconds since 1970, UTC.
struct Claims {
  std::string sub;  // Whose it is.
  int64_t iat = 0;  // When it was issued.
  int64_t exp = 0;  // From when on it is worth nothing.
};

std::string SignToken(const Claims& claims, std::string_view key);

// Nothing unless `token` is one that was signed with `key`, whether it has expired or not. How long
// it takes does not depend on what in the signature differs.
std::optional<Claims> VerifyToken(std::string_view token, std::string_view key);

// HMAC-SHA256.
std::string Hmac(std::string_view key, std::string_view text);

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_TOKEN_H_
