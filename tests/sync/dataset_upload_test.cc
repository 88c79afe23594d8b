// Uploads to datasets: what is on disk when, what the caller is told, and what becomes of the rest.
#include <gtest/gtest.h>
#include <sys/file.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "base/strings.h"
#include "sync/dataset_file.h"
#include "sync/disk.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using testing::FaultyFileOps;

class DatasetUploadTest : public SyncFixture {
 protected:
  DatasetUploadTest() { config_.tags = {"config"}; }

  absl::Status Upload(const std::string& data = "bytes", UploadOptions options = {}) {
    return sync_->UploadToDatasets(data, labels_, "image/png", options);
  }
  std::future<absl::Status> UploadInBackground(UploadOptions options = {}) {
    return std::async(std::launch::async, [this, options] { return Upload("bytes", options); });
  }
  std::vector<std::string> Waiting() const { return FilesBelow(captured_ + "/datasetUpload"); }
  // The only call that was stored.
  UploadCall Stored() const {
    const std::vector<UploadCall> stored = server_->stored();
    EXPECT_EQ(stored.size(), 1U);
    return stored.empty() ? UploadCall{} : stored[0];
  }
  void ExpectWhatWasAskedFor(const UploadCall& call) const {
    EXPECT_EQ(call.method, UploadMethod::kFileUpload);
    EXPECT_TRUE(call.well_formed);
    EXPECT_EQ(call.contents, "bytes");
    EXPECT_EQ(call.metadata.part_id(), "part-1");
    EXPECT_EQ(call.metadata.type(), wire::DATA_TYPE_FILE);
    EXPECT_EQ(call.metadata.mime_type(), "image/png");
    EXPECT_EQ(call.metadata.file_extension(), ".png");
    EXPECT_TRUE(call.metadata.has_file_create_time());
    EXPECT_TRUE(call.metadata.has_file_modify_time());
    EXPECT_TRUE(call.metadata.file_name().starts_with(captured_ + "/datasetUpload/"));
    EXPECT_TRUE(call.metadata.file_name().ends_with(".png"));
    EXPECT_EQ(std::vector<std::string>(call.metadata.tags().begin(), call.metadata.tags().end()),
              labels_.tags);
    EXPECT_EQ(std::vector<std::string>(call.metadata.dataset_ids().begin(),
                                       call.metadata.dataset_ids().end()),
              labels_.dataset_ids);
  }
  static bool Says(const absl::Status& status, absl::StatusCode code, std::string_view text) {
    return status.code() == code && ToStd(status.message()).find(text) != std::string_view::npos;
  }

  // What no directory's name could carry.
  UploadLabels labels_{.tags = {"a/b", " spaces ", "\xc3\xa9", std::string(300, 'x')},
                       .dataset_ids = {"dataset=1", ".."}};
};

TEST_F(DatasetUploadTest, IsOkOnceItIsStoredWithWhatWasAskedFor) {
  Start();
  const absl::Status status = Upload();
  EXPECT_TRUE(status.ok()) << status;
  ExpectWhatWasAskedFor(Stored());
  EXPECT_EQ(OnDisk(), "");
  EXPECT_EQ(sync_->Stats().arbitrary.files, 1U);
}

TEST_F(DatasetUploadTest, IsDurablyOnDiskBeforeAnythingIsSent) {
  FaultyFileOps ops;
  options_.ops = &ops;
  std::vector<std::string> before;
  server_->OnCall([&](const UploadCall&) {
    before = ops.journal();
    return absl::OkStatus();
  });
  config_.scheduled = false;
  Start();
  ASSERT_TRUE(Upload().ok());
  ASSERT_GE(before.size(), 7U);
  const std::string name = before[4].substr(before[4].rfind(' ') + 1);
  EXPECT_TRUE(name.ends_with(".png.upload.0.prog")) << name;
  EXPECT_EQ(before[0], "flush directory captured");  // Has the directory's name.
  EXPECT_TRUE(before[1].starts_with("write ") && before[2] == "write 5") << Join(before, "\n");
  EXPECT_EQ(before[3], "flush " + name);
  EXPECT_EQ(before[4], "rename " + name);
  EXPECT_EQ(before[5], "flush directory datasetUpload");
  EXPECT_EQ(before[6], "flush directory captured");
  Close();  // Before what it works on.
}

TEST_F(DatasetUploadTest, AFullDiskIsReportedToWhatMakesRoom) {
  FaultyFileOps ops;
  options_.ops = &ops;
  ops.Fail(FaultyFileOps::Call::kWrite, EDQUOT, 1, ".prog");
  Start();
  EXPECT_FALSE(Upload().ok());
  EXPECT_EQ(sync_->context()->disk_full.Take(), ENOSPC);
  EXPECT_TRUE(Upload().ok());
  EXPECT_EQ(sync_->context()->disk_full.Take(), 0);
  Close();  // Closed before the objects that it uses.
}

TEST_F(DatasetUploadTest, OfflineItSaysSoAndIsUploadedWhenTheConnectionIsBack) {
  server_->SetReady(false);
  Start();
  const absl::Status status = Upload();
  EXPECT_TRUE(Says(status, absl::StatusCode::kUnavailable, "not connected to the cloud")) << status;
  EXPECT_TRUE(Says(status, status.code(), "it is on disk and will be uploaded")) << status;
  EXPECT_EQ(Waiting().size(), 1U);
  server_->SetReady(true);
  RunUntilIdle();
  ExpectWhatWasAskedFor(Stored());
  EXPECT_EQ(OnDisk(), "");
}

TEST_F(DatasetUploadTest, WithoutSchedulesItSaysThatSyncUploadsIt) {
  config_.scheduled = false;
  server_->SetReady(false);
  Start();
  const absl::Status status = Upload();
  EXPECT_TRUE(Says(status, absl::StatusCode::kUnavailable, "the next call of Sync uploads it"));
  server_->SetReady(true);
  EXPECT_TRUE(SyncNow().ok());
  ExpectWhatWasAskedFor(Stored());
}

TEST_F(DatasetUploadTest, ARestartUploadsWhatWaitedWithTheSameLabels) {
  server_->SetReady(false);
  Start();
  EXPECT_TRUE(absl::IsUnavailable(Upload()));
  Close();
  server_->SetReady(true);
  config_.tags = {"another config"};
  Start();
  RunUntilIdle();
  ExpectWhatWasAskedFor(Stored());
}

TEST_F(DatasetUploadTest, AFailureIsTheServersAndIsTriedAgain) {
  Start();
  server_->FailNext(1, absl::StatusCode::kPermissionDenied);
  const absl::Status status = Upload();
  EXPECT_TRUE(Says(status, absl::StatusCode::kPermissionDenied, "the server says no")) << status;
  EXPECT_TRUE(Says(status, status.code(), "it is on disk and will be uploaded")) << status;
  impatient_ = true;
  RunUntilIdle();
  ExpectWhatWasAskedFor(Stored());
}

TEST_F(DatasetUploadTest, ALostReplyIsStoredOnceAlsoIfTheCallerAsksAgain) {
  config_.scheduled = false;
  Start();
  server_->LoseNextReplies(1);
  EXPECT_TRUE(absl::IsUnavailable(Upload()));
  // The same again, which waits for its retry, unless that was quicker.
  EXPECT_TRUE(Upload().ok());
  EXPECT_EQ(OnDisk(), "");
  EXPECT_TRUE(Upload().ok());
  EXPECT_EQ(server_->stored_count(), 1U);
  EXPECT_GE(server_->repeats(), 2U);
}

TEST_F(DatasetUploadTest, ACallerThatAsksAgainWhileItWaitsGetsNoSecondFile) {
  server_->SetReady(false);
  Start();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(absl::IsUnavailable(Upload()));
  EXPECT_EQ(Waiting().size(), 1U);
  // Other labels are another upload.
  labels_.dataset_ids = {"other"};
  EXPECT_TRUE(absl::IsUnavailable(Upload()));
  EXPECT_EQ(Waiting().size(), 2U);
  server_->SetReady(true);
  RunUntilIdle();
  EXPECT_EQ(server_->stored_count(), 2U);
}

TEST_F(DatasetUploadTest, ManyAtOnceStoreTheSameOnceAndAllSaySo) {
  Start();
  server_->Block();
  std::vector<std::future<absl::Status>> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(UploadInBackground());
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1 && Waiting().size() == 1; }));
  server_->Release();
  for (auto& call : calls) EXPECT_TRUE(call.get().ok());
  // A call that came when the first was through is an upload of its own.
  EXPECT_GE(server_->stored_count(), 1U);
  EXPECT_EQ(OnDisk(), "");
}

// The name is used again as soon as it is free, by calls that know nothing of each other.
TEST_F(DatasetUploadTest, CallsOfTheSameInTurnsAndAtOnceAreAllOk) {
  Start();
  std::vector<std::future<int>> callers;
  for (int i = 0; i < 4; ++i) {
    callers.push_back(std::async(std::launch::async, [this] {
      int failed = 0;
      for (int j = 0; j < 50; ++j) {
        const absl::Status status = Upload();
        if (!status.ok() && failed++ == 0) ADD_FAILURE() << status;
      }
      return failed;
    }));
  }
  for (auto& caller : callers) EXPECT_EQ(caller.get(), 0);
  EXPECT_EQ(OnDisk(), "");
}

TEST_F(DatasetUploadTest, WhatAnotherProcessHasIsWaitedForAndThenNothingIsKnownOfIt) {
  config_.scheduled = false;  // Only the call looks at it.
  server_->SetReady(false);
  Start();
  EXPECT_TRUE(absl::IsUnavailable(Upload()));
  const std::string path = captured_ + "/datasetUpload/" + Waiting()[0];
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(flock(fd.get(), LOCK_EX | LOCK_NB), 0);
  server_->SetReady(true);
  auto call = UploadInBackground();
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().waiting_busy == 1; }));
  std::filesystem::remove(path);
  fd.Reset();
  const absl::Status status = call.get();
  EXPECT_TRUE(Says(status, absl::StatusCode::kAborted, "somebody else has taken it")) << status;
  EXPECT_EQ(server_->call_count(), 0U);
}

TEST_F(DatasetUploadTest, ARefusalIsToldAndSetAsideAndCanBePutBack) {
  config_.scheduled = false;
  Start();
  server_->FailNext(1, absl::StatusCode::kInvalidArgument);
  const absl::Status status = Upload();
  EXPECT_TRUE(Says(status, absl::StatusCode::kInvalidArgument, "it is under failed/")) << status;
  EXPECT_EQ(Waiting().size(), 0U);
  EXPECT_EQ(FilesBelow(captured_ + "/failed/datasetUpload").size(), 1U);
  // Refused again, beside it, it gets a number, and gives that up as it is put back.
  server_->FailNext(1, absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::IsInvalidArgument(Upload()));
  EXPECT_EQ(FilesBelow(captured_ + "/failed/datasetUpload").size(), 2U);
  std::filesystem::remove(captured_ + "/failed/datasetUpload/" +
                          FilesBelow(captured_ + "/failed/datasetUpload")[0]);

  Disk disk(sync_->context());
  ASSERT_TRUE(disk.Reconfigure(config_, {}, In(std::chrono::seconds(5))).ok());
  const auto retried = disk.RetryFailed();
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(retried->moved, 1U) << Join(retried->errors);
  EXPECT_TRUE(SyncNow().ok());
  ExpectWhatWasAskedFor(Stored());
  EXPECT_EQ(OnDisk(), "");
  EXPECT_TRUE(disk.Close(testing::PatienceEnds()).ok());
}

TEST_F(DatasetUploadTest, ACancelledCallLeavesItToTheBackground) {
  Start();
  server_->Block();
  std::stop_source stop;
  auto call = UploadInBackground({.stop = stop.get_token()});
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  stop.request_stop();
  const absl::Status status = call.get();
  EXPECT_TRUE(Says(status, absl::StatusCode::kCancelled, "the call was cancelled; it is on disk"))
      << status;
  server_->Release();
  RunUntilIdle();
  ExpectWhatWasAskedFor(Stored());
}

TEST_F(DatasetUploadTest, ADeadlineEndsTheCallAndNotTheUpload) {
  Start();
  server_->Block();
  const absl::Status status =
      Upload("bytes", {.deadline = clock_.MonotonicNow() + std::chrono::milliseconds(50)});
  EXPECT_TRUE(Says(status, absl::StatusCode::kDeadlineExceeded, "it is on disk")) << status;
  server_->Release();
  RunUntilIdle();
  ExpectWhatWasAskedFor(Stored());
}

TEST_F(DatasetUploadTest, ClosingAndAnewConfigEndTheCall) {
  for (const bool close : {true, false}) {
    Start();
    server_->Block();
    auto call = UploadInBackground();
    EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
    config_.workers = 3;
    if (close) {
      EXPECT_TRUE(sync_->Close(In(std::chrono::seconds(5))).ok());
    } else {
      Reconfigure();
    }
    const absl::Status status = call.get();
    EXPECT_TRUE(Says(status, absl::StatusCode::kCancelled, "sync was stopped; it is on disk"))
        << status;
    EXPECT_EQ(Waiting().size(), 1U);
    server_->Release();
    config_.workers = 2;
  }
  RunUntilIdle();
  ExpectWhatWasAskedFor(Stored());
}

TEST_F(DatasetUploadTest, WhatMakesNoSenseIsRefusedAndNotWritten) {
  Start();
  EXPECT_TRUE(Says(Upload(""), absl::StatusCode::kInvalidArgument, "binary_data is empty"));
  labels_ = {.tags = {"a", "\xff"}};
  EXPECT_TRUE(Says(Upload(), absl::StatusCode::kInvalidArgument, "tags[1] is not UTF-8"));
  labels_ = {.dataset_ids = {""}};
  EXPECT_TRUE(Says(Upload(), absl::StatusCode::kInvalidArgument, "dataset_ids[0] is empty"));
  labels_ = {.tags = {std::string(2 << 20, 'x')}};
  EXPECT_TRUE(Says(Upload(), absl::StatusCode::kInvalidArgument, "the limit is 1048576"));
  EXPECT_EQ(server_->call_count(), 0U);
  EXPECT_FALSE(std::filesystem::exists(captured_ + "/datasetUpload"));
}

TEST_F(DatasetUploadTest, WithoutACloudNothingIsWritten) {
  options_.uploader = nullptr;
  Start();
  EXPECT_TRUE(
      Says(Upload(), absl::StatusCode::kFailedPrecondition, "the robot is not cloud managed"));
  EXPECT_FALSE(std::filesystem::exists(captured_ + "/datasetUpload"));
}

TEST_F(DatasetUploadTest, BeforeTheFirstConfigNothingIsWritten) {
  sync_ = std::make_unique<Sync>(options_);
  EXPECT_TRUE(Says(Upload(), absl::StatusCode::kFailedPrecondition, "sync is not running"));
  EXPECT_FALSE(std::filesystem::exists(captured_ + "/datasetUpload"));
}

TEST_F(DatasetUploadTest, ADiskThatFailsIsToldAndLeavesNothing) {
  FaultyFileOps ops;
  options_.ops = &ops;
  config_.scheduled = false;
  Start();
  using Call = FaultyFileOps::Call;
  for (const Call call : {Call::kOpen, Call::kWrite, Call::kFdatasync, Call::kRename}) {
    ops.Fail(call, ENOSPC, 1, ".prog");
    const absl::Status status = Upload();
    EXPECT_TRUE(Says(status, absl::StatusCode::kResourceExhausted, "put the upload on disk"))
        << static_cast<int>(call) << ": " << status;
    EXPECT_EQ(Waiting().size(), 0U);
    ops.Heal();
  }
  EXPECT_EQ(server_->call_count(), 0U);
  // A short write is no error.
  ops.CutWrites(1);
  EXPECT_TRUE(Upload().ok());
  ExpectWhatWasAskedFor(Stored());
  Close();  // Before what it works on.
}

TEST_F(DatasetUploadTest, WhatADeadProcessHadBegunIsRemovedAndWhatALivingOneWritesIsNot) {
  const std::string name = std::string(32, 'a') + ".png.upload";
  const std::string dead = captured_ + "/datasetUpload/" + name + ".0.prog";
  const std::string living = captured_ + "/datasetUpload/" + name + ".1.prog";
  const std::string other = captured_ + "/datasetUpload/notes.0.prog";
  for (const std::string& path : {dead, living, other}) WriteFile(path, "half");
  const UniqueFd fd(open(living.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(flock(fd.get(), LOCK_EX | LOCK_NB), 0);
  Start();
  EXPECT_TRUE(Logged("which a dead process had begun to write"));
  RunForSomePasses();
  EXPECT_FALSE(std::filesystem::exists(dead));
  EXPECT_TRUE(std::filesystem::exists(living));
  EXPECT_TRUE(std::filesystem::exists(other));
  EXPECT_EQ(server_->call_count(), 0U);
}

TEST_F(DatasetUploadTest, WhatIsDamagedIsSetAsideAndNeverSent) {
  const std::vector<std::string> damaged = {"", std::string(100, '\0'),
                                            "\x05"
                                            "abcde",
                                            "garbage", std::string("\x02\x30\x03", 3)};
  for (size_t i = 0; i < damaged.size(); ++i) {
    const std::string name = std::string(31, '0') + std::to_string(i) + ".upload";
    WriteFile(captured_ + "/datasetUpload/" + name, damaged[i]);
  }
  Start();
  RunUntilIdle();
  EXPECT_EQ(server_->call_count(), 0U);
  EXPECT_EQ(FilesBelow(captured_ + "/failed/datasetUpload").size(), damaged.size());
}

TEST_F(DatasetUploadTest, WhatTheReferenceLeftThereStaysThere) {
  const std::string theirs = captured_ + "/datasetUpload/0a1b2c3d-0000-4000-8000-000000000000.jpg";
  const std::string deeper = captured_ + "/datasetUpload/x/" + std::string(32, 'a') + ".upload";
  WriteFile(theirs, "x");
  WriteFile(deeper, "x");
  SetAge(theirs, std::chrono::hours(1));
  Start();
  RunForSomePasses();
  EXPECT_EQ(server_->call_count(), 0U);
  EXPECT_EQ(Waiting().size(), 2U);
}

TEST_F(DatasetUploadTest, IsCountedAsWaitingAndLeavesWithItsFormerDirectory) {
  server_->SetReady(false);
  Start();
  EXPECT_TRUE(absl::IsUnavailable(Upload()));
  Disk disk(sync_->context());
  ASSERT_TRUE(disk.Reconfigure(config_, {}, In(std::chrono::seconds(5))).ok());
  ASSERT_TRUE(WaitUntil([&] { return disk.Stats().looks == 1; }));
  ASSERT_EQ(disk.Stats().directories.size(), 2U);
  EXPECT_EQ(disk.Stats().directories[0].waiting.files, 1U);
  EXPECT_TRUE(disk.Stats().directories[0].oldest_waiting.has_value());
  // The capture directory moves away; what waits in the former one is uploaded from there.
  config_.capture_directory = dir_.path() + "/moved";
  ASSERT_TRUE(disk.Reconfigure(config_, {}, In(std::chrono::seconds(5))).ok());
  Reconfigure();
  server_->SetReady(true);
  EXPECT_TRUE(WaitUntil([&] { return server_->stored_count() == 1; }));
  ExpectWhatWasAskedFor(Stored());
}

TEST(DatasetFileTest, TheSameBytesWithTheSameLabelsHaveOneName) {
  const auto name = [](std::string_view contents, const UploadLabels& labels,
                       std::string_view mime_type) {
    const auto file = DatasetFile::Make(contents, labels, mime_type);
    EXPECT_TRUE(file.ok()) << file.status();
    return file.ok() ? file->name() : "";
  };
  const std::string first = name("x", {{"a"}, {"b"}}, "image/jpeg");
  EXPECT_EQ(first.substr(32), ".jpeg.upload");
  EXPECT_EQ(name("x", {{"a", "a"}, {"b"}}, "image/jpeg"), first);
  EXPECT_NE(name("y", {{"a"}, {"b"}}, "image/jpeg"), first);
  EXPECT_NE(name("x", {{"b"}, {"a"}}, "image/jpeg"), first);
  EXPECT_NE(name("x", {{"a"}, {"b"}}, "image/png"), first);
  EXPECT_EQ(name("x", {}, "").substr(32), ".upload");
  EXPECT_EQ(name("x", {}, "text/plain").substr(32), ".upload");
  EXPECT_EQ(name("x", {}, "pointcloud/pcd").substr(32), ".pcd.upload");
  EXPECT_EQ(name("x", {}, "video/mp4").substr(32), ".mp4.upload");
}

}  // namespace
}  // namespace datamanager::sync
