#include "cloud/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "base/strings.h"

namespace datamanager::cloud {
namespace {

constexpr std::string_view kExample = "https://app.example.com:443";

}  // namespace

absl::StatusOr<Address> ParseAppAddress(std::string_view text) {
  // What follows the port is ignored, and a query may hold a secret.
  if (!text.starts_with("unix:")) text = text.substr(0, text.find_first_of("?#"));
  const auto fault = [text](const auto&... what) {
    return absl::InvalidArgumentError(
        absl::StrCat("cloud.app_address: \"", ToAbsl(text), "\" ", what...));
  };
  if (text.starts_with("unix:")) {
    if (text == "unix:") return fault("has no path; write unix:PATH");
    return Address{.name = std::string(text), .target = std::string(text)};
  }

  const size_t colon = text.find("://");
  if (text.substr(0, text.find('/', colon == std::string_view::npos ? 0 : colon + 3)).find('@') !=
      std::string_view::npos) {
    // Not shown.
    return absl::InvalidArgumentError(
        "cloud.app_address: it has a user name or a password; write https://HOST:PORT, and the "
        "credentials as cloud.api_key or cloud.secret");
  }
  if (colon == std::string_view::npos) {
    return fault("has no scheme; write https://", ToAbsl(text),
                 ", or http:// for a server without TLS");
  }
  const std::string scheme = absl::AsciiStrToLower(ToAbsl(text.substr(0, colon)));
  std::string_view authority = text.substr(colon + 3);
  authority = authority.substr(0, authority.find_first_of("/?#"));
  if (scheme != "https" && scheme != "http") {
    return fault("has an unknown scheme; write https://HOST:PORT, or http:// without TLS");
  }
  const absl::StatusOr<std::string_view> host = ParseHostPort(authority, scheme + "://", kExample);
  if (!host.ok()) return fault(host.status().message());
  return Address{.name = std::string(authority),
                 .target = absl::StrCat("dns:///", ToAbsl(authority)),
                 .host = std::string(*host),
                 .tls = scheme == "https"};
}

bool IsLocal(const Address& address) {
  in_addr v4;
  if (::inet_pton(AF_INET, address.host.c_str(), &v4) == 1) {
    return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  return address.host.empty() || address.host == "localhost" || address.host == "::1";
}

}  // namespace datamanager::cloud
