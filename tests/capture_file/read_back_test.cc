// Reading a file whose flush failed back into a new one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "capture_file/file_name.h"
#include "capture_file/recovery.h"
#include "capture_file/writer.h"
#include "tests/capture_file/test_records.h"
#include "tests/support/failing_disk.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::capture_file {
namespace {

using std::chrono::microseconds;
using testing::BinaryRecord;
using testing::Exists;
using testing::FailingDisk;
using testing::FaultyFileOps;
using testing::FilesBelow;
using testing::Frame;
using testing::ReadFile;
using testing::TabularFile;
using testing::TabularRecord;
using testing::TempDir;
using testing::TestMetadata;
using testing::WriteFile;
using Call = FaultyFileOps::Call;

constexpr size_t kBlock = 4096;
constexpr WallTime kNow{std::chrono::seconds(1767341045)};

// A disk of which one block cannot be read.
class BadBlock final : public FileOps {
 public:
  explicit BadBlock(size_t block) : begin_(static_cast<off_t>(block * kBlock)) {}
  ssize_t Pread(int fd, void* data, size_t size, off_t offset) override {
    const off_t end = begin_ + static_cast<off_t>(kBlock);
    if (offset < end && offset + static_cast<off_t>(size) > begin_) {
      if (offset >= begin_) {
        errno = EIO;
        return -1;
      }
      size = static_cast<size_t>(begin_ - offset);  // As the kernel does: up to the bad block.
    }
    return FileOps::Pread(fd, data, size, offset);
  }

 private:
  const off_t begin_;
};

std::string LongRecord(char fill, size_t size) {
  testing::wire::SensorData data;
  data.mutable_metadata()->mutable_time_requested()->set_seconds(1700000000);
  (*data.mutable_struct_()->mutable_fields())["text"].set_string_value(std::string(size, fill));
  return data.SerializeAsString();
}

void Overwrite(const std::string& path, size_t offset, const std::string& bytes) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
            static_cast<ssize_t>(bytes.size()));
}

// Metadata of the method whose payload the records have.
std::string MetadataFor(const std::vector<std::string>& records) {
  testing::wire::DataCaptureMetadata metadata;
  testing::wire::SensorData record;
  EXPECT_TRUE(metadata.ParseFromString(TestMetadata()));
  EXPECT_TRUE(records.empty() || record.ParseFromString(records.front()));
  if (record.has_binary()) metadata.set_type(testing::wire::DATA_TYPE_BINARY_SENSOR);
  return metadata.SerializeAsString();
}

class ReadBackTest : public ::testing::Test {
 protected:
  std::unique_ptr<Writer> Create(FileOps& ops, const std::vector<std::string>& records) {
    absl::StatusOr<std::unique_ptr<Writer>> writer =
        Writer::Create(ops, directory_, kNow, MetadataFor(records));
    EXPECT_TRUE(writer.ok()) << writer.status();
    for (const std::string& record : records) {
      EXPECT_TRUE((*writer)->Append(Frame(record)).ok());
    }
    return *std::move(writer);
  }
  std::unique_ptr<Writer> Create(const std::vector<std::string>& records) {
    return Create(ops_, records);
  }
  std::string InProgress(int micros = 0) const {
    return directory_ + "/" + InProgressName(kNow + microseconds(micros));
  }
  std::string Kept(int attempt = 0) const { return ReadBackPath(InProgress(), attempt); }
  // Reads `writer` back, which must fail with a loss; returns the text.
  std::string Loss(Writer& writer, int attempt = 0) {
    const std::string before = ReadFile(InProgress());
    const absl::Status status = writer.CopyAfterFailedFlush().status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_EQ(ReadFile(InProgress()), before);
    EXPECT_TRUE(Exists(Kept(attempt)));
    EXPECT_NE(status.message().find(InProgress()), std::string::npos) << status;
    EXPECT_NE(status.message().find("kept in " + Kept(attempt)), std::string::npos) << status;
    return std::string(status.message());
  }

  const TempDir temp_;
  const std::string directory_ = temp_.path();
  FaultyFileOps ops_;
};

TEST_F(ReadBackTest, WholeRecordsComeIntoAFileOfTheirOwn) {
  const auto writer = Create({TabularRecord(0), TabularRecord(1)});
  auto copy = writer->CopyAfterFailedFlush();
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ((*copy)->path(), InProgress(1));
  EXPECT_EQ((*copy)->size(), writer->size());
  EXPECT_NE((*copy)->id(), writer->id());
  EXPECT_TRUE((*copy)->has_records());
  EXPECT_EQ(ReadFile(InProgress()), TabularFile(2));
  EXPECT_EQ(ReadFile(InProgress(1)), TabularFile(2));
  EXPECT_EQ(FilesBelow(directory_), (std::vector{InProgress(), InProgress(1)}));
  // Neither flushed nor published, which the caller must do. Locked, readable by its owner only.
  EXPECT_EQ(ops_.Count(Call::kFdatasync), 0);
  const UniqueFd other(::open(InProgress(1).c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_NE(FileOps::System().TryLock(other.get()), 0);
  struct stat info {};
  ASSERT_EQ(::fstat(other.get(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);

  ASSERT_TRUE((*copy)->Append(Frame(TabularRecord(2))).ok());
  const auto published = (*copy)->Publish();
  ASSERT_TRUE(published.ok()) << published.status();
  EXPECT_EQ(ReadFile(*published), TabularFile(3));
  EXPECT_TRUE(writer->Discard());
  EXPECT_EQ(FilesBelow(directory_), std::vector{*published});
}

TEST_F(ReadBackTest, OfEverySizeAndKind) {
  std::string noise(1 << 20, '\0');
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>(i * i >> 3);
  for (const std::vector<std::string>& records :
       {std::vector{BinaryRecord("")}, std::vector{BinaryRecord(noise)},
        // A text record, then one that ends with the zeros of the value 0.
        std::vector{LongRecord('t', 100000), TabularRecord(0)},
        std::vector{LongRecord('t', (64 << 10) - 300), TabularRecord(0)},
        std::vector<std::string>(1000, TabularRecord(0))}) {
    const auto writer = Create(records);
    const auto copy = writer->CopyAfterFailedFlush();
    ASSERT_TRUE(copy.ok()) << copy.status();
    EXPECT_EQ(ReadFile((*copy)->path()), ReadFile(writer->path()));
    (*copy)->Discard();
    writer->Discard();
  }
  EXPECT_TRUE(FilesBelow(directory_).empty());
}

TEST_F(ReadBackTest, AFileMayEndWithTheZerosOfANumber) {
  // Its last 8 bytes, the number 0, are the only bytes in the last block.
  const size_t others = TabularFile(1).size() + Frame(LongRecord('t', 4000)).size() - 4000;
  const auto writer = Create({LongRecord('t', kBlock + 8 - others), TabularRecord(0)});
  ASSERT_EQ(writer->size(), kBlock + 8);
  ASSERT_EQ(ReadFile(InProgress()).substr(kBlock), std::string(8, '\0'));
  const auto copy = writer->CopyAfterFailedFlush();
  EXPECT_TRUE(copy.ok()) << copy.status();
}

TEST_F(ReadBackTest, TakesTheNextFreeName) {
  const auto writer = Create({TabularRecord(0)});
  WriteFile(InProgress(1), "another's");
  WriteFile(CompletePath(InProgress(2)), "another's");
  const auto copy = writer->CopyAfterFailedFlush();
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ((*copy)->path(), InProgress(3));
  EXPECT_EQ(ReadFile(InProgress(1)), "another's");
  EXPECT_FALSE(Exists(InProgress(2)));
}

TEST_F(ReadBackTest, LeavesOutWhatFollowsTheLastRecord) {
  // A write that failed and could not be cut back.
  const auto writer = Create({TabularRecord(0)});
  ops_.FillUp(3);
  ops_.Fail(Call::kFtruncate, EIO);
  EXPECT_FALSE(writer->Append(Frame(TabularRecord(1))).ok());
  ASSERT_TRUE(writer->broken());
  const auto copy = writer->CopyAfterFailedFlush();
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_FALSE((*copy)->broken());
  EXPECT_EQ(ReadFile((*copy)->path()), TabularFile(1));
}

TEST_F(ReadBackTest, AnErrorThatPassesCostsNothing) {
  const auto writer = Create({TabularRecord(0), LongRecord('t', 200000)});
  ops_.Fail(Call::kPread, EIO, 1, InProgress());
  const auto copy = writer->CopyAfterFailedFlush();
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(ReadFile((*copy)->path()), ReadFile(InProgress()));
}

TEST_F(ReadBackTest, ABlockThatCannotBeReadIsALoss) {
  // The first block, one within a chunk, the first of a chunk, and the last, which is not full.
  for (const size_t block : {0, 3, 16, 48}) {
    BadBlock ops(block);
    const auto writer = Create(ops, {LongRecord('t', 200000)});
    EXPECT_NE(Loss(*writer).find("at byte " + std::to_string(block * kBlock) + ": read"),
              std::string::npos);
    // The rest of the file is kept, in its place.
    std::string expected = ReadFile(InProgress());
    const size_t begin = block * kBlock;
    std::fill_n(expected.begin() + static_cast<ptrdiff_t>(begin),
                std::min(kBlock, expected.size() - begin), '\0');
    EXPECT_EQ(ReadFile(Kept()), expected);
    std::filesystem::remove(Kept());
    writer->Discard();
  }
}

TEST_F(ReadBackTest, AFileThatHasBecomeShorterIsALoss) {
  const auto writer = Create({LongRecord('t', 10000), TabularRecord(1)});
  const std::string whole = ReadFile(InProgress());
  ASSERT_EQ(::truncate(InProgress().c_str(), 6000), 0);
  EXPECT_NE(Loss(*writer).find("at byte 4096: read: the file ends"), std::string::npos);
  EXPECT_EQ(ReadFile(Kept()), whole.substr(0, 6000) + std::string(whole.size() - 6000, '\0'));
}

TEST_F(ReadBackTest, ABlockOfZerosIsALoss) {
  // Zeros parse in a text, and in a picture.
  for (const std::string& record :
       {LongRecord('t', 20000), BinaryRecord(std::string(20000, 'p'))}) {
    const auto writer = Create({record});
    Overwrite(InProgress(), 2 * kBlock, std::string(kBlock, '\0'));
    EXPECT_NE(Loss(*writer).find("at byte 8192: a block of zeros"), std::string::npos);
    std::filesystem::remove(Kept());
    writer->Discard();
  }
  // The part of the last block that the file has.
  const auto writer = Create({BinaryRecord(std::string(5000, 'p'))});
  Overwrite(InProgress(), kBlock, std::string(writer->size() - kBlock, '\0'));
  EXPECT_NE(Loss(*writer).find("at byte 4096: a block of zeros"), std::string::npos);
}

TEST_F(ReadBackTest, WhatIsNoWholeRecordIsALoss) {
  const auto writer = Create({TabularRecord(0), TabularRecord(1)});
  const std::string whole = ReadFile(InProgress());
  const size_t second = TabularFile(1).size();
  for (const auto& [offset, bytes] : std::vector<std::pair<size_t, std::string>>{
           {0, std::string(30, '\0')},           // The metadata.
           {second, std::string(20, '\0')},      // The beginning of a record.
           {second + 5, std::string(20, '\0')},  // Inside a record whose outline stays intact.
           {second, "\x7f"}}) {                  // A length beyond the end.
    Overwrite(InProgress(), offset, bytes);
    Loss(*writer);
    EXPECT_EQ(ReadFile(Kept()), ReadFile(InProgress()));
    std::filesystem::remove(Kept());
    Overwrite(InProgress(), 0, whole);
  }
  EXPECT_TRUE(writer->CopyAfterFailedFlush().ok());
}

TEST_F(ReadBackTest, KeepsWhatAnAttemptBeforeKept) {
  const auto writer = Create({TabularRecord(0), LongRecord('t', 9000)});
  Overwrite(InProgress(), kBlock, std::string(kBlock, '\0'));
  Loss(*writer, 0);
  Loss(*writer, 1);
  EXPECT_EQ(FilesBelow(directory_).size(), 3);
}

TEST_F(ReadBackTest, ACopyThatCannotBeMadeLeavesNothingAndCanBeTriedAgain) {
  const auto writer = Create({TabularRecord(0)});
  for (const auto& [call, suffix] :
       std::vector<std::pair<Call, std::string>>{{Call::kOpen, ""},
                                                 {Call::kLock, ""},
                                                 {Call::kWrite, ""},
                                                 {Call::kRename, ""},
                                                 {Call::kPread, BaseName(Kept()).data()}}) {
    ops_.Fail(call, EACCES, FaultyFileOps::kAlways, suffix);
    const absl::Status status = writer->CopyAfterFailedFlush().status();
    EXPECT_FALSE(status.ok());
    EXPECT_FALSE(absl::IsDataLoss(status)) << status;
    EXPECT_NE(status.message().find(InProgress()), std::string::npos) << status;
    ops_.Heal();
    EXPECT_EQ(FilesBelow(directory_), std::vector{InProgress()});
  }
  // A short write is completed: it does not make a record.
  ops_.CutWrites(3);
  const auto copy = writer->CopyAfterFailedFlush();
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(ReadFile((*copy)->path()), TabularFile(1));
}

TEST_F(ReadBackTest, AFileWithoutRecordsIsNotCopied) {
  const auto writer = Create({});
  EXPECT_TRUE(absl::IsFailedPrecondition(writer->CopyAfterFailedFlush().status()));
  EXPECT_EQ(FilesBelow(directory_), std::vector{InProgress()});
}

TEST_F(ReadBackTest, AMovedFileIsCopiedWhereItIs) {
  const auto writer = Create({TabularRecord(0)});
  const std::string moved = directory_ + "/other/" + std::string(BaseName(InProgress()));
  std::filesystem::create_directory(directory_ + "/other");
  std::filesystem::rename(InProgress(), moved);
  const auto copy = writer->CopyAfterFailedFlush();
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(FilesBelow(directory_), (std::vector{moved, (*copy)->path()}));
}

TEST_F(ReadBackTest, ARemovedFileIsCopiedWhereItWas) {
  const auto writer = Create({TabularRecord(0)});
  std::filesystem::remove_all(directory_);
  const auto copy = writer->CopyAfterFailedFlush();
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(FilesBelow(directory_), std::vector{InProgress()});
  EXPECT_EQ(ReadFile(InProgress()), TabularFile(1));
}

TEST_F(ReadBackTest, RecoveryTakesNoCopyThatIsNotKnownToBeWhole) {
  // The copy of a process that died while it copied.
  WriteFile(Kept(), TabularFile(2));
  Recoverer recoverer(ops_, Clock::System());
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto recovery = recoverer.Recover(temp_.path(), Kept());
    ASSERT_TRUE(recovery.ok()) << recovery.status();
    EXPECT_EQ(recovery->outcome, RecoveryOutcome::kNotOurs);
    EXPECT_EQ(ReadFile(Kept()), TabularFile(2));
  }
  // It does not prevent another copy.
  const auto writer = Create({TabularRecord(0)});
  EXPECT_TRUE(writer->CopyAfterFailedFlush().ok());
}

// The behaviour of the kernel on which reading back is based.
TEST(ReadBackOnARealDisk, SavesWhatASecondFlushWouldLose) {
  const FailingDisk disk;
  if (!disk.why_not().empty()) {
    GTEST_SKIP() << disk.why_not() << "; ReadBackTest goes by the seam";
  }
  FileOps& ops = FileOps::System();
  auto writer = *Writer::Create(ops, disk.path(), kNow, TestMetadata());
  ASSERT_TRUE(writer->Append(Frame(TabularRecord(0))).ok());
  ASSERT_TRUE(writer->Flush().ok());
  disk.Break();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(writer->Append(Frame(LongRecord('t', 100000))).ok());
  }
  const std::string written = ReadFile(writer->path());
  ASSERT_EQ(written.size(), writer->size());
  EXPECT_FALSE(writer->Flush().ok());
  EXPECT_TRUE(writer->Flush().ok()) << "this kernel does repeat what failed";
  disk.Mend();

  auto copy = writer->CopyAfterFailedFlush();
  ASSERT_TRUE(copy.ok()) << copy.status();
  ASSERT_TRUE((*copy)->Flush().ok());
  FailingDisk::DropFromMemory((*copy)->path());
  EXPECT_EQ(ReadFile((*copy)->path()), written);

  // Once the page is gone from memory, it cannot be read back, and the copy reports that.
  FailingDisk::DropFromMemory(writer->path());
  ASSERT_NE(ReadFile(writer->path()), written);
  const absl::Status late = writer->CopyAfterFailedFlush().status();
  EXPECT_TRUE(absl::IsDataLoss(late)) << late;
}

}  // namespace
}  // namespace datamanager::capture_file
