// Capture on file systems that lack features, simulated at the seam.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "capture/directory_probe.h"
#include "capture/sequence_file.h"
#include "capture/sequence_recovery.h"
#include "capture_file/recovery.h"
#include "capture_file/writer.h"
#include "tests/capture/one_sensor.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/weak_file_ops.h"

namespace datamanager::capture {
namespace {

using testing::Exists;
using testing::FaultyFileOps;
using testing::FilesBelow;
using testing::LogCapture;
using testing::OneSensor;
using testing::PatienceEnds;
using testing::ReadFile;
using testing::TempDir;
using testing::WaitUntil;
using testing::WeakFileOps;
using testing::WriteFile;

TEST(WeakFileSystemCaptureTest, EverythingIsPublishedAndNothingLogged) {
  const TempDir temp;
  WeakFileOps ops(WeakFileOps::Everything());
  OneSensor one(temp.path());
  one.Use(ops);
  one.config().max_file_bytes = 500;
  one.config().durability = Durability::kPeriodic;
  one.config().durability_interval = std::chrono::milliseconds(5);
  one.Start();
  EXPECT_TRUE(one.WaitForCaptured(50));
  one.Flush();
  EXPECT_TRUE(one.WaitForCaptured(10));
  one.Close();
  one.ExpectAllKept(temp.path());
  EXPECT_EQ(one.capture().keeper().counters().unflushed.load(), 0U);
  EXPECT_EQ(one.capture().keeper().counters().failed_flushes.load(), 0U);
  EXPECT_EQ(one.log().Count("", LogLevel::kError), 0U) << one.log().Text();
  // A busy machine may flush late.
  EXPECT_EQ(one.log().Count("", LogLevel::kWarning),
            one.log().Count("longer than durability_interval_millis", LogLevel::kWarning))
      << one.log().Text();
}

TEST(WeakFileSystemCaptureTest, WhatADeadProcessLeftIsRecoveredByItsAgeAndWhatIsOursIsNot) {
  const TempDir temp;
  WeakFileOps ops(WeakFileOps::Everything());
  testing::FakeClock clock;
  capture_file::Recoverer recoverer(ops, clock);
  const std::string dead =
      temp.path() + "/" + capture_file::InProgressName(WallTime(std::chrono::seconds(1)));
  WriteFile(dead, std::string("\0\3\032\1x", 5));
  auto ours = capture_file::Writer::Create(ops, temp.path(), WallTime(std::chrono::seconds(2)), "");
  ASSERT_TRUE(ours.ok()) << ours.status();
  ASSERT_TRUE((*ours)->Append("\3\032\1x").ok());
  const std::string path = (*ours)->path();
  const auto outcome = [&](const std::string& file) {
    const auto recovery = recoverer.Recover(temp.path(), file);
    EXPECT_TRUE(recovery.ok()) << recovery.status();
    return recovery->outcome;
  };
  EXPECT_EQ(outcome(dead), capture_file::RecoveryOutcome::kInUse);
  EXPECT_EQ(outcome(path), capture_file::RecoveryOutcome::kInUse);
  clock.Advance(std::chrono::minutes(5));
  EXPECT_EQ(outcome(dead), capture_file::RecoveryOutcome::kRecovered);
  EXPECT_EQ(outcome(path), capture_file::RecoveryOutcome::kInUse);
  clock.Advance(std::chrono::minutes(5));
  EXPECT_EQ(outcome(path), capture_file::RecoveryOutcome::kInUse)
      << "this process has it, without the file system's help";
  ours->reset();
  EXPECT_EQ(outcome(path), capture_file::RecoveryOutcome::kInUse);
  clock.Advance(std::chrono::minutes(5));
  EXPECT_EQ(outcome(path), capture_file::RecoveryOutcome::kRecovered);
}

TEST(WeakFileSystemCaptureTest, SequencesAreWrittenAndEnded) {
  const TempDir temp;
  WeakFileOps ops(WeakFileOps::Everything());
  DurableNames names(ops);
  const capture_file::Sequence sequence{.start = WallTime(std::chrono::seconds(1)),
                                        .resources = {{"it", "Readings"}}};
  ASSERT_TRUE(WriteSequenceFile(ops, temp.path(), "one.seq", sequence, &names).ok());
  EXPECT_EQ(FilesBelow(temp.path()), std::vector<std::string>{temp.path() + "/one.seq"});
  EXPECT_EQ(ReadFile(temp.path() + "/one.seq"), capture_file::ToText(sequence));
}

TEST(WeakFileSystemCaptureTest, ASequenceWhoseNameWasOnlyReservedIsNotLost) {
  const TempDir temp;
  WeakFileOps ops({.exclusive_rename = EINVAL});
  const std::string id = "01234567-89ab-cdef-0123-456789abcdef";
  const capture_file::Sequence sequence{.start = WallTime(std::chrono::seconds(1)),
                                        .resources = {{"it", "Readings"}}};
  const std::string path = temp.path() + "/sequences/" + id;
  WriteFile(path + ".progseq", capture_file::ToText(sequence));
  WriteFile(path + ".seq", "");
  ASSERT_TRUE(
      RecoverSequences(ops, temp.path(), {.run_began = WallTime(), .ended = [](auto&) {}}).ok());
  EXPECT_FALSE(Exists(path + ".progseq"));
  const auto ended = capture_file::ParseSequence(ReadFile(path + ".seq"));
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->resources, sequence.resources);
}

class ProbeTest : public ::testing::Test {
 protected:
  std::vector<std::string> LostOn(FileOps& ops, bool flushes = true) {
    const auto probe = ProbeDirectory(ops, temp_.path(), flushes);
    EXPECT_TRUE(probe.ok()) << probe.status();
    EXPECT_TRUE(FilesBelow(temp_.path()).empty());
    if (!probe.ok()) return {};
    EXPECT_TRUE(probe->complete);
    return probe->lost;
  }
  absl::Status RefusalOn(FileOps& ops) {
    absl::Status status = ProbeDirectory(ops, temp_.path(), true).status();
    EXPECT_TRUE(FilesBelow(temp_.path()).empty());
    return status;
  }

  const TempDir temp_;
};

TEST_F(ProbeTest, TellsNothingOfAFileSystemThatHasEverything) {
  EXPECT_EQ(LostOn(FileOps::System()), std::vector<std::string>{});
}

TEST_F(ProbeTest, TellsEachFeatureThatIsLackingAndWhatIsDoneInItsPlace) {
  const std::vector<std::pair<testing::Lacking, std::string>> table = {
      {{.exclusive_rename = EINVAL}, "reserved by an empty file"},
      {{.exclusive_rename = EPERM}, "reserved by an empty file"},
      {{.locks = ENOLCK}, "only this process knows"},
      {{.locks = ENOSYS}, "only this process knows"},
      {{.leases = EINVAL}, "5 minutes"},
      {{.file_flush = EINVAL}, "files cannot be flushed by themselves"},
      {{.directory_flush = EINVAL}, "directories cannot be flushed"},
  };
  for (const auto& [lacking, text] : table) {
    WeakFileOps ops(lacking);
    const std::vector<std::string> lost = LostOn(ops);
    ASSERT_EQ(lost.size(), 1U) << text;
    EXPECT_NE(lost[0].find(text), std::string::npos) << lost[0];
  }
  WeakFileOps ops(WeakFileOps::Everything());
  EXPECT_EQ(LostOn(ops).size(), 5U);
  EXPECT_EQ(LostOn(ops, /*flushes=*/false).size(), 3U);
}

TEST_F(ProbeTest, RefusesWhatCannotBeDoneByAnyMeans) {
  using Call = FaultyFileOps::Call;
  const std::vector<std::tuple<Call, int, std::string>> table = {
      {Call::kOpen, EROFS, "no file can be made"}, {Call::kOpen, ENOSYS, "no file can be made"},
      {Call::kLock, EINVAL, "cannot be locked"},   {Call::kWrite, EINVAL, "nothing can be written"},
      {Call::kFtruncate, EPERM, "cannot be cut"},  {Call::kUnlink, EPERM, "cannot be removed"},
  };
  for (const auto& [call, error, text] : table) {
    FaultyFileOps ops;
    ops.Fail(call, error, call == Call::kUnlink ? 1 : FaultyFileOps::kAlways);
    const absl::Status status = RefusalOn(ops);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << text;
    EXPECT_NE(status.message().find(text), std::string::npos) << status;
  }
}

TEST_F(ProbeTest, ADiskThatIsFullOrBrokenIsNoReasonToRefuse) {
  using Call = FaultyFileOps::Call;
  for (const Call call : {Call::kOpen, Call::kWrite, Call::kFtruncate, Call::kUnlink}) {
    for (const int error : {ENOSPC, EDQUOT, EIO, EMFILE, EFBIG}) {
      FaultyFileOps ops;
      ops.Fail(call, error, 1);
      const auto probe = ProbeDirectory(ops, temp_.path(), true);
      ASSERT_TRUE(probe.ok()) << probe.status();
      EXPECT_TRUE(FilesBelow(temp_.path()).empty());
    }
  }
}

TEST_F(ProbeTest, RemovesWhatAKilledProbeLeftAndNothingElse) {
  const std::string left = temp_.path() + "/.probe-1-1.prog";
  const std::string used = temp_.path() + "/.probe-1-2.prog";
  const std::string other = temp_.path() + "/probe.prog";
  for (const std::string& path : {left, used, other}) WriteFile(path, "x");
  const UniqueFd fd(FileOps::System().Open(used.c_str(), O_RDWR, 0));
  ASSERT_EQ(FileOps::System().TryLock(fd.get()), 0);
  ASSERT_TRUE(ProbeDirectory(FileOps::System(), temp_.path(), true).ok());
  EXPECT_FALSE(Exists(left));
  EXPECT_TRUE(Exists(used));
  EXPECT_TRUE(Exists(other));
}

TEST_F(ProbeTest, NamesThatTheFileSystemRefusesAreTold) {
  WeakFileOps ops({.forbidden = "\"*:?"});
  EXPECT_TRUE(ProbeName(ops, temp_.path(), "arm-1_left.2").ok());
  EXPECT_TRUE(ProbeName(ops, temp_.path(), "Grüße an alle").ok());
  for (const char* name : {"what?", "a*b", "say \"hello\""}) {
    const absl::Status status = ProbeName(ops, temp_.path(), name);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << name;
    EXPECT_NE(status.message().find(name), std::string::npos) << status;
  }
  const std::string longest(255, 'x');
  EXPECT_TRUE(ProbeName(ops, temp_.path(), longest).ok());
  EXPECT_TRUE(ProbeName(ops, temp_.path(), std::string(254, 'x') + "~").ok());
  EXPECT_FALSE(ProbeName(ops, temp_.path(), longest + "x").ok());
  EXPECT_TRUE(FilesBelow(temp_.path()).empty());
  // A disk on which no file can be made shows nothing about names.
  FaultyFileOps broken;
  broken.Fail(FaultyFileOps::Call::kOpen, ENOENT);
  EXPECT_TRUE(ProbeName(broken, temp_.path(), "what?").ok());
}

class CheckTest : public ::testing::Test {
 protected:
  config::ConfiguredCollector Collector(const std::string& name) {
    sources_.AddReadings("rdk:component:sensor", name, [](const CaptureRequest&, Readings& out) {
      out.Set("a", 1);
      return absl::OkStatus();
    });
    return {.settings = {.api = "rdk:component:sensor",
                         .name = name,
                         .method = "Readings",
                         .interval = std::chrono::milliseconds(1)}};
  }
  void Create(FileOps& ops) {
    capture_ = *Capture::Create({.logger = logger_, .ops = &ops});
    config_.directory = temp_.path() + "/capture";
    config_.max_file_bytes = 1000;
  }
  void Close() {
    EXPECT_TRUE(capture_->Close(PatienceEnds(), PatienceEnds()).ok());
    logger_->Close();
  }

  const TempDir temp_;
  LogCapture log_;
  const std::shared_ptr<Logger> logger_ = *Logger::Create(log_.sink());
  Sources sources_;
  config::CaptureConfig config_;
  std::unique_ptr<Capture> capture_;
};

TEST_F(CheckTest, WhatIsLackingIsToldOnceADirectory) {
  WeakFileOps ops(WeakFileOps::Everything());
  Create(ops);
  config_.collectors = {Collector("one")};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(capture_->Check(config_).ok());
  Close();
  EXPECT_EQ(log_.Count("", LogLevel::kWarning), 5U) << log_.Text();
  EXPECT_EQ(log_.Count("capture_dir " + config_.directory), 5U) << log_.Text();
}

TEST_F(CheckTest, WhatCannotWorkIsRefusedWithTheReason) {
  FaultyFileOps ops;
  Create(ops);
  config_.collectors = {Collector("one")};
  ops.Fail(FaultyFileOps::Call::kUnlink, EPERM, 1);
  const absl::Status status = capture_->Check(config_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("files cannot be removed"), std::string::npos) << status;
  EXPECT_NE(status.message().find(config_.directory), std::string::npos) << status;
  // The fault may be gone by then.
  EXPECT_TRUE(capture_->Check(config_).ok());
  Close();
}

TEST_F(CheckTest, ACollectorWhoseNameTheDiskRefusesIsRefusedAndTheOthersRun) {
  WeakFileOps ops({.forbidden = "*?"});
  Create(ops);
  config_.collectors = {Collector("what?"), Collector("fine")};
  ASSERT_TRUE(capture_->Check(config_).ok());
  ASSERT_TRUE(capture_->Reconfigure(config_, sources_, PatienceEnds()));
  const std::vector<CollectorStats> stats = capture_->Stats();
  ASSERT_EQ(stats.size(), 2U);
  EXPECT_EQ(stats[0].state, CollectorState::kRefused);
  EXPECT_NE(stats[0].reason.find("\"what?\""), std::string::npos) << stats[0].reason;
  EXPECT_TRUE(WaitUntil([&] { return capture_->Stats()[1].captured > 3; }));
  Close();
  EXPECT_EQ(log_.Count("what?", LogLevel::kError), 1U) << log_.Text();
}

}  // namespace
}  // namespace datamanager::capture
