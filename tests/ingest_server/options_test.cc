#include "ingest_server/options.h"

#include <gtest/gtest.h>

namespace ingest {
namespace {

std::string OptionsErrorOf(const std::vector<std::string>& arguments) {
  const auto options = ParseOptions(arguments);
  return options.ok() ? "no error" : std::string(options.status().message());
}

TEST(OptionsTest, TakesAll) {
  const auto options = ParseOptions(
      {"--listen", "127.0.0.1:0", "--store=/tmp/a=b", "--print-port", "--fail", "internal=1"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->server.listen, "127.0.0.1:0");
  EXPECT_EQ(options->server.store, "/tmp/a=b");
  EXPECT_TRUE(options->print_port);
  EXPECT_EQ(options->server.faults.failures.size(), 1u);
}

TEST(OptionsTest, ListensOnManyKindsOfAddresses) {
  for (const char* listen : {"localhost:80", "[::1]:0", "0.0.0.0:65535", "unix:/run/x"}) {
    EXPECT_EQ(OptionsErrorOf({"--store", "s", "--listen", listen}), "no error") << listen;
  }
  for (const char* listen : {"80", ":80", "host", "host:", "host:65536", "host:-1", "unix:"}) {
    EXPECT_EQ(OptionsErrorOf({"--store", "s", "--listen", listen}),
              "--listen: \"" + std::string(listen) + "\" is neither HOST:PORT nor unix:PATH");
  }
}

TEST(OptionsTest, TakesWhatMakesItSafe) {
  const auto options =
      ParseOptions({"--listen", "a:0", "--store", "s", "--credentials", "c", "--token-lifetime",
                    "1m30s", "--tls-certificate", "t", "--tls-key", "k", "--client-ca", "r"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->server.credentials, "c");
  EXPECT_EQ(options->server.token_lifetime, std::chrono::seconds(90));
  EXPECT_EQ(options->server.tls.certificate, "t");
  EXPECT_EQ(options->server.tls.key, "k");
  EXPECT_EQ(options->server.tls.client_ca, "r");
}

TEST(OptionsTest, WhatBelongsTogetherMustComeTogether) {
  const auto error_of = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--listen", "a:0", "--store", "s"});
    return OptionsErrorOf(arguments);
  };
  EXPECT_EQ(error_of({"--tls-certificate", "t"}), "--tls-certificate needs --tls-key");
  EXPECT_EQ(error_of({"--tls-key", "k"}), "--tls-key needs --tls-certificate");
  EXPECT_EQ(error_of({"--client-ca", "r"}), "--client-ca needs --tls-certificate and --tls-key");
  EXPECT_EQ(error_of({"--token-lifetime", "5m"}), "--token-lifetime needs --credentials");
  for (const char* lifetime : {"0s", "-1s", "1500ms", "5", "9000h"}) {
    EXPECT_EQ(error_of({"--credentials", "c", "--token-lifetime", lifetime}),
              "--token-lifetime: \"" + std::string(lifetime) +
                  "\" is no duration in whole seconds; write it like 30s, 5m, 1h or 1m30s");
  }
}

TEST(OptionsTest, HelpNeedsNothingElse) {
  const auto options = ParseOptions({"--help"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->help);
}

TEST(OptionsTest, SaysWhatIsWrong) {
  EXPECT_EQ(OptionsErrorOf({}), "--listen is missing");
  EXPECT_EQ(OptionsErrorOf({"--listen", "a:0"}), "--store is missing");
  EXPECT_EQ(OptionsErrorOf({"--listen"}), "--listen needs a value");
  EXPECT_EQ(OptionsErrorOf({"--lisen", "a:0"}),
            "there is no option --lisen; did you mean --listen?");
  EXPECT_EQ(OptionsErrorOf({"store"}), "there is no option store");
  EXPECT_EQ(OptionsErrorOf({"--listen", "unix:x", "--store", "s", "--print-port"}),
            "--print-port: a unix socket has no port");
  EXPECT_EQ(OptionsErrorOf({"--listen", "a:0", "--store", "s", "--fail", "internal=2"}),
            "--fail: \"internal=2\": \"2\" is not a probability from 0 to 1");
}

}  // namespace
}  // namespace ingest
