#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "robot/sources/line_splitter.h"
#include "tests/robot/robot_fixture.h"
#include "tests/support/files.h"

namespace robot {
namespace {

using datamanager::testing::ReadFile;
using datamanager::testing::WriteFile;
using Lines = std::vector<std::string>;

class FileReadingsTest : public RobotTest {
 protected:
  FileReadingsTest() {
    const absl::Status status = sources_.Update(
        {Component("it", "file-readings", Attribute("path", Path("readings.json")))});
    EXPECT_TRUE(status.ok()) << status;
  }
  // As JSON; the error, if there is one.
  std::string Said() {
    datamanager::Readings out;
    const absl::Status status = Read(sources_, "it", out);
    return status.ok() ? datamanager::ToJson(out) : std::string(status.message());
  }
  RobotSources sources_;
};

TEST_F(FileReadingsTest, SaysWhatTheFileSaysAtTheMoment) {
  const std::string text = R"({"a":[1,"x",null,{"b":true}],"c":-2.5})";
  WriteFile(Path("readings.json"), text);
  EXPECT_EQ(Said(), text);
  WriteFile(Path("readings.json"), "{}");
  EXPECT_EQ(Said(), "{}");
}

TEST_F(FileReadingsTest, AFileThatHoldsNoObjectIsAnError) {
  EXPECT_NE(Said().find("No such file"), std::string::npos);
  for (const std::string text : {"", "[1]", "{\"a\":", "5"}) {
    WriteFile(Path("readings.json"), text);
    EXPECT_NE(Said().find("holds no JSON object"), std::string::npos) << text;
  }
  WriteFile(Path("readings.json"), std::string((1 << 20) + 1, ' '));
  EXPECT_NE(Said().find("is larger than 1 MiB"), std::string::npos);
  std::filesystem::remove(Path("readings.json"));
  std::filesystem::create_directory(Path("readings.json"));
  EXPECT_NE(Said().find("is no regular file"), std::string::npos);
}

TEST_F(FileReadingsTest, NeedsAPath) {
  RobotSources sources;
  EXPECT_NE(sources.Update({Component("it", "file-readings")}).message().find("path"),
            absl::string_view::npos);
}

class FileTailTest : public RobotTest {
 protected:
  void Begin() {
    const absl::Status status =
        sources_.Update({Component("it", "file-tail", Attribute("path", log()))});
    EXPECT_TRUE(status.ok()) << status;
  }
  std::string log() const { return Path("log"); }
  void Append(const std::string& text) const {
    std::ofstream(log(), std::ios::binary | std::ios::app) << text;
  }
  // What is new; nothing is no error, though no reading either.
  Lines New() {
    datamanager::Readings out;
    const absl::Status status = Read(sources_, "it", out);
    if (!status.ok()) {
      EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
      EXPECT_NE(status.message().find("no capture from filter module"), absl::string_view::npos);
      return {};
    }
    replaced_ = static_cast<int>(out.Find("replaced_bytes")->AsNumber());
    Lines lines;
    for (const datamanager::Value& line : out.Find("lines")->AsList()) {
      lines.emplace_back(line.AsString());
    }
    EXPECT_FALSE(lines.empty());
    return lines;
  }
  RobotSources sources_;
  int replaced_ = 0;
};

TEST_F(FileTailTest, GivesEachNewLineOnce) {
  Append("old\n");
  Begin();
  EXPECT_EQ(New(), Lines{});
  Append("one\ntwo\r\n\n");
  EXPECT_EQ(New(), Lines({"one", "two", ""}));
  EXPECT_EQ(New(), Lines{});
  Append("th");
  EXPECT_EQ(New(), Lines{});
  Append("ree\nfo");
  EXPECT_EQ(New(), Lines({"three"}));
  Append("ur\n");
  EXPECT_EQ(New(), Lines({"four"}));
}

TEST_F(FileTailTest, AMissingFileIsAnErrorUntilItIsThereAndThenAllOfItIsNew) {
  Begin();
  datamanager::Readings out;
  EXPECT_TRUE(absl::IsNotFound(Read(sources_, "it", out)));
  Append("one\n");
  EXPECT_EQ(New(), Lines({"one"}));
}

TEST_F(FileTailTest, OverARotationNothingIsLost) {
  Append("old\n");
  Begin();
  EXPECT_EQ(New(), Lines{});
  Append("one\ntwo");
  std::filesystem::rename(log(), Path("log.1"));
  // What is written to the old one, by who has it open.
  std::ofstream(Path("log.1"), std::ios::app) << "+\nlast";
  EXPECT_EQ(New(), Lines({"one", "two+"}));  // No new one yet.
  Append("three\n");
  EXPECT_EQ(New(), Lines({"last", "three"}));
  Append("four\n");
  EXPECT_EQ(New(), Lines({"four"}));
}

TEST_F(FileTailTest, ATruncatedFileIsReadFromItsBeginning) {
  Append("a long old line\n");
  Begin();
  EXPECT_EQ(New(), Lines{});
  Append("part");
  EXPECT_EQ(New(), Lines{});
  WriteFile(log(), "new\n");
  EXPECT_EQ(New(), Lines({"part", "new"}));
}

TEST_F(FileTailTest, ARemovedFileIsReadToItsEnd) {
  Append("old\n");
  Begin();
  EXPECT_EQ(New(), Lines{});
  Append("one\n");
  std::filesystem::remove(log());
  EXPECT_EQ(New(), Lines({"one"}));
  EXPECT_EQ(New(), Lines{});
}

TEST_F(FileTailTest, VeryLongLinesComeInSeveral) {
  Append("x\n");
  Begin();
  New();
  const std::string text(150000, 'y');
  Append(text + "\nend\n");
  const Lines lines = New();
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[0].size(), 65536U);
  EXPECT_EQ(lines[0] + lines[1] + lines[2], text);
  EXPECT_EQ(lines[3], "end");
}

TEST_F(FileTailTest, AFloodIsReadOverSeveralTicks) {
  Append("x\n");
  Begin();
  New();
  std::string flood;
  for (int i = 0; i < 300000; ++i) flood += std::to_string(i) + "\n";
  Append(flood);
  std::string read;
  int ticks = 0;
  for (Lines lines = New(); !lines.empty(); lines = New(), ++ticks) {
    for (const std::string& line : lines) read += line + "\n";
  }
  EXPECT_EQ(ticks, 2);
  EXPECT_EQ(read, flood);
}

TEST_F(FileTailTest, WhatIsNotUtf8IsReplacedAndCounted) {
  Append("x\n");
  Begin();
  New();
  Append("caf\xc3\xa9 \xff\xfe\n\xed\xa0\x80\n");
  EXPECT_EQ(New(), Lines({"caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd",
                          "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}));
  EXPECT_EQ(replaced_, 5);
}

TEST_F(FileTailTest, WhatIsNoFileIsAnError) {
  ASSERT_EQ(::symlink("/dev/zero", log().c_str()), 0);
  Begin();
  datamanager::Readings out;
  EXPECT_TRUE(absl::IsInvalidArgument(Read(sources_, "it", out)));
}

TEST(LineSplitterTest, CutsNoCharacter) {
  LineSplitter splitter(5);
  Lines lines;
  splitter.Add("abcd\xc3\xa9\xc3\xa9\xc3\xa9\n", lines);
  EXPECT_EQ(lines, Lines({"abcd", "\xc3\xa9\xc3\xa9", "\xc3\xa9"}));
  lines.clear();
  splitter.Add("\x80\x80\x80\x80\x80\x80\x80\n", lines);
  EXPECT_EQ(lines.front().size() + lines.back().size(), 7U);
}

TEST(LineSplitterTest, IsTheSameHoweverTheTextComes) {
  const std::string text = "one\r\ntwo\n\nthree \xc3\xa9\nlonger than the limit\nno end";
  Lines whole;
  LineSplitter at_once(8);
  at_once.Add(text, whole);
  Lines pieces;
  LineSplitter by_byte(8);
  for (const char c : text) by_byte.Add(std::string_view(&c, 1), pieces);
  EXPECT_EQ(whole, pieces);
  at_once.End(whole);
  EXPECT_EQ(whole.back(), "no end");
}

}  // namespace
}  // namespace robot
