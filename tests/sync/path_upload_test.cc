// Uploads from a path that a call names.
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/blocking_uploader.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

class PathUploadTest : public SyncFixture {
 protected:
  PathUploadTest() {
    config_.tags = {"config"};
    config_.scheduled = false;
  }
  std::string Put(const std::string& name, const std::string& bytes) {
    std::string path = tree_ + "/" + name;
    WriteFile(path, bytes);
    return path;
  }
  UploadedFiles Upload(const std::string& path, UploadOptions options = {}) {
    return sync_->UploadPath(path, {.tags = {"t1"}, .dataset_ids = {"d1"}}, options);
  }
  std::string Left() const { return Join(FilesBelow(tree_)); }
  static std::vector<std::string> List(
      const google::protobuf::RepeatedPtrField<std::string>& list) {
    return {list.begin(), list.end()};
  }

  const std::string tree_ = dir_.path() + "/tree";
};

TEST_F(PathUploadTest, TheSameBytesAreStoredOnceForEachSetOfLabels) {
  Start();
  const auto upload = [this](const UploadLabels& labels) {
    const std::string path = Put("a.log", "hello");
    EXPECT_TRUE(sync_->UploadPath(path, labels, {}).status.ok());
    EXPECT_FALSE(std::filesystem::exists(path));
    return server_->stored_count();
  };
  EXPECT_EQ(upload({.tags = {"t"}, .dataset_ids = {"d1"}}), 1U);
  EXPECT_EQ(upload({.tags = {"t"}, .dataset_ids = {"d1"}}), 1U);
  EXPECT_EQ(upload({.tags = {"t"}, .dataset_ids = {"d2"}}), 2U);
  EXPECT_EQ(upload({.tags = {"t", "d1"}}), 3U);
  EXPECT_EQ(upload({.tags = {"t"}}), 4U);
}

TEST_F(PathUploadTest, OfAFileItsBytesArriveWithTheLabelsAskedForAndThoseOfItsPath) {
  const std::string path = Put("tag=red/dataset=d2/new.log", "hello");
  Start();
  const UploadedFiles result = Upload(path);
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.files_uploaded, 1U);
  EXPECT_EQ(result.files_failed, 0U);
  EXPECT_EQ(result.bytes_uploaded, 5U);
  EXPECT_EQ(result.bytes_total, 5U);
  ASSERT_EQ(server_->stored_count(), 1U);
  const UploadCall call = server_->stored()[0];
  EXPECT_EQ(call.contents, "hello");
  EXPECT_EQ(call.metadata.file_name(), path);
  EXPECT_EQ(call.metadata.file_extension(), ".log");
  EXPECT_EQ(List(call.metadata.tags()), (std::vector<std::string>{"t1", "red"}));
  EXPECT_EQ(List(call.metadata.dataset_ids()), (std::vector<std::string>{"d1", "d2"}));
  EXPECT_EQ(result.ids, std::vector<std::string>{"id-" + call.key});
  EXPECT_EQ(Left(), "");
  EXPECT_TRUE(Logged("info: uploaded " + path + ": 5 Bytes in "));
}

// As many files as there may be: the server gets no request for each of them.
TEST_F(PathUploadTest, AServerThatFailsOneAfterAnotherEndsTheCall) {
  for (int i = 0; i < 60; ++i)
    Put("dir" + std::to_string(i % 3) + "/" + std::to_string(i), "12345");
  Start();
  server_->OnCall([](const UploadCall&) { return absl::ResourceExhaustedError("slow down"); });
  const UploadedFiles failed = Upload(tree_);
  EXPECT_TRUE(absl::IsUnavailable(failed.status)) << failed.status;
  EXPECT_NE(failed.status.message().find("uploads rest"), std::string::npos) << failed.status;
  const size_t calls = server_->call_count();
  EXPECT_EQ(failed.files_failed, calls);
  // The pause of all uploads needs a failure from a second directory.
  EXPECT_LE(calls, CircuitBreaker::kLimit + 1);
  EXPECT_EQ(Upload(tree_).files_failed, 0U) << "while uploads rest";
  EXPECT_EQ(server_->call_count(), calls);

  server_->OnCall(nullptr);
  clock_.Advance(std::chrono::seconds(2));
  const UploadedFiles stored = Upload(tree_);
  EXPECT_TRUE(stored.status.ok()) << stored.status;
  EXPECT_EQ(stored.files_uploaded, 60U);
  EXPECT_EQ(Left(), "");
}

TEST_F(PathUploadTest, FilesThatAreRefusedPauseNoOthers) {
  for (int i = 0; i < 60; ++i)
    Put("dir" + std::to_string(i % 3) + "/" + std::to_string(i), "12345");
  Start();
  server_->OnCall([](const UploadCall&) { return absl::InvalidArgumentError("no"); });
  const UploadedFiles refused = Upload(tree_);
  EXPECT_TRUE(refused.status.ok()) << refused.status;
  EXPECT_EQ(refused.files_failed, 60U);
  EXPECT_TRUE(sync_->Stats().paused.empty());
  server_->OnCall(nullptr);
}

TEST_F(PathUploadTest, OfATreeEveryFileIsUploadedButWhatADataManagerKeeps) {
  for (const std::string name : {"a.txt", "failed/b.txt", "deep/er/c.txt"}) Put(name, "12345");
  const std::vector<std::string> kept = {"capture/2026.prog", "sequences/x.progseq",
                                         "sequences/x.seq", "x.capture",
                                         "datasetUpload/" + std::string(32, 'a') + ".upload"};
  for (const std::string& name : kept) Put(name, "kept");
  Put("datasetUpload/mine.txt", "12345");
  Start();
  const UploadedFiles result = Upload(tree_ + "/");
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.files_uploaded, 4U);
  EXPECT_EQ(result.files_failed, 0U);
  EXPECT_EQ(result.bytes_uploaded, 20U);
  EXPECT_EQ(result.ids.size(), 4U);
  EXPECT_EQ(Uploaded(), "a.txt b.txt c.txt mine.txt");
  EXPECT_EQ(FilesBelow(tree_).size(), kept.size());
  EXPECT_TRUE(Logged("warning: skipping file managed by data capture: "));
  EXPECT_TRUE(Logged(" and 4 more below "));
}

TEST_F(PathUploadTest, AFileThatFailsIsCountedStaysAndDoesNotEndTheRest) {
  Put("1.txt", "one");
  Put("2.txt", "two");
  Put("3.txt", "");
  const std::string open = Put("4.txt", "four");
  const UniqueFd writer(::open(open.c_str(), O_WRONLY | O_CLOEXEC));
  server_->OnCall([](const UploadCall& call) {
    return call.contents == "two" ? absl::InvalidArgumentError("never") : absl::OkStatus();
  });
  Start();
  const UploadedFiles result = Upload(tree_);
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.files_uploaded, 1U);
  EXPECT_EQ(result.files_failed, 3U);
  EXPECT_EQ(result.bytes_uploaded, 3U);
  EXPECT_EQ(result.bytes_total, 10U);
  const std::string errors = Join(result.errors, "\n");
  EXPECT_NE(errors.find("/2.txt: INVALID_ARGUMENT: never"), std::string::npos) << errors;
  EXPECT_NE(errors.find("/3.txt: INVALID_ARGUMENT: file is empty (0 bytes)"), std::string::npos);
  EXPECT_NE(errors.find("is open for writing elsewhere"), std::string::npos) << errors;
  EXPECT_EQ(Left(), "2.txt 3.txt 4.txt");
  // One try each.
  EXPECT_EQ(server_->call_count(), 2U);
  EXPECT_EQ(sync_->Stats().waiting_retries, 0U);
}

TEST_F(PathUploadTest, FollowsNoLinkAndNeverLeavesItsTree) {
  const std::string secret = dir_.path() + "/secret/passwords.txt";
  WriteFile(secret, "secret");
  Put("a.txt", "a");
  std::filesystem::create_symlink(secret, tree_ + "/link.txt");
  std::filesystem::create_symlink(dir_.path() + "/secret", tree_ + "/links");
  std::filesystem::create_symlink(dir_.path() + "/nowhere", tree_ + "/broken");
  ASSERT_EQ(::mkfifo((tree_ + "/fifo").c_str(), 0600), 0);
  Start();
  EXPECT_EQ(Upload(tree_).files_uploaded, 1U);
  EXPECT_EQ(Uploaded(), "a.txt");
  EXPECT_EQ(ReadFile(secret), "secret");
  // Named itself, it is refused.
  for (const std::string name : {"/link.txt", "/broken", "/fifo"}) {
    const UploadedFiles result = Upload(tree_ + name);
    EXPECT_TRUE(absl::IsInvalidArgument(result.status)) << result.status;
  }
  EXPECT_EQ(server_->call_count(), 1U);
}

TEST_F(PathUploadTest, WhatIsNotThereOrTooMuchIsAnError) {
  Start();
  const UploadedFiles missing = Upload(tree_ + "/none");
  EXPECT_TRUE(absl::IsNotFound(missing.status));
  EXPECT_NE(missing.status.message().find("failed to stat file path " + tree_ + "/none"),
            absl::string_view::npos);
  EXPECT_TRUE(absl::IsInvalidArgument(Upload("/").status));
  EXPECT_TRUE(absl::IsInvalidArgument(Upload("/tmp/..").status));
  EXPECT_TRUE(absl::IsNotFound(Upload("").status));
  EXPECT_TRUE(absl::IsInvalidArgument(
      sync_->UploadPath(tree_, {.tags = {""}, .dataset_ids = {}}, {}).status));
}

TEST_F(PathUploadTest, WithoutACloudOrAConnectionItSaysSo) {
  Put("a.txt", "a");
  server_->SetReady(false);
  Start();
  const UploadedFiles offline = Upload(tree_);
  EXPECT_TRUE(absl::IsUnavailable(offline.status)) << offline.status;
  EXPECT_EQ(offline.files_failed, 0U);
  Close();
  options_.uploader = nullptr;
  Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(Upload(tree_).status));
  EXPECT_EQ(Left(), "a.txt");
}

// What was done by then is told.
TEST_F(PathUploadTest, AConnectionThatIsLostMeanwhileEndsItWithTheCounts) {
  for (int i = 0; i < 5; ++i) Put(std::to_string(i) + ".txt", "x");
  server_->OnCall([this](const UploadCall&) {
    if (server_->stored_count() == 2) server_->SetReady(false);
    return absl::OkStatus();
  });
  Start();
  const UploadedFiles result = Upload(tree_);
  EXPECT_TRUE(absl::IsUnavailable(result.status)) << result.status;
  EXPECT_NE(result.status.message().find("2 files were uploaded, 1 failed"),
            absl::string_view::npos)
      << result.status;
  EXPECT_EQ(result.files_uploaded, 2U);
  EXPECT_EQ(result.ids.size(), 2U);
  EXPECT_EQ(FilesBelow(tree_).size(), 3U);
}

TEST_F(PathUploadTest, AFileThatBreaksTheConnectionDoesNotEndTheRest) {
  Put("1.txt", "1");
  Put("2.txt", "2");
  server_->LoseConnectionForAMoment(1);
  Start();
  const UploadedFiles result = Upload(tree_);
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.files_uploaded, 1U);
  EXPECT_EQ(result.files_failed, 1U);
}

TEST_F(PathUploadTest, CancelledItEndsTheUploadUnderWayAndKeepsItsFile) {
  Put("1.txt", "1");
  Start();
  server_->Block();
  std::stop_source stop;
  auto call =
      std::async(std::launch::async, [&] { return Upload(tree_, {.stop = stop.get_token()}); });
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  stop.request_stop();
  const UploadedFiles result = call.get();
  EXPECT_TRUE(absl::IsCancelled(result.status)) << result.status;
  EXPECT_EQ(result.files_uploaded + result.files_failed, 0U);
  EXPECT_EQ(server_->blocked(), 0U);
  EXPECT_EQ(Left(), "1.txt");

  const UploadedFiles late =
      Upload(tree_, {.deadline = clock_.MonotonicNow() + std::chrono::milliseconds(50)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.status)) << late.status;
  EXPECT_EQ(Left(), "1.txt");
}

TEST_F(PathUploadTest, ClosingEndsIt) {
  Put("1.txt", "1");
  Start();
  server_->Block();
  auto call = std::async(std::launch::async, [&] { return Upload(tree_); });
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  EXPECT_TRUE(sync_->Close(In(std::chrono::seconds(5))).ok());
  EXPECT_TRUE(absl::IsCancelled(call.get().status));
}

// Below an additional path both find it: whoever comes first has it.
TEST_F(PathUploadTest, AFileThatAPassHasIsUploadedOnce) {
  config_.scheduled = true;
  const std::string path = Drop("both.txt", "both");
  server_->Block();
  Start();
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  auto call = std::async(std::launch::async, [&] { return Upload(path); });
  auto other =
      std::async(std::launch::async, [&] { return Upload(files_ + "/../files/both.txt"); });
  server_->Release();
  EXPECT_EQ(call.get().files_uploaded + other.get().files_uploaded, 0U);
  EXPECT_EQ(Uploaded(), "both.txt");
  EXPECT_EQ(server_->call_count(), 1U);
}

TEST_F(PathUploadTest, ChangedMeanwhileItStays) {
  const std::string path = Put("1.txt", "before");
  server_->OnCall([&](const UploadCall&) {
    WriteFile(path, "after all");
    return absl::OkStatus();
  });
  Start();
  const UploadedFiles result = Upload(path);
  EXPECT_EQ(result.files_uploaded, 1U);
  EXPECT_NE(Join(result.errors).find("stored, but not removed"), std::string::npos);
  EXPECT_EQ(ReadFile(path), "after all");
}

TEST_F(PathUploadTest, WhatCannotBeRemovedAfterwardsIsStoredAndTold) {
  testing::FaultyFileOps ops;
  options_.ops = &ops;
  Put("1.txt", "1");
  Start();
  ops.Fail(testing::FaultyFileOps::Call::kUnlink, EROFS);
  const UploadedFiles result = Upload(tree_);
  EXPECT_EQ(result.files_uploaded, 1U);
  EXPECT_NE(Join(result.errors).find("stored, but not removed"), std::string::npos);
  EXPECT_EQ(sync_->Stats().waiting_retries, 0U);
  Close();  // Before what it works on.
}

// The real cloud, but it may throw an exception where a stream begins.
class ThrowingUploader final : public testing::BlockingUploader {
 public:
  explicit ThrowingUploader(testing::BlockingUploader& server) : server_(server) {}
  void Throw(bool throws) { throws_ = throws; }

  CallResult Unary(UploadMethod method, std::string request, const CallOptions& options) override {
    return server_.Unary(method, std::move(request), options);
  }
  std::unique_ptr<testing::BlockingStream> OpenStream(UploadMethod method,
                                                      const CallOptions& options) override {
    if (throws_) throw std::runtime_error("the transport is broken");
    return server_.OpenStream(method, options);
  }
  UploadSession NewSession() const override { return server_.NewSession(); }
  ConnectionStatus Status() const override { return server_.Status(); }
  bool Ready() const override { return server_.Ready(); }
  void RequestConnect() override { server_.RequestConnect(); }
  bool WaitUntilReady(MonotonicTime deadline, std::stop_token stop) override {
    return server_.WaitUntilReady(deadline, std::move(stop));
  }
  void SetReadyListener(std::function<void(bool ready)> listener) override {
    server_.SetReadyListener(std::move(listener));
  }

 private:
  testing::BlockingUploader& server_;
  std::atomic<bool> throws_{false};
};

// The real disk, but a read may find no memory.
class ThrowingDisk final : public FileOps {
 public:
  void Throw(bool throws) { throws_ = throws; }
  ssize_t Pread(int fd, void* data, size_t size, off_t offset) override {
    if (throws_) throw std::bad_alloc();
    return FileOps::Pread(fd, data, size, offset);
  }

 private:
  std::atomic<bool> throws_{false};
};

class ThrowingUploadTest : public PathUploadTest {
 protected:
  ThrowingUploadTest() {
    config_.workers = 1;
    config_.uploads_per_worker = 1;
  }
  // Uploads two files, of which each fails with `error`, and then the same again without a fault.
  template <typename Thrower>
  void ExpectAnErrorForEachFile(Thrower& thrower, const std::string& error) {
    const std::vector<std::string> paths = {Put("1.txt", "one"), Put("2.txt", "two")};
    Start();
    thrower.Throw(true);
    const UploadedFiles failed = Upload(tree_);
    EXPECT_TRUE(failed.status.ok()) << failed.status;
    EXPECT_EQ(failed.files_uploaded, 0U);
    EXPECT_EQ(failed.files_failed, 2U);
    const std::string errors = Join(failed.errors, "\n");
    for (const std::string& path : paths) {
      EXPECT_NE(errors.find(path + ": " + error), std::string::npos) << errors;
      EXPECT_TRUE(Logged("error: upload of " + path + ": " + error));
    }
    EXPECT_EQ(Left(), "1.txt 2.txt");
    EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().uploading == 0; }));
    EXPECT_EQ(sync_->context()->tracker.size(), 0U);

    thrower.Throw(false);
    const UploadedFiles uploaded = Upload(tree_);
    EXPECT_TRUE(uploaded.status.ok()) << uploaded.status;
    EXPECT_EQ(uploaded.files_uploaded, 2U) << Join(uploaded.errors);
    EXPECT_EQ(Left(), "");
    Close();
  }
};

TEST_F(ThrowingUploadTest, Upload_FailsItsFile_WhenTheUploaderThrows) {
  const auto uploader = std::make_shared<ThrowingUploader>(*server_);
  options_.uploader = uploader;
  ExpectAnErrorForEachFile(*uploader, "INTERNAL: the upload threw");
}

TEST_F(ThrowingUploadTest, Upload_FailsItsFile_WhenTheDiskThrows) {
  ThrowingDisk disk;
  options_.ops = &disk;
  ExpectAnErrorForEachFile(disk, "RESOURCE_EXHAUSTED: ");
}

TEST_F(ThrowingUploadTest, UploadToDatasets_Fails_WhenTheUploaderThrows) {
  const auto uploader = std::make_shared<ThrowingUploader>(*server_);
  options_.uploader = uploader;
  Start();
  uploader->Throw(true);
  const absl::Status status =
      sync_->UploadToDatasets("bytes", {.dataset_ids = {"d1"}}, "image/png", {});
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  EXPECT_NE(status.message().find("it is on disk"), std::string::npos) << status;
  uploader->Throw(false);
  EXPECT_TRUE(WaitUntil([&] { return Uploaded() != ""; }));
  Close();
}

}  // namespace
}  // namespace datamanager::sync
