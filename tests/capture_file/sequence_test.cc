#include "capture_file/sequence.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "capture_file/file_name.h"

namespace datamanager::capture_file {
namespace {

// The worked example of the header.
constexpr char kExample[] = R"({
  "start_time": "2026-01-02T03:04:05.000006Z",
  "end_time": "2026-01-02T03:05:05Z",
  "resources": [
    {
      "resource_name": "arm1",
      "method_name": "EndPosition"
    }
  ],
  "sequence_tags": [
    "pick"
  ]
})";

Sequence Example() {
  const WallTime start = std::chrono::sys_days(std::chrono::year(2026) / 1 / 2) +
                         std::chrono::hours(3) + std::chrono::minutes(4) + std::chrono::seconds(5) +
                         std::chrono::microseconds(6);
  return {.start = start,
          .end = start + std::chrono::minutes(1) - std::chrono::microseconds(6),
          .resources = {{"arm1", "EndPosition"}},
          .tags = {"pick"}};
}

TEST(SequenceFileTest, IsWrittenAsTheReferenceWritesIt) { EXPECT_EQ(ToText(Example()), kExample); }

TEST(SequenceFileTest, OneThatIsOpenHasTheZeroTimeAndWithoutTagsThereIsNoList) {
  Sequence open = Example();
  open.end.reset();
  open.tags.clear();
  const std::string text = ToText(open);
  EXPECT_NE(text.find("\"end_time\": \"0001-01-01T00:00:00Z\""), std::string::npos);
  EXPECT_EQ(text.find("sequence_tags"), std::string::npos);
  const auto read = ParseSequence(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, open);
}

TEST(SequenceFileTest, IsReadBackAsItWasWritten) {
  Sequence sequence = Example();
  sequence.start += std::chrono::nanoseconds(7);
  sequence.resources.push_back({"remote:cam \"x\"\n", "GetImages"});
  sequence.tags.push_back("\xc3\xa9");
  const auto read = ParseSequence(ToText(sequence));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, sequence);
  EXPECT_EQ(*ParseSequence(kExample), Example());
}

TEST(SequenceFileTest, ReadsLocalTimes) {
  std::string text = kExample;
  text.replace(text.find("03:05:05Z"), 9, "05:05:05+02:00");
  const auto read = ParseSequence(text);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, Example());
}

TEST(SequenceFileTest, SaysWhatIsWrongWithWhatIsNone) {
  const auto replaced = [](const std::string& from, const std::string& to) {
    std::string text = kExample;
    return text.replace(text.find(from), from.size(), to);
  };
  const std::pair<std::string, std::string> kCases[] = {
      {"", "is no sequence"},
      {"[]", "start_time is missing"},
      {"{\"start_time\": 5}", "start_time is no text"},
      {std::string(kExample).substr(0, 80), "is no sequence"},
      {replaced("2026-01-02T03:04:05.000006Z", "yesterday"), "start_time is no time"},
      {replaced("2026-01-02T03:04:05.000006Z", "0001-01-01T00:00:00Z"), "start_time is missing"},
      {replaced("2026-01-02T03:05:05Z", "9999-01-02T03:05:05Z"), "end_time is out of range"},
      {replaced("\"resources\"", "\"resource\""), "resources is no list"},
      {replaced("\"method_name\"", "\"method\""), "method_name is missing"},
      {replaced("\"pick\"", "1"), "sequence_tags holds what is no text"},
  };
  for (const auto& [text, what] : kCases) {
    const auto read = ParseSequence(text);
    EXPECT_TRUE(absl::IsDataLoss(read.status())) << text;
    EXPECT_NE(read.status().message().find(what), absl::string_view::npos) << read.status();
  }
}

TEST(SequenceFileTest, OnlyUuidsAreIds) {
  const std::string id = "0123abcd-0123-4abc-8def-0123456789ab";
  EXPECT_EQ(SequenceId(id + ".seq", kSequenceSuffix), id);
  EXPECT_EQ(SequenceId(id + ".progseq", kOpenSequenceSuffix), id);
  for (const std::string& name :
       {id, id + ".progseq", id + ".seq.tmp", "x" + id + ".seq", id.substr(1) + ".seq",
        std::string(".seq"), std::string("notes.seq"), "0123ABCD" + id.substr(8) + ".seq"}) {
    EXPECT_EQ(SequenceId(name, kSequenceSuffix), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace datamanager::capture_file
