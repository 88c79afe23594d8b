#include <filesystem>
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

// The lines of a text that comes in pieces of `step` bytes, of which the last has no end.
Lines Split(const std::string& text, size_t longest, size_t step) {
  Lines lines;
  std::string buffer;
  for (size_t i = 0; i < text.size(); i += step) {
    buffer += text.substr(i, step);
    for (Line line = FirstLine(buffer, longest); line.taken > 0;
         line = FirstLine(buffer, longest)) {
      lines.emplace_back(line.text);
      buffer.erase(0, line.taken);
    }
  }
  while (!buffer.empty()) {
    const Line line = LastLine(buffer, longest);
    lines.emplace_back(line.text);
    buffer.erase(0, line.taken);
  }
  return lines;
}

TEST(LineSplitterTest, CutsNoCharacter) {
  EXPECT_EQ(Split("abcd\xc3\xa9\xc3\xa9\xc3\xa9\n", 5, 100),
            Lines({"abcd", "\xc3\xa9\xc3\xa9", "\xc3\xa9"}));
  const Lines lines = Split("\x80\x80\x80\x80\x80\x80\x80\n", 5, 100);
  EXPECT_EQ(lines.front().size() + lines.back().size(), 7U);
}

TEST(LineSplitterTest, ALineOfTheGreatestLengthIsOneLine) {
  for (const std::string end : {"\n", "\r\n"}) {
    EXPECT_EQ(Split("12345" + end + "6" + end, 5, 1), Lines({"12345", "6"}));
    EXPECT_EQ(Split("123456" + end, 5, 1).size(), 2U);
  }
}

TEST(LineSplitterTest, IsTheSameHoweverTheTextComes) {
  const std::string text = "one\r\ntwo\n\nthree \xc3\xa9\nlonger than the limit\nno end";
  const Lines whole = Split(text, 8, text.size());
  for (size_t step = 1; step < text.size(); ++step) EXPECT_EQ(Split(text, 8, step), whole) << step;
  EXPECT_EQ(whole.back(), "no end");
}

}  // namespace
}  // namespace robot
