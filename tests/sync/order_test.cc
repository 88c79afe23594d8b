// In which order files are uploaded, seen through sync.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "sync/pass.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

class OrderTest : public SyncFixture {
 protected:
  OrderTest() { config_.workers = 1; }

  // A capture file of `component` begun at that second, with the second as its reading.
  std::string CaptureAt(const std::string& component, int second) {
    std::string path =
        DirectoryOf(component) + "/" + capture_file::CompleteName(begin_ + seconds(second));
    const std::string written = dir_.path() + "/written";
    WriteFile(written, CaptureFileBytes(TabularMetadata(component), {Reading(second)}));
    std::filesystem::create_directories(ParentPath(path));
    std::filesystem::rename(written, path);
    return path;
  }
  // What arrived, in this order: seconds of capture files, names of others.
  std::vector<std::string> Arrived() const {
    std::vector<std::string> all;
    for (const UploadCall& call : server_->stored()) {
      all.push_back(call.records.empty() ? std::string(BaseName(call.metadata.file_name()))
                                         : std::to_string(ValueOf(call.records.at(0))));
    }
    return all;
  }
  // Where among them it is.
  size_t PlaceOf(const std::string& what) const {
    const std::vector<std::string> all = Arrived();
    return static_cast<size_t>(std::find(all.begin(), all.end(), what) - all.begin());
  }

  const WallTime begin_ = std::chrono::floor<seconds>(std::chrono::system_clock::now()) - hours(9);
};

TEST_F(OrderTest, TheBacklogGoesOldestFirstWhoeverCapturedIt) {
  std::vector<std::string> expected;
  for (int i = 0; i < 30; ++i) {
    CaptureAt("c" + std::to_string((i * 7) % 5), (i * 13) % 30);
    expected.push_back(std::to_string(i));
  }
  Start();
  RunUntilIdle();
  EXPECT_EQ(Join(Arrived()), Join(expected));
}

// Local times of two zones are not in the order of the instants.
TEST_F(OrderTest, TheInstantCountsNotTheText) {
  const std::string directory = DirectoryOf("arm");
  const auto add = [&](const std::string& name, int value) {
    WriteFile(directory + "/" + name, CaptureFileBytes(TabularMetadata("arm"), {Reading(value)}));
  };
  add("2026-01-02T10_00_00.000000+05_00.capture", 1);  // 05:00 UTC
  add("2026-01-02T06_00_00.000000Z.capture", 2);
  add("2026-01-02T02_00_00.000000-05_00.capture", 3);  // 07:00 UTC
  Start();
  RunUntilIdle();
  EXPECT_EQ(Join(Arrived()), "1 2 3");
}

TEST_F(OrderTest, OtherFilesTakeTurnsWithTheBacklog) {
  for (int i = 0; i < 30; ++i) CaptureAt("arm", i);
  for (int i = 0; i < 5; ++i) Drop("other" + std::to_string(i), "bytes");
  Start();
  RunUntilIdle();
  ASSERT_EQ(Arrived().size(), 35U);
  for (int i = 0; i < 5; ++i) EXPECT_LT(PlaceOf("other" + std::to_string(i)), 12U) << i;
}

TEST_F(OrderTest, TheBacklogTakesTurnsWithOtherFiles) {
  for (int i = 0; i < 30; ++i) Drop("other" + std::to_string(i), "bytes");
  for (int i = 0; i < 5; ++i) CaptureAt("arm", i);
  Start();
  RunUntilIdle();
  ASSERT_EQ(Arrived().size(), 35U);
  for (int i = 0; i < 5; ++i) EXPECT_LT(PlaceOf(std::to_string(i)), 12U) << i;
}

// More is published than uploaded: neither the backlog nor the other files wait for it.
TEST_F(OrderTest, WhatIsPublishedMeanwhileStarvesNobody) {
  for (int i = 0; i < 20; ++i) CaptureAt("arm", i);
  for (int i = 0; i < 5; ++i) Drop("other" + std::to_string(i), "bytes");
  server_->OnCall([&, next = 1000](const UploadCall&) mutable {
    if (next < 1100) {
      for (int i = 0; i < 2; ++i) sync_->Hint(CaptureAt("new", next++));
    }
    return absl::OkStatus();
  });
  Start();
  RunUntilIdle();
  EXPECT_LT(PlaceOf("19"), 70U);
  EXPECT_LT(PlaceOf("other4"), 25U);
  EXPECT_LT(PlaceOf("1000"), 6U);
  EXPECT_EQ(Arrived().size(), 125U);
}

TEST_F(OrderTest, FilesWhoseNamesAreNotOursAreUploadedToo) {
  CaptureAt("arm", 1);
  const auto write = [](const std::string& path, int value) {
    WriteFile(path, CaptureFileBytes(TabularMetadata("theirs"), {Reading(value)}));
  };
  write(captured_ + "/a.capture", 7);
  write(files_ + "/copy of 2026-01-02T10_00_00.000000Z.capture", 8);
  write(files_ + "/2026-01-02T10_00_00.000000-00_00.capture", 9);
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1 theirs:7,8,9");
}

// A clock that was ahead, and has been set back.
TEST_F(OrderTest, FilesOfTheFutureAreUploadedInTheSamePass) {
  CaptureAt("arm", 1);
  CaptureAt("arm", 24 * 3600 * 365);
  config_.scheduled = false;
  Start();
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  EXPECT_TRUE(WaitUntil([&] { return server_->stored_count() == 2; }));
}

TEST_F(OrderTest, AHintBelowALinkToTheCaptureDirectoryIsTheFileThatIsWalked) {
  const std::string link = dir_.path() + "/link";
  std::filesystem::create_directory_symlink(captured_, link);
  config_.capture_directory = link;
  server_->Block();
  CaptureAt("arm", 1);
  CaptureAt("arm", 2);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  const std::string path = CaptureAt("arm", 3);
  sync_->Hint(link + path.substr(captured_.size()));
  server_->Release();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
  EXPECT_EQ(server_->repeats(), 0U);
}

TEST_F(OrderTest, AFileOfTheFutureIsUploadedOnceItHasBeenSeenLongEnough) {
  SetAge(Drop("notes.txt", "hello"), -hours(24 * 365));
  StartAndWait();
  RunForSomePasses();
  EXPECT_EQ(server_->call_count(), 0U);
  clock_.Advance(seconds(11));
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "notes.txt");
}

}  // namespace
}  // namespace datamanager::sync
