#include "ingest_server/token.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"

namespace ingest {
namespace {

TEST(IngestTokenTest, HmacIsTheStandardOne) {
  // RFC 4231, test case 2.
  EXPECT_EQ(absl::BytesToHexString(Hmac("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(IngestTokenTest, IsAJwt) {
  // As another implementation made it.
  EXPECT_EQ(SignToken({.sub = "part-1", .iat = 1800000000, .exp = 1800000900}, "key"),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
            "eyJzdWIiOiJwYXJ0LTEiLCJpYXQiOjE4MDAwMDAwMDAsImV4cCI6MTgwMDAwMDkwMH0."
            "EEjiqMciOSj7IBWaKfCDzsPKl3Oo56_Gr2dzfJZ0BaI");
}

TEST(IngestTokenTest, BringsItsClaimsBack) {
  const auto claims = VerifyToken(
      SignToken({.sub = "a \"b\" \xc3\xa9", .iat = 5, .exp = 1800000001}, "key"), "key");
  ASSERT_TRUE(claims.has_value());
  EXPECT_EQ(claims->sub, "a \"b\" \xc3\xa9");
  EXPECT_EQ(claims->iat, 5);
  EXPECT_EQ(claims->exp, 1800000001);
}

TEST(IngestTokenTest, AnotherKeysIsWorthNothing) {
  EXPECT_FALSE(VerifyToken(SignToken({}, "key"), "other").has_value());
}

TEST(IngestTokenTest, AnyChangeMakesItWorthNothing) {
  const std::string token = SignToken({.sub = "part-1", .iat = 1, .exp = 2}, "key");
  ASSERT_TRUE(VerifyToken(token, "key").has_value());
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(VerifyToken(changed, "key").has_value()) << i;
    EXPECT_FALSE(VerifyToken(token.substr(0, i), "key").has_value()) << i;
  }
  EXPECT_FALSE(VerifyToken(token + "A", "key").has_value());
  EXPECT_FALSE(VerifyToken(token + "=", "key").has_value());
  EXPECT_FALSE(VerifyToken(token + "." + token, "key").has_value());
}

TEST(IngestTokenTest, AnotherAlgorithmIsWorthNothing) {
  const std::string token = SignToken({}, "key");
  const std::string payload = token.substr(token.find('.'), token.rfind('.') - token.find('.'));
  const std::string text = absl::WebSafeBase64Escape(R"({"alg":"none","typ":"JWT"})") + payload;
  EXPECT_FALSE(VerifyToken(text + ".", "key").has_value());
  EXPECT_FALSE(
      VerifyToken(text + "." + absl::WebSafeBase64Escape(Hmac("key", text)), "key").has_value());
}

TEST(IngestTokenTest, WhatIsNoTokenIsWorthNothing) {
  for (const std::string text : {"", ".", "..", "...", "a.b.c"}) {
    EXPECT_FALSE(VerifyToken(text, "key").has_value()) << text;
  }
}

}  // namespace
}  // namespace ingest
