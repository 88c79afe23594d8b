#include "capture/output.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::capture {
namespace {

using testing::FaultyFileOps;
using testing::FilesBelow;
using testing::In;
using testing::LogCapture;
using testing::PatienceEnds;
using testing::ReadFile;
using testing::TempDir;
using testing::WaitUntil;
using Call = FaultyFileOps::Call;

class OutputTest : public ::testing::Test {
 protected:
  OutputTest() {
    logger_ = *Logger::Create(log_.sink());
    keeper_ = *Keeper::Start({.ops = &ops_, .logger = logger_});
    Limit(262144);
  }
  ~OutputTest() override {
    output_->Close(PatienceEnds());
    keeper_->Close(PatienceEnds());
  }

  // Starts over with files of at most so many bytes.
  void Limit(int64_t max_file_bytes) {
    output_ = std::make_shared<Output>(OutputOptions{.directory = directory_,
                                                     .max_file_bytes = max_file_bytes,
                                                     .keeper = keeper_,
                                                     .finished_files = finished_,
                                                     .ops = &ops_});
  }
  absl::Status Append(const std::string& record) {
    return output_->Append("", record, "", /*finish=*/false);
  }
  absl::Status AppendPicture(const std::string& metadata, const std::string& picture) {
    return output_->Append(metadata, "", picture, /*finish=*/true);
  }
  void Finish() {
    output_->Finish(PatienceEnds());
    EXPECT_FALSE(absl::IsDeadlineExceeded(keeper_->WaitUntilPublished(PatienceEnds(), {})));
  }
  // "<complete files>+<files in progress>", once the keeper has caught up.
  std::string Files() {
    EXPECT_FALSE(absl::IsDeadlineExceeded(keeper_->WaitUntilPublished(PatienceEnds(), {})));
    return absl::StrCat(FilesBelow(directory_, ".capture").size(), "+",
                        FilesBelow(directory_, ".prog").size());
  }
  std::vector<std::string> Published() {
    EXPECT_FALSE(absl::IsDeadlineExceeded(keeper_->WaitUntilPublished(PatienceEnds(), {})));
    std::vector<std::string> contents;
    for (const std::string& path : FilesBelow(directory_, ".capture")) {
      contents.push_back(ReadFile(path));
    }
    return contents;
  }

  const TempDir temp_;
  const std::string directory_ = temp_.path() + "/api/name/method";
  FaultyFileOps ops_;
  LogCapture log_;
  std::shared_ptr<Logger> logger_;
  std::shared_ptr<Keeper> keeper_;
  const std::shared_ptr<std::atomic<uint64_t>> finished_ =
      std::make_shared<std::atomic<uint64_t>>(0);
  std::shared_ptr<Output> output_;
  // With the empty metadata before them, three of these go past 50 bytes.
  const std::string record_ = std::string(20, 'r');
};

// The cases of the reference's TestCaptureQueue: a limit of 50 bytes.
TEST_F(OutputTest, OneRecordStaysInProgress) {
  Limit(50);
  ASSERT_TRUE(Append(record_).ok());
  EXPECT_EQ(Files(), "0+1");
  Finish();
  EXPECT_EQ(Files(), "1+0");
}

TEST_F(OutputTest, EachPictureIsAFileOfItsOwn) {
  Limit(50);
  ASSERT_TRUE(AppendPicture("m", "one").ok());
  ASSERT_TRUE(AppendPicture("m", "two").ok());
  EXPECT_EQ(Files(), "2+0");
  EXPECT_EQ(*finished_, 2U);
  EXPECT_EQ(Published(), (std::vector<std::string>{"\x01mone", "\x01mtwo"}));
}

TEST_F(OutputTest, RotatesOnceTheLimitWasPassedBeforeTheRecord) {
  Limit(50);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Append(record_).ok());
  EXPECT_EQ(Files(), "0+1") << "61 bytes, but it was 41 before the last record";
  ASSERT_TRUE(Append(record_).ok());
  EXPECT_EQ(Files(), "1+1");
  Finish();
  EXPECT_EQ(Files(), "2+0");
  EXPECT_EQ(Published(),
            (std::vector<std::string>{std::string(1, '\0') + record_ + record_ + record_,
                                      std::string(1, '\0') + record_}));
}

TEST_F(OutputTest, AFileOfExactlyTheLimitIsNotFull) {
  Limit(21);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Append(record_).ok());
  EXPECT_EQ(Files(), "1+1");
}

TEST_F(OutputTest, FinishMakesNoEmptyFile) {
  Finish();
  EXPECT_EQ(Files(), "0+0");
  EXPECT_FALSE(testing::Exists(directory_));
}

TEST_F(OutputTest, MakesItsDirectoryAndMakesItAgain) {
  ASSERT_TRUE(Append(record_).ok());
  struct stat info {};
  ASSERT_EQ(::stat(directory_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
  Finish();
  std::filesystem::remove_all(temp_.path() + "/api");
  ASSERT_TRUE(Append(record_).ok());
  EXPECT_EQ(Files(), "0+1");
}

TEST_F(OutputTest, SaysWhatIsInTheWayOfItsDirectory) {
  testing::WriteFile(temp_.path() + "/api", "a file");
  const absl::Status status = Append(record_);
  EXPECT_NE(status.message().find(temp_.path() + "/api"), std::string::npos) << status;
  EXPECT_NE(status.message().find("Not a directory"), std::string::npos) << status;
}

// The reference's TestFlushRecoversAfterProgRenamedExternally.
TEST_F(OutputTest, GoesOnAfterItsFileWasRenamedByOthers) {
  ASSERT_TRUE(Append(record_).ok());
  const std::string in_progress = FilesBelow(directory_, ".prog").at(0);
  ASSERT_EQ(::rename(in_progress.c_str(), (directory_ + "/moved.capture").c_str()), 0);
  Finish();
  ASSERT_TRUE(Append(record_).ok());
  Finish();
  EXPECT_EQ(Files(), "2+0");
  logger_->Close();
  EXPECT_EQ(log_.Count("somebody has renamed it to " + directory_ + "/moved.capture"), 1U)
      << log_.Text();
}

TEST_F(OutputTest, GoesOnInAFullFileWhileTheNextCannotBeMade) {
  Limit(10);
  ASSERT_TRUE(Append(record_).ok());
  ops_.Fail(Call::kOpen, EMFILE, 2, ".prog");
  ASSERT_TRUE(Append(record_).ok());
  ASSERT_TRUE(Append(record_).ok());
  EXPECT_EQ(Files(), "0+1");
  ASSERT_TRUE(Append(record_).ok());
  EXPECT_EQ(Files(), "1+1");
  EXPECT_EQ(Published(),
            std::vector<std::string>{std::string(1, '\0') + record_ + record_ + record_});
}

TEST_F(OutputTest, FinishesAFileThatTakesNoMore) {
  ASSERT_TRUE(Append(record_).ok());
  ops_.Fail(Call::kWrite, EIO, FaultyFileOps::kAlways,
            std::string(BaseName(FilesBelow(directory_, ".prog").at(0))));
  EXPECT_FALSE(Append(record_).ok());
  EXPECT_EQ(Files(), "1+0");
  ASSERT_TRUE(Append(record_).ok());
  EXPECT_EQ(Files(), "1+1");
}

TEST_F(OutputTest, KeepsAFileThatTheDiskHasNoRoomFor) {
  ASSERT_TRUE(Append(record_).ok());
  for (const int error : {ENOSPC, EDQUOT}) {
    ops_.Fail(Call::kWrite, error, 3);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(Append(record_).ok());
    EXPECT_EQ(Files(), "0+1");
  }
  ASSERT_TRUE(Append(record_).ok());
  Finish();
  EXPECT_EQ(Published(), std::vector<std::string>{std::string(1, '\0') + record_ + record_});
}

TEST_F(OutputTest, ShowsAPictureUnderItsOwnMetadataAfterAnotherFailed) {
  ops_.Fail(Call::kWrite, ENOSPC, 1);
  EXPECT_FALSE(AppendPicture("jpeg", "one").ok());
  EXPECT_EQ(Files(), "0+0");
  ASSERT_TRUE(AppendPicture("png", "two").ok());
  EXPECT_EQ(Published(), std::vector<std::string>{"\x03pngtwo"});
  EXPECT_EQ(*finished_, 1U);
}

TEST_F(OutputTest, RemovesAFileWhoseOnlyRecordFailed) {
  ops_.Fail(Call::kWrite, ENOSPC, 1);
  EXPECT_FALSE(Append(record_).ok());
  EXPECT_EQ(Files(), "0+1");
  Finish();
  EXPECT_EQ(Files(), "0+0");
  EXPECT_EQ(*finished_, 0U);
}

TEST_F(OutputTest, LeavesABrokenFileAndBeginsAnother) {
  ASSERT_TRUE(Append(record_).ok());
  ops_.FillUp(7);
  ops_.Fail(Call::kFtruncate, EIO, 1);
  EXPECT_FALSE(Append(record_).ok());
  ASSERT_TRUE(Append(record_).ok());
  Finish();
  EXPECT_EQ(Files(), "1+1");
  EXPECT_EQ(*finished_, 1U);
}

TEST_F(OutputTest, AFileThatCannotGrowIsFinishedAndTheRecordGoesIntoANewOne) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Append(record_).ok());
  ops_.FillUp(7, 1, EFBIG);
  ASSERT_TRUE(Append(record_).ok());
  EXPECT_EQ(Files(), "1+1");
  ops_.Fail(Call::kWrite, EFBIG, 1);
  ASSERT_TRUE(AppendPicture("", "picture").ok());
  Finish();
  EXPECT_EQ(Published(), (std::vector<std::string>{std::string(1, '\0') + record_ + record_,
                                                   std::string(1, '\0') + record_,
                                                   std::string("\0picture", 8)}));
  EXPECT_EQ(*finished_, 3U);
}

TEST_F(OutputTest, ARecordThatNoFileHoldsIsRefusedWithItsSize) {
  ASSERT_TRUE(Append(record_).ok());
  ops_.FillUp(7, 2, EFBIG);
  const absl::Status status = Append(std::string(30, 'x'));
  EXPECT_EQ(ErrnoOf(status), EFBIG) << status;
  EXPECT_NE(status.message().find("a record of 30 bytes"), std::string::npos) << status;
  // The other records may fit.
  ASSERT_TRUE(Append(record_).ok());
  Finish();
  EXPECT_EQ(Published(), (std::vector<std::string>{std::string(1, '\0') + record_,
                                                   std::string(1, '\0') + record_}));
}

TEST_F(OutputTest, WhereNoNewFileCanBeMadeTheFullOneStays) {
  ASSERT_TRUE(Append(record_).ok());
  ops_.FillUp(7, 1, EFBIG);
  ops_.Fail(Call::kOpen, EMFILE, 1, ".prog");
  EXPECT_EQ(ErrnoOf(Append(record_)), EMFILE);
  ASSERT_TRUE(Append(record_).ok());
  Finish();
  EXPECT_EQ(Published(), (std::vector<std::string>{std::string(1, '\0') + record_,
                                                   std::string(1, '\0') + record_}));
}

TEST_F(OutputTest, FinishWaitsForARecordBeingWritten) {
  ops_.write_gate().Close();
  std::thread collector([&] { EXPECT_TRUE(Append(record_).ok()); });
  ASSERT_TRUE(WaitUntil([&] { return ops_.write_gate().waiting() == 1; }));
  output_->Finish(In(std::chrono::milliseconds(5)));
  EXPECT_EQ(FilesBelow(directory_, ".capture").size(), 0U) << "the record is not in it yet";
  ops_.write_gate().Open();
  collector.join();
  EXPECT_EQ(Files(), "1+0") << "finished once the record was in it";
  ASSERT_TRUE(Append(record_).ok());
  EXPECT_EQ(Files(), "1+1") << "nobody asked for the next file";
}

TEST_F(OutputTest, FinishReturnsOnceTheKeeperHasTheFile) {
  for (int i = 1; i <= 50; ++i) {
    ops_.write_gate().Close();
    std::thread collector([&] { EXPECT_TRUE(Append(record_).ok()); });
    ASSERT_TRUE(WaitUntil([&] { return ops_.write_gate().waiting() == 1; }));
    std::thread opener([&] { ops_.write_gate().Open(); });
    output_->Finish(PatienceEnds());
    EXPECT_EQ(Files(), absl::StrCat(i, "+0"));
    opener.join();
    collector.join();
  }
}

TEST_F(OutputTest, RefusesRecordsOnceClosed) {
  ASSERT_TRUE(Append(record_).ok());
  output_->Close(PatienceEnds());
  EXPECT_EQ(Append(record_).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Files(), "1+0");
  output_->Close(PatienceEnds());
  EXPECT_EQ(*finished_, 1U);
}

TEST_F(OutputTest, CloseDoesNotWaitForAWriteThatHangs) {
  ops_.write_gate().Close();
  std::thread collector([&] { EXPECT_TRUE(Append(record_).ok()); });
  ASSERT_TRUE(WaitUntil([&] { return ops_.write_gate().waiting() == 1; }));
  output_->Close(MonotonicTime::min());
  ops_.write_gate().Open();
  collector.join();
  EXPECT_EQ(Files(), "1+0") << "whoever was writing publishes the file";
}

TEST_F(OutputTest, LosesNothingToFlushesAtAnyMoment) {
  constexpr int kRecords = 500;
  Limit(200);
  std::atomic<bool> done{false};
  std::thread flusher([&] {
    while (!done) output_->Finish(PatienceEnds());
  });
  std::string expected;
  for (int i = 0; i < kRecords; ++i) {
    const std::string record = absl::StrCat("<", 1000 + i, ">");
    EXPECT_TRUE(Append(record).ok());
    expected += record;
  }
  done = true;
  flusher.join();
  Finish();
  std::string all;
  for (const std::string& content : Published()) all += content.substr(1);
  EXPECT_EQ(all, expected);
  EXPECT_EQ(*finished_, Published().size());
}

}  // namespace
}  // namespace datamanager::capture
