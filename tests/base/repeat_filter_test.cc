#include "base/repeat_filter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

namespace datamanager {
namespace {

using std::chrono::milliseconds;

class RepeatFilterTest : public ::testing::Test {
 protected:
  void Advance(milliseconds time) { now_ += time; }
  // What is logged of `text`, or "-".
  std::string Say(const std::string& text) { return filter_.Pass(text, now_).value_or("-"); }
  std::string Say(const std::string& key, const std::string& text) {
    return filter_.Pass(key, text, now_).value_or("-");
  }

  RepeatFilter filter_;
  MonotonicTime now_{std::chrono::hours(1)};
};

TEST_F(RepeatFilterTest, LetsATextThroughOnceInTwoSeconds) {
  EXPECT_EQ(Say("broken"), "broken");
  EXPECT_EQ(Say("broken"), "-");
  Advance(milliseconds(1999));
  EXPECT_EQ(Say("broken"), "-");
  Advance(milliseconds(1));
  EXPECT_EQ(Say("broken"), "broken (and 2 times since it was last logged)");
}

TEST_F(RepeatFilterTest, StartsCountingAnewEachTime) {
  EXPECT_EQ(Say("broken"), "broken");
  EXPECT_EQ(Say("broken"), "-");
  Advance(milliseconds(2000));
  EXPECT_EQ(Say("broken"), "broken (and 1 times since it was last logged)");
  Advance(milliseconds(2000));
  EXPECT_EQ(Say("broken"), "broken");
  Advance(milliseconds(1000));
  EXPECT_EQ(Say("broken"), "-");
}

TEST_F(RepeatFilterTest, KeepsTextsApart) {
  EXPECT_EQ(Say("cold"), "cold");
  EXPECT_EQ(Say("hot"), "hot");
  EXPECT_EQ(Say("cold"), "-");
  Advance(milliseconds(2000));
  EXPECT_EQ(Say("hot"), "hot");
  EXPECT_EQ(Say("cold"), "cold (and 1 times since it was last logged)");
}

TEST_F(RepeatFilterTest, TakesTextsOfOneKeyForOne) {
  EXPECT_EQ(Say("write", "cannot write a"), "cannot write a");
  EXPECT_EQ(Say("write", "cannot write b"), "-");
  EXPECT_EQ(Say("read", "cannot read"), "cannot read");
  Advance(milliseconds(2000));
  EXPECT_EQ(Say("write", "cannot write c"),
            "cannot write c (and 1 times since it was last logged)");
}

TEST_F(RepeatFilterTest, ForgetsTheOldestOfManyTexts) {
  EXPECT_EQ(Say("first"), "first");
  for (int i = 0; i < 1000; ++i) {
    Advance(milliseconds(1));
    const std::string text = absl::StrCat("error ", i);
    EXPECT_EQ(Say(text), text);
    EXPECT_EQ(Say(text), "-");
  }
  EXPECT_EQ(Say("first"), "first") << "it remembers every text there ever was";
}

}  // namespace
}  // namespace datamanager
