// The answers of a file-tail, over all that can happen to a log. The other side is a collector that
// writes each answer, or fails to; the machine may lose power.
#include "robot/sources/file_tail.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "robot/sources/regular_file.h"
#include "robot/sources/rotated_files.h"
#include "robot/sources/tail_position.h"
#include "robot/sources/tailed_file.h"
#include "tests/robot/robot_fixture.h"
#include "tests/support/fake_clock.h"
#include "tests/support/files.h"
#include "tests/support/lowered_rights.h"

namespace robot {
namespace {

using datamanager::CaptureRequest;
using datamanager::LogEntry;
using datamanager::Readings;
using datamanager::ValueMap;
using datamanager::testing::FakeClock;
using datamanager::testing::LoweredRights;
using datamanager::testing::ReadFile;
using datamanager::testing::WriteFile;
using std::chrono::minutes;
using std::chrono::seconds;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

// "0 begin", "1 begin", ...
Lines Numbered(int begin, int end, const std::string& what = "line") {
  Lines lines;
  for (int i = begin; i < end; ++i) lines.push_back(std::to_string(i) + " " + what);
  return lines;
}
std::string Text(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}
Lines operator+(Lines a, const Lines& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class FileTailTest : public RobotTest {
 protected:
  FileTailTest() {
    context_.config = Path("robot.json");
    context_.clock = &clock_;
    context_.log = [this](const LogEntry& entry) { log_ += entry.message + "\n"; };
  }

  // The robot.

  void Start(ValueMap attributes = {}) {
    const absl::Status status = TryStart(std::move(attributes));
    ASSERT_TRUE(status.ok()) << status;
  }
  absl::Status TryStart(ValueMap attributes = {}) {
    attributes.Set("path", path_);
    sources_.emplace();
    return sources_->Update({Component("it", "file-tail", std::move(attributes))}, context_);
  }
  // A clean end.
  void Stop() {
    RobotSources::SetFlushed();
    sources_.reset();
  }
  void Restart() {
    Stop();
    Start();
  }
  // The process dies: only the state file is left.
  void Kill() {
    const std::string state = ReadFile(State());
    sources_.reset();
    WriteFile(State(), state);
  }
  // It dies with the machine, which boots again.
  void LosePower() {
    Kill();
    std::optional<StoredPositions> stored = ParsePositions(ReadFile(State()), fault_);
    ASSERT_TRUE(stored) << fault_;
    stored->boot = "another";
    WriteFile(State(), FormatPositions(*stored));
  }
  std::string State() const { return Path("robot.json.state/it.tail"); }

  // Runs a tick of the collector, which writes the answer or fails to. Returns the lines of the
  // answer.
  Lines Tick(bool written = true) {
    const auto source = sources_->sources().Find(kSensor, "it", "Readings");
    const ValueMap none;
    datamanager::AnswerResult when_written;
    out_.Clear();
    status_ = std::get<datamanager::ReadingsSource>(*source)(
        {.method = "Readings", .extra = none, .params = none, .when_written = &when_written}, out_);
    if (!status_.ok()) return {};
    EXPECT_TRUE(static_cast<bool>(when_written));
    if (when_written)
      when_written(written ? absl::OkStatus() : absl::ResourceExhaustedError("full"));
    gap_ += Number("gap_bytes");
    return LinesOf(out_);
  }
  // Like Tick; expects that there is no error.
  Lines New() {
    Lines lines = Tick();
    EXPECT_TRUE(status_.ok() || datamanager::IsNothingToStore(status_)) << status_;
    return lines;
  }
  Lines Ticks(int ticks) {
    Lines lines;
    for (int i = 0; i < ticks; ++i) lines = std::move(lines) + Tick();
    return lines;
  }
  static Lines LinesOf(const Readings& out) {
    Lines lines;
    for (const datamanager::Value& line : out.Find("lines")->AsList()) {
      lines.emplace_back(line.AsString());
    }
    return lines;
  }
  int64_t Number(const char* name) const {
    const datamanager::Value* value = out_.Find(name);
    return value == nullptr ? 0 : static_cast<int64_t>(value->AsNumber());
  }
  bool Logged(const std::string& text) const { return log_.find(text) != std::string::npos; }

  // The program that writes the log.

  void Append(const std::string& text, const std::string& name = "log") const {
    std::ofstream(Path(name), std::ios::binary | std::ios::app) << text;
  }
  void Append(const Lines& lines, const std::string& name = "log") const {
    Append(Text(lines), name);
  }
  void Rename(const std::string& from, const std::string& to) const {
    fs::rename(Path(from), Path(to));
  }
  // As logrotate's copytruncate.
  void CopyTruncate(const std::string& to) const {
    fs::copy_file(Path("log"), Path(to));
    fs::resize_file(Path("log"), 0);
  }
  // Starts a tail, which begins after `text`.
  void Begin(const std::string& text = "old\n") {
    Append(text);
    Start();
    EXPECT_EQ(New(), Lines{});
  }

  FakeClock clock_;
  SourceContext context_;
  std::string path_ = Path("log");
  std::optional<RobotSources> sources_;
  Readings out_;
  absl::Status status_;
  int64_t gap_ = 0;
  std::string log_;
  std::string fault_;
};

TEST_F(FileTailTest, GivesEachNewLineOnce) {
  Begin();
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

TEST_F(FileTailTest, GivesTheWholeFileWhenToldToBeginAtItsStart) {
  Append("old\n");
  Start(Attribute("from", "start"));
  EXPECT_EQ(New(), Lines({"old"}));
  Stop();
  Start(Attribute("from", "start"));  // Not the very first start.
  EXPECT_EQ(New(), Lines{});
}

TEST_F(FileTailTest, AMissingFileIsAnErrorUntilItIsThereAndThenAllOfItIsNew) {
  Start();
  Tick();
  EXPECT_TRUE(absl::IsNotFound(status_)) << status_;
  Append("one\n");
  EXPECT_EQ(New(), Lines({"one"}));
}

TEST_F(FileTailTest, AFileThatAppearsWhileTheRobotIsDownIsNew) {
  Start();
  Tick();
  Stop();
  Append("one\n");
  Start();
  EXPECT_EQ(New(), Lines({"one"}));
}

// Answers that are not written.

TEST_F(FileTailTest, GivesLinesAgainUntilTheyAreWritten) {
  Begin();
  Append("one\n");
  EXPECT_EQ(Tick(false), Lines({"one"}));
  Append("two\n");
  EXPECT_EQ(Tick(false), Lines({"one"}));
  EXPECT_EQ(Tick(true), Lines({"one"}));
  EXPECT_EQ(Tick(true), Lines({"two"}));
  EXPECT_EQ(New(), Lines{});
}

TEST_F(FileTailTest, GivesLinesThatWereNotWrittenAfterARestart) {
  Begin();
  Append("one\n");
  EXPECT_EQ(Tick(false), Lines({"one"}));
  Restart();
  EXPECT_EQ(New(), Lines({"one"}));
}

TEST_F(FileTailTest, KeepsUnwrittenLinesThoughTheirFileIsEmptied) {
  Begin();
  Append("one\n");
  EXPECT_EQ(Tick(false), Lines({"one"}));
  WriteFile(path_, "two\n");
  EXPECT_EQ(Tick(false), Lines({"one"}));
  EXPECT_EQ(Tick(), Lines({"one"}));
  EXPECT_EQ(Tick(), Lines({"two"}));
}

TEST_F(FileTailTest, AClientSeesTheLastLinesAndTakesNone) {
  Begin("first\nsecond\nun");
  Readings out;
  ASSERT_TRUE(RobotTest::Read(*sources_, "it", out).ok());
  EXPECT_EQ(LinesOf(out), Lines({"first", "second"}));
  Append("ended\n");
  ASSERT_TRUE(RobotTest::Read(*sources_, "it", out).ok());
  EXPECT_EQ(LinesOf(out), Lines({"first", "second", "unended"}));
  EXPECT_EQ(New(), Lines({"ended"}));
  Append(Numbered(0, 9000));
  ASSERT_TRUE(RobotTest::Read(*sources_, "it", out).ok());
  EXPECT_EQ(LinesOf(out), Numbered(8900, 9000));
  EXPECT_EQ(New().size(), 9000U);
}

// Restarts.

TEST_F(FileTailTest, GivesWhatWasWrittenWhileTheRobotWasDown) {
  Begin();
  Append(Numbered(0, 5));
  EXPECT_EQ(New(), Numbered(0, 5));
  Stop();
  Append(Numbered(5, 25));
  Start();
  EXPECT_EQ(New(), Numbered(5, 25));
}

TEST_F(FileTailTest, AKillGivesAtMostTheLastSecondsAgain) {
  Begin();
  Append(Numbered(0, 3));
  EXPECT_EQ(New(), Numbered(0, 3));
  clock_.Advance(seconds(6));
  Append(Numbered(3, 6));
  EXPECT_EQ(New(), Numbered(3, 6));  // Saves the position, too.
  Append(Numbered(6, 9));
  EXPECT_EQ(New(), Numbered(6, 9));
  Kill();
  Start();
  EXPECT_EQ(New(), Numbered(6, 9));
  clock_.Advance(seconds(6));
  EXPECT_EQ(New(), Lines{});  // Saves it without another line.
  Kill();
  Start();
  EXPECT_EQ(New(), Lines{});
}

TEST_F(FileTailTest, AKillBeforeTheFirstLineLosesNone) {
  Begin();
  Append("one\n");
  Kill();
  Start();
  EXPECT_EQ(New(), Lines({"one"}));
}

TEST_F(FileTailTest, APowerCutGivesTheLinesAgainWhoseRecordsItMayHaveTaken) {
  Begin();
  for (int i = 0; i < 30; ++i) {
    Append(Numbered(i, i + 1));
    EXPECT_EQ(New(), Numbered(i, i + 1));
    clock_.Advance(seconds(6));
  }
  LosePower();
  Start();
  const Lines again = New();
  EXPECT_GE(again.size(), 10U);
  EXPECT_LE(again.size(), 13U);
  EXPECT_EQ(again.back(), Numbered(29, 30).back());
}

TEST_F(FileTailTest, ACleanEndGivesNothingAgainAfterABoot) {
  Begin();
  Append(Numbered(0, 3));
  EXPECT_EQ(New(), Numbered(0, 3));
  Stop();
  Start();
  LosePower();
  Start();
  EXPECT_EQ(New(), Lines{});
}

TEST_F(FileTailTest, AQuietLogIsNotGivenAgainAfterABoot) {
  Begin();
  Append(Numbered(0, 3));
  EXPECT_EQ(New(), Numbered(0, 3));
  clock_.Advance(seconds(6));
  New();
  clock_.Advance(minutes(2));
  New();
  LosePower();
  Start();
  EXPECT_EQ(New(), Lines{});
}

TEST_F(FileTailTest, AReloadGoesOnWhereTheSourceBeforeItEnded) {
  Begin();
  Append("one\n");
  EXPECT_EQ(New(), Lines({"one"}));
  ValueMap attributes = Attribute("path", path_);
  attributes.Set("from", "end");
  ASSERT_TRUE(sources_->Update({Component("it", "file-tail", attributes)}, context_).ok());
  Append("two\n");
  EXPECT_EQ(New(), Lines({"two"}));
}

// Lines without an end.

TEST_F(FileTailTest, ALineWithoutAnEndIsGivenAfterFiveSecondsWithoutGrowth) {
  Begin();
  Append("one\nla");
  EXPECT_EQ(New(), Lines({"one"}));
  clock_.Advance(seconds(4));
  Append("st");
  EXPECT_EQ(New(), Lines{});
  clock_.Advance(seconds(4));
  EXPECT_EQ(New(), Lines{});
  clock_.Advance(seconds(2));
  EXPECT_EQ(New(), Lines({"last"}));
  Append("\n");  // The end that follows is no line.
  EXPECT_EQ(New(), Lines{});
  Append("next\n");
  EXPECT_EQ(New(), Lines({"next"}));
}

TEST_F(FileTailTest, ALineWithoutAnEndIsNotGivenTwiceByARestart) {
  Begin();
  Append("last");
  New();
  clock_.Advance(seconds(6));
  EXPECT_EQ(New(), Lines({"last"}));
  Restart();
  Append("\r\nnext\n");
  EXPECT_EQ(New(), Lines({"next"}));
}

// Rotations.

TEST_F(FileTailTest, OverARotationNothingIsLost) {
  Begin();
  Append("one\ntwo");
  Rename("log", "log.1");
  Append("+\nlast", "log.1");                // The program still has it open.
  EXPECT_EQ(New(), Lines({"one", "two+"}));  // No new one yet.
  Append("three\n");
  EXPECT_EQ(New(), Lines({"last", "three"}));
  Append("four\n");
  EXPECT_EQ(New(), Lines({"four"}));
}

TEST_F(FileTailTest, GivesWhatIsWrittenToTheRenamedFile) {
  Begin();
  Append("0 line\n");
  EXPECT_EQ(New(), Numbered(0, 1));
  Rename("log", "log.1");
  Append("new\n");
  EXPECT_EQ(New(), Lines({"new"}));
  Lines lines;
  for (int i = 1; i < 20; ++i) {
    Append(Numbered(i, i + 1), "log.1");
    lines = std::move(lines) + New();
    clock_.Advance(seconds(60));  // A program may keep it open for long.
  }
  EXPECT_EQ(lines, Numbered(1, 20));
}

TEST_F(FileTailTest, WatchesOlderFilesForSomeSecondsOnly) {
  Begin();
  for (int i = 1; i <= 10; ++i) {
    Rename("log", "log." + std::to_string(i));
    Append(Numbered(i, i + 1));
    EXPECT_EQ(New(), Numbered(i, i + 1));
  }
  clock_.Advance(seconds(5));
  for (int i = 1; i <= 10; ++i) Append("late\n", "log." + std::to_string(i));
  EXPECT_EQ(New(), Lines(10, "late"));
  clock_.Advance(seconds(11));
  EXPECT_EQ(New(), Lines{});
  for (int i = 1; i <= 10; ++i) Append("later\n", "log." + std::to_string(i));
  EXPECT_EQ(New(), Lines(8, "later"));
}

TEST_F(FileTailTest, DoesNotKeepARemovedFileOpen) {
  Begin();
  Rename("log", "log.1");
  Append("1\n");
  EXPECT_EQ(New(), Lines({"1"}));
  fs::remove(Path("log.1"));
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_files();
  New();
  clock_.Advance(seconds(11));
  New();
  EXPECT_EQ(open_files(), before - 1);
}

TEST_F(FileTailTest, SeveralRotationsWithinATickLoseNothing) {
  Begin();
  Append(Numbered(0, 10));
  for (int i = 0; i < 5; ++i) {
    for (int k = 5; k > 0; --k) {
      const std::string name = "log." + std::to_string(k);
      if (fs::exists(Path(name))) Rename(name, "log." + std::to_string(k + 1));
    }
    Rename("log", "log.1");
    Append(Numbered(10 + 10 * i, 20 + 10 * i));
  }
  EXPECT_EQ(New(), Numbered(0, 60));
  EXPECT_EQ(New(), Lines{});
}

TEST_F(FileTailTest, SeveralRotationsWhileTheRobotIsDownLoseNothing) {
  Append("ancient\n", "log.1");
  Begin();
  Append(Numbered(0, 5));
  EXPECT_EQ(New(), Numbered(0, 5));
  Stop();
  Append(Numbered(5, 10));
  Rename("log.1", "log.4");
  Rename("log", "log.3");
  Append(Numbered(10, 20), "log.2");
  Append(Numbered(20, 30), "log.1");
  Append(Numbered(30, 40));
  Start();
  EXPECT_EQ(New(), Numbered(5, 40));
  EXPECT_EQ(New(), Lines{});
}

TEST_F(FileTailTest, ARotationWhileTheRobotIsDownMayLeaveNoFileAtThePath) {
  Begin();
  Stop();
  Append("one\n");
  Rename("log", "log.1");
  Start();
  EXPECT_EQ(New(), Lines({"one"}));
  Append("two\n");
  EXPECT_EQ(New(), Lines({"two"}));
}

TEST_F(FileTailTest, ACompressedFileIsReadToItsEndBefore) {
  Begin();
  Append("one\n");
  Rename("log", "log.1");
  WriteFile(Path("log.1.gz"), "\x1f\x8b compressed\n");
  fs::remove(Path("log.1"));
  Append("two\n");
  EXPECT_EQ(New(), Lines({"one", "two"}));
}

TEST_F(FileTailTest, WhatWasCompressedWhileTheRobotWasDownIsToldAsLost) {
  Begin();
  Stop();
  Append("one\n");
  fs::remove(Path("log"));
  WriteFile(Path("log.1.gz"), "\x1f\x8b compressed\n");
  Append("two\n");
  Start();
  EXPECT_EQ(New(), Lines({"two"}));
  EXPECT_TRUE(Logged("was emptied, removed or compressed while it was not watched")) << log_;
}

TEST_F(FileTailTest, ARemovedFileIsReadToItsEnd) {
  Begin();
  Append("one\n");
  fs::remove(Path("log"));
  EXPECT_EQ(New(), Lines({"one"}));
  EXPECT_EQ(New(), Lines{});
  clock_.Advance(seconds(11));
  Tick();
  EXPECT_TRUE(absl::IsNotFound(status_)) << status_;
  Append("two\n");
  EXPECT_EQ(New(), Lines({"two"}));
}

TEST_F(FileTailTest, AFileThatIsMadeAgainUnderTheSameInodeIsNew) {
  Append(std::string(100, 'a') + "\n");
  Start();
  EXPECT_EQ(New(), Lines{});
  Stop();
  // The next file takes the inode number of the removed one.
  struct stat before = {};
  struct stat after = {};
  ASSERT_EQ(::stat(path_.c_str(), &before), 0);
  fs::remove(Path("log"));
  Append(Numbered(0, 50));
  ASSERT_EQ(::stat(path_.c_str(), &after), 0);
  Start();
  EXPECT_EQ(New(), Numbered(0, 50)) << (before.st_ino == after.st_ino ? "the same" : "another");
}

TEST_F(FileTailTest, ASymbolicLinkMayLeadToAnotherFile) {
  Append("old\n", "app-1.log");
  ASSERT_EQ(::symlink("app-1.log", path_.c_str()), 0);
  Start();
  EXPECT_EQ(New(), Lines{});
  Append("one\n", "app-1.log");
  Append("two\n", "app-2.log");  // The link led there for a moment.
  Append("three\n", "app-3.log");
  fs::remove(Path("log"));
  ASSERT_EQ(::symlink("app-3.log", path_.c_str()), 0);
  EXPECT_EQ(New(), Lines({"one", "two", "three"}));
  Stop();
  Append("four\n", "app-3.log");
  fs::create_directory(Path("elsewhere"));
  Append("five\n", "elsewhere/log");
  fs::remove(Path("log"));
  ASSERT_EQ(::symlink("elsewhere/log", path_.c_str()), 0);
  Start();
  EXPECT_EQ(New(), Lines({"four", "five"}));
}

TEST_F(FileTailTest, AFileThatWasReplacedByAnEqualOneIsNew) {
  Begin("the same beginning\n");
  Append("the same beginning\nmore\n", "other");
  Rename("other", "log");
  EXPECT_EQ(New(), Lines({"the same beginning", "more"}));
}

// Truncations.

TEST_F(FileTailTest, ATruncatedFileIsReadFromItsBeginning) {
  Begin("a long old line\n");
  Append("part");
  EXPECT_EQ(New(), Lines{});
  WriteFile(path_, "new\n");
  EXPECT_EQ(New(), Lines({"part", "new"}));
}

TEST_F(FileTailTest, AFileThatIsEmptiedAndFilledWithinATickIsReadFromItsBeginning) {
  Append(Numbered(0, 10, "before"));
  Start();
  EXPECT_EQ(New(), Lines{});
  WriteFile(path_, Text(Numbered(0, 100, "after")));
  EXPECT_EQ(New(), Numbered(0, 100, "after"));
  EXPECT_TRUE(Logged("was emptied or overwritten")) << log_;
}

TEST_F(FileTailTest, ANewBeginningIsNoticedThoughItIsEqual) {
  const std::string header(1000, '#');
  Append(header + "\n" + Text(Numbered(0, 10, "before")));
  Start();
  EXPECT_EQ(New(), Lines{});
  WriteFile(path_, header + "\n" + Text(Numbered(0, 100, "after")));
  EXPECT_EQ(New(), Lines({header}) + Numbered(0, 100, "after"));
}

TEST_F(FileTailTest, AFileThatIsEmptiedWhileTheRobotIsDownIsReadFromItsBeginning) {
  Append(Numbered(0, 10, "before"));
  Start();
  EXPECT_EQ(New(), Lines{});
  Stop();
  WriteFile(path_, Text(Numbered(0, 100, "after")));
  Start();
  EXPECT_EQ(New(), Numbered(0, 100, "after"));
}

TEST_F(FileTailTest, ACopyHasWhatATruncationTook) {
  Begin();
  for (int i = 0; i < 4; ++i) {
    Append(Numbered(10 * i, 10 * i + 5));
    EXPECT_EQ(New(), Numbered(10 * i, 10 * i + 5));
    Append(Text(Numbered(10 * i + 5, 10 * i + 8)));
    if (fs::exists(Path("log.1"))) Rename("log.1", "log.2");
    CopyTruncate("log.1");
    Append(Numbered(10 * i + 8, 10 * i + 10));
    EXPECT_EQ(New(), Numbered(10 * i + 5, 10 * i + 10));
  }
  EXPECT_EQ(gap_, 0);
  EXPECT_FALSE(Logged("lost")) << log_;
}

TEST_F(FileTailTest, ACopyHasWhatATruncationTookWhileTheRobotWasDown) {
  Begin();
  Stop();
  Append(Numbered(0, 5));
  CopyTruncate("log.1");
  Append(Numbered(5, 10));
  Start();
  EXPECT_EQ(New(), Numbered(0, 10));
  EXPECT_FALSE(Logged("lost")) << log_;
}

TEST_F(FileTailTest, BytesThatAreOverwrittenBeforeTheyAreReadAreCounted) {
  Begin();
  const std::string flood =
      Text(Lines(60, std::string(50000, 'x')));  // 3 MB, of which 1 MiB is read.
  Append(flood);
  const size_t read = New().size();
  EXPECT_GT(Number("backlog_bytes"), 1 << 20);
  WriteFile(path_, "new\n");
  Tick();
  const Lines lines = LinesOf(out_);
  EXPECT_EQ(lines.back(), "new");
  // The beginning of a line was read, too.
  const size_t known = 50001 * read + (lines.size() > 1 ? lines.front().size() : 0);
  EXPECT_EQ(static_cast<size_t>(gap_), flood.size() - known);
  EXPECT_TRUE(Logged(std::to_string(gap_) + " bytes for certain")) << log_;
  New();
  EXPECT_EQ(out_.Find("gap_bytes"), nullptr);  // Reported once.
}

// Other contents of a log.

TEST_F(FileTailTest, HolesAreSkippedAndCounted) {
  Begin("old\n");
  // A program that goes on at its own offset after a truncation.
  fs::resize_file(path_, 0);
  fs::resize_file(path_, int64_t{3} << 30);
  Append("one\n");
  EXPECT_EQ(Ticks(3), Lines({"one"}));
  EXPECT_EQ(Number("nul_bytes"), int64_t{3} << 30);
  Append(std::string(10, '\0') + "two\n");
  EXPECT_EQ(New(), Lines({"two"}));
  EXPECT_EQ(Number("nul_bytes"), 10);
}

TEST_F(FileTailTest, AFileThatHasItsLengthInAdvanceIsReadAsItIsFilled) {
  Append(std::string(100000, '\0'));
  Start(Attribute("from", "start"));
  EXPECT_EQ(New(), Lines{});
  std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
  file << "one\ntw" << std::flush;
  EXPECT_EQ(New(), Lines({"one"}));
  file << "o\nthree\n" << std::flush;
  EXPECT_EQ(New(), Lines({"two", "three"}));
}

TEST_F(FileTailTest, VeryLongLinesComeInSeveral) {
  Begin();
  const std::string text(150000, 'y');
  Append(text + "\nend\n");
  const Lines lines = New();
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[0].size(), 65536U);
  EXPECT_EQ(lines[0] + lines[1] + lines[2], text);
  EXPECT_EQ(lines[3], "end");
}

TEST_F(FileTailTest, AFloodIsReadOverSeveralTicks) {
  Begin();
  const Lines flood = Numbered(0, 100000, "");
  Append(flood);
  Lines read;
  int ticks = 0;
  for (Lines lines = New(); !lines.empty(); lines = New(), ++ticks) {
    EXPECT_LE(lines.size(), 20000U);
    read = std::move(read) + lines;
  }
  EXPECT_EQ(ticks, 5);
  EXPECT_TRUE(read == flood);
}

TEST_F(FileTailTest, WhatIsNotUtf8IsReplacedAndCounted) {
  Begin();
  Append("caf\xc3\xa9 \xff\xfe\n\xed\xa0\x80\n");
  EXPECT_EQ(New(), Lines({"caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd",
                          "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}));
  EXPECT_EQ(Number("replaced_bytes"), 5);
}

TEST_F(FileTailTest, WhatIsNoFileIsAnErrorUntilAFileIsThere) {
  ASSERT_EQ(::symlink("/dev/zero", path_.c_str()), 0);
  Start();
  Tick();
  EXPECT_TRUE(absl::IsInvalidArgument(status_)) << status_;
  fs::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  Tick();
  EXPECT_TRUE(absl::IsInvalidArgument(status_)) << status_;
  fs::remove(path_);
  Begin();
  Append("one\n");
  EXPECT_EQ(New(), Lines({"one"}));
  Rename("log", "log.1");
  fs::create_directory(path_);
  Append("two\n", "log.1");
  EXPECT_EQ(Tick(), Lines({"two"}));
  Tick();
  EXPECT_TRUE(absl::IsInvalidArgument(status_)) << status_;
  fs::remove(path_);
  Append("three\n");
  EXPECT_EQ(New(), Lines({"three"}));
}

TEST_F(FileTailTest, AFileThatIsUnreadableForAWhileLosesNothing) {
  const LoweredRights rights;
  Begin();
  Rename("log", "log.1");
  Append("one\n");
  fs::permissions(path_, fs::perms::none);
  Tick();
  EXPECT_TRUE(absl::IsPermissionDenied(status_)) << status_;
  fs::permissions(path_, fs::perms::owner_all);
  EXPECT_EQ(New(), Lines({"one"}));
  Stop();
  Append("two\n");
  fs::permissions(path_, fs::perms::none);
  Start();
  Tick();
  EXPECT_TRUE(absl::IsPermissionDenied(status_)) << status_;
  fs::permissions(path_, fs::perms::owner_all);
  EXPECT_EQ(New(), Lines({"two"}));
}

TEST_F(FileTailTest, AStepOfTheWallClockChangesNothing) {
  Begin();
  Append("one\npart");
  EXPECT_EQ(New(), Lines({"one"}));
  clock_.StepWall(-std::chrono::hours(24 * 365));
  EXPECT_EQ(New(), Lines{});
  clock_.StepWall(std::chrono::hours(48 * 365));
  EXPECT_EQ(New(), Lines{});
  Append("\n");
  EXPECT_EQ(New(), Lines({"part"}));
}

// The state.

TEST_F(FileTailTest, AnUnusableStateGivesTheFileAgainAndSaysSo) {
  Begin();
  Append("one\n");
  EXPECT_EQ(New(), Lines({"one"}));
  Stop();
  const std::string whole = ReadFile(State());
  for (const std::string& state :
       {std::string(), whole.substr(0, whole.size() / 2), whole.substr(0, whole.size() - 1),
        "file-tail state 2\n" + whole.substr(whole.find('\n') + 1), std::string("{}\n"),
        std::string(5000, '\0')}) {
    WriteFile(State(), state);
    log_.clear();
    Start();
    EXPECT_EQ(New(), Lines({"old", "one"})) << state;
    EXPECT_TRUE(Logged(State() + " is not usable")) << log_;
    Stop();
  }
  WriteFile(State(), whole);
  Start();
  EXPECT_EQ(New(), Lines{});
}

TEST_F(FileTailTest, AStateOfAnotherFileIsNotUsed) {
  Begin();
  Stop();
  path_ = Path("other");
  Append("old\n", "other");
  Start();
  EXPECT_EQ(New(), Lines{});
  EXPECT_TRUE(Logged("is that of " + Path("log"))) << log_;
  Append("new\n", "other");
  EXPECT_EQ(New(), Lines({"new"}));
  // The same file under another path is the same file.
  Stop();
  Append("more\n", "other");
  Rename("other", "moved");
  path_ = Path("moved");
  Start();
  EXPECT_EQ(New(), Lines({"more"}));
}

TEST_F(FileTailTest, AStateThatCannotBeWrittenRefusesTheConfig) {
  const LoweredRights rights;
  fs::create_directory(Path("locked"));
  fs::permissions(Path("locked"), fs::perms::owner_read | fs::perms::owner_exec);
  const absl::Status status = TryStart(Attribute("state", Path("locked/state")));
  EXPECT_NE(status.message().find("Permission denied"), absl::string_view::npos) << status;
  EXPECT_NE(status.message().find("attribute \"state\""), absl::string_view::npos) << status;
}

TEST_F(FileTailTest, AStateThatCannotBeWrittenLaterIsToldOnceAndLosesNothing) {
  const LoweredRights rights;
  Begin();
  const fs::path directory = fs::path(State()).parent_path();
  fs::permissions(directory, fs::perms::owner_read | fs::perms::owner_exec);
  for (int i = 0; i < 5; ++i) {
    Append(Numbered(i, i + 1));
    EXPECT_EQ(New(), Numbered(i, i + 1));
    clock_.Advance(seconds(6));
  }
  EXPECT_TRUE(Logged("its position cannot be stored: ")) << log_;
  EXPECT_EQ(std::count(log_.begin(), log_.end(), '\n'), 1) << log_;
  Kill();
  Start();
  EXPECT_EQ(New(), Numbered(0, 5));
  fs::permissions(directory, fs::perms::owner_all);
  clock_.Advance(seconds(6));
  New();
  EXPECT_TRUE(Logged("its position is stored again")) << log_;
}

TEST_F(FileTailTest, AStateMustNotLieWhereFilesAreUploaded) {
  context_.swept = {Path("capture"), Path("more")};
  for (const char* directory : {"capture", "more/below", "more/../capture"}) {
    fs::create_directories(Path(directory));
    const absl::Status status = TryStart(Attribute("state", Path(directory) + "/state"));
    EXPECT_NE(status.message().find("uploaded and then removed"), absl::string_view::npos)
        << status;
    EXPECT_TRUE(fs::is_empty(Path(directory)));
  }
  EXPECT_TRUE(TryStart(Attribute("state", Path("capture-state"))).ok());
  // A reload may move the directory of swept files there.
  ValueMap attributes = Attribute("state", Path("capture-state"));
  attributes.Set("path", path_);
  context_.swept = {Path("")};
  EXPECT_FALSE(sources_->Update({Component("it", "file-tail", attributes)}, context_).ok());
}

TEST_F(FileTailTest, TwoMayNotHaveTheSameFileOrState) {
  const auto tail = [&](const std::string& name, const std::string& path,
                        const std::string& state) {
    ValueMap attributes = Attribute("path", path);
    attributes.Set("state", state);
    return Component(name, "file-tail", attributes);
  };
  RobotSources sources;
  std::string faults(
      sources
          .Update({tail("a", path_, Path("a")), tail("b", Path("x/../log"), Path("b")),
                   tail("c", Path("c.log"), Path("a"))},
                  context_)
          .message());
  EXPECT_NE(faults.find("component \"b\": attribute \"path\" names \"" + path_ +
                        "\", which is already the \"path\" of component \"a\""),
            std::string::npos)
      << faults;
  EXPECT_NE(faults.find("component \"c\": attribute \"state\" names"), std::string::npos) << faults;
  EXPECT_TRUE(
      sources.Update({tail("a", path_, Path("a")), tail("c", Path("c.log"), Path("c"))}, context_)
          .ok());
}

TEST_F(FileTailTest, NeedsAStateWhereThereIsNoConfigFile) {
  context_.config.clear();
  EXPECT_NE(TryStart().message().find("must name a file"), absl::string_view::npos);
  EXPECT_NE(TryStart(Attribute("from", "middle")).message().find("\"end\" or \"start\""),
            absl::string_view::npos);
}

TEST_F(FileTailTest, AFileThatIsCopiedAndEmptiedBeforeItIsReadLosesNothing) {
  Append("");
  Start();
  EXPECT_EQ(New(), Lines{});
  for (int i = 0; i < 3; ++i) {
    Append(Numbered(0, 5));
    CopyTruncate("log." + std::to_string(3 - i));
    EXPECT_EQ(New(), Numbered(0, 5));
    EXPECT_EQ(New(), Lines{});
  }
  Stop();
  Append(Numbered(0, 5));
  CopyTruncate("log.0");
  Append(Numbered(5, 8));
  Start();
  EXPECT_EQ(New(), Numbered(0, 8));
}

// A program writes lines, each unique, and rotates its log in all ways, while the robot runs, is
// down, cannot write, is killed, or loses power with its last records.
class FileTailStoryTest : public FileTailTest, public ::testing::WithParamInterface<int> {
 protected:
  struct Line {
    int64_t generation = 0;  // Identifies the content of a file; its lines are in order.
    bool may_be_lost = false;
    int given = 0;
    bool flushed = false;  // On the medium: a power cut does not take it.
    datamanager::MonotonicTime last_given;
  };

  void Tell(uint64_t seed, int steps) {
    random_.seed(seed);
    Append("old\n");
    Start();
    Tick();
    for (int i = 0; i < steps; ++i) Step();
    if (!sources_) Start();
    Settle();
    Check();
    Stop();
  }

 private:
  int Below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }

  void Step() {
    switch (Below(12)) {
      case 0:
      case 1:
      case 2:
        Write(Below(8), "log");
        break;
      case 3:
        Rotate();
        break;
      case 4:
        if (Below(2) == 0) Rotate();
        CopyAndTruncate();
        break;
      case 5:
        Truncate();
        break;
      case 6:
        // A program that still has the file open writes.
        if (last_ && sources_) Write(Below(3), "log." + std::to_string(rotated_), last_);
        break;
      case 7:
        if (sources_) {
          End();
        } else {
          Start();
        }
        break;
      case 8:
        clock_.Advance(seconds(Below(8)));
        break;
      default:
        Take();
    }
  }
  void Write(int count, const std::string& name, std::optional<int64_t> generation = {}) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      const std::string line = std::to_string(lines_.size()) + std::string(Below(60), '.');
      ids_[line] = lines_.size();
      lines_.push_back({.generation = generation.value_or(generation_)});
      text += line + "\n";
    }
    // Lines may come in two writes, except in a replaced file: there the first part would end.
    const size_t cut = text.empty() || generation ? 0 : random_() % text.size();
    Append(text.substr(0, cut), name);
    if (Below(4) == 0) Take();
    Append(text.substr(cut), name);
  }
  void Rotate() {
    Rename("log", "log." + std::to_string(++rotated_));
    last_ = generation_++;
    Append("");
  }
  void CopyAndTruncate() {
    CopyTruncate("log." + std::to_string(++rotated_));
    last_.reset();  // No program has the copy open.
    ++generation_;
  }
  void Truncate() {
    // Lines that were not read by now may be lost.
    for (Line& line : lines_) line.may_be_lost |= line.generation == generation_ && line.given == 0;
    // After a power cut, lines are given again only if their file still has them.
    emptied_.insert(generation_++);
    WriteFile(path_, "");
  }
  void End() {
    const int how = Below(3);
    if (how == 0) {
      for (Line& line : lines_) line.flushed |= line.given > 0;
      return Stop();
    }
    unclean_ = true;
    if (how == 1) return Kill();
    LosePower();
    const datamanager::MonotonicTime now = clock_.MonotonicNow();
    for (Line& line : lines_) {
      if (!line.flushed && now - line.last_given < seconds(30)) line.given = 0;
      line.may_be_lost |= emptied_.contains(line.generation);
    }
  }
  void Take() {
    if (!sources_) return;
    const bool written = Below(5) > 0;
    const Lines lines = Tick(written);
    if (!written) return;
    for (const std::string& text : lines) {
      const auto id = ids_.find(text);
      if (id == ids_.end()) {
        EXPECT_TRUE(text == "old" || IsBeginningOfALostLine(text)) << text;
        continue;
      }
      Line& line = lines_[id->second];
      ++line.given;
      line.last_given = clock_.MonotonicNow();
      order_.push_back(id->second);
    }
  }
  // Whether it is the beginning of a line whose rest was overwritten.
  bool IsBeginningOfALostLine(const std::string& text) const {
    return std::any_of(ids_.begin(), ids_.end(), [&](const auto& id) {
      return id.first.starts_with(text) && lines_[id.second].may_be_lost;
    });
  }
  void Settle() {
    for (int quiet = 0; quiet < 3;) {
      Take();
      quiet = datamanager::IsNothingToStore(status_) ? quiet + 1 : 0;
      if (quiet == 2) clock_.Advance(seconds(6));
    }
  }
  void Check() {
    size_t lost = 0;
    size_t twice = 0;
    for (const Line& line : lines_) {
      if (line.given == 0 && !line.may_be_lost) ++lost;
      if (line.given > 1) ++twice;
    }
    EXPECT_EQ(lost, 0U) << "of " << lines_.size() << "\n" << log_;
    if (!unclean_) {
      EXPECT_EQ(twice, 0U);
    }
    // In each file, a line that is given for the first time comes after those before it.
    std::map<int64_t, size_t> last;
    std::set<size_t> seen;
    for (const size_t id : order_) {
      if (!seen.insert(id).second) continue;
      const auto [entry, is_first] = last.emplace(lines_[id].generation, id);
      EXPECT_TRUE(is_first || entry->second < id) << entry->second << " before " << id;
      entry->second = id;
    }
  }

  std::mt19937_64 random_;
  std::vector<Line> lines_;
  std::map<std::string, size_t> ids_;
  std::vector<size_t> order_;
  std::set<int64_t> emptied_;
  int64_t generation_ = 0;
  std::optional<int64_t> last_;  // The generation of the last renamed file.
  int rotated_ = 0;
  bool unclean_ = false;
};

TEST_P(FileTailStoryTest, GivesEachLineAtLeastOnceAndInOrder) {
  Tell(static_cast<uint64_t>(GetParam()), 150);
}

// A soak sets a greater number of stories in the environment.
int Stories() {
  const char* const stories = std::getenv("TAIL_STORIES");  // NOLINT(concurrency-mt-unsafe)
  return stories == nullptr ? 12 : std::atoi(stories);
}
INSTANTIATE_TEST_SUITE_P(Seeds, FileTailStoryTest, ::testing::Range(0, Stories()));

// A file may be emptied and written again after its mark was found and before it is opened to be
// read: the bytes at the mark's offset are then not those that follow it.
TEST_F(FileTailTest, AFileThatNoLongerHasItsMarkAsksForARestartFromThatMark) {
  Append("first\nsecond\n");
  const auto open = [&](auto from) {
    Fd fd;
    struct stat info = {};
    EXPECT_TRUE(OpenRegularFile(path_, fd, info).ok());
    const FileId id = IdOf(fd.get(), info);
    return TailedFile(fd, info, id, from, clock_.MonotonicNow());
  };
  const auto read_on = [&](TailedFile& file, Lines& lines) {
    TailBudget budget;
    TailedLines read;
    auto change = TailedFile::Change::kNone;
    EXPECT_TRUE(file.Read(clock_.MonotonicNow(), budget, read, change).ok());
    lines = read.lines;
    return change;
  };
  Lines lines;
  TailedFile file = open(int64_t{0});
  EXPECT_EQ(read_on(file, lines), TailedFile::Change::kNone);
  EXPECT_EQ(lines, (Lines{"first", "second"}));
  const TailMark mark = file.mark();

  Append("third\n");
  TailedFile same = open(mark);
  EXPECT_EQ(read_on(same, lines), TailedFile::Change::kNone);
  EXPECT_EQ(lines, Lines{"third"});

  for (const char* const now : {"other\nlines!\nfourth\n", "short\n", ""}) {
    WriteFile(path_, now);
    TailedFile other = open(mark);
    EXPECT_EQ(read_on(other, lines), TailedFile::Change::kRestart) << now;
    EXPECT_EQ(lines, Lines{});
    EXPECT_EQ(other.mark(), mark) << now;
  }
}

// A rotation may come between any two steps of a look: no step may treat as known a file that only
// a later step has seen.
class FileTailRaceTest : public FileTailTest {
 protected:
  // Writes lines "0 line", ... over that many rotations, of both kinds at random, without a pause.
  // Not faster than they are followed, so that a tail is at another step in each look.
  void WriteAndRotate(uint64_t seed, int rotations) {
    std::mt19937_64 random(seed);
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<uint64_t>(n)); };
    for (int rotated = 0; rotated < rotations;) {
      const int lines = below(4);
      Append(Numbered(written_, written_ + lines));
      written_ += lines;
      if (below(3) > 0) continue;
      const std::string to = "log." + std::to_string(++rotated);
      if (below(2) == 0) {
        CopyTruncate(to);
      } else {
        Rename("log", to);
      }
    }
    Append(Numbered(written_, written_ + 1));
    ++written_;
    ended_ = true;
  }
  void Follow(uint64_t seed, bool with_kills) {
    Append("");
    Start(Attribute("from", "start"));
    Tick();  // Files rotated before the very first look are not new.
    std::thread writer([&] { WriteAndRotate(seed, 60); });
    std::set<std::string> given;
    const auto take = [&] {
      for (std::string& line : Tick()) given.insert(std::move(line));
    };
    for (int tick = 1; !ended_; ++tick) {
      take();
      if (!with_kills || tick % 5 != 0) continue;
      Kill();
      Start();
    }
    writer.join();
    for (int quiet = 0; quiet < 3; quiet = datamanager::IsNothingToStore(status_) ? quiet + 1 : 0) {
      take();
    }
    Lines missing;
    for (const std::string& line : Numbered(0, written_)) {
      if (!given.contains(line)) missing.push_back(line);
    }
    EXPECT_EQ(missing, Lines{}) << "seed " << seed << ", of " << written_ << "\n" << log_;
  }

  std::atomic<int> written_{0};
  std::atomic<bool> ended_{false};
};

class FileTailRotationRaceTest : public FileTailRaceTest,
                                 public ::testing::WithParamInterface<int> {};

TEST_P(FileTailRotationRaceTest, RotationsDuringALookLoseNothing) {
  Follow(static_cast<uint64_t>(GetParam()), /*with_kills=*/false);
}

TEST_P(FileTailRotationRaceTest, RotationsDuringALookAfterAKillLoseNothing) {
  Follow(static_cast<uint64_t>(GetParam()), /*with_kills=*/true);
}

INSTANTIATE_TEST_SUITE_P(Seeds, FileTailRotationRaceTest, ::testing::Range(0, Stories()));

TEST(RotatedNameTest, TellsARotationFromAnotherLog) {
  for (const char* name : {"app.log.1", "app.log.20", "app.log-20240131", "app.log.old",
                           "app.log_2024-01-31T10:00:00Z", "app-1.log", "app.2024-01-31.log"}) {
    EXPECT_TRUE(IsRotatedName(name, "app.log")) << name;
  }
  for (const char* name : {"app.log", "app.log.1.gz", "app.log~", "app.log.swp", "app-errors.log",
                           "application.log", "app.log.", "other", ""}) {
    EXPECT_FALSE(IsRotatedName(name, "app.log")) << name;
  }
  EXPECT_TRUE(IsRotatedName("app-2024-02-01.log", "app-2024-01-31.log"));
  EXPECT_FALSE(IsRotatedName("web-2024-02-01.log", "app-2024-01-31.log"));
}

}  // namespace
}  // namespace robot
