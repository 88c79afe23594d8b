#include "cloud/pushback.h"

#include <gtest/gtest.h>

namespace datamanager::cloud {
namespace {

using std::chrono::milliseconds;

TEST(ParsePushbackTest, TakesANumberOfMilliseconds) {
  EXPECT_EQ(ParsePushback("0"), milliseconds(0));
  EXPECT_EQ(ParsePushback("5000"), milliseconds(5000));
  EXPECT_EQ(ParsePushback("999999999999"), milliseconds(999999999999));
}

TEST(ParsePushbackTest, TakesNothingElse) {
  for (const char* value : {"", "-1", "+5", " 5", "5 ", "5ms", "0x5", "1e3", "1.5", "9999999999999",
                            "99999999999999999999999"}) {
    EXPECT_EQ(ParsePushback(value), std::nullopt) << value;
  }
}

}  // namespace
}  // namespace datamanager::cloud
