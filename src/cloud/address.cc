#include "cloud/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::cloud {
namespace {

constexpr std::string_view kExample = "https://app.example.com:443";

bool IsIpv6(std::string_view host) {
  in6_addr ignored;
  return ::inet_pton(AF_INET6, std::string(host).c_str(), &ignored) == 1;
}

bool IsHostName(std::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_';
  });
}

bool IsPort(std::string_view text) {
  uint32_t port = 0;
  return text.size() <= 5 && std::all_of(text.begin(), text.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(ToAbsl(text), &port) && port >= 1 && port <= 65535;
}

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
  if (IsIpv6(authority) || IsIpv6(authority.substr(0, authority.rfind(':')))) {
    return fault("has an IPv6 address without brackets; write ", scheme, "://[ADDRESS]:PORT");
  }
  const size_t port_colon =
      authority.find(':', authority.starts_with('[') ? authority.find(']') : 0);
  const std::string_view host = authority.substr(0, port_colon);
  if (host.empty()) return fault("has no host; write it like ", ToAbsl(kExample));
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed ? !IsIpv6(host.substr(1, host.size() - 2)) : !IsHostName(host)) {
    return fault("has no valid host; write it like ", ToAbsl(kExample));
  }
  if (port_colon == std::string_view::npos || port_colon + 1 == authority.size()) {
    return fault("has no port; write ", scheme, "://", ToAbsl(host), ":PORT");
  }
  if (!IsPort(authority.substr(port_colon + 1))) {
    return fault("has no valid port; write a number from 1 to 65535: ", scheme, "://", ToAbsl(host),
                 ":PORT");
  }
  return Address{.name = std::string(authority),
                 .target = absl::StrCat("dns:///", ToAbsl(authority)),
                 .host = std::string(bracketed ? host.substr(1, host.size() - 2) : host),
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
