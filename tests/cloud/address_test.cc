#include "cloud/address.h"

#include <gtest/gtest.h>

#include <string>

namespace datamanager::cloud {
namespace {

struct Good {
  const char* text;
  const char* name;
  const char* target;
  const char* host;
  bool tls;
};

TEST(AddressTest, TakesHostAndPortOfAUrl) {
  const Good cases[] = {
      {"http://127.0.0.1:8090", "127.0.0.1:8090", "dns:///127.0.0.1:8090", "127.0.0.1", false},
      {"http://app.example.com:443", "app.example.com:443", "dns:///app.example.com:443",
       "app.example.com", false},
      {"HTTP://localhost:1", "localhost:1", "dns:///localhost:1", "localhost", false},
      {"http://host_a-b:65535", "host_a-b:65535", "dns:///host_a-b:65535", "host_a-b", false},
      {"http://h:80/some/path:1?x=y#z", "h:80", "dns:///h:80", "h", false},
      {"http://h:80?x", "h:80", "dns:///h:80", "h", false},
      {"http://[::1]:8090", "[::1]:8090", "dns:///[::1]:8090", "::1", false},
      {"http://[fe80::1:2]:8090/x", "[fe80::1:2]:8090", "dns:///[fe80::1:2]:8090", "fe80::1:2",
       false},
      {"https://app.viam.com:443", "app.viam.com:443", "dns:///app.viam.com:443", "app.viam.com",
       true},
      {"HTTPS://[::1]:8443/x", "[::1]:8443", "dns:///[::1]:8443", "::1", true},
      {"unix:/run/app.sock", "unix:/run/app.sock", "unix:/run/app.sock", "", false},
  };
  for (const Good& expected : cases) {
    const absl::StatusOr<Address> address = ParseAppAddress(expected.text);
    ASSERT_TRUE(address.ok()) << expected.text << ": " << address.status();
    EXPECT_EQ(address->name, expected.name);
    EXPECT_EQ(address->target, expected.target);
    EXPECT_EQ(address->host, expected.host);
    EXPECT_EQ(address->tls, expected.tls);
  }
}

struct Bad {
  const char* text;
  const char* advice;
};

TEST(AddressTest, SaysWhatToWriteInstead) {
  const Bad cases[] = {
      {"127.0.0.1:8090", "has no scheme; write https://127.0.0.1:8090, or http://"},
      {"localhost", "has no scheme; write https://localhost, or http:// for a server without TLS"},
      {"grpc://h:80", "has an unknown scheme; write https://HOST:PORT, or http:// without TLS"},
      {"http://", "has no host; write it like https://app.example.com:443"},
      {"http://:80", "has no host"},
      {"http:///path", "has no host"},
      {"http://a b:80", "has no valid host"},
      {"http://h", "has no port; write http://h:PORT"},
      {"https://h", "has no port; write https://h:PORT"},
      {"https://h:0", "1 to 65535: https://h:PORT"},
      {"https://::1:443", "without brackets; write https://[ADDRESS]:PORT"},
      {"http://h:", "has no port"},
      {"http://h/x", "has no port"},
      {"http://h:0", "has no valid port; write a number from 1 to 65535: http://h:PORT"},
      {"http://h:65536", "has no valid port"},
      {"http://h:999999999999", "has no valid port"},
      {"http://h:-1", "has no valid port"},
      {"http://h:+8", "has no valid port"},
      {"http://h:http", "has no valid port"},
      {"http://h:80 ", "has no valid port"},
      {"http://h:8:9", "has no valid port"},
      {"http://::1:8090", "has an IPv6 address without brackets; write http://[ADDRESS]:PORT"},
      {"http://::1", "without brackets"},
      {"http://[::1]", "has no port; write http://[::1]:PORT"},
      {"http://[::1", "has no valid host"},
      {"http://[]:80", "has no valid host"},
      {"http://[nonsense]:80", "has no valid host"},
      {"http://[fe80::1%eth0]:80", "has no valid host"},
      {"http://[::1]x:80", "has no valid host"},
      {"unix:", "has no path; write unix:PATH"},
  };
  for (const Bad& expected : cases) {
    const absl::Status status = ParseAppAddress(expected.text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << expected.text;
    const std::string message(status.message());
    EXPECT_TRUE(message.starts_with("cloud.app_address: ")) << message;
    EXPECT_NE(message.find(expected.advice), std::string::npos) << message;
    EXPECT_NE(message.find(expected.text), std::string::npos) << message;
  }
}

TEST(AddressTest, WhatMayBeASecretIsNotShown) {
  for (const char* const text :
       {"https://user:hush@h:443", "https://hush@h", "http://user:hush@h:80/x", "user:hush@h:443",
        "https://h?key=hush", "https://h:x/#hush", "h:443?hush"}) {
    const absl::Status status = ParseAppAddress(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(status.message().find("hush"), std::string::npos) << status;
  }
  EXPECT_TRUE(ParseAppAddress("https://h:443/a@b?key=hush").ok());
}

}  // namespace
}  // namespace datamanager::cloud
