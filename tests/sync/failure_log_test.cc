#include "sync/failure_log.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"

namespace datamanager::sync {
namespace {

using std::chrono::seconds;

TEST(CauseOfTest, IsTheSameForAllFiles) {
  EXPECT_EQ(CauseOf("FileUpload: INTERNAL: cannot store /data/a.txt", "/data/a.txt"),
            CauseOf("FileUpload: INTERNAL: cannot store /data/b/c.txt", "/data/b/c.txt"));
  EXPECT_EQ(CauseOf("larger than max (5000 vs. 4096)", ""),
            CauseOf("larger than max (61 vs. 4096)", ""));
  EXPECT_EQ(CauseOf("request 7f3a-01bc failed", ""), CauseOf("request 99e0-aaa2 failed", ""));
}

TEST(CauseOfTest, TellsCausesApart) {
  EXPECT_NE(CauseOf("FileUpload: INTERNAL: no", ""), CauseOf("FileUpload: UNKNOWN: no", ""));
  EXPECT_NE(CauseOf("FileUpload: INTERNAL: no", ""), CauseOf("FileUpload: INTERNAL: yes", ""));
}

TEST(CauseOfTest, IsBounded) {
  EXPECT_EQ(CauseOf(std::string(100000, 'x'), "").size(), 200U);
  EXPECT_EQ(CauseOf(std::string(100000, '.'), "").size(), 200U);
}

class FailureLogTest : public ::testing::Test {
 protected:
  std::string Pass(const std::string& cause, const std::string& line) {
    return log_.Pass(cause, line, now_).value_or("");
  }
  FailureLog log_;
  MonotonicTime now_ = MonotonicTime(std::chrono::hours(1000));
};

TEST_F(FailureLogTest, OneCause_HasOneLineAMinuteWithTheCount) {
  EXPECT_EQ(Pass("busy", "a failed"), "a failed");
  for (int i = 0; i < 5000; ++i) EXPECT_EQ(Pass("busy", absl::StrCat(i, " failed")), "");
  now_ += seconds(60);
  EXPECT_EQ(Pass("busy", "b failed"), "b failed (and 5000 times since it was last logged)");
}

TEST_F(FailureLogTest, AnotherCause_HasALineOfItsOwn) {
  EXPECT_EQ(Pass("busy", "a failed"), "a failed");
  EXPECT_EQ(Pass("full", "b failed"), "b failed");
}

// Each of a server's errors may have a text of its own.
TEST_F(FailureLogTest, ManyCauses_HaveAFewLinesAMinuteWithTheCount) {
  int lines = 0;
  for (int i = 0; i < 1000; ++i) {
    if (!Pass(absl::StrCat("cause ", i), "failed").empty()) ++lines;
  }
  EXPECT_EQ(lines, FailureLog::kLines);
  now_ += seconds(60);
  EXPECT_EQ(Pass("another", "failed"), "failed (and 992 failures of too many causes to log each)");
  EXPECT_EQ(Pass("one more", "failed"), "failed");
}

}  // namespace
}  // namespace datamanager::sync
