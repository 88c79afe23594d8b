// Sequences on their way to the cloud.
#include "capture_file/sequence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "sync/failed_files.h"
#include "sync/sequence_hold.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using capture_file::Sequence;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

class SequenceTest : public SyncFixture {
 protected:
  SequenceTest() { impatient_ = true; }

  // A sequence of the components' readings, which is ending now.
  std::string End(const std::string& tag, const std::vector<std::string>& components,
                  WallTime start = Clock::System().WallNow() - seconds(5)) {
    Sequence sequence{.start = start, .end = Clock::System().WallNow(), .tags = {tag}};
    for (const std::string& component : components) {
      sequence.resources.push_back({component, "Readings"});
    }
    return Write(capture_file::ToText(sequence));
  }
  std::string Write(const std::string& text) {
    std::string path =
        absl::StrFormat("%s/sequences/00000000-0000-4000-8000-%012d.seq", captured_, ++sequences_);
    WriteFile(path, text);
    return path;
  }
  // A file that a collector is writing to.
  std::string InProgress(const std::string& component, WallTime begun) {
    std::string path = DirectoryOf(component) + "/" + capture_file::InProgressName(begun);
    WriteFile(path, "");
    return path;
  }
  size_t Sent() const {
    const auto calls = server_->calls();
    return static_cast<size_t>(std::count_if(calls.begin(), calls.end(), [](const auto& call) {
      return call.method == UploadMethod::kCreateSequence;
    }));
  }
  static WallTime Now() { return Clock::System().WallNow(); }

 private:
  int sequences_ = 0;
};

TEST_F(SequenceTest, IsSentAsItIsAndRemoved) {
  const WallTime start = WallTime(seconds(1700000000)) + std::chrono::nanoseconds(5);
  const std::string path =
      Write(capture_file::ToText({.start = start,
                                  .end = start + seconds(60),
                                  .resources = {{"arm", "Readings"}, {"cam", "GetImages"}},
                                  .tags = {"x", "y"}}));
  const std::string bytes = ReadFile(path);
  Start();
  RunUntilIdle();
  ASSERT_TRUE(WaitUntil([&] { return sync_->Stats().sequences.files == 1; }));
  const auto stored = server_->stored();
  ASSERT_EQ(stored.size(), 1U);
  EXPECT_EQ(stored[0].method, UploadMethod::kCreateSequence);
  EXPECT_TRUE(stored[0].well_formed);
  EXPECT_EQ(stored[0].key.size(), 32U);
  EXPECT_EQ(stored[0].sequence.part_id(), "part-1");
  EXPECT_EQ(stored[0].sequence.start_time().seconds(), 1700000000);
  EXPECT_EQ(stored[0].sequence.start_time().nanos(), 5);
  EXPECT_EQ(stored[0].sequence.end_time().seconds(), 1700000060);
  ASSERT_EQ(stored[0].sequence.resources_size(), 2);
  EXPECT_EQ(stored[0].sequence.resources(1).resource_name(), "cam");
  EXPECT_EQ(stored[0].sequence.resources(1).method_name(), "GetImages");
  EXPECT_EQ(Uploaded(), "sequence x,y");
  EXPECT_EQ(OnDisk(), "");
  EXPECT_EQ(sync_->Stats().sequences.bytes, bytes.size());
}

TEST_F(SequenceTest, GoesAfterItsData) {
  server_->Block();
  server_->BlockOnly("arm");
  Capture("arm", 2);
  Capture("leg", 1);
  End("held", {"arm"});
  End("free", {"leg"});
  Start();
  ASSERT_TRUE(WaitUntil([&] { return server_->blocked() == 1; }));
  // Other data holds nothing up.
  ASSERT_TRUE(WaitUntil([&] { return Sent() == 1; }));
  RunForSomePasses();
  EXPECT_EQ(Sent(), 1U);
  EXPECT_EQ(Uploaded(), "leg:1 sequence free");
  server_->Release();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2 leg:1 sequence free sequence held");
  const auto stored = server_->stored();
  EXPECT_EQ(stored.back().method, UploadMethod::kCreateSequence);
  EXPECT_EQ(stored.back().sequence.sequence_tags(0), "held");
}

TEST_F(SequenceTest, DataInProgressHoldsItButNotForEver) {
  InProgress("arm", Now() - seconds(2));
  const std::string path = End("x", {"arm"});
  StartAndWait();
  RunForSomePasses();
  EXPECT_EQ(Sent(), 0U);
  clock_.Advance(seconds(3500));
  RunForSomePasses();
  EXPECT_EQ(Sent(), 0U);
  clock_.Advance(seconds(200));
  EXPECT_TRUE(WaitAwake([&] { return Sent() == 1; }));
  EXPECT_TRUE(WaitAwake([&] { return !std::filesystem::exists(path); }));
}

TEST_F(SequenceTest, ThoseThatWaitCostOneReadOfTheirDataInEachPass) {
  class Counting : public FileOps {
   public:
    int OpenWithoutLinks(const char* path, int flags) override {
      if (path == watched) ++opened;
      return FileOps::OpenWithoutLinks(path, flags);
    }
    std::string watched;
    std::atomic<uint64_t> opened = 0;
  } ops;
  ops.watched = DirectoryOf("arm");
  options_.ops = &ops;
  InProgress("arm", Now() - seconds(2));
  for (int i = 0; i < 20; ++i) End("x", {"arm"});
  Start();
  RunForSomePasses();
  EXPECT_GT(ops.opened, 0U);
  EXPECT_LE(ops.opened, sync_->Stats().passes + 1);  // And the one under way.
  EXPECT_EQ(Sent(), 0U);
  Close();  // Before the disk that it works on.
}

TEST_F(SequenceTest, WhatTheServerRefusedHoldsNothing) {
  server_->OnCall([](const UploadCall& call) {
    return call.method == UploadMethod::kDataCaptureUpload ? absl::InvalidArgumentError("no")
                                                           : absl::OkStatus();
  });
  Capture("arm", 1);
  End("x", {"arm"});
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "sequence x");
  EXPECT_EQ(OnDisk(), "failed/arm");
}

TEST_F(SequenceTest, ARefusedOneIsSetAsideAndCanBePutBack) {
  server_->FailNext(1, absl::StatusCode::kInvalidArgument);
  const std::string path = End("x", {"arm"});
  Start();
  const std::string failed = captured_ + "/failed/sequences/" + std::string(BaseName(path));
  ASSERT_TRUE(WaitUntil([&] { return std::filesystem::exists(failed); }));
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_TRUE(WaitUntil([&] { return sync_->Stats().sequences.refused == 1; }));
  const auto root = FindRoot(FileOps::System(), captured_, DirectorySummary::Role::kCapture);
  ASSERT_TRUE(root.ok());
  EXPECT_EQ(RetryFailedFiles(*sync_->context(), {*root}, {}).moved, 1U);
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "sequence x");
  EXPECT_EQ(OnDisk(), "");
}

TEST_F(SequenceTest, IsTriedAgainUnderTheSameKeyAndStoredOnce) {
  server_->FailNext(2, absl::StatusCode::kUnavailable);
  server_->LoseNextReplies(1);
  End("x", {"arm"});
  Start();
  RunUntilIdle();
  const auto calls = server_->calls();
  ASSERT_EQ(calls.size(), 4U);
  for (const UploadCall& call : calls) EXPECT_EQ(call.key, calls[0].key);
  EXPECT_EQ(Uploaded(), "sequence x");
  EXPECT_EQ(server_->repeats(), 1U);
  EXPECT_EQ(sync_->Stats().sequences.retries, 3U);
}

TEST_F(SequenceTest, WhatIsNoneIsSetAsideUnsent) {
  const std::string open = capture_file::ToText(
      {.start = Now(), .resources = {{"arm", "Readings"}}, .tags = {"never ended"}});
  for (const std::string& text : {std::string(), std::string("{}"), std::string("\0\0\0", 3), open,
                                  std::string(2 << 20, ' ')}) {
    Write(text);
  }
  Start();
  ASSERT_TRUE(WaitUntil([&] { return sync_->Stats().sequences.refused == 5; }));
  EXPECT_EQ(Sent(), 0U);
  EXPECT_EQ(FilesBelow(captured_ + "/failed/sequences").size(), 5U);
  EXPECT_TRUE(Logged("is no sequence: start_time is missing"));
  EXPECT_TRUE(Logged("is no sequence that has ended"));
}

TEST_F(SequenceTest, ACallThatWaitsForAllUploadsWaitsForItToo) {
  config_.scheduled = false;
  Capture("arm", 3);
  End("x", {"arm"});
  server_->FailNext(1, absl::StatusCode::kUnavailable);
  Start();
  const absl::Status status = SyncNow();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(Uploaded(), "arm:1,2,3 sequence x");
  EXPECT_EQ(OnDisk(), "");
}

TEST_F(SequenceTest, OpenOnesAndOtherFilesOfThatDirectoryStay) {
  const std::string open = captured_ + "/sequences/00000000-0000-4000-8000-0000000000aa.progseq";
  WriteFile(open, "x");
  WriteFile(captured_ + "/sequences/mine.seq", "x");
  Start();
  RunForSomePasses();
  EXPECT_EQ(server_->call_count(), 0U);
  EXPECT_EQ(FilesBelow(captured_).size(), 2U);
}

TEST_F(SequenceTest, ItsDataIsWhatWasBegunBeforeItsEndAndWrittenToAfterItsStart) {
  FileOps& ops = FileOps::System();
  const WallTime start = Now();
  const Sequence sequence{
      .start = start, .end = start + seconds(10), .resources = {{"remote:arm", "Readings"}}};
  const auto waits = [&]() -> bool { return DataWaits(ops, captured_, {sequence})[0]; };
  EXPECT_FALSE(waits());
  const auto file = [&](const std::string& component, WallTime begun, seconds age) {
    const std::string path = InProgress(component, begun);
    SetAge(path, age);
    return path;
  };
  file("remote:arm", start + seconds(12), -seconds(12));  // After it.
  file("remote:arm", start - seconds(60), seconds(30));   // Before it.
  file("leg", start, seconds(0));                         // Of another.
  WriteFile(DirectoryOf("remote:arm") + "/notes.txt", "x");
  EXPECT_FALSE(waits());
  const std::string inside = file("remote:arm", start + seconds(5), -seconds(5));
  EXPECT_TRUE(waits());
  std::filesystem::remove(inside);
  EXPECT_FALSE(waits());
  file("remote:arm", start - seconds(30), -seconds(1));  // Begun before it, and going on.
  EXPECT_TRUE(waits());
  EXPECT_FALSE(DataWaits(ops, captured_ + "/nothing", {sequence})[0]);
}

TEST_F(SequenceTest, TheDirectoryOfTheirDataIsReadOnceForAllOfThem) {
  class Counting : public FileOps {
   public:
    const dirent* ReadDirectory(DIR* directory) override {
      return ++reads, FileOps::ReadDirectory(directory);
    }
    int reads = 0;
  } ops;
  const WallTime begin = Now() - hours(2);
  constexpr int kFiles = 50;
  for (int i = 0; i < kFiles; ++i) SetAge(InProgress("arm", begin + seconds(10 * i)), hours(2));
  const auto sequences_from = [&](WallTime start, size_t count) {
    std::vector<Sequence> sequences;
    for (size_t i = 0; i < count; ++i) {
      sequences.push_back({.start = start + seconds(i),
                           .end = start + seconds(i + 1),
                           .resources = {{"arm", "Readings"}, {"leg", "Readings"}}});
    }
    return sequences;
  };
  const std::vector<Sequence> all = sequences_from(Now() - hours(1), 100);
  EXPECT_EQ(DataWaits(ops, captured_, {all[0]}), std::vector<bool>(1, false));
  const int for_one = std::exchange(ops.reads, 0);
  EXPECT_GT(for_one, kFiles);
  EXPECT_EQ(DataWaits(ops, captured_, all), std::vector<bool>(100, false));
  EXPECT_EQ(ops.reads, for_one);
  // Each has its own answer.
  std::vector<Sequence> mixed = sequences_from(begin, 1);
  mixed.push_back(all[0]);
  SetAge(InProgress("arm", begin), hours(2));
  EXPECT_EQ(DataWaits(ops, captured_, mixed), (std::vector<bool>{true, false}));
}

TEST(SequenceHoldTest, IsBounded) {
  const MonotonicTime start;
  EXPECT_TRUE(IsHeld(true, start, start + hours(1) - milliseconds(1)));
  EXPECT_FALSE(IsHeld(true, start, start + hours(1)));
  EXPECT_FALSE(IsHeld(false, start, start));

  SequenceHolds holds(2);
  const auto file = [](ino_t inode) { return FileId{.device = 1, .inode = inode}; };
  EXPECT_FALSE(holds.Holds(file(1), false, start));
  EXPECT_TRUE(holds.Holds(file(1), true, start));
  EXPECT_TRUE(holds.Holds(file(2), true, start + seconds(1)));
  EXPECT_TRUE(holds.Holds(file(3), true, start + seconds(2)));  // Finds no room,
  EXPECT_FALSE(holds.Holds(file(1), true, start + hours(1)));
  EXPECT_FALSE(holds.Holds(file(1), false, start + hours(1)));
  EXPECT_TRUE(holds.Holds(file(3), true, start + hours(1)));  // and has it now.
  EXPECT_FALSE(holds.Holds(file(3), true, start + hours(2)));
  // Those that somebody took away make room in the end.
  EXPECT_TRUE(holds.Holds(file(4), true, start + hours(4)));
  EXPECT_FALSE(holds.Holds(file(4), true, start + hours(5)));
}

class SelectiveSyncTest : public SyncFixture {
 protected:
  SelectiveSyncTest() {
    config_.selective_sensor = "uplink";
    options_.should_sync = [this](MonotonicTime deadline, std::stop_token) -> absl::StatusOr<bool> {
      bounded_ = bounded_ && deadline - clock_.MonotonicNow() <= seconds(1);
      ++asked_;
      if (fails_) return absl::UnavailableError("no modem");
      return yes_.load();
    };
  }
  bool WaitForQuestions(int more = 3) {
    const int before = asked_;
    return WaitUntil([&] { return asked_ >= before + more; });
  }
  std::atomic<int> asked_{0};
  std::atomic<bool> yes_{false};
  std::atomic<bool> fails_{false};
  std::atomic<bool> bounded_{true};
};

TEST_F(SelectiveSyncTest, NoPassBeginsWhileTheSensorSaysNo) {
  Capture("arm", 1);
  Start();
  ASSERT_TRUE(WaitForQuestions());
  EXPECT_EQ(server_->call_count(), 0U);
  EXPECT_EQ(flushes_, 0);
  EXPECT_EQ(sync_->Stats().passes, 0U);
  EXPECT_GE(sync_->Stats().unselected, 2U);
  yes_ = true;
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1");
  EXPECT_GE(flushes_, 1);
  EXPECT_TRUE(bounded_);
  EXPECT_EQ(log_.Count("info: data manager: NOT syncing data to the cloud as it's selective sync "
                       "sensor is not ready to sync"),
            1U);
}

TEST_F(SelectiveSyncTest, WhatIsNotKnownIsANoThatIsToldOnce) {
  fails_ = true;
  Capture("arm", 1);
  Start();
  ASSERT_TRUE(WaitForQuestions(10));
  EXPECT_EQ(server_->call_count(), 0U);
  EXPECT_EQ(log_.Count("error: selective_syncer_name: sensor uplink does not say whether to sync"),
            1U);
  EXPECT_TRUE(Logged("no modem"));
}

TEST_F(SelectiveSyncTest, ACallOfSyncDoesNotAsk) {
  Capture("arm", 1);
  config_.scheduled = false;
  Start();
  EXPECT_TRUE(SyncNow().ok());
  EXPECT_EQ(Uploaded(), "arm:1");
  EXPECT_EQ(asked_, 0);
}

TEST_F(SelectiveSyncTest, NobodyIsAskedOffline) {
  server_->SetReady(false);
  Start();
  ASSERT_TRUE(WaitUntil([&] { return server_->connect_requests() >= 3; }));
  EXPECT_EQ(asked_, 0);
  // That it was offline until now does not keep the next reason from being told.
  server_->SetReady(true);
  EXPECT_TRUE(WaitUntil(
      [&] { return Logged("NOT syncing data to the cloud as it's selective sync sensor"); }));
}

}  // namespace
}  // namespace datamanager::sync
