#include "cloud/connect_failure.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace datamanager::cloud {
namespace {

const Endpoint kTls{.address = {.name = "app.example.com:443",
                                .target = "dns:///app.example.com:443",
                                .host = "app.example.com",
                                .tls = true}};
const Endpoint kMutual{
    .address = kTls.address,
    .tls = {.client_certificate = "/etc/robot.pem", .client_key = "/etc/robot.key"}};
const Endpoint kPlaintext{.address = {.name = "app.example.com:80",
                                      .target = "dns:///app.example.com:80",
                                      .host = "app.example.com"}};

std::string LastError(const std::string& text) {
  return "failed to connect to all addresses; last error: " + text;
}

class ConnectFailureTest : public ::testing::Test {
 protected:
  ConnectFailureTest() {
    for (const char* const name : {"grpc_proxy", "https_proxy", "http_proxy"}) ::unsetenv(name);
  }
};

// What gRPC 1.51 said in trials with servers of each kind.
TEST_F(ConnectFailureTest, SaysWhichStepFailed) {
  struct Case {
    const Endpoint& endpoint;
    bool server_accepted;
    std::string text;
    std::string beginning;
  };
  const std::string ssl =
      "UNKNOWN: ipv4:192.0.2.1:443: Tls handshake failed: SSL_ERROR_SSL: error:";
  const Case cases[] = {
      {kTls, false,
       "DNS resolution failed for app.example.com:443: C-ares status is not ARES_SUCCESS "
       "qtype=AAAA "
       "name=app.example.com is_balancer=0: Domain name not found",
       "the name app.example.com is not found: check its spelling in cloud.app_address"},
      {kTls, false,
       "DNS resolution failed for app.example.com:443: C-ares status is not ARES_SUCCESS qtype=A "
       "name=app.example.com is_balancer=0: Could not contact DNS servers",
       "the name app.example.com could not be looked up: check the network and this machine's DNS "
       "(/etc/resolv.conf). DNS resolution failed for app.example.com:443: "},
      {kTls, false,
       LastError(
           "UNKNOWN: ipv4:192.0.2.1:443: Failed to connect to remote host: Connection refused"),
       "Connection refused by 192.0.2.1:443: "},
      {kTls, false,
       LastError(
           "UNKNOWN: ipv6:%5B2001:db8::1%5D:443: Failed to connect to remote host: No route to "
           "host"),
       "No route to host [2001:db8::1]:443: check the network; a host that has only an IPv6"},
      {kTls, false,
       LastError(
           "UNKNOWN: ipv6:%5B2001:db8::1%5D:443: Failed to connect to remote host: Network is "
           "unreachable"),
       "Network is unreachable for [2001:db8::1]:443: "},
      {kTls, false, LastError("UNKNOWN: ipv4:192.0.2.1:443: connect() timed out"),
       "192.0.2.1:443 does not answer: check host and port in cloud.app_address"},
      {kTls, false, LastError("UNKNOWN: ipv4:192.0.2.1:443: tcp handshaker shutdown"),
       "192.0.2.1:443 does not answer: check host and port in cloud.app_address"},
      {kTls, false,
       LastError("UNKNOWN: ipv4:192.0.2.1:443: Failed to connect to remote host: FD Shutdown"),
       "192.0.2.1:443 does not answer: check host and port in cloud.app_address"},
      {kTls, false,
       LastError("UNKNOWN: ipv4:192.0.2.9:3128: HTTP proxy returned response code 403"),
       "the proxy at 192.0.2.9:3128 does not let the connection through (HTTP proxy returned "
       "response code 403): have it allow CONNECT to app.example.com:443, or list app.example.com "
       "in the environment variable no_proxy"},
      {kTls, false,
       LastError("UNKNOWN: ipv4:192.0.2.1:443: Custom verification check failed with error: "
                 "UNAUTHENTICATED: the server's certificate has expired: renew it"),
       "the server's certificate has expired: renew it"},
      {kTls, false, LastError(ssl + "0A00010B:SSL routines::wrong version number"),
       "192.0.2.1:443 does not speak TLS: "},
      {kTls, false, LastError(ssl + "0A00042E:SSL routines::tlsv1 alert protocol version"),
       "192.0.2.1:443 speaks no TLS of version 1.2 or later"},
      {kTls, false, LastError(ssl + "0A000410:SSL routines::sslv3 alert handshake failure"),
       "192.0.2.1:443 broke the TLS handshake off: the server demands a client's certificate"},
      {kTls, false, LastError(ssl + "0A000460:SSL routines::tlsv1 alert no application protocol"),
       "192.0.2.1:443 speaks TLS, but not HTTP/2: "},
      {kTls, false, LastError(ssl + "0A000438:SSL routines::tlsv1 alert internal error"),
       "the TLS handshake with 192.0.2.1:443 failed: Tls handshake failed: SSL_ERROR_SSL"},
      {kMutual, false, LastError(ssl + "0A000418:SSL routines::tlsv1 alert unknown ca"),
       "the server does not accept the client's certificate /etc/robot.pem: "},
      {kMutual, true, LastError("UNAVAILABLE: ipv4:192.0.2.1:443: Socket closed"),
       "the server ended the connection after the TLS handshake, as one does that does not accept "
       "the client's certificate /etc/robot.pem: "},
      {kMutual, false, LastError("UNAVAILABLE: ipv4:192.0.2.1:443: Socket closed"),
       "192.0.2.1:443 closed the connection in the TLS handshake: "},
      {kTls, true, LastError("UNAVAILABLE: ipv4:192.0.2.1:443: Endpoint read failed"),
       "the server ended the connection after the TLS handshake, as one does that demands a "
       "client's certificate: "},
      {kTls, false, LastError("UNKNOWN: ipv4:192.0.2.1:443: Handshake read failed"),
       "192.0.2.1:443 accepts the connection, but does not answer the TLS handshake: "},
      {kTls, false, LastError("UNKNOWN: ipv4:192.0.2.1:443: Handshake write failed"),
       "192.0.2.1:443 accepts the connection, but does not answer the TLS handshake: "},
      {kTls, false, LastError("UNKNOWN: ipv4:192.0.2.1:443: handshaker shutdown"),
       "192.0.2.1:443 accepts the connection, but does not answer the TLS handshake: "},
      {kTls, false, LastError("UNAVAILABLE: ipv4:192.0.2.1:443: Broken pipe"),
       "192.0.2.1:443 accepts the connection, but does not answer the TLS handshake: "},
      {kMutual, true, LastError("UNAVAILABLE: ipv4:192.0.2.1:443: Broken pipe"),
       "the server ended the connection after the TLS handshake, "},
      {kPlaintext, false, LastError("UNKNOWN: ipv4:192.0.2.1:80: handshaker shutdown"),
       "192.0.2.1:80 does not answer: "},
      {kPlaintext, false, LastError("UNAVAILABLE: ipv4:192.0.2.1:80: Connection reset by peer"),
       "192.0.2.1:80 closed the connection without an answer, as a server does that expects TLS"},
      {kPlaintext, false,
       LastError("UNKNOWN: ipv4:192.0.2.1:80: Trying to connect an http1.x server"),
       "192.0.2.1:80 answers with HTTP/1: "},
      // What no rule knows keeps gRPC's words.
      {kTls, false, LastError("UNKNOWN: ipv4:192.0.2.1:443: The moon is full"),
       "192.0.2.1:443: The moon is full"},
      {kTls, false, LastError("UNKNOWN: The moon is full"),
       "app.example.com:443: The moon is full"},
      {kTls, false, "Connection refused, said the server itself", "Connection refused, said the"},
      {kTls, false, "", ""},
  };
  for (const Case& expected : cases) {
    const std::string words =
        ExplainFailure(expected.text, expected.endpoint, expected.server_accepted);
    EXPECT_TRUE(words.starts_with(expected.beginning)) << words << "\nof: " << expected.text;
    EXPECT_EQ(words.find('{'), std::string::npos) << words;
  }
}

// Its address is not shown: a password may stand in it.
TEST_F(ConnectFailureTest, RemindsOfAProxy) {
  ASSERT_EQ(::setenv("https_proxy", "http://me:secret@192.0.2.9:3128", 1), 0);
  const std::string words = ExplainFailure(
      LastError(
          "UNKNOWN: ipv4:192.0.2.9:3128: Failed to connect to remote host: Connection refused"),
      kTls, false);
  EXPECT_TRUE(words.ends_with(" (https_proxy names a proxy)")) << words;
  EXPECT_EQ(words.find("secret"), std::string::npos);
  ::unsetenv("https_proxy");
}

}  // namespace
}  // namespace datamanager::cloud
