#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "sync/upload_error.h"
#include "sync/uploads.h"
#include "tests/support/blocking_calls.h"
#include "tests/support/fake_uploader.h"
#include "tests/support/temp_dir.h"
#include "tests/sync/test_files.h"

namespace datamanager::sync {
namespace {

using testing::FakeUploader;
using testing::UploadCall;

class UploadArbitraryFileTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& path, const std::string& bytes) {
    WriteFile(dir_.path() + "/" + path, bytes);
    return dir_.path() + "/" + path;
  }
  UploadResult Upload(const std::string& path, FileOps& ops = FileOps::System()) {
    const auto file = LocalFile::Open(ops, Found(dir_.path(), path));
    EXPECT_TRUE(file.ok()) << file.status();
    info_ = file->info();
    const UploadContext context{.calls = *calls_,
                                .message_limit = limit_,
                                .part_id = server_.NewSession().part_id,
                                .stall_timeout = std::chrono::seconds(30),
                                .reply_timeout = std::chrono::seconds(60),
                                .tags = tags_,
                                .stop = stop_.get_token()};
    return testing::RunTask(*calls_, UploadArbitraryFile(context, *file));
  }
  UploadCall Call() {
    const std::vector<UploadCall> calls = server_.calls();
    EXPECT_EQ(calls.size(), 1U);
    return calls.empty() ? UploadCall{} : calls[0];
  }

  testing::TempDir dir_;
  std::vector<std::string> tags_;
  FakeUploader server_;
  const std::unique_ptr<CallQueue> calls_ = server_.NewQueue();
  MessageLimit limit_;
  std::stop_source stop_;
  struct stat info_ {};
};

TEST_F(UploadArbitraryFileTest, SaysWhatTheFileIs) {
  tags_ = {"one"};
  const std::string path = Write("tag=red/dataset=d1/dataset=d2/notes.final.txt", "hello");
  SetAge(path, std::chrono::hours(1));
  const UploadResult result = Upload(path);
  EXPECT_TRUE(result.error.status.ok()) << result.error.status;
  EXPECT_EQ(result.kind, DataKind::kArbitrary);

  const UploadCall call = Call();
  EXPECT_EQ(call.method, UploadMethod::kFileUpload);
  EXPECT_TRUE(call.well_formed);
  EXPECT_TRUE(call.ended);
  EXPECT_EQ(call.key.size(), 32U);
  EXPECT_EQ(call.contents, "hello");

  wire::UploadMetadata expected;
  expected.set_part_id("part-1");
  expected.set_type(wire::DATA_TYPE_FILE);
  expected.set_file_name(path);
  expected.set_file_extension(".txt");
  expected.add_tags("one");
  expected.add_tags("red");
  expected.add_dataset_ids("d1");
  expected.add_dataset_ids("d2");
  expected.mutable_file_create_time()->set_seconds(info_.st_ctim.tv_sec);
  expected.mutable_file_create_time()->set_nanos(static_cast<int>(info_.st_ctim.tv_nsec));
  expected.mutable_file_modify_time()->set_seconds(info_.st_mtim.tv_sec);
  expected.mutable_file_modify_time()->set_nanos(static_cast<int>(info_.st_mtim.tv_nsec));
  EXPECT_EQ(call.metadata.DebugString(), expected.DebugString());
}

TEST_F(UploadArbitraryFileTest, TheExtensionIsWhatFollowsTheLastDotOfTheName) {
  const struct {
    const char* name;
    const char* extension;
  } kCases[] = {{"a.txt", ".txt"},   {"a.tar.gz", ".gz"},    {"plain", ""},
                {"dir.d/plain", ""}, {".hidden", ".hidden"}, {"ends.", "."}};
  for (const auto& test : kCases) {
    EXPECT_TRUE(Upload(Write(test.name, "x")).error.status.ok());
    EXPECT_EQ(server_.calls().back().metadata.file_extension(), test.extension) << test.name;
  }
}

TEST_F(UploadArbitraryFileTest, IsSentInPieces) {
  for (const size_t size : {size_t{1}, size_t{64000}, size_t{65536}, size_t{1000003}}) {
    const std::string bytes = Noise(size);
    EXPECT_TRUE(Upload(Write("data.bin", bytes)).error.status.ok());
    const UploadCall call = server_.calls().back();
    EXPECT_TRUE(call.well_formed);
    EXPECT_TRUE(call.contents == bytes) << size;
    EXPECT_LE(*std::max_element(call.message_sizes.begin(), call.message_sizes.end()), 65536U);
  }
}

// Changes the file as soon as a certain part of it is read.
class ChangesLate : public FileOps {
 public:
  ChangesLate(std::string path, off_t after, std::function<void(const std::string&)> change)
      : path_(std::move(path)), after_(after), change_(std::move(change)) {}
  ssize_t Pread(int fd, void* data, size_t size, off_t offset) override {
    if (offset >= after_ && reads_++ == 1) change_(path_);
    return FileOps::Pread(fd, data, size, offset);
  }

 private:
  const std::string path_;
  const off_t after_;
  const std::function<void(const std::string&)> change_;
  int reads_ = 0;
};

TEST_F(UploadArbitraryFileTest, ChangedMeanwhileTheStreamIsNeverEnded) {
  const std::pair<const char*, std::function<void(const std::string&)>> kChanges[] = {
      {"appended to", [](const std::string& path) { AppendToFile(path, "more"); }},
      {"cut", [](const std::string& path) { std::filesystem::resize_file(path, 150000); }},
      {"emptied", [](const std::string& path) { std::filesystem::resize_file(path, 0); }},
      {"touched", [](const std::string& path) { SetAge(path, std::chrono::seconds(5)); }},
      {"replaced",
       [](const std::string& path) {
         WriteFile(path + ".new", Noise(200000));
         std::filesystem::rename(path + ".new", path);
       }},
  };
  for (const auto& [what, change] : kChanges) {
    const std::string path = Write("data.bin", Noise(200000));
    ChangesLate ops(path, 100000, change);
    const UploadResult result = Upload(path, ops);
    EXPECT_TRUE(absl::IsAborted(result.error.status)) << what << ": " << result.error.status;
    EXPECT_EQ(Judge(result.error), Verdict::kTransient) << what;
    EXPECT_FALSE(server_.calls().back().ended) << what;
    EXPECT_TRUE(std::filesystem::exists(path)) << what;
  }
  EXPECT_EQ(server_.stored_count(), 0U);
}

TEST_F(UploadArbitraryFileTest, RemovedMeanwhileItIsGone) {
  const std::string path = Write("data.bin", Noise(200000));
  ChangesLate ops(path, 100000, [](const std::string& name) { std::filesystem::remove(name); });
  EXPECT_EQ(Judge(Upload(path, ops).error), Verdict::kGone);
  EXPECT_EQ(server_.stored_count(), 0U);
}

TEST_F(UploadArbitraryFileTest, AServerThatEndsTheStreamEarlyIsHeard) {
  const std::string path = Write("data.bin", Noise(1000000));
  server_.BreakNextStreamAfter(100000, absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Judge(Upload(path).error), Verdict::kRefused);
  server_.BreakNextStreamAfter(100000, absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Judge(Upload(path).error), Verdict::kTransient);
  EXPECT_TRUE(Upload(path).error.status.ok());
  EXPECT_EQ(server_.stored_count(), 1U);
}

TEST_F(UploadArbitraryFileTest, AStreamThatIsRejectedForItsTokenIsRepeatedWhole) {
  const std::string bytes = Noise(1000000);
  const std::string path = Write("data.bin", bytes);
  for (const size_t after : {0, 500000}) {
    server_.BreakNextStreamAfter(after, absl::StatusCode::kUnauthenticated);
    const UploadResult result = Upload(path);
    EXPECT_TRUE(result.error.status.ok()) << result.error.status;
    const std::vector<UploadCall> calls = server_.calls();
    EXPECT_TRUE(calls.back().contents == bytes);
    EXPECT_TRUE(calls.back().well_formed);
    EXPECT_EQ(calls.back().key, calls[calls.size() - 2].key);
  }
  EXPECT_EQ(server_.call_count(), 4U);
}

TEST_F(UploadArbitraryFileTest, ARepeatThatIsRejectedIsATransientFailure) {
  server_.OnCall([](const UploadCall&) { return absl::UnauthenticatedError("no such robot"); });
  const UploadResult result = Upload(Write("data.bin", "hello"));
  EXPECT_EQ(result.error.status, absl::UnauthenticatedError("no such robot"));
  EXPECT_EQ(Judge(result.error), Verdict::kTransient);
  EXPECT_EQ(server_.call_count(), 2U);
}

TEST_F(UploadArbitraryFileTest, ANameThatIsNotUtf8IsRefusedWithAReason) {
  const UploadResult result = Upload(Write("bad\xff.txt", "hello"));
  EXPECT_EQ(Judge(result.error), Verdict::kRefused);
  EXPECT_NE(result.error.status.ToString().find("UTF-8"), std::string::npos);
  EXPECT_EQ(server_.call_count(), 0U);
}

TEST_F(UploadArbitraryFileTest, AStopIsNoFailure) {
  stop_.request_stop();
  EXPECT_EQ(Judge(Upload(Write("data.bin", Noise(200000))).error), Verdict::kStopped);
}

TEST_F(UploadArbitraryFileTest, PiecesStayBelowTheLimitThatTheServerTells) {
  server_.OnCall([](const UploadCall& call) {
    const size_t largest = *std::max_element(call.message_sizes.begin(), call.message_sizes.end());
    if (largest <= 20000) return absl::OkStatus();
    return absl::OutOfRangeError("Error, decoded message length too large: found " +
                                 std::to_string(largest) + " bytes, the limit is: 20000 bytes");
  });
  const std::string bytes = Noise(200000);
  const UploadResult result = Upload(Write("notes.bin", bytes));
  EXPECT_TRUE(result.error.status.ok()) << result.error.status;
  EXPECT_EQ(server_.call_count(), 2U);
  EXPECT_TRUE(server_.stored().at(0).contents == bytes);
}

}  // namespace
}  // namespace datamanager::sync
