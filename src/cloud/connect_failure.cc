#include "cloud/connect_failure.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/strings.h"

namespace datamanager::cloud {
namespace {

constexpr std::string_view kVerifier = "Custom verification check failed with error: ";

// What of an attempt counts for its explanation.
enum class When : uint8_t {
  kAlways,
  kPlaintext,
  kTls,
  kTlsAnonymous,   // Once the server's certificate was accepted, and none of ours shown.
  kTlsIdentified,  // The same, with one of ours.
};

struct Rule {
  std::string_view needle;  // In gRPC's text.
  When when;
  std::string_view meaning;  // {peer}, {name}, {host}, {certificate}, {cause} are filled in.
};

// Stands for each of the ways in which gRPC says that the peer ended the connection.
constexpr std::string_view kHungUp = "hung up";
constexpr std::string_view kHangUps[] = {"Socket closed", "Connection reset by peer", "Broken pipe",
                                         "Endpoint read failed"};

constexpr std::string_view kClientRefused =
    "the server does not accept the client's certificate {certificate}: renew it if it has expired "
    "(openssl x509 -enddate -noout -in {certificate}), and see that the server knows its issuer";
constexpr std::string_view kClientDoubted =
    "the server ended the connection after the TLS handshake, as one does that does not accept the "
    "client's certificate {certificate}: renew it if it has expired "
    "(openssl x509 -enddate -noout -in {certificate}), and see that the server knows its issuer";
constexpr std::string_view kClientMissing =
    "the server ended the connection after the TLS handshake, as one does that demands a client's "
    "certificate: name one in cloud.tls_client_certificate_file, and its key in "
    "cloud.tls_client_key_file";

constexpr std::string_view kNoConnection =
    "{peer} does not answer: check host and port in cloud.app_address, the network, and firewalls "
    "on the way";
constexpr std::string_view kNoHandshake =
    "{peer} accepts the connection, but does not answer the TLS handshake: check that it is the "
    "right server and not overloaded, and firewalls and proxies on the way";
constexpr std::string_view kNoTls =
    "{peer} does not speak TLS: write http:// in cloud.app_address if this is a server without it; "
    "otherwise check the port, or whether a captive portal answers in the server's place";
constexpr std::string_view kNoHttp2 =
    "{peer} speaks TLS, but not HTTP/2: no gRPC server, but perhaps a captive portal or a web "
    "proxy; check host and port in cloud.app_address";

// The first that fits counts.
constexpr Rule kRules[] = {
    {"Domain name not found", When::kAlways,
     "the name {host} is not found: check its spelling in cloud.app_address, and this machine's "
     "DNS (/etc/resolv.conf)"},
    {"DNS resolution failed", When::kAlways,
     "the name {host} could not be looked up: check the network and this machine's DNS "
     "(/etc/resolv.conf). {cause}"},
    {"HTTP proxy returned response code", When::kAlways,
     "the proxy at {peer} does not let the connection through ({cause}): have it allow CONNECT to "
     "{name}, or list {host} in the environment variable no_proxy"},
    {"Connection refused", When::kAlways,
     "Connection refused by {peer}: nothing listens there; check host and port in "
     "cloud.app_address, and that the server runs"},
    {"No route to host", When::kAlways,
     "No route to host {peer}: check the network; a host that has only an IPv6 address needs a "
     "machine with IPv6"},
    {"Network is unreachable", When::kAlways,
     "Network is unreachable for {peer}: check the network; a host that has only an IPv6 address "
     "needs a machine with IPv6"},
    {"connect() timed out", When::kAlways, kNoConnection},
    {"tcp handshaker shutdown", When::kAlways, kNoConnection},
    {"FD Shutdown", When::kAlways, kNoConnection},
    // A server of TLS 1.2 tells it in the handshake, one of TLS 1.3 just ends the connection.
    {"alert unknown ca", When::kTls, kClientRefused},
    {"alert bad certificate", When::kTls, kClientRefused},
    {"alert certificate expired", When::kTls, kClientRefused},
    {"alert certificate revoked", When::kTls, kClientRefused},
    {"alert certificate unknown", When::kTls, kClientRefused},
    {"alert certificate required", When::kTls, kClientMissing},
    {"alert handshake failure", When::kTls,
     "{peer} broke the TLS handshake off: the server demands a client's certificate "
     "(cloud.tls_client_certificate_file), or has no cipher in common with TLS 1.2 and later"},
    {"alert protocol version", When::kTls,
     "{peer} speaks no TLS of version 1.2 or later: update the server"},
    {"unsupported protocol", When::kTls,
     "{peer} speaks no TLS of version 1.2 or later: update the server"},
    {"missing selected ALPN", When::kTls, kNoHttp2},
    {"alert no application protocol", When::kTls, kNoHttp2},
    {"wrong version number", When::kTls, kNoTls},
    {"packet length too long", When::kTls, kNoTls},
    {"SSL routines::", When::kTls,
     "the TLS handshake with {peer} failed: {cause}; look into the server's log"},
    {"http1.x server", When::kAlways,
     "{peer} answers with HTTP/1: no gRPC server, but perhaps a captive portal, a web proxy, or a "
     "server that expects TLS (https:// in cloud.app_address)"},
    {"Failed parsing HTTP/2", When::kAlways,
     "{peer} answers, but not with HTTP/2: no gRPC server; check host and port in "
     "cloud.app_address"},
    {"Handshake read failed", When::kTls, kNoHandshake},
    {"before receiving SETTINGS frame", When::kAlways,
     "{peer} accepts the connection, but does not answer: check that it is a gRPC server, that it "
     "is not overloaded, and firewalls and proxies on the way"},
    {kHungUp, When::kTlsIdentified, kClientDoubted},
    {kHungUp, When::kTlsAnonymous, kClientMissing},
    // The time was up, and gRPC shut the connection down, before anything was sent.
    {"Handshake write failed", When::kTls, kNoHandshake},
    {"Broken pipe", When::kTls, kNoHandshake},
    {"handshaker shutdown", When::kTls, kNoHandshake},
    {"handshaker shutdown", When::kPlaintext, kNoConnection},
    {kHungUp, When::kTls,
     "{peer} closed the connection in the TLS handshake: check that it is a TLS server, and "
     "firewalls and proxies on the way"},
    {kHungUp, When::kPlaintext,
     "{peer} closed the connection without an answer, as a server does that expects TLS: if so, "
     "write https:// in cloud.app_address"},
};

bool Says(std::string_view cause, std::string_view needle) {
  const auto has = [cause](std::string_view words) {
    return cause.find(words) != std::string_view::npos;
  };
  return needle == kHungUp ? std::any_of(std::begin(kHangUps), std::end(kHangUps), has)
                           : has(needle);
}

bool Fits(When when, const Endpoint& endpoint, bool server_accepted) {
  const bool tls = endpoint.address.tls;
  const bool identified = !endpoint.tls.client_certificate.empty();
  switch (when) {
    case When::kAlways:
      return true;
    case When::kPlaintext:
      return !tls;
    case When::kTls:
      return tls;
    case When::kTlsAnonymous:
      return tls && server_accepted && !identified;
    case When::kTlsIdentified:
      return tls && server_accepted && identified;
  }
  return false;
}

// The text after the first `separator`, if there is one.
std::optional<std::string_view> After(std::string_view text, std::string_view separator) {
  const size_t at = text.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  return text.substr(at + separator.size());
}

// Of "ipv4:127.0.0.1:80: Connection refused" both parts; the address is as people write it.
struct Failure {
  std::string peer;
  std::string_view cause;
};

Failure Split(std::string_view text, const Address& address) {
  const size_t end = text.find(": ");
  const size_t family = text.find(':');
  if (end == std::string_view::npos || family >= end) return {address.name, text};
  const std::string_view scheme = text.substr(0, family);
  if (scheme != "ipv4" && scheme != "ipv6" && scheme != "unix") return {address.name, text};
  std::string peer(
      text.substr(scheme == "unix" ? 0 : family + 1, end - (scheme == "unix" ? 0 : family + 1)));
  absl::StrReplaceAll({{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}}, &peer);
  return {std::move(peer), text.substr(end + 2)};
}

// The variable that names a proxy, in gRPC's order; empty if none does.
std::string_view ProxyVariable() {
  for (const char* const name : {"grpc_proxy", "https_proxy", "http_proxy"}) {
    const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    if (value != nullptr && *value != '\0') return name;
  }
  return {};
}

}  // namespace

std::string ExplainFailure(std::string_view text, const Endpoint& endpoint, bool server_accepted) {
  const bool lookup = text.starts_with("DNS resolution failed");
  std::string_view last = text;
  if (auto error = After(text, "last error: ")) {
    // "UNKNOWN: ipv4:...".
    last = After(*error, ": ").value_or(*error);
  } else if (!lookup) {
    return std::string(text);
  }
  if (auto verdict = After(last, kVerifier)) {
    return std::string(After(*verdict, ": ").value_or(*verdict));
  }
  const Address& address = endpoint.address;
  const Failure failure = lookup ? Failure{address.name, text} : Split(last, address);
  for (const Rule& rule : kRules) {
    if (!Says(failure.cause, rule.needle)) continue;
    if (!Fits(rule.when, endpoint, server_accepted)) continue;
    std::string words = absl::StrReplaceAll(ToAbsl(rule.meaning),
                                            {{"{peer}", failure.peer},
                                             {"{name}", address.name},
                                             {"{host}", address.host},
                                             {"{certificate}", endpoint.tls.client_certificate},
                                             {"{cause}", ToAbsl(failure.cause)}});
    const std::string_view proxy = ProxyVariable();
    if (!proxy.empty() && failure.peer != address.name) {
      absl::StrAppend(&words, " (", ToAbsl(proxy), " names a proxy)");
    }
    return words;
  }
  return absl::StrCat(failure.peer, ": ", ToAbsl(failure.cause));
}

}  // namespace datamanager::cloud
