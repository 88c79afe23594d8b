// Uploads that an embedder asks the manager for.
#include "tests/integration/world.h"

namespace datamanager::testing {
namespace {

class UploadCallTest : public World {
 protected:
  UploadCallTest() { config_.sync_disabled = true; }
};

TEST_F(UploadCallTest, AnImageMustBeWhatItsTypeSays) {
  Start();
  const std::string png = "\x89PNG\r\n\x1a\nrest";
  const std::string jpeg = "\xff\xd8\xff\xe0rest";
  EXPECT_TRUE(IsOk(manager_->UploadImageToDatasets(png, {.dataset_ids = {"d"}}, "image/png")));
  EXPECT_TRUE(IsOk(manager_->UploadImageToDatasets(jpeg, {.tags = {"t"}}, "image/jpeg")));
  for (const std::string type : {"image/gif", "image/jpg", ""}) {
    const absl::Status status = manager_->UploadImageToDatasets(png, {}, type);
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_EQ(status.message(), "mime type must be either png or jpeg for images");
  }
  EXPECT_TRUE(absl::IsInvalidArgument(manager_->UploadImageToDatasets(jpeg, {}, "image/png")));
  EXPECT_TRUE(absl::IsInvalidArgument(manager_->UploadImageToDatasets("", {}, "image/jpeg")));
  const std::vector<ingest::Received> files = ArrivedFiles();
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(Blob(files[0]), png);
  EXPECT_TRUE(files[0].file_name.ends_with(".png"));
  EXPECT_TRUE(files[1].file_name.ends_with(".jpeg"));
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
}

TEST_F(UploadCallTest, ATreeArrivesAndIsRemoved) {
  Start();
  WriteFile(Path("tree/a.txt"), "a");
  WriteFile(Path("tree/dataset=d2/b.txt"), "b");
  const UploadedFiles result =
      manager_->UploadDataFromPath(Path("tree"), {.tags = {"t"}, .dataset_ids = {"d1"}});
  EXPECT_TRUE(IsOk(result.status));
  EXPECT_EQ(result.files_uploaded, 2U);
  EXPECT_EQ(result.bytes_uploaded, 2U);
  ASSERT_EQ(result.ids.size(), 2U);
  EXPECT_FALSE(result.ids[0].empty());
  EXPECT_EQ(FilesBelow(Path("tree")), std::vector<std::string>{});
  std::vector<std::string> datasets;
  for (const ingest::Received& file : ArrivedFiles()) datasets.push_back(file.dataset_ids);
  std::sort(datasets.begin(), datasets.end());
  EXPECT_EQ(datasets, (std::vector<std::string>{R"(["d1","d2"])", R"(["d1"])"}));
}

TEST_F(UploadCallTest, FlushPublishesWhatWasCaptured) {
  AddSensor("s", 200);
  MakeManager(/*with_cloud=*/false);
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(WaitForCaptured("s", 3));
  EXPECT_TRUE(IsOk(manager_->Flush()));
  EXPECT_GE(OnDisk(".capture").size(), 1U);
}

TEST_F(UploadCallTest, WhatCannotBeAnsweredSaysWhy) {
  MakeManager(/*with_cloud=*/false);
  // No config yet: nowhere to put anything.
  EXPECT_TRUE(absl::IsFailedPrecondition(manager_->UploadBinaryDataToDatasets("x", {}, "")));
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_TRUE(absl::IsFailedPrecondition(manager_->UploadDataFromPath(Path("x")).status));
  std::atomic<int> refused = 0;
  sources_.AddReadings(kSensor, "caller", [&](const CaptureRequest&, Readings& out) {
    const std::vector<absl::Status> answers = {manager_->Flush(),
                                               manager_->UploadBinaryDataToDatasets("x", {}, ""),
                                               manager_->UploadDataFromPath(Path("x")).status};
    refused = static_cast<int>(
        std::count_if(answers.begin(), answers.end(), [](const absl::Status& status) {
          return absl::IsFailedPrecondition(status) &&
                 Has({status.message().data(), status.message().size()}, "from inside a source");
        }));
    out.Set("x", 1);
    return absl::OkStatus();
  });
  AddCollector("caller", 100);
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_TRUE(WaitUntil([&] { return refused == 3; }));
  ASSERT_TRUE(IsOk(manager_->Close()));
  EXPECT_TRUE(absl::IsFailedPrecondition(manager_->Flush()));
  EXPECT_TRUE(absl::IsFailedPrecondition(manager_->UploadBinaryDataToDatasets("x", {}, "")));
  EXPECT_TRUE(absl::IsFailedPrecondition(manager_->UploadDataFromPath(Path("x")).status));
}

TEST_F(UploadCallTest, CloseEndsThemAndTheNextRunUploads) {
  options_.close_timeout = 0ms;
  Start();
  server_->SetFaults({.stall = 1});
  std::thread call([&] {
    const absl::Status status =
        manager_->UploadBinaryDataToDatasets("x", {.dataset_ids = {"d"}}, "video/mp4");
    EXPECT_TRUE(HasCode(absl::StatusCode::kCancelled, status));
    EXPECT_TRUE(Has({status.message().data(), status.message().size()}, "it is on disk"));
  });
  EXPECT_TRUE(WaitUntil([&] { return Uploads().uploading == 1; }));
  EXPECT_TRUE(IsOk(manager_->Close()));
  call.join();
  server_->SetFaults({});
  MakeManager();
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_TRUE(IsOk(SyncAll()));
  ASSERT_EQ(ArrivedFiles().size(), 1U);
  EXPECT_EQ(ArrivedFiles()[0].dataset_ids, R"(["d"])");
  EXPECT_TRUE(ArrivedFiles()[0].file_name.ends_with(".mp4"));
}

}  // namespace
}  // namespace datamanager::testing
