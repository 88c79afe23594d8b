// Uploads that go on where an earlier one ended.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "sync/resume_points.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

class ResumeTest : public SyncFixture {
 protected:
  ResumeTest() {
    impatient_ = true;
    config_.workers = 1;
    server_->OnCall([this](const UploadCall& call) {
      const int value = ValueOf(call.records.at(0));
      if (value != fails_at_) return absl::OkStatus();
      ++failures_;
      return absl::UnavailableError("not yet");
    });
    // Each record fills a request.
    std::vector<wire::SensorData> records;
    for (int i = 1; i <= 3; ++i) {
      records.push_back(Reading(i));
      (*records.back().mutable_struct_()->mutable_fields())["pad"].set_string_value(
          std::string(3 << 20, 'x'));
    }
    path_ = Publish(TabularMetadata("arm"), records);
  }
  ~ResumeTest() override { Close(); }

  bool WaitForFailure() {
    return WaitAwake([this, before = failures_.load()] { return failures_ > before; });
  }
  // The first record of each request that was stored or repeated.
  std::vector<int> Sent() const {
    std::vector<int> values;
    for (const UploadCall& call : server_->calls()) {
      if (call.status.ok()) values.push_back(ValueOf(call.records.at(0)));
    }
    return values;
  }

  std::atomic<int> fails_at_ = 3;
  std::atomic<int> failures_ = 0;
  std::string path_;
};

TEST_F(ResumeTest, AfterAFailureWhatWasAcknowledgedIsNotSentAgain) {
  Start();
  ASSERT_TRUE(WaitForFailure());
  fails_at_ = 0;
  RunUntilIdle();
  EXPECT_EQ(Sent(), (std::vector<int>{1, 2, 3}));
}

TEST_F(ResumeTest, AfterAReconfigureWhatWasAcknowledgedIsNotSentAgain) {
  Start();
  ASSERT_TRUE(WaitForFailure());
  // Other paths are walked, and what waited for its next try is forgotten.
  config_.additional_paths.clear();
  Reconfigure();
  ASSERT_TRUE(WaitForFailure());
  config_.scheduled = false;
  Reconfigure();
  fails_at_ = 0;
  ASSERT_TRUE(SyncNow().ok());
  EXPECT_EQ(Sent(), (std::vector<int>{1, 2, 3}));
}

TEST_F(ResumeTest, AfterAStopWhatWasAcknowledgedIsNotSentAgain) {
  fails_at_ = 0;
  std::atomic<bool> blocks = true;
  server_->OnCall([&](const UploadCall& call) {
    if (blocks && ValueOf(call.records.at(0)) == 2) server_->Block();
    return absl::OkStatus();
  });
  Start();
  ASSERT_TRUE(WaitUntil([this] { return server_->blocked() > 0; }));
  blocks = false;
  config_.min_file_age += std::chrono::seconds(1);
  Reconfigure();
  server_->Release();
  RunUntilIdle();
  EXPECT_EQ(Sent(), (std::vector<int>{1, 2, 3}));
}

TEST_F(ResumeTest, AnotherCloudGetsAll) {
  Start();
  ASSERT_TRUE(WaitForFailure());
  server_->SetCloud("another");
  fails_at_ = 0;
  RunUntilIdle();
  EXPECT_EQ(Sent(), (std::vector<int>{1, 2, 1, 2, 3}));
}

TEST(ResumePointsTest, HoldForTheSameContentAndCloud) {
  ResumePoints points;
  const FileId file{.device = 1, .inode = 2};
  const FileVersion version{.size = 1000, .modified_ns = 5, .changed_ns = 6};
  EXPECT_EQ(points.Find(file, version, "cloud"), 0U);
  points.Put(file, version, "cloud", 500);
  EXPECT_EQ(points.Find(file, version, "cloud"), 500U);
  EXPECT_EQ(points.Find(file, version, "other"), 0U);
  EXPECT_EQ(points.Find({.device = 1, .inode = 3}, version, "cloud"), 0U);
  for (int64_t FileVersion::*field :
       {&FileVersion::size, &FileVersion::modified_ns, &FileVersion::changed_ns}) {
    FileVersion changed = version;
    ++(changed.*field);
    EXPECT_EQ(points.Find(file, changed, "cloud"), 0U);
  }
  points.Forget(file);
  EXPECT_EQ(points.Find(file, version, "cloud"), 0U);
}

TEST(ResumePointsTest, TheOldestMakesRoom) {
  ResumePoints points;
  const auto put = [&](ino_t inode) {
    points.Put({.device = 1, .inode = inode}, {}, "cloud", inode + 1);
  };
  const auto find = [&](ino_t inode) {
    return points.Find({.device = 1, .inode = inode}, {}, "cloud");
  };
  constexpr ino_t kCount = 3 * ResumePoints::kMost;
  for (ino_t inode = 0; inode < kCount; ++inode) put(inode);
  EXPECT_EQ(find(0), 0U);
  EXPECT_EQ(find(kCount - ResumePoints::kMost - 1), 0U);
  EXPECT_EQ(find(kCount - ResumePoints::kMost), kCount - ResumePoints::kMost + 1);
  EXPECT_EQ(find(kCount - 1), kCount);
}

}  // namespace
}  // namespace datamanager::sync
