#include "capture_file/writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/strings.h"
#include "capture_file/file_name.h"
#include "tests/capture_file/test_records.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::capture_file {
namespace {

using std::chrono::microseconds;
using testing::Exists;
using testing::FaultyFileOps;
using testing::FilesBelow;
using testing::Frame;
using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;
using Call = FaultyFileOps::Call;

class WriterTest : public ::testing::Test {
 protected:
  std::unique_ptr<Writer> Create(WallTime now = kNow) {
    absl::StatusOr<std::unique_ptr<Writer>> writer =
        Writer::Create(ops_, temp_.path(), now, "metadata");
    EXPECT_TRUE(writer.ok()) << writer.status();
    return writer.ok() ? *std::move(writer) : nullptr;
  }
  std::string InProgress(int micros = 0) const {
    return temp_.path() + "/" + InProgressName(kNow + microseconds(micros));
  }
  std::string Complete(int micros = 0) const {
    return temp_.path() + "/" + CompleteName(kNow + microseconds(micros));
  }
  bool CanBeLocked(const std::string& path) {
    const UniqueFd fd(ops_.Open(path.c_str(), O_RDWR, 0));
    EXPECT_TRUE(fd.valid());
    return FileOps::System().TryLock(fd.get()) == 0;
  }

  static constexpr WallTime kNow{std::chrono::seconds(1767341045)};

  const TempDir temp_;
  FaultyFileOps ops_;
  const std::string head_ = Frame("record");
  const std::string file_with_one_ = Frame("metadata") + Frame("record");
};

TEST_F(WriterTest, WritesMetadataWithTheFirstRecord) {
  const auto writer = Create();
  EXPECT_EQ(writer->path(), InProgress());
  EXPECT_EQ(ReadFile(InProgress()), "");
  EXPECT_FALSE(writer->has_records());
  EXPECT_EQ(writer->size(), Frame("metadata").size());

  ASSERT_TRUE(writer->Append(head_).ok());
  EXPECT_EQ(ReadFile(InProgress()), file_with_one_);
  EXPECT_TRUE(writer->has_records());
  ASSERT_TRUE(writer->Append(head_).ok());
  EXPECT_EQ(ReadFile(InProgress()), file_with_one_ + head_);
  EXPECT_EQ(writer->size(), ReadFile(InProgress()).size());
}

TEST_F(WriterTest, WritesEachRecordAtOnce) {
  const std::string small(10, 's');
  const std::string large(100000, 'l');
  std::string expected = Frame("metadata");
  const auto writer = Create();
  int writes = 0;
  for (const auto& [head, tail] : std::vector<std::pair<std::string, std::string>>{
           {small, large}, {small, ""}, {large, ""}, {small, small}, {large, large}}) {
    ASSERT_TRUE(writer->Append(head, tail).ok());
    expected += head + tail;
    EXPECT_EQ(ops_.Count(Call::kWrite), ++writes);
    EXPECT_EQ(ReadFile(InProgress()), expected);
  }
}

TEST_F(WriterTest, KeepsFilesToTheirOwner) {
  const auto writer = Create();
  struct stat info {};
  ASSERT_EQ(::stat(InProgress().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(WriterTest, TakesTheNextFreeMicrosecond) {
  WriteFile(InProgress(0), "somebody's");
  WriteFile(Complete(1), "somebody's");
  const auto first = Create();
  const auto second = Create();
  EXPECT_EQ(first->path(), InProgress(2));
  EXPECT_EQ(second->path(), InProgress(3));
  EXPECT_EQ(ReadFile(InProgress(0)), "somebody's");
  EXPECT_EQ(ReadFile(Complete(1)), "somebody's");
}

TEST_F(WriterTest, CreatesNothingThroughALink) {
  ASSERT_EQ(::symlink((temp_.path() + "/elsewhere").c_str(), InProgress().c_str()), 0);
  EXPECT_EQ(Create()->path(), InProgress(1));
  EXPECT_FALSE(Exists(temp_.path() + "/elsewhere"));
}

TEST_F(WriterTest, SaysWhyItCannotCreate) {
  const absl::Status gone = Writer::Create(ops_, temp_.path() + "/gone", kNow, "metadata").status();
  EXPECT_EQ(gone.code(), absl::StatusCode::kNotFound);
  ops_.Fail(Call::kOpen, ENOSPC);
  const absl::Status full = Writer::Create(ops_, temp_.path(), kNow, "metadata").status();
  EXPECT_NE(full.message().find("create capture file " + InProgress()), std::string::npos) << full;
  EXPECT_NE(full.message().find("No space left"), std::string::npos) << full;
}

TEST_F(WriterTest, HoldsTheLockForAsLongAsItIsOpen) {
  auto writer = Create();
  EXPECT_FALSE(CanBeLocked(InProgress()));
  ASSERT_TRUE(writer->Append(head_).ok());
  ASSERT_TRUE(writer->Publish().ok());
  EXPECT_FALSE(CanBeLocked(Complete()));
  writer.reset();
  EXPECT_TRUE(CanBeLocked(Complete()));
}

TEST_F(WriterTest, GivesUpANameThatRecoveryIsLookingAt) {
  ops_.Fail(Call::kLock, EWOULDBLOCK, 1);
  EXPECT_EQ(Create()->path(), InProgress(1));
  EXPECT_EQ(FilesBelow(temp_.path()), std::vector<std::string>{InProgress(1)});
}

TEST_F(WriterTest, LeavesNothingBehindWhereLocksDoNotWork) {
  ops_.Fail(Call::kLock, ENOLCK);
  EXPECT_FALSE(Writer::Create(ops_, temp_.path(), kNow, "metadata").ok());
  EXPECT_TRUE(FilesBelow(temp_.path()).empty());
}

TEST_F(WriterTest, CutsAShortWriteBack) {
  const auto writer = Create();
  for (const size_t stored : {1, 5, 12}) {
    ops_.FillUp(stored);
    const absl::Status status = writer->Append(head_);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_EQ(ReadFile(InProgress()), "");
    EXPECT_FALSE(writer->has_records());
  }
  ASSERT_TRUE(writer->Append(head_).ok());
  EXPECT_EQ(ReadFile(InProgress()), file_with_one_) << "the metadata must come with it";

  ops_.FillUp(3);
  EXPECT_FALSE(writer->Append(head_).ok());
  EXPECT_EQ(ReadFile(InProgress()), file_with_one_);
  ASSERT_TRUE(writer->Append(head_, "tail").ok());
  EXPECT_EQ(ReadFile(InProgress()), file_with_one_ + head_ + "tail");
  EXPECT_FALSE(writer->broken());
}

TEST_F(WriterTest, CutsAShortWriteOfALargeRecordBack) {
  const std::string large(100000, 'l');
  const auto writer = Create();
  ASSERT_TRUE(writer->Append(head_).ok());
  ops_.FillUp(50000);
  EXPECT_FALSE(writer->Append(head_, large).ok());
  EXPECT_EQ(ReadFile(InProgress()), file_with_one_);
}

TEST_F(WriterTest, GoesOnWhereAShortWriteEnded) {
  const std::string large(100000, 'l');
  for (const size_t stored : {1, 5, 12}) {
    const auto writer = Create();
    ops_.CutWrites(stored);
    ASSERT_TRUE(writer->Append(head_).ok());
    EXPECT_EQ(ReadFile(writer->path()), file_with_one_) << stored;
    ops_.CutWrites(3, 2);
    ASSERT_TRUE(writer->Append(head_, large).ok());
    ops_.CutWrites(70000);
    ASSERT_TRUE(writer->Append(head_, large).ok());
    EXPECT_EQ(ReadFile(writer->path()), file_with_one_ + head_ + large + head_ + large);
    EXPECT_EQ(writer->size(), ReadFile(writer->path()).size());
  }
}

TEST_F(WriterTest, ACutWriteTellsWhatStandsInItsWay) {
  const auto writer = Create();
  ASSERT_TRUE(writer->Append(head_).ok());
  for (const int error : {ENOSPC, EDQUOT, EFBIG, EIO}) {
    ops_.FillUp(3, 1, error);
    EXPECT_EQ(ErrnoOf(writer->Append(head_)), error);
    EXPECT_EQ(ReadFile(InProgress()), file_with_one_);
  }
}

TEST_F(WriterTest, GoesOnAfterAFailedWrite) {
  const auto writer = Create();
  ASSERT_TRUE(writer->Append(head_).ok());
  ops_.Fail(Call::kWrite, EIO, 1);
  const absl::Status status = writer->Append(head_);
  EXPECT_NE(status.message().find("write record to " + InProgress()), std::string::npos) << status;
  EXPECT_NE(status.message().find("Input/output error"), std::string::npos) << status;
  ASSERT_TRUE(writer->Append(head_).ok());
  EXPECT_EQ(ReadFile(InProgress()), file_with_one_ + head_);
}

TEST_F(WriterTest, IsBrokenIfItCannotCutBack) {
  const auto writer = Create();
  ASSERT_TRUE(writer->Append(head_).ok());
  ops_.FillUp(3);
  ops_.Fail(Call::kFtruncate, EIO, 1);
  EXPECT_EQ(writer->Append(head_).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(writer->broken());
  EXPECT_EQ(writer->Append(head_).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadFile(InProgress()), file_with_one_ + head_.substr(0, 3));
}

// Reports that every file has a name, as FUSE does for one that was removed while it was open.
class NamesForAll : public FileOps {
 public:
  int Fstat(int fd, struct stat* result) override {
    const int failed = FileOps::Fstat(fd, result);
    result->st_nlink = 1;
    return failed;
  }
};

TEST_F(WriterTest, KnowsThatItWasRemovedWhereTheCountOfItsNamesDoesNotSay) {
  NamesForAll ops;
  auto writer = *Writer::Create(ops, temp_.path(), kNow, "metadata");
  ASSERT_TRUE(writer->Append(head_).ok());
  EXPECT_FALSE(writer->removed());
  const std::string moved = temp_.path() + "/moved.prog";
  std::filesystem::rename(writer->path(), moved);
  EXPECT_FALSE(writer->removed()) << "moved, and it has its records there";
  // The hidden name of a removed file over NFS.
  const std::string hidden = temp_.path() + "/.nfs00000000000000120000000a";
  std::filesystem::rename(moved, hidden);
  EXPECT_TRUE(writer->removed());
  std::filesystem::remove(hidden);
  EXPECT_TRUE(writer->removed());
  EXPECT_EQ(writer->Publish().status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(writer->CopyRemoved().ok());
}

TEST_F(WriterTest, PublishesUnderItsName) {
  const auto writer = Create();
  ASSERT_TRUE(writer->Append(head_).ok());
  EXPECT_EQ(*writer->Publish(), Complete());
  EXPECT_EQ(FilesBelow(temp_.path()), std::vector{Complete()});
  EXPECT_EQ(ReadFile(Complete()), file_with_one_);
}

TEST_F(WriterTest, PublishesOverNobody) {
  const auto writer = Create();
  ASSERT_TRUE(writer->Append(head_).ok());
  WriteFile(Complete(0), "somebody's");
  WriteFile(Complete(1), "somebody's");
  EXPECT_EQ(*writer->Publish(), Complete(2));
  EXPECT_EQ(ReadFile(Complete(0)), "somebody's");
  EXPECT_EQ(ReadFile(Complete(1)), "somebody's");
  EXPECT_EQ(ReadFile(Complete(2)), file_with_one_);
  EXPECT_FALSE(Exists(InProgress()));
}

TEST_F(WriterTest, SaysWhyItCannotPublish) {
  const auto writer = Create();
  ASSERT_TRUE(writer->Append(head_).ok());
  ASSERT_EQ(::unlink(InProgress().c_str()), 0);
  const absl::Status status = writer->Publish().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find("publish " + InProgress()), std::string::npos) << status;
}

TEST_F(WriterTest, PassesTheFlushsErrorOn) {
  const auto writer = Create();
  EXPECT_TRUE(writer->Flush().ok());
  ops_.Fail(Call::kFdatasync, EIO);
  EXPECT_NE(writer->Flush().message().find("flush " + InProgress()), std::string::npos);
}

TEST_F(WriterTest, LeavesItsFileToRecoveryWhenDestroyed) {
  auto writer = Create();
  ASSERT_TRUE(writer->Append(head_).ok());
  writer.reset();
  EXPECT_EQ(ReadFile(InProgress()), file_with_one_);
  EXPECT_TRUE(CanBeLocked(InProgress()));
}

TEST_F(WriterTest, DiscardRemovesItsOwnFileOnly) {
  Create()->Discard();
  EXPECT_TRUE(FilesBelow(temp_.path()).empty());

  const auto writer = Create();
  ASSERT_EQ(::rename(InProgress().c_str(), (temp_.path() + "/moved").c_str()), 0);
  WriteFile(InProgress(), "somebody's");
  writer->Discard();
  EXPECT_EQ(ReadFile(InProgress()), "somebody's");
  EXPECT_TRUE(Exists(temp_.path() + "/moved"));
}

TEST_F(WriterTest, PublishesWhereItWasMoved) {
  const auto writer = Create();
  ASSERT_TRUE(writer->Append(head_).ok());
  ASSERT_EQ(::mkdir((temp_.path() + "/other").c_str(), 0700), 0);
  const std::string moved = temp_.path() + "/other/" + std::string(BaseName(InProgress()));
  ASSERT_EQ(::rename(InProgress().c_str(), moved.c_str()), 0);
  WriteFile(InProgress(), "somebody's");
  const absl::StatusOr<std::string> path = writer->Publish();
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(*path, CompletePath(moved));
  EXPECT_EQ(ReadFile(*path), file_with_one_);
  EXPECT_EQ(ReadFile(InProgress()), "somebody's");
}

TEST_F(WriterTest, LeavesAFileToWhoeverGaveItAnotherName) {
  const auto writer = Create();
  ASSERT_TRUE(writer->Append(head_).ok());
  const std::string renamed = temp_.path() + "/renamed.capture";
  ASSERT_EQ(::rename(InProgress().c_str(), renamed.c_str()), 0);
  const absl::Status status = writer->Publish().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_NE(status.message().find(renamed), std::string::npos) << status;
  EXPECT_FALSE(writer->removed());
  EXPECT_EQ(ReadFile(renamed), file_with_one_);
}

TEST_F(WriterTest, CopiesARemovedFile) {
  const auto writer = Create();
  ASSERT_TRUE(writer->Append(head_).ok());
  const std::string tail(200000, 't');
  ASSERT_TRUE(writer->Append(head_, tail).ok());
  EXPECT_FALSE(writer->removed());
  std::filesystem::remove_all(temp_.path());
  EXPECT_TRUE(writer->removed());
  const absl::StatusOr<std::unique_ptr<Writer>> copy = writer->CopyRemoved();
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ((*copy)->path(), InProgress());
  EXPECT_EQ((*copy)->size(), writer->size());
  ASSERT_TRUE((*copy)->Append(head_).ok());
  EXPECT_EQ(ReadFile(InProgress()), file_with_one_ + head_ + tail + head_);
  EXPECT_FALSE(CanBeLocked(InProgress()));
}

TEST_F(WriterTest, ACopyThatFailsLeavesNothingAndCanBeTriedAgain) {
  const auto writer = Create();
  ASSERT_TRUE(writer->Append(head_).ok());
  std::filesystem::remove(InProgress());
  for (const Call call : {Call::kOpen, Call::kPread, Call::kWrite}) {
    ops_.Fail(call, EIO);
    EXPECT_FALSE(writer->CopyRemoved().ok());
    ops_.Heal();
    EXPECT_TRUE(FilesBelow(temp_.path()).empty());
  }
  // A short write is gone on with: it is no record.
  ops_.CutWrites(3);
  EXPECT_TRUE(writer->CopyRemoved().ok());
  EXPECT_EQ(ReadFile(InProgress()), file_with_one_);
}

}  // namespace
}  // namespace datamanager::capture_file
