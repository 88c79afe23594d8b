#include "cloud/jwt.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "absl/strings/escaping.h"
#include "base/strings.h"

namespace datamanager::cloud {
namespace {

// Far more than an HTTP/2 header takes.
constexpr size_t kMaxTokenBytes = 64 << 10;
// Shorter than a round trip may take.
constexpr std::chrono::duration<double> kLeastLifetime{1};
// What our own clock makes of it may be anything: a token is renewed at most this often.
constexpr std::chrono::duration<double> kLeastLifetimeByOwnClock{60};
constexpr std::chrono::duration<double> kMostLifetime{10.0 * 365 * 24 * 3600};

std::optional<double> Number(const google::protobuf::Struct& claims, const char* name) {
  const auto found = claims.fields().find(name);
  if (found == claims.fields().end()) return std::nullopt;
  const double number = found->second.number_value();  // 0 if it is no number.
  if (!std::isfinite(number) || number <= 0) return std::nullopt;
  return number;
}

}  // namespace

std::optional<JwtTimes> ReadJwtTimes(std::string_view token) {
  const size_t first = token.find('.');
  const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.size() > kMaxTokenBytes) return std::nullopt;
  std::string json;
  if (!absl::WebSafeBase64Unescape(ToAbsl(token.substr(first + 1, second - first - 1)), &json)) {
    return std::nullopt;
  }
  google::protobuf::Struct claims;
  if (!google::protobuf::util::JsonStringToMessage(json, &claims).ok()) return std::nullopt;
  const std::optional<double> expires = Number(claims, "exp");
  if (!expires.has_value()) return std::nullopt;
  return JwtTimes{.expires = *expires, .issued = Number(claims, "iat")};
}

std::optional<std::chrono::milliseconds> Lifetime(const JwtTimes& times, WallTime now) {
  using Seconds = std::chrono::duration<double>;
  const double from = times.issued.value_or(Seconds(now.time_since_epoch()).count());
  const Seconds lifetime(times.expires - from);
  if (lifetime < (times.issued.has_value() ? kLeastLifetime : kLeastLifetimeByOwnClock)) {
    return std::nullopt;
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::min(lifetime, kMostLifetime));
}

}  // namespace datamanager::cloud
