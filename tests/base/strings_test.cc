#include "base/strings.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

namespace datamanager {
namespace {

TEST(StringsTest, NearestNameFindsTheSlipOfTheFingers) {
  const std::vector<std::string> known = {"capture_dir", "sync_interval_mins", "tags", "Readings"};
  const std::vector<std::pair<std::string, std::string>> table = {
      {"capture_dirs", "capture_dir"},
      {"captur_dir", "capture_dir"},
      {"Capture_Dir", "capture_dir"},
      {"sync_interval_minutes", "sync_interval_mins"},
      {"readings", "Readings"},
      {"Readigns", "Readings"},
      {"tag", "tags"},
      {"tagz", "tags"},
      {"xyz", ""},
      {"", ""},
      {"completely_different", ""},
  };
  for (const auto& [name, nearest] : table) EXPECT_EQ(NearestName(name, known), nearest) << name;
  EXPECT_EQ(NearestName("tags", {}), "");
}

TEST(StringsTest, IsUtf8AcceptsWhatIsWellFormed) {
  for (const std::string text :
       {"", "plain", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xc3\xa4z"}) {
    EXPECT_TRUE(IsUtf8(text)) << ::testing::PrintToString(text);
  }
  EXPECT_TRUE(IsUtf8(std::string_view("\0", 1)));
}

TEST(StringsTest, IsUtf8RefusesTheRest) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"a continuation alone", "\x80"},
      {"an overlong slash", "\xc0\xaf"},
      {"an overlong letter", "\xc1\xbf"},
      {"two bytes, cut", "a\xc3"},
      {"two bytes, the second no continuation", "\xc3z"},
      {"three bytes, overlong", "\xe0\x9f\xbf"},
      {"three bytes, cut", "\xe4\xb8"},
      {"three bytes, the third wrong", "\xe4\xb8z"},
      {"a surrogate", "\xed\xa0\x80"},
      {"four bytes, overlong", "\xf0\x8f\xbf\xbf"},
      {"four bytes, cut", "\xf0\x9f\xa4"},
      {"beyond U+10FFFF", "\xf4\x90\x80\x80"},
      {"no lead byte", "\xf5\x80\x80\x80"},
      {"FE", "\xfe"},
      {"FF", "\xff"},
  };
  for (const auto& [what, text] : table) {
    EXPECT_FALSE(IsUtf8(text)) << what;
    EXPECT_FALSE(IsUtf8("before " + text)) << what;
    EXPECT_FALSE(IsUtf8(text + " after")) << what;
  }
}

TEST(StringsTest, IsUtf8LooksAtEveryByte) {
  for (size_t size = 1; size <= 40; ++size) {
    for (size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      text[at] = '\xc3';
      EXPECT_FALSE(IsUtf8(text)) << size << " bytes, one of them bad at " << at;
      if (at + 1 < size) {
        text[at + 1] = '\xa4';
        EXPECT_TRUE(IsUtf8(text)) << size << " bytes, a letter of two at " << at;
      }
    }
  }
}

TEST(StringsTest, WrapKeepsTheCodeAndSaysWhere) {
  const absl::Status wrapped = Wrap(absl::NotFoundError("no such file"), "open /a");
  EXPECT_EQ(wrapped.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(wrapped.message(), "open /a: no such file");
  EXPECT_TRUE(Wrap(absl::OkStatus(), "open /a").ok());
}

TEST(StringsTest, ErrnoStatusNamesStepPathAndCause) {
  const absl::Status status = ErrnoStatus(ENOSPC, "write", "/data/file");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "write /data/file: No space left on device");
}

TEST(StringsTest, ADiskErrorTellsItsErrno) {
  for (const int error : {ENOSPC, EMFILE}) {
    const absl::Status status = DiskError(error, "write", "/data/file");
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(status.message(), ErrnoStatus(error, "write", "/data/file").message());
    EXPECT_EQ(ErrnoOf(status), error);
  }
  EXPECT_EQ(ErrnoOf(ErrnoStatus(ENOSPC, "write", "/data/file")), 0);
  EXPECT_EQ(ErrnoOf(absl::OkStatus()), 0);
}

}  // namespace
}  // namespace datamanager
