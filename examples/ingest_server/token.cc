#include "ingest_server/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "config/json.h"
#include "datamanager/value.h"

namespace ingest {
namespace {

using datamanager::ToAbsl;

// The only header there is, so that nothing a token says of itself is ever believed.
constexpr char kHeader[] = R"({"alg":"HS256","typ":"JWT"})";

// Base64 for URLs, without padding, as RFC 7515 has it.
std::string Encode(std::string_view text) { return absl::WebSafeBase64Escape(ToAbsl(text)); }

}  // namespace

std::string Hmac(std::string_view key, std::string_view text) {
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned int length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(digest.data()), &length);
  digest.resize(length);
  return digest;
}

std::string SignToken(const Claims& claims, std::string_view key) {
  const std::string payload = absl::StrCat("{\"sub\":", ToJson(datamanager::Value(claims.sub)),
                                           ",\"iat\":", claims.iat, ",\"exp\":", claims.exp, "}");
  const std::string text = absl::StrCat(Encode(kHeader), ".", Encode(payload));
  return absl::StrCat(text, ".", Encode(Hmac(key, text)));
}

std::optional<Claims> VerifyToken(std::string_view token, std::string_view key) {
  const size_t dot = token.rfind('.');
  const std::string prefix = Encode(kHeader) + ".";
  if (dot == std::string_view::npos || dot < prefix.size() || !token.starts_with(prefix)) {
    return std::nullopt;
  }
  const std::string_view text = token.substr(0, dot);
  // Compared as text, since many texts decode to the same bytes.
  const std::string signature = Encode(Hmac(key, text));
  const std::string_view given = token.substr(dot + 1);
  if (given.size() != signature.size() ||
      CRYPTO_memcmp(given.data(), signature.data(), given.size()) != 0) {
    return std::nullopt;
  }
  // From here on it is what SignToken wrote.
  std::string json;
  if (!absl::WebSafeBase64Unescape(ToAbsl(text.substr(prefix.size())), &json)) return std::nullopt;
  const auto payload = datamanager::config::ParseJson(json);
  if (!payload.ok()) return std::nullopt;
  const auto find = [&](std::string_view name) {
    const datamanager::Value* value = payload->AsMap().Find(name);
    return value == nullptr ? datamanager::Value() : *value;
  };
  return Claims{.sub = std::string(find("sub").AsString()),
                .iat = static_cast<int64_t>(find("iat").AsNumber()),
                .exp = static_cast<int64_t>(find("exp").AsNumber())};
}

}  // namespace ingest
