#include "cloud/jwt.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/token_office.h"

namespace datamanager::cloud {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""s;
using testing::UnsignedJwt;

WallTime At(double seconds) {
  return WallTime(
      std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double>(seconds)));
}

TEST(JwtTest, ReadsItsTimes) {
  const auto times =
      ReadJwtTimes(UnsignedJwt(R"({"sub":"x","iat":1700000000,"exp":1700003600.5})"));
  ASSERT_TRUE(times.has_value());
  EXPECT_EQ(times->expires, 1700003600.5);
  EXPECT_EQ(times->issued, 1700000000);
  EXPECT_EQ(ReadJwtTimes(UnsignedJwt(R"({"exp":5})"))->issued, std::nullopt);
  // Whatever the length of the claims, and so the padding that is left out.
  for (const std::string filler : {"", "a", "ab", "abc"}) {
    EXPECT_TRUE(ReadJwtTimes(UnsignedJwt(R"({"a":")" + filler + R"(","exp":5})")).has_value());
  }
}

TEST(JwtTest, MakesNothingOfAnythingElse) {
  const std::string deep(5000, '[');
  for (const std::string& token :
       {std::string(), std::string("token"), std::string("a.b"), std::string(".."),
        std::string("a.!!.c"), std::string("a.e30.c"), UnsignedJwt("null"), UnsignedJwt("[1]"),
        UnsignedJwt("{}"), UnsignedJwt(R"({"exp":"5"})"), UnsignedJwt(R"({"exp":-1})"),
        UnsignedJwt(R"({"exp":null})"), UnsignedJwt(R"({"exp":{}})"),
        UnsignedJwt(R"({"exp":1e999})"), UnsignedJwt(R"({"exp":5)"),
        UnsignedJwt("{\"exp\":" + deep), std::string(1 << 20, '.')}) {
    EXPECT_FALSE(ReadJwtTimes(token).has_value()) << token.substr(0, 80);
  }
}

TEST(JwtTest, ItsOwnTimesTellHowLongItIsGoodWhateverOurClockSays) {
  const JwtTimes times{.expires = 1700003600, .issued = 1700000000};
  for (const double off : {0.0, -36000.0, 36000.0, -1.6e9}) {
    EXPECT_EQ(Lifetime(times, At(1700000000 + off)), std::chrono::milliseconds(1h)) << off;
  }
  EXPECT_EQ(Lifetime({.expires = 1e300, .issued = 0}, At(0)), std::chrono::hours(10 * 365 * 24));
}

TEST(JwtTest, OurClockHasToDoWhereItDoesNotSayWhenItWasIssued) {
  const JwtTimes times{.expires = 1700003600};
  EXPECT_EQ(Lifetime(times, At(1700000000)), std::chrono::milliseconds(1h));
  // Hours behind: too long, so that a rejection comes first. Hours ahead: not believed.
  EXPECT_EQ(Lifetime(times, At(1700000000 - 36000)), std::chrono::milliseconds(11h));
  EXPECT_EQ(Lifetime(times, At(1700000000 + 36000)), std::nullopt);
  // Ahead by just so much that every token would seem to be about to end.
  EXPECT_EQ(Lifetime(times, At(1700003599)), std::nullopt);
  EXPECT_EQ(Lifetime(times, At(1700003600 - 59)), std::nullopt);
  EXPECT_EQ(Lifetime(times, At(1700003600 - 61)), std::chrono::milliseconds(61s));
}

TEST(JwtTest, IsNotBelievedToEndBeforeItBegins) {
  EXPECT_EQ(Lifetime({.expires = 100, .issued = 100}, At(0)), std::nullopt);
  EXPECT_EQ(Lifetime({.expires = 100, .issued = 200}, At(0)), std::nullopt);
  EXPECT_EQ(Lifetime({.expires = 100, .issued = 99.5}, At(0)), std::nullopt);
  EXPECT_EQ(Lifetime({.expires = 102, .issued = 100}, At(0)), std::chrono::milliseconds(2s));
}

}  // namespace
}  // namespace datamanager::cloud
