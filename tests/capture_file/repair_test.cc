#include "capture_file/repair.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capture_file/file_name.h"
#include "capture_file/writer.h"
#include "tests/capture_file/test_records.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace datamanager::capture_file {
namespace {

using testing::Exists;
using testing::FaultyFileOps;
using testing::FilesBelow;
using testing::Frame;
using testing::Process;
using testing::ReadFile;
using testing::TabularFile;
using testing::TabularRecord;
using testing::TempDir;
using testing::TestMetadata;
using testing::WriteFile;
using Call = FaultyFileOps::Call;

class RepairTest : public ::testing::Test {
 protected:
  absl::StatusOr<Repair> RepairNow() {
    // Later, so that the age tells where the file system has no leases.
    return RepairFile(ops_, path_, std::chrono::system_clock::now() + std::chrono::minutes(10));
  }
  // Where the cut of a file with `records` whole records is kept.
  std::string Kept(int records) const { return CutPath(path_, TabularFile(records).size()); }

  std::string Further() const { return temp_.path() + "/2026-01-02T03_04_05.000007Z.capture"; }

  const TempDir temp_;
  const std::string path_ = temp_.path() + "/2026-01-02T03_04_05.000006Z.capture";
  const std::string torn_ = Frame(TabularRecord(9)).substr(0, 10);
  FaultyFileOps ops_;
};

TEST_F(RepairTest, CutsATornTailAndKeepsItBeside) {
  for (const std::string& tail : {torn_, std::string(200000, '\xff')}) {
    WriteFile(path_, TabularFile(2) + tail);
    const absl::StatusOr<Repair> repair = RepairNow();
    ASSERT_TRUE(repair.ok()) << repair.status();
    EXPECT_EQ(repair->records, 2U);
    EXPECT_EQ(repair->size, TabularFile(2).size());
    EXPECT_EQ(repair->cut_bytes, tail.size());
    EXPECT_EQ(repair->kept, Kept(2));
    EXPECT_EQ(repair->kept_bytes, tail.size());
    EXPECT_EQ(repair->further, "");
    EXPECT_NE(repair->damage, "");
    EXPECT_EQ(ReadFile(path_), TabularFile(2));
    EXPECT_EQ(ReadFile(Kept(2)), tail);
    EXPECT_EQ(RepairNow()->cut_bytes, 0U) << "it is whole";
    ::unlink(Kept(2).c_str());
  }
}

// The figures of a robot: 297 records, of which the 54th has one bit flipped.
TEST_F(RepairTest, PutsWholeRecordsFromBehindDamageIntoAFurtherFile) {
  const std::string whole = TabularFile(297);
  const uint64_t damage = TabularFile(53).size();
  std::string flipped = whole;
  flipped[damage + 1] ^= 1;
  WriteFile(path_, flipped);
  const absl::StatusOr<Repair> repair = RepairNow();
  ASSERT_TRUE(repair.ok()) << repair.status();
  EXPECT_EQ(repair->records, 53U);
  EXPECT_EQ(repair->salvaged, 243U);
  EXPECT_EQ(repair->further, Further());
  EXPECT_EQ(ReadFile(path_), TabularFile(53));
  EXPECT_TRUE(ReadFile(Further()) == Frame(TestMetadata()) + whole.substr(TabularFile(54).size()));
  EXPECT_EQ(ReadFile(Kept(53)), flipped.substr(damage, TabularFile(54).size() - damage));
  EXPECT_EQ(FilesBelow(temp_.path()).size(), 3U);
}

TEST_F(RepairTest, ZerosBetweenRecordsAreNotKept) {
  WriteFile(path_, TabularFile(2) + std::string(3, '\0') + Frame(TabularRecord(5)));
  const absl::StatusOr<Repair> repair = RepairNow();
  ASSERT_TRUE(repair.ok()) << repair.status();
  EXPECT_EQ(repair->kept, "");
  EXPECT_EQ(ReadFile(Further()), Frame(TestMetadata()) + Frame(TabularRecord(5)));
}

TEST_F(RepairTest, EndsWhatAnInterruptedRepairBegan) {
  std::string content = TabularFile(5);
  content[TabularFile(2).size() + 1] ^= 1;
  WriteFile(path_, content);
  ops_.Fail(Call::kRename, EIO, FaultyFileOps::kAlways, "further-at-120.prog");
  ASSERT_EQ(TabularFile(2).size(), 120U);
  EXPECT_FALSE(RepairNow().ok());
  EXPECT_EQ(ReadFile(path_), TabularFile(2)) << "it is cut, but the other file has no name yet";
  ops_.Heal();
  const absl::StatusOr<Repair> repair = RepairNow();
  ASSERT_TRUE(repair.ok()) << repair.status();
  EXPECT_EQ(repair->further, Further());
  EXPECT_EQ(ReadFile(Further()),
            Frame(TestMetadata()) + TabularFile(5).substr(TabularFile(3).size()));
  EXPECT_EQ(FilesBelow(temp_.path()).size(), 3U);
}

TEST_F(RepairTest, KeepsTheCutBeforeItCuts) {
  WriteFile(path_, TabularFile(1) + torn_);
  ASSERT_TRUE(RepairNow().ok());
  const std::string part = std::string(BaseName(path_)) + ".cut-at-83.part.prog";
  EXPECT_EQ(ops_.journal(),
            (std::vector<std::string>{absl::StrCat("write ", torn_.size()), "flush " + part,
                                      "rename " + part,
                                      "flush directory " + std::string(BaseName(temp_.path())),
                                      absl::StrCat("truncate ", TabularFile(1).size()),
                                      "flush " + std::string(BaseName(path_))}));
}

TEST_F(RepairTest, NeitherSyncNorRecoveryTakesWhatIsKept) {
  const std::string name(BaseName(Kept(2)));
  EXPECT_TRUE(IsInProgress(name)) << "sync takes no file in progress";
  EXPECT_FALSE(ParseStamp(name).has_value()) << "recovery takes none that capture did not name";
}

TEST_F(RepairTest, LeavesAWholeFileAlone) {
  WriteFile(path_, TabularFile(3));
  const absl::StatusOr<Repair> repair = RepairNow();
  ASSERT_TRUE(repair.ok()) << repair.status();
  EXPECT_EQ(repair->records, 3U);
  EXPECT_EQ(repair->cut_bytes, 0U);
  EXPECT_TRUE(ops_.journal().empty());
  EXPECT_EQ(FilesBelow(temp_.path()), std::vector{path_});
}

TEST_F(RepairTest, LeavesAloneWhatHasNothingToSave) {
  for (const std::string& content :
       {std::string(), Frame(TestMetadata()), Frame(TestMetadata()) + torn_, std::string("notes"),
        std::string(4096, '\0')}) {
    WriteFile(path_, content);
    EXPECT_TRUE(absl::IsDataLoss(RepairNow().status())) << RepairNow().status();
    EXPECT_EQ(ReadFile(path_), content);
  }
  EXPECT_EQ(FilesBelow(temp_.path()), std::vector{path_});
}

TEST_F(RepairTest, RefusesAFileInUse) {
  const auto writer = *Writer::Create(ops_, temp_.path(), std::chrono::system_clock::now(), "m");
  ASSERT_TRUE(writer->Append(Frame(TabularRecord(1))).ok());
  const absl::Status status =
      RepairFile(ops_, writer->path(), std::chrono::system_clock::now()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(status.message().find("is in use"), std::string::npos) << status;
}

TEST_F(RepairTest, RefusesAFileThatSomebodyHasOpenWithoutALock) {
  WriteFile(path_, TabularFile(1) + torn_);
  ops_.Fail(Call::kLease, EAGAIN);
  EXPECT_TRUE(absl::IsFailedPrecondition(RepairNow().status())) << RepairNow().status();
  EXPECT_EQ(ReadFile(path_), TabularFile(1) + torn_);
}

TEST_F(RepairTest, WaitsForFiveMinutesOfRestWhereNobodyKnows) {
  WriteFile(path_, TabularFile(1) + torn_);
  ops_.Fail(Call::kLease, EINVAL);
  EXPECT_TRUE(absl::IsFailedPrecondition(
      RepairFile(ops_, path_, std::chrono::system_clock::now()).status()));
  EXPECT_EQ(ReadFile(path_), TabularFile(1) + torn_);
  EXPECT_TRUE(RepairNow().ok());
  EXPECT_EQ(ReadFile(path_), TabularFile(1));
}

TEST_F(RepairTest, OverwritesNothing) {
  WriteFile(path_, TabularFile(1) + torn_);
  WriteFile(Kept(1), "from before");
  const absl::StatusOr<Repair> repair = RepairNow();
  ASSERT_TRUE(repair.ok()) << repair.status();
  EXPECT_NE(repair->kept, Kept(1));
  EXPECT_EQ(ReadFile(repair->kept), torn_);
  EXPECT_EQ(ReadFile(Kept(1)), "from before");
}

TEST_F(RepairTest, AFailureLeavesTheFileAsItWas) {
  const std::string content = TabularFile(1) + torn_;
  for (const Call call : {Call::kOpen, Call::kPread, Call::kLock, Call::kWrite, Call::kFdatasync,
                          Call::kFsync, Call::kFtruncate}) {
    WriteFile(path_, content);
    ops_.Fail(call, EIO);
    EXPECT_FALSE(RepairNow().ok());
    EXPECT_EQ(ReadFile(path_), content) << static_cast<int>(call);
    EXPECT_EQ(FilesBelow(temp_.path()), std::vector{path_}) << static_cast<int>(call);
    ops_.Heal();
  }
}

TEST_F(RepairTest, FollowsNoLink) {
  WriteFile(temp_.path() + "/target", TabularFile(1) + torn_);
  ASSERT_EQ(::symlink((temp_.path() + "/target").c_str(), path_.c_str()), 0);
  EXPECT_TRUE(absl::IsNotFound(RepairNow().status())) << RepairNow().status();
  EXPECT_EQ(ReadFile(temp_.path() + "/target"), TabularFile(1) + torn_);
}

// The program.
class CaptureCatTest : public RepairTest {
 protected:
  int Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), CAPTURE_CAT_PATH);
    Process process(arguments, temp_.path() + "/output");
    const int code = process.ExitCode();
    output_ = process.Output();
    ::unlink((temp_.path() + "/output").c_str());
    return code;
  }
  bool Said(std::string_view text) const { return output_.find(text) != std::string::npos; }

  std::string output_;
};

TEST_F(CaptureCatTest, RepairsAndSaysWhatItCutAndWhere) {
  WriteFile(path_, TabularFile(2) + torn_);
  EXPECT_EQ(Run({"--verify", path_}), 1) << output_;
  EXPECT_EQ(Run({"--repair", path_}), 0) << output_;
  EXPECT_TRUE(Said(absl::StrCat(path_, ": cut ", torn_.size(), " bytes at byte ",
                                TabularFile(2).size(), ", after 2 whole records")))
      << output_;
  EXPECT_TRUE(Said(
      absl::StrCat("; ", torn_.size(), " bytes that are no whole record are kept in ", Kept(2))))
      << output_;
  EXPECT_EQ(ReadFile(path_), TabularFile(2));
  EXPECT_EQ(ReadFile(Kept(2)), torn_);
  EXPECT_EQ(Run({"--verify", path_}), 0) << output_;
  EXPECT_EQ(Run({"--repair", path_}), 0) << output_;
  EXPECT_TRUE(Said("ok, 2 records, nothing to cut")) << output_;
}

TEST_F(CaptureCatTest, RepairsAFileInProgressUnderItsName) {
  const std::string in_progress = temp_.path() + "/2026-01-02T03_04_05.000006Z.prog";
  WriteFile(in_progress, TabularFile(2) + torn_);
  EXPECT_EQ(Run({"--repair", in_progress}), 0) << output_;
  EXPECT_EQ(ReadFile(in_progress), TabularFile(2));
}

TEST_F(CaptureCatTest, RefusesToRepairWhatAnotherProcessHasOpen) {
  WriteFile(path_, TabularFile(2) + torn_);
  const UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(fd.get(), LOCK_EX), 0);
  const std::string other = temp_.path() + "/other.capture";
  WriteFile(other, TabularFile(1) + torn_);
  EXPECT_EQ(Run({"--repair", path_, other}), 1);
  EXPECT_TRUE(Said("is in use")) << output_;
  EXPECT_EQ(ReadFile(path_), TabularFile(2) + torn_);
  EXPECT_EQ(ReadFile(other), TabularFile(1)) << "one that fails does not keep it from the others";
}

TEST_F(CaptureCatTest, ExplainsRepairInItsHelp) {
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_TRUE(Said("--repair")) << output_;
  EXPECT_TRUE(Said("FILE.cut-at-OFFSET.prog")) << output_;
}

}  // namespace
}  // namespace datamanager::capture_file
