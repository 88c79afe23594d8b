#include "sync/content_digest.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>

#include "base/sha256.h"
#include "tests/support/fake_uploader.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/temp_dir.h"
#include "tests/sync/test_files.h"

namespace datamanager::sync {
namespace {

using testing::FaultyFileOps;

class ContentDigestTest : public ::testing::Test {
 protected:
  LocalFile Open(const std::string& bytes) {
    WriteFile(path_, bytes);
    return Reopen();
  }
  LocalFile Reopen() {
    absl::StatusOr<LocalFile> file = LocalFile::Open(ops_, Found(dir_.path(), path_));
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  absl::StatusOr<std::string> Digest(const LocalFile& file, capture_file::Extent extent) {
    const std::unique_ptr<CallQueue> calls = uploader_.NewQueue();
    const std::stop_token stop = stop_.get_token();
    Task<absl::StatusOr<std::string>> task = DigestOf(file, extent, *calls, stop, &digests_);
    task.Start();
    yields_ = 0;
    for (; !task.done(); ++yields_) {
      calls->RunOne(Clock::System().MonotonicNow() + std::chrono::seconds(10));
    }
    return task.TakeResult();
  }
  absl::StatusOr<std::string> DigestOfAll(const LocalFile& file) {
    return Digest(file, {.offset = 0, .size = file.size()});
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.path() + "/a.capture";
  FaultyFileOps ops_;
  testing::FakeUploader uploader_;
  ContentDigests digests_;
  std::stop_source stop_;
  int yields_ = 0;
};

TEST_F(ContentDigestTest, IsSha256OfTheExtent) {
  const std::string bytes = Noise(3000000);
  const LocalFile file = Open(bytes);
  EXPECT_EQ(*DigestOfAll(file), Sha256::Of(bytes));
  // Others had their turn between the pieces.
  EXPECT_EQ(yields_, 2);
  EXPECT_EQ(*Digest(file, {.offset = 1, .size = 2000000}), Sha256::Of(bytes.substr(1, 2000000)));
  EXPECT_EQ(*Digest(file, {.offset = 5, .size = 0}), Sha256::Of(""));
}

TEST_F(ContentDigestTest, OfALargeFileIsRememberedUntilTheFileChanges) {
  const std::string bytes = Noise(2000000);
  const auto reads = [this] { return ops_.Count(FaultyFileOps::Call::kPread); };
  {
    const LocalFile file = Open(bytes);
    ASSERT_TRUE(DigestOfAll(file).ok());
    const auto before = reads();
    EXPECT_EQ(*DigestOfAll(file), Sha256::Of(bytes));
    EXPECT_EQ(reads(), before);
  }
  AppendToFile(path_, "x");
  EXPECT_EQ(*DigestOfAll(Reopen()), Sha256::Of(bytes + "x"));
  // Also where size and time of the last write are as they were.
  std::string other = bytes + "x";
  other[1000000] ^= 1;
  const auto modified = std::filesystem::last_write_time(path_);
  WriteFile(path_, other);
  std::filesystem::last_write_time(path_, modified);
  EXPECT_EQ(*DigestOfAll(Reopen()), Sha256::Of(other));
}

TEST_F(ContentDigestTest, OfAFileThatIsCutMeanwhileIsNone) {
  const LocalFile file = Open(Noise(1000));
  std::filesystem::resize_file(path_, 10);
  EXPECT_EQ(DigestOfAll(file).status().code(), absl::StatusCode::kAborted);
}

TEST_F(ContentDigestTest, EndsWithTheStop) {
  const LocalFile file = Open(Noise(1000));
  stop_.request_stop();
  EXPECT_EQ(DigestOfAll(file).status().code(), absl::StatusCode::kCancelled);
}

TEST(ContentDigestsTest, KeepsTheNewest) {
  ContentDigests digests;
  const auto key = [](uint64_t inode) {
    return ContentDigests::Key{.file = {.device = 1, .inode = inode},
                               .extent = {.offset = 0, .size = ContentDigests::kSmallest}};
  };
  constexpr uint64_t kCount = ContentDigests::kMostEntries + 2;
  for (uint64_t inode = 0; inode < kCount; ++inode) digests.Put(key(inode), std::to_string(inode));
  EXPECT_EQ(digests.Find(key(0)), std::nullopt);
  EXPECT_EQ(digests.Find(key(1)), std::nullopt);
  EXPECT_EQ(digests.Find(key(2)), "2");
  EXPECT_EQ(digests.Find(key(kCount - 1)), std::to_string(kCount - 1));
}

}  // namespace
}  // namespace datamanager::sync
