#include "base/host_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager {
namespace {

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

absl::StatusOr<std::string_view> ParseHostPort(std::string_view text, std::string_view scheme,
                                               std::string_view example) {
  const auto fault = [](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat(what...));
  };
  if (IsIpv6(text) || IsIpv6(text.substr(0, text.rfind(':')))) {
    return fault("has an IPv6 address without brackets; write ", ToAbsl(scheme), "[ADDRESS]:PORT");
  }
  const size_t colon = text.find(':', text.starts_with('[') ? text.find(']') : 0);
  const std::string_view host = text.substr(0, colon);
  if (host.empty()) return fault("has no host; write it like ", ToAbsl(example));
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed ? !IsIpv6(host.substr(1, host.size() - 2)) : !IsHostName(host)) {
    return fault("has no valid host; write it like ", ToAbsl(example));
  }
  if (colon == std::string_view::npos || colon + 1 == text.size()) {
    return fault("has no port; write ", ToAbsl(scheme), ToAbsl(host), ":PORT");
  }
  if (!IsPort(text.substr(colon + 1))) {
    return fault("has no valid port; write a number from 1 to 65535: ", ToAbsl(scheme),
                 ToAbsl(host), ":PORT");
  }
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

}  // namespace datamanager
