#include "capture/sequences.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capture/sequence_recovery.h"
#include "capture_file/file_name.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"

namespace datamanager::capture {
namespace {

using capture_file::ParseSequence;
using capture_file::Sequence;
using std::chrono::seconds;
using testing::Exists;
using testing::FaultyFileOps;
using testing::FilesBelow;
using testing::ReadFile;
using testing::WriteFile;
using Call = FaultyFileOps::Call;

const WantedSequence kPick{.resources = {{"arm", "EndPosition"}}, .tags = {"pick"}};
const WantedSequence kPlace{.resources = {{"arm", "EndPosition"}, {"cam", "GetImages"}}};
constexpr char kId[] = "0123abcd-0123-4abc-8def-0123456789ab";

class SequencesTest : public ::testing::Test {
 protected:
  SequencesTest() {
    clock_.StopWall(WallTime(seconds(1700000000)));
    Begin();
  }
  void Begin() {
    sequences_ = std::make_unique<Sequences>(ops_, clock_, logger_);
    sequences_->SetTarget({.capture_dir = dir_, .durability = Durability::kPublished});
  }
  void Pass(seconds time) {
    clock_.Advance(time);
    clock_.StepWall(time);
  }
  std::vector<std::string> Open() const { return FilesBelow(dir_, ".progseq"); }
  // Those that have ended, in the order of their ends.
  std::vector<Sequence> Ended() const {
    std::vector<Sequence> ended;
    for (const std::string& path : FilesBelow(dir_, ".seq")) {
      auto sequence = ParseSequence(ReadFile(path));
      EXPECT_TRUE(sequence.ok()) << sequence.status();
      if (sequence.ok()) ended.push_back(*std::move(sequence));
    }
    std::sort(ended.begin(), ended.end(),
              [](const Sequence& a, const Sequence& b) { return a.end < b.end; });
    return ended;
  }
  absl::Status Recover(WallTime run_began = WallTime(seconds(1700009999))) {
    return RecoverSequences(ops_, dir_,
                            {.run_began = run_began,
                             .ended = [this](const std::string& text) { told_.push_back(text); }});
  }
  static WallTime At(int second) { return WallTime(seconds(1700000000 + second)); }
  static void SetModified(const std::string& path, WallTime time) {
    const time_t stamp = std::chrono::system_clock::to_time_t(time);
    const timespec times[2] = {{.tv_sec = stamp}, {.tv_sec = stamp}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }

  testing::TempDir temp_;
  const std::string dir_ = temp_.path() + "/capture";
  testing::FakeClock clock_;
  FaultyFileOps ops_;
  testing::LogCapture log_;
  const std::shared_ptr<Logger> logger_ = *Logger::Create(log_.sink());
  std::unique_ptr<Sequences> sequences_;
  std::vector<std::string> told_;
};

TEST_F(SequencesTest, OneIsOnDiskFromItsStartToItsEnd) {
  sequences_->Want({kPick});
  ASSERT_EQ(Open().size(), 1U);
  EXPECT_TRUE(
      capture_file::SequenceId(BaseName(Open()[0]), capture_file::kOpenSequenceSuffix).has_value());
  EXPECT_EQ(*ParseSequence(ReadFile(Open()[0])),
            (Sequence{.start = At(0), .resources = kPick.resources, .tags = {"pick"}}));
  struct stat info {};
  ASSERT_EQ(::stat(Open()[0].c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat((dir_ + "/sequences").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);

  const std::vector<std::string> before = Open();
  Pass(seconds(5));
  sequences_->Want({kPick});  // The same goes on.
  EXPECT_EQ(Open(), before);
  Pass(seconds(5));
  sequences_->Want({});
  EXPECT_EQ(FilesBelow(dir_).size(), 1U);
  EXPECT_EQ(Ended(),
            std::vector<Sequence>(
                {{.start = At(0), .end = At(10), .resources = kPick.resources, .tags = {"pick"}}}));
  EXPECT_EQ(sequences_->open(), 0U);
  EXPECT_EQ(sequences_->ended(), 1U);
}

TEST_F(SequencesTest, OfSeveralOnlyTheOneThatIsGoneEndsAndOneThatComesBackIsAnother) {
  sequences_->Want({kPick, kPlace});
  EXPECT_EQ(sequences_->open(), 2U);
  Pass(seconds(1));
  sequences_->Want({kPlace});
  ASSERT_EQ(Ended().size(), 1U);
  EXPECT_EQ(Ended()[0].tags, kPick.tags);
  Pass(seconds(1));
  sequences_->Want({kPick, kPlace});
  Pass(seconds(1));
  sequences_->EndAll("");
  ASSERT_EQ(Ended().size(), 3U);
  EXPECT_EQ(Open().size(), 0U);
  EXPECT_EQ(Ended()[0].end, At(1));
  const int first = Ended()[1].tags.empty() ? 1 : 2;
  EXPECT_EQ(Ended()[static_cast<size_t>(first)].start, At(0));
  EXPECT_EQ(Ended()[static_cast<size_t>(3 - first)].start, At(2));
}

TEST_F(SequencesTest, AClockThatIsSetBackMakesNoEndBeforeTheStart) {
  sequences_->Want({kPick});
  clock_.StepWall(-seconds(3600));
  sequences_->Want({});
  ASSERT_EQ(Ended().size(), 1U);
  EXPECT_EQ(Ended()[0].end, Ended()[0].start);
}

TEST_F(SequencesTest, AnotherCaptureDirectoryEndsThemInTheOldOne) {
  sequences_->Want({kPick});
  const std::string other = temp_.path() + "/other";
  sequences_->SetTarget({.capture_dir = other});
  EXPECT_EQ(Ended().size(), 1U);
  EXPECT_EQ(Open().size(), 0U);
  sequences_->Want({kPick});
  EXPECT_EQ(FilesBelow(other, ".progseq").size(), 1U);
}

TEST_F(SequencesTest, IsFlushedBeforeItHasItsNameAsDurabilitySays) {
  sequences_->Want({kPick});
  const std::string open(BaseName(Open()[0]));
  const std::vector<std::string> journal = ops_.journal();
  ASSERT_GE(journal.size(), 4U);
  EXPECT_EQ(journal[1], "flush " + open + ".tmp");
  EXPECT_EQ(journal[2], "rename " + open + ".tmp");
  EXPECT_EQ(journal[3], "flush directory sequences");

  sequences_->SetTarget({.capture_dir = dir_, .durability = Durability::kProcess});
  const size_t before = ops_.journal().size();
  sequences_->Want({});
  EXPECT_EQ(ops_.journal().size(), before + 2);  // Written and renamed.
}

TEST_F(SequencesTest, WhatTheDiskDoesNotTakeIsTriedAgainAndLeavesNoPart) {
  ops_.Fail(Call::kWrite, ENOSPC, FaultyFileOps::kAlways, ".progseq.tmp");
  sequences_->Want({kPick});
  sequences_->Want({kPick});  // Not yet again.
  EXPECT_EQ(sequences_->failed_writes(), 1U);
  EXPECT_EQ(FilesBelow(dir_).size(), 0U);
  Pass(seconds(1));
  ops_.Heal();
  sequences_->Want({kPick});
  ASSERT_EQ(Open().size(), 1U);
  EXPECT_EQ(ParseSequence(ReadFile(Open()[0]))->start, At(0));

  for (const Call call : {Call::kOpen, Call::kWrite, Call::kFdatasync, Call::kRename}) {
    ops_.Fail(call, EIO, 1, ".seq.tmp");
  }
  ops_.Fail(Call::kFsync, EIO, 1);
  Pass(seconds(1));
  for (int i = 0; i < 5; ++i) {
    sequences_->Want({});
    EXPECT_EQ(FilesBelow(dir_, ".seq").size(), 0U) << i;
    EXPECT_EQ(FilesBelow(dir_, ".tmp").size(), 0U) << i;
    EXPECT_EQ(Open().size(), 1U) << i;
    Pass(seconds(1));
  }
  sequences_->Want({});
  ASSERT_EQ(Ended().size(), 1U);
  EXPECT_EQ(Ended()[0].end, At(2));  // When it ended, not when it was written.
  EXPECT_EQ(Open().size(), 0U);
  logger_->Close();
  EXPECT_LE(log_.Count("sequence not written", LogLevel::kError), 3U);
}

WantedSequence Numbered(int number) {
  return {.resources = {{"arm", "EndPosition"}}, .tags = {absl::StrCat("pick ", number)}};
}

// A reading with a counter among its tags, ten times a second.
TEST_F(SequencesTest, ACounterAmongTheTagsBeginsOneASecondAndIsCounted) {
  constexpr int kReadings = 600;
  for (int i = 0; i < kReadings; ++i) {
    sequences_->Want({Numbered(i)});
    EXPECT_LE(sequences_->open(), 1U);
    clock_.Advance(std::chrono::milliseconds(100));
    clock_.StepWall(std::chrono::milliseconds(100));
  }
  sequences_->Want({});
  const uint64_t begun = sequences_->ended();
  EXPECT_LE(begun, Sequences::kBurst + kReadings / 10U + 1);
  EXPECT_GE(begun, static_cast<uint64_t>(Sequences::kBurst));
  EXPECT_EQ(sequences_->refused(), kReadings - begun);
  EXPECT_EQ(Ended().size(), begun);
  logger_->Close();
  EXPECT_LE(log_.Count("sequences not started", LogLevel::kWarning), 2U);
  EXPECT_GE(log_.Count("sequences not started", LogLevel::kWarning), 1U);
}

TEST_F(SequencesTest, ThousandsAtOnceAreBoundedInDescriptorsAndInFlushes) {
  WantedSequences wanted;
  for (int i = 0; i < 4000; ++i) wanted.insert(Numbered(i));
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  const auto before = descriptors();
  size_t flushes = 0;
  for (int round = 0; round < 6; ++round) {
    const size_t journal = ops_.journal().size();
    sequences_->Want(wanted);
    size_t flushed = 0;
    const std::vector<std::string> calls = ops_.journal();
    for (size_t i = journal; i < calls.size(); ++i) flushed += calls[i].starts_with("flush ");
    // The data of each, and the directory once; the first time also the directories above it.
    EXPECT_LE(flushed, Sequences::kWritesAtOnce + (round == 0 ? 30 : 1)) << round;
    flushes += flushed;
  }
  EXPECT_EQ(sequences_->open(), Sequences::kOpenLimit);
  EXPECT_EQ(Open().size(), Sequences::kOpenLimit);
  EXPECT_LE(descriptors() - before, static_cast<std::ptrdiff_t>(Sequences::kOpenLimit));
  EXPECT_LE(flushes, 2 * Sequences::kOpenLimit);
  EXPECT_EQ(sequences_->refused(), 4000 - Sequences::kOpenLimit);
  // A sequence that is still wanted begins when there is room.
  for (int i = 0; i < 100; ++i) wanted.erase(Numbered(i));
  Pass(seconds(5));
  sequences_->Want(wanted);
  EXPECT_LE(sequences_->open(), Sequences::kOpenLimit);
  EXPECT_GT(sequences_->open(), 0U);
}

TEST_F(SequencesTest, AFailingDiskIsAskedOnceASecondAndKeepsALimitedNumber) {
  ops_.Fail(Call::kWrite, EIO, FaultyFileOps::kAlways, ".tmp");
  constexpr int kSeconds = 300;
  for (int i = 0; i < kSeconds; ++i) {
    for (int reading = 0; reading < 3; ++reading) sequences_->Want({Numbered(i)});
    Pass(seconds(1));
  }
  EXPECT_LE(ops_.Count(Call::kWrite), kSeconds + 1);
  EXPECT_EQ(sequences_->failed_writes(), static_cast<uint64_t>(ops_.Count(Call::kWrite)));
  EXPECT_GE(sequences_->lost(), kSeconds - Sequences::kUnwrittenLimit - 2);
  // The newest are kept, and are written once the disk works again.
  ops_.Heal();
  for (int i = 0; i < 20; ++i) {
    Pass(seconds(1));
    sequences_->Want({});
  }
  const std::vector<Sequence> ended = Ended();
  EXPECT_EQ(ended.size(), Sequences::kUnwrittenLimit);
  EXPECT_EQ(ended.back().tags, Numbered(kSeconds - 1).tags);
  logger_->Close();
  EXPECT_LE(log_.Count("sequence not written", LogLevel::kError), kSeconds / 60U + 2);
}

TEST_F(SequencesTest, OneThatFailsAloneHoldsUpNoOther) {
  // Its flush fails, and the file that it made cannot be removed.
  sequences_->SetTarget({.capture_dir = dir_, .durability = Durability::kPublished});
  sequences_->Want({kPick});
  ops_.Fail(Call::kFsync, EIO, 1);
  ops_.Fail(Call::kUnlink, EIO, 1, ".seq");
  sequences_->Want({kPlace});
  EXPECT_EQ(sequences_->ended(), 0U);
  Pass(seconds(1));
  sequences_->Want({kPlace});
  Pass(seconds(1));
  sequences_->Want({kPlace});
  EXPECT_EQ(sequences_->ended(), 1U);
  EXPECT_EQ(Open().size(), 1U);
}

TEST_F(SequencesTest, AFullDiskIsReported) {
  int reported = 0;
  Sequences sequences(ops_, clock_, logger_, [&](int error) { reported = error; });
  sequences.SetTarget({.capture_dir = dir_});
  ops_.Fail(Call::kWrite, EIO, 1);
  sequences.Want({kPick});
  EXPECT_EQ(reported, 0);
  Pass(seconds(1));
  ops_.Fail(Call::kOpen, EDQUOT, 1, ".tmp");
  sequences.Want({kPick});
  EXPECT_EQ(reported, EDQUOT);
}

TEST_F(SequencesTest, RecoveryLeavesAloneWhatIsOpen) {
  sequences_->Want({kPick});
  EXPECT_TRUE(absl::IsUnavailable(Recover()));
  EXPECT_EQ(Open().size(), 1U);
  EXPECT_EQ(told_.size(), 0U);
}

TEST_F(SequencesTest, RecoveryEndsWhatWasLeftWithTheLastDataOfItsResources) {
  sequences_->Want({kPick});
  const std::string path = Open()[0];
  sequences_.reset();  // As a kill does.
  SetModified(path, At(1));
  const auto data = [&](const std::string& api, const std::string& name, int begun, int written) {
    const std::string file = capture_file::CollectorDirectory(dir_, api, name, "EndPosition") +
                             "/" + capture_file::InProgressName(At(begun));
    WriteFile(file, "x");
    SetModified(file, At(written));
  };
  data("rdk:component:arm", "arm", 0, 30);
  data("rdk:component:arm", "arm", 31, 42);
  data("rdk:component:arm", "leg", 0, 77);       // Not its resource.
  data("rdk:component:arm", "arm", 9999, 9999);  // Of this run.
  EXPECT_TRUE(Recover().ok());
  EXPECT_EQ(FilesBelow(dir_ + "/sequences").size(), 1U);
  ASSERT_EQ(Ended().size(), 1U);
  EXPECT_EQ(Ended()[0], (Sequence{.start = At(0),
                                  .end = At(42) + std::chrono::milliseconds(10),
                                  .resources = kPick.resources,
                                  .tags = {"pick"}}));
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_NE(told_[0].find("left open by a process that ended"), std::string::npos);
}

TEST_F(SequencesTest, RecoveryWithoutDataEndsItWhenItWasWritten) {
  sequences_->Want({kPick});
  SetModified(Open()[0], At(3));
  sequences_.reset();
  EXPECT_TRUE(Recover().ok());
  ASSERT_EQ(Ended().size(), 1U);
  EXPECT_EQ(Ended()[0].end, At(3));
}

// A capture directory may hold hundreds of thousands of files.
TEST_F(SequencesTest, RecoveryAsksBeforeEachEntryWhetherToGoOn) {
  sequences_->Want({kPick});
  sequences_.reset();
  const std::string directory =
      capture_file::CollectorDirectory(dir_, "rdk:component:arm", "arm", "EndPosition");
  for (int i = 0; i < 50; ++i) {
    WriteFile(directory + "/" + capture_file::CompleteName(At(i)), "x");
  }
  int asked = 0;
  const auto recover = [&](int limit) {
    asked = 0;
    return RecoverSequences(ops_, dir_,
                            {.run_began = At(9999),
                             .ended = [](const std::string&) {},
                             .keep_going = [&asked, limit] { return ++asked < limit; }});
  };
  for (int limit : {1, 2, 30}) {
    EXPECT_TRUE(absl::IsCancelled(recover(limit)));
    EXPECT_EQ(asked, limit);  // Recovery does not ask once more.
    EXPECT_EQ(Open().size(), 1U);
    EXPECT_EQ(Ended().size(), 0U);
  }
  EXPECT_TRUE(recover(1000).ok());
  EXPECT_GE(asked, 50);
  EXPECT_EQ(Open().size(), 0U);
  EXPECT_EQ(Ended().size(), 1U);
}

TEST_F(SequencesTest, RecoveryLooksAtEachResourceOnceHoweverManySequencesHaveIt) {
  WantedSequences wanted;
  for (int i = 0; i < 40; ++i) wanted.insert(Numbered(i));
  for (int i = 0; i < 3; ++i) sequences_->Want(wanted);
  ASSERT_EQ(Open().size(), 40U);
  sequences_.reset();
  const std::string directory =
      capture_file::CollectorDirectory(dir_, "rdk:component:arm", "arm", "EndPosition");
  for (int i = 0; i < 50; ++i) {
    WriteFile(directory + "/" + capture_file::CompleteName(At(i)), "x");
  }
  const int before = ops_.Count(Call::kReadDirectory);
  EXPECT_TRUE(Recover().ok());
  EXPECT_EQ(Ended().size(), 40U);
  EXPECT_LE(ops_.Count(Call::kReadDirectory) - before, 300);
}

TEST_F(SequencesTest, RecoveryTidiesUp) {
  const std::string sequences = dir_ + "/sequences/";
  WriteFile(sequences + kId + ".seq", "ended");
  WriteFile(sequences + kId + ".progseq", "and not removed");
  WriteFile(sequences + kId + ".seq.tmp", "half");
  WriteFile(sequences + "notes.tmp", "a user's");
  WriteFile(sequences + "notes.progseq", "a user's");
  EXPECT_TRUE(Recover().ok());
  EXPECT_EQ(FilesBelow(dir_),
            std::vector<std::string>(
                {sequences + kId + ".seq", sequences + "notes.progseq", sequences + "notes.tmp"}));
  EXPECT_EQ(ReadFile(sequences + kId + ".seq"), "ended");
}

TEST_F(SequencesTest, RecoveryKeepsWhatCannotBeRead) {
  for (const std::string& content : {std::string(), std::string("{"), std::string(2 << 20, ' ')}) {
    const std::string path = dir_ + "/sequences/" + kId;
    WriteFile(path + ".progseq", content);
    EXPECT_TRUE(Recover().ok());
    // For sync to set aside.
    EXPECT_TRUE(Exists(path + ".seq"));
    EXPECT_FALSE(Exists(path + ".progseq"));
    EXPECT_EQ(ReadFile(path + ".seq"), content);
    ::unlink((path + ".seq").c_str());
  }
}

TEST_F(SequencesTest, RecoveryFollowsNoLinksAndMindsNoOtherFiles) {
  const std::string outside = temp_.path() + "/outside";
  WriteFile(outside + "/" + kId + ".progseq", "x");
  std::filesystem::create_directories(dir_);
  std::filesystem::create_directory_symlink(outside, dir_ + "/sequences");
  EXPECT_TRUE(Recover().ok());
  EXPECT_TRUE(Exists(outside + "/" + kId + ".progseq"));
}

}  // namespace
}  // namespace datamanager::capture
