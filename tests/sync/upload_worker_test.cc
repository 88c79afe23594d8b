// What a worker does with a file, seen through sync.
#include "sync/upload_worker.h"

#include <gtest/gtest.h>
#include <sys/file.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "tests/support/faulty_file_ops.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

namespace fs = std::filesystem;

class UploadWorkerTest : public SyncFixture {
 protected:
  UploadWorkerTest() { impatient_ = true; }
};

TEST_F(UploadWorkerTest, WhatIsStoredIsRemoved) {
  Capture("arm", 3);
  CaptureImage("cam", 10);
  CaptureImage("cam", 1500000);
  Drop("notes.txt", "hello");
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3 cam:10B cam:1500000B notes.txt");
  EXPECT_EQ(OnDisk(), "");
}

TEST_F(UploadWorkerTest, ATransientFailureIsTriedAgainAndStoredOnce) {
  impatient_ = false;
  Capture("arm", 3);
  server_->FailNext(2, absl::StatusCode::kUnavailable);
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
  EXPECT_EQ(OnDisk(), "");
  EXPECT_EQ(server_->call_count(), 3U);
  EXPECT_TRUE(
      Logged("failed: DataCaptureUpload: UNAVAILABLE: the server says no; "
             "connectivity: online; failed tries: 1; next try in "));
  EXPECT_TRUE(Logged(" bytes) after 2 failed tries"));
  // The second failure has the same cause, and is counted later.
  EXPECT_EQ(log_.Count("failed tries: "), 1U);
  EXPECT_EQ(log_.Count("info: upload of "), 1U);
  EXPECT_EQ(log_.Count("after 2 failed tries"), log_.Count("debug: uploaded "));
}

// Everything but a refusal is worth another try.
TEST_F(UploadWorkerTest, EveryOtherCodeIsTransient) {
  config_.workers = 1;
  Start();
  for (const auto code : {absl::StatusCode::kNotFound, absl::StatusCode::kPermissionDenied,
                          absl::StatusCode::kInternal, absl::StatusCode::kDataLoss,
                          absl::StatusCode::kCancelled, absl::StatusCode::kDeadlineExceeded}) {
    server_->FailNext(1, code);
    Capture("arm", 1);
    RunUntilIdle();
  }
  EXPECT_EQ(Uploaded(), "arm:1,2,3,4,5,6");
  EXPECT_EQ(OnDisk(), "");
}

// It is the token's end, which says nothing of the file.
TEST_F(UploadWorkerTest, ARejectedTokenIsNoFailedTry) {
  Drop("notes.txt", "hello");
  server_->BreakNextStreamAfter(0, absl::StatusCode::kUnauthenticated);
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "notes.txt");
  EXPECT_EQ(server_->call_count(), 2U);
  EXPECT_EQ(log_.Count("failed tries"), 0U);
}

TEST_F(UploadWorkerTest, ALostReplyIsNotStoredTwice) {
  Capture("arm", 3);
  CaptureImage("cam", 1500000);
  Drop("notes.txt", "hello");
  server_->LoseNextReplies(3);
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3 cam:1500000B notes.txt");
  EXPECT_EQ(server_->repeats(), 3U);
  EXPECT_EQ(OnDisk(), "");
}

TEST_F(UploadWorkerTest, AResumedFileSendsNoRequestTwice) {
  const std::string text(3 << 20, 'x');
  Publish(TabularMetadata("arm"), {Reading(1, text), Reading(2, text), Reading(3, text)});
  server_->OnCall([failed = false](const UploadCall& call) mutable {
    if (failed || ValueOf(call.records[0]) != 2) return absl::OkStatus();
    failed = true;
    return absl::UnavailableError("busy");
  });
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,3");
  EXPECT_EQ(server_->call_count(), 4U);
  EXPECT_EQ(server_->repeats(), 0U);
}

// What was stored of it is not what it holds by then.
TEST_F(UploadWorkerTest, RewrittenBetweenTwoTriesItIsUploadedFromItsStart) {
  const std::string text(3 << 20, 'x');
  const std::string path =
      Publish(TabularMetadata("arm"), {Reading(1, text), Reading(2, text), Reading(3, text)});
  server_->OnCall([&, failed = false](const UploadCall& call) mutable {
    if (failed || ValueOf(call.records[0]) != 2) return absl::OkStatus();
    failed = true;
    return absl::UnavailableError("busy");
  });
  config_.scheduled = false;
  StartAndWait();
  clock_.Advance(std::chrono::hours(2));
  clock_.Stop();  // The next try waits for the test.
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  EXPECT_TRUE(WaitUntil(
      [&] { return sync_->Stats().waiting_retries == 1 && sync_->Stats().uploading == 0; }));
  EXPECT_EQ(Uploaded(), "arm:1");
  // As long as before: only the times tell.
  WriteFile(path, CaptureFileBytes(TabularMetadata("arm"),
                                   {Reading(4, text), Reading(5, text), Reading(6, text)}));
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,4,5,6");
}

// Both are the same bytes, of which each name has a try of its own.
TEST_F(UploadWorkerTest, TwoNamesOfOneFileDoNotResetEachOthersWait) {
  const std::string one = Drop("one.txt", "hello");
  fs::create_hard_link(one, files_ + "/other.txt");
  server_->OnCall([](const UploadCall&) { return absl::UnavailableError("busy"); });
  config_.workers = 1;
  impatient_ = false;
  Start();
  EXPECT_TRUE(WaitUntil([&] {
    const std::vector<WaitingRetry> most = sync_->Stats().retries.most_tried;
    return most.size() == 2 && most[0].tries >= 3 && most[1].tries >= 3;
  }));
  RunForSomePasses();
  EXPECT_EQ(sync_->Stats().waiting_retries + sync_->Stats().uploading, 2U);
}

TEST_F(UploadWorkerTest, AServerThatIsSlowWithAFileGetsLongerForItEachTry) {
  CaptureImage("cam", 10);
  server_->StallNext(5);
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "cam:10B");
  // Whole seconds: the rest is for the size of the request.
  std::vector<int64_t> seconds;
  for (const UploadCall& call : server_->calls()) seconds.push_back(call.timeout.count() / 1000);
  EXPECT_EQ(seconds, (std::vector<int64_t>{30, 60, 120, 240, 240, 240}));
  const SyncStats stats = sync_->Stats();
  EXPECT_EQ(stats.stalled, 5U);
  EXPECT_EQ(stats.resent, 5U);
  EXPECT_EQ(stats.binary.retries, 5U);
}

TEST_F(UploadWorkerTest, AStreamIsGivenLongerForTheReplyOnly) {
  Drop("notes.txt", "hello");
  server_->StallNext(1);
  Start();
  RunUntilIdle();
  const std::vector<UploadCall> calls = server_->calls();
  ASSERT_EQ(calls.size(), 2U);
  for (const UploadCall& call : calls) EXPECT_EQ(call.timeout, options_.stall_timeout);
  EXPECT_EQ(calls[0].reply_timeout, options_.stall_timeout);
  EXPECT_EQ(calls[1].reply_timeout, options_.stall_timeout * 2);
}

TEST_F(UploadWorkerTest, OtherFailuresAreNoReasonToWaitLonger) {
  Drop("notes.txt", "hello");
  server_->FailNext(3, absl::StatusCode::kUnavailable);
  Start();
  RunUntilIdle();
  EXPECT_EQ(server_->calls().back().reply_timeout, options_.stall_timeout);
  EXPECT_EQ(sync_->Stats().stalled, 0U);
  EXPECT_EQ(sync_->Stats().resent, 3U);
}

TEST_F(UploadWorkerTest, WhatWaitsIsToldWithItsLastError) {
  impatient_ = false;
  const std::string path = Drop("notes.txt", "hello");
  server_->FailNext(1, absl::StatusCode::kUnavailable);
  server_->OnCall([](const UploadCall&) { return absl::InternalError("the disk is full"); });
  Start();
  EXPECT_TRUE(WaitUntil([&] {
    const std::vector<WaitingRetry> most = sync_->Stats().retries.most_tried;
    return most.size() == 1 && most[0].tries >= 2;
  }));
  const WaitingRetry retry = sync_->Stats().retries.most_tried.at(0);
  EXPECT_EQ(retry.path, path);
  EXPECT_EQ(retry.last_error, "FileUpload: INTERNAL: the disk is full");
  EXPECT_EQ(sync_->Stats().retries.offline, 0U);
}

// --- A server that refuses everything.

TEST_F(UploadWorkerTest, ACollectorThatIsRefusedTwentyTimesRestsAndTheOthersGoOn) {
  server_->OnCall([](const UploadCall& call) {
    return call.metadata.component_name() == "bad" ? absl::InvalidArgumentError("no")
                                                   : absl::OkStatus();
  });
  for (int i = 0; i < 100; ++i) {
    Capture("bad", 1);
    Capture("good", 1);
  }
  Start();
  EXPECT_TRUE(WaitUntil([&] { return Uploaded() == "good:" + Up(100); }));
  RunForSomePasses();
  // And those that were under way.
  const SyncStats stats = sync_->Stats();
  EXPECT_GE(stats.tabular.refused, CircuitBreaker::kLimit);
  EXPECT_LT(stats.tabular.refused, CircuitBreaker::kLimit + static_cast<uint64_t>(config_.workers));
  ASSERT_EQ(stats.paused.size(), 1U);
  EXPECT_EQ(stats.paused[0].directory, DirectoryOf("bad"));
  EXPECT_GT(stats.paused[0].next_try, std::chrono::seconds(0));
  EXPECT_EQ(stats.refusal_pauses, 1U);
  EXPECT_TRUE(Logged("error: the server refused 20 uploads in a row from " + DirectoryOf("bad") +
                     ", the last with INVALID_ARGUMENT: no; its uploads rest for 1 min"));
  EXPECT_EQ(log_.Count("error: "), 1U);
}

TEST_F(UploadWorkerTest, AServerThatRefusesAllDoesNotEmptyTheBacklogAndIsTriedAgain) {
  std::atomic<bool> refuses{true};
  server_->OnCall([&](const UploadCall&) {
    return refuses ? absl::InvalidArgumentError("no") : absl::OkStatus();
  });
  for (int i = 0; i < 30; ++i) {
    Capture("arm", 1);
    Capture("leg", 1);
    Drop("notes" + std::to_string(i), "hello");
  }
  impatient_ = false;
  Start();
  EXPECT_TRUE(WaitUntil([&] { return !sync_->Stats().paused.empty(); }));
  RunForSomePasses();
  const auto refused = [&] {
    const SyncStats stats = sync_->Stats();
    return stats.tabular.refused + stats.arbitrary.refused;
  };
  const uint64_t before = refused();
  EXPECT_LE(before, 2 * CircuitBreaker::kLimit);
  // After the pause one is tried, and refused.
  clock_.Advance(std::chrono::seconds(61));
  EXPECT_TRUE(WaitAwake([&] { return refused() == before + 1; }));
  RunForSomePasses();
  EXPECT_EQ(refused(), before + 1);
  // Its short waits between two looks are as much longer as the clock is ahead.
  const auto sync_awake = [&] {
    auto all = SyncInBackground(Wait::kUploaded);
    EXPECT_TRUE(WaitAwake([&] { return IsDone(all); }));
    return all.get();
  };
  // A call for all does not wait for the end of the next.
  const absl::Status status = sync_awake();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_NE(status.ToString().find("the server refuses everything, so that "), std::string::npos)
      << status;
  EXPECT_EQ(refused(), before + 2);
  refuses = false;
  clock_.Advance(std::chrono::seconds(31));  // One call in so long has a file tried.
  EXPECT_TRUE(sync_awake().ok());
  EXPECT_EQ(Waiting(), "");
  EXPECT_TRUE(sync_->Stats().paused.empty());
  EXPECT_EQ(server_->stored_count(), 90 - refused());
  Close();  // Before what the hook uses is gone.
}

// It was to be tried again by itself, and rests with the others.
TEST_F(UploadWorkerTest, WhatWaitsForARetryRestsToo) {
  config_.workers = 1;
  impatient_ = false;
  std::atomic<bool> refuses{true};
  server_->OnCall([&, first = true](const UploadCall&) mutable {
    if (std::exchange(first, false)) return absl::UnavailableError("busy");
    return refuses ? absl::InvalidArgumentError("no") : absl::OkStatus();
  });
  for (int i = 0; i < 60; ++i) Capture("arm", 1);
  Start();
  EXPECT_TRUE(WaitUntil([&] {
    const std::vector<UploadPause> paused = sync_->Stats().paused;
    return !paused.empty() && paused[0].reason == PauseReason::kRefused;
  }));
  RunForSomePasses();
  const size_t calls = server_->call_count();
  clock_.Advance(std::chrono::seconds(30));  // The retry is due.
  RunForSomePasses();
  EXPECT_EQ(server_->call_count(), calls);
  refuses = false;
  clock_.Advance(std::chrono::seconds(31));
  EXPECT_TRUE(WaitAwake([&] { return Waiting() == ""; }));
  Close();  // Before what the hook uses is gone.
}

// Bytes that are no capture file are the file's fault, not the server's.
TEST_F(UploadWorkerTest, FilesThatCannotBeReadMakeNothingRest) {
  for (int i = 0; i < 30; ++i) CaptureBytes("garbage", Noise(100, static_cast<uint32_t>(i)));
  Start();
  RunUntilIdle();
  EXPECT_EQ(sync_->Stats().unreadable, 30U);
  EXPECT_EQ(sync_->Stats().refusal_pauses, 0U);
}

TEST_F(UploadWorkerTest, ARefusedFileIsSetAsideWithItsPath) {
  const std::string path = Capture("arm", 3);
  const std::string file = Drop("tag=red/notes.txt", "hello");
  server_->OnCall([](const UploadCall&) { return absl::InvalidArgumentError("not like this"); });
  Start();
  RunUntilIdle();
  EXPECT_EQ(OnDisk(), "failed/arm failed/tag=red/notes.txt");
  EXPECT_TRUE(fs::exists(capture_file::FailedPath(captured_, path)));
  EXPECT_TRUE(fs::exists(capture_file::FailedPath(files_, file)));
  EXPECT_TRUE(
      Logged("warning: moving file that data manager failed to sync due to err: "
             "DataCaptureUpload: INVALID_ARGUMENT: not like this"));
  EXPECT_TRUE(Logged(path));
  RunForSomePasses();
  EXPECT_EQ(server_->call_count(), 2U);  // Never again.
  const SyncStats stats = sync_->Stats();
  EXPECT_EQ(stats.tabular.refused, 1U);
  EXPECT_EQ(stats.arbitrary.refused, 1U);
  EXPECT_NE(stats.last_error.find("not like this"), std::string::npos);
}

TEST_F(UploadWorkerTest, SettingAsideNeverOverwrites) {
  const std::string path = Capture("arm", 3);
  const std::string aside = capture_file::FailedPath(captured_, path);
  WriteFile(aside, "an earlier one");
  server_->FailNext(1, absl::StatusCode::kInvalidArgument);
  Start();
  RunUntilIdle();
  EXPECT_EQ(ReadFile(aside), "an earlier one");
  EXPECT_EQ(OnDisk(), "failed/arm failed/arm");
}

TEST_F(UploadWorkerTest, WhatCannotBeReadIsSetAside) {
  CaptureBytes("garbage", Noise(1000));
  CaptureBytes("huge", Varint(uint64_t{1} << 40) + "abc");
  Drop("bad\xff.txt", "hello");
  Start();
  RunUntilIdle();
  EXPECT_EQ(OnDisk(), "failed/bad\xff.txt failed/garbage failed/huge");
  EXPECT_EQ(Uploaded(), "");
  EXPECT_EQ(sync_->Stats().unreadable, 2U);
  EXPECT_TRUE(Logged("not UTF-8"));
}

TEST_F(UploadWorkerTest, AnEmptyCaptureFileIsRemovedWithAWarning) {
  const std::string empty = CaptureBytes("arm", "");
  const std::string only_metadata = CaptureBytes("cam", Framed(BinaryMetadata()));
  Start();
  RunUntilIdle();
  EXPECT_EQ(OnDisk(), "");
  EXPECT_EQ(server_->call_count(), 0U);
  for (const std::string& path : {empty, only_metadata}) {
    EXPECT_TRUE(
        Logged("warning: ignoring and deleting empty capture file without syncing it: " + path));
  }
}

TEST_F(UploadWorkerTest, CutFile_LosesOnlyTheRecordThatWasNeverFinished) {
  const std::string path =
      CaptureBytes("arm", Framed(TabularMetadata("arm")) + Framed(Reading(1)) + Framed(Reading(2)) +
                              Framed(Reading(3)).substr(0, 10));
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2");
  EXPECT_EQ(OnDisk(), "");
  EXPECT_TRUE(Logged("warning: uploaded the whole records of " + path));
  EXPECT_EQ(sync_->Salvage().unfinished_records, 1U);
}

TEST_F(UploadWorkerTest, GarbageBehindRecords_IsKeptAndNeverComesBack) {
  const std::string path =
      CaptureBytes("arm", CaptureFileBytes(TabularMetadata("arm"), {Reading(1)}) + "garbage");
  const std::string kept =
      capture_file::CutPath(capture_file::FailedPath(captured_, path),
                            CaptureFileBytes(TabularMetadata("arm"), {Reading(1)}).size());
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1");
  EXPECT_EQ(OnDisk(), "failed/arm");
  EXPECT_EQ(ReadFile(kept), "garbage");
  EXPECT_EQ(sync_->Salvage().kept_remainders.files, 1U);
  EXPECT_EQ(sync_->Salvage().kept_remainders.bytes, 7U);
}

// The figures of a robot: 297 records, of which the 54th has one bit flipped. The records are as
// old as the file's name says.
TEST_F(UploadWorkerTest, OneFlippedBit_CostsItsRecord) {
  std::string bytes = Framed(TabularMetadata("arm"));
  uint64_t damage = 0;
  uint64_t size = 0;
  const auto now = static_cast<int>(std::chrono::system_clock::to_time_t(WallTime::clock::now()));
  std::string expected = "arm:";
  for (int i = 1; i <= 297; ++i) {
    if (i == 54) damage = bytes.size() + 1;
    wire::SensorData record = Reading(i);
    record.mutable_metadata()->clear_time_received();
    record.mutable_metadata()->mutable_time_requested()->set_seconds(now);
    record.mutable_metadata()->mutable_time_requested()->set_nanos(i * 1000000);
    if (i == 54) size = Framed(record).size();
    bytes += Framed(record);
    if (i != 54) absl::StrAppend(&expected, i == 1 ? "" : ",", i);
  }
  bytes[damage] ^= 1;
  const std::string path = CaptureBytes("arm", bytes);
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), expected);
  EXPECT_EQ(OnDisk(), "failed/arm");
  EXPECT_EQ(ReadFile(capture_file::CutPath(capture_file::FailedPath(captured_, path), damage - 1)),
            bytes.substr(damage - 1, size));
  EXPECT_EQ(sync_->Salvage().records, 243U);
}

TEST_F(UploadWorkerTest, DamagedFirstRecord_KeepsNoOtherBack) {
  std::string bytes = Framed(TabularMetadata("arm"));
  const size_t damage = bytes.size() + 1;
  // Without a record before them, the file's own times must show that these records belong to it.
  const auto now = static_cast<int>(std::chrono::system_clock::to_time_t(WallTime::clock::now()));
  for (int i = 0; i < 3; ++i) bytes += Framed(Reading(now + i));
  bytes[damage] ^= 1;
  CaptureBytes("arm", bytes);
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), absl::StrCat("arm:", now + 1, ",", now + 2));
  EXPECT_EQ(OnDisk(), "failed/arm");
  EXPECT_EQ(sync_->Stats().unreadable, 0U);
  EXPECT_EQ(sync_->Stats().tabular.refused, 0U);
}

TEST_F(UploadWorkerTest, ZeroedFirstPage_IsSetAsideWhole) {
  std::string bytes = Framed(TabularMetadata("arm"));
  for (int i = 1; i <= 297; ++i) bytes += Framed(Reading(i));
  std::fill_n(bytes.begin(), 4096, '\0');
  const std::string path = CaptureBytes("arm", bytes);
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "");
  EXPECT_TRUE(ReadFile(capture_file::FailedPath(captured_, path)) == bytes);
}

TEST_F(UploadWorkerTest, MetadataBeyondTheLimit_IsSetAsideWhole) {
  const std::string bytes = Varint((1 << 20) + 1) + std::string((1 << 20) + 1, 'm');
  const std::string path = CaptureBytes("arm", bytes);
  Start();
  RunUntilIdle();
  EXPECT_TRUE(ReadFile(capture_file::FailedPath(captured_, path)) == bytes);
}

TEST_F(UploadWorkerTest, ZeroFilledTail_IsDropped) {
  CaptureBytes(
      "cam", CaptureFileBytes(BinaryMetadata("cam"), {Image("picture")}) + std::string(4096, '\0'));
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "cam:7B");
  EXPECT_EQ(server_->call_count(), 1U);
  EXPECT_EQ(OnDisk(), "");
}

TEST_F(UploadWorkerTest, RemainderThatCannotBeKept_KeepsTheFile) {
  const std::string metadata = Framed(TabularMetadata("arm"));
  CaptureBytes("arm", metadata + Framed(Reading(1)) + "garbage");
  WriteFile(captured_ + "/failed", "a file where the directory should be");
  Start();
  EXPECT_TRUE(Logged("its whole records are stored, but not what follows them"));
  EXPECT_EQ(Waiting(), "arm failed");
  EXPECT_EQ(Uploaded(), "arm:1");
  fs::remove(captured_ + "/failed");
  RunUntilIdle();
  EXPECT_EQ(OnDisk(), "failed/arm");
  EXPECT_EQ(Uploaded(), "arm:1");
}

TEST_F(UploadWorkerTest, ChangedDuringTheUploadItStaysAndIsUploadedAgain) {
  const std::string path = Capture("arm", 2);
  server_->OnCall([&, first = true](const UploadCall&) mutable {
    if (std::exchange(first, false)) AppendToFile(path, Framed(Reading(3)));
    return absl::OkStatus();
  });
  Start();
  RunUntilIdle();
  EXPECT_TRUE(Logged("the file changed while it was uploaded"));
  EXPECT_EQ(OnDisk(), "");
  const std::vector<UploadCall> calls = server_->calls();
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(ValuesOf(calls[0].records), "1,2");
  EXPECT_EQ(ValuesOf(calls[1].records), "1,2,3");
}

// The same length, other bytes: nothing of them may be taken for stored.
TEST_F(UploadWorkerTest, RewrittenDuringTheUploadItIsUploadedFromItsStart) {
  const std::string path = Capture("arm", 2);
  server_->OnCall([&, first = true](const UploadCall&) mutable {
    if (std::exchange(first, false)) {
      WriteFile(path, CaptureFileBytes(TabularMetadata("arm"), {Reading(7), Reading(8)}));
    }
    return absl::OkStatus();
  });
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,7,8");
  EXPECT_EQ(OnDisk(), "");
}

TEST_F(UploadWorkerTest, ReplacedDuringTheUploadTheNewOneStaysAndIsUploaded) {
  const std::string path = Capture("arm", 2);
  server_->OnCall([&, first = true](const UploadCall&) mutable {
    if (std::exchange(first, false)) {
      WriteFile(dir_.path() + "/new", CaptureFileBytes(TabularMetadata("arm"), {Reading(9)}));
      fs::rename(dir_.path() + "/new", path);
    }
    return absl::OkStatus();
  });
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2,9");
  EXPECT_EQ(OnDisk(), "");
}

TEST_F(UploadWorkerTest, ReplacedWhileItIsRefusedTheNewOneIsNotSetAside) {
  const std::string path = Capture("arm", 2);
  server_->OnCall([&, first = true](const UploadCall&) mutable {
    if (!std::exchange(first, false)) return absl::OkStatus();
    WriteFile(dir_.path() + "/new", CaptureFileBytes(TabularMetadata("arm"), {Reading(9)}));
    fs::rename(dir_.path() + "/new", path);
    return absl::InvalidArgumentError("not like this");
  });
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:9");
  EXPECT_EQ(OnDisk(), "");
}

TEST_F(UploadWorkerTest, RemovedDuringTheUploadIsAsGood) {
  const std::string path = Capture("arm", 2);
  server_->OnCall([&](const UploadCall&) {
    fs::remove(path);
    return absl::OkStatus();
  });
  Start();
  RunUntilIdle();
  EXPECT_EQ(Uploaded(), "arm:1,2");
  EXPECT_EQ(sync_->Stats().waiting_retries, 0U);
}

// Somebody who writes to a file again gets the whole quiet time again.
TEST_F(UploadWorkerTest, AFileInUseAgainIsLeftUntilItHasBeenLeftAlone) {
  const std::string path = Drop("log.txt", "one");
  server_->OnCall([&, first = true](const UploadCall&) mutable {
    if (!std::exchange(first, false)) return absl::OkStatus();
    AppendToFile(path, " two");
    return absl::UnavailableError("busy");
  });
  Start();
  EXPECT_TRUE(WaitUntil([&] {
    return server_->call_count() == 1 && sync_->Stats().waiting_retries == 0 &&
           sync_->Stats().uploading == 0;
  }));
  RunForSomePasses();
  EXPECT_EQ(server_->call_count(), 1U);
  EXPECT_EQ(OnDisk(), "log.txt");
  SetAge(path, std::chrono::hours(1));
  RunUntilIdle();
  EXPECT_EQ(server_->stored().back().contents, "one two");
}

TEST_F(UploadWorkerTest, AFileLockedByAnotherProcessWaits) {
  impatient_ = false;
  const std::string path = Capture("arm", 3);
  Capture("leg", 1);
  const UniqueFd lock(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return Uploaded() == "leg:1"; }));
  RunForSomePasses();
  EXPECT_TRUE(WaitUntil([&] { return Waiting() == "arm"; }));
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().waiting_busy == 1; }));
  ASSERT_EQ(flock(lock.get(), LOCK_UN), 0);
  RunUntilIdle();
  EXPECT_EQ(sync_->Stats().waiting_busy, 0U);
  EXPECT_EQ(Uploaded(), "arm:1,2,3 leg:1");
}

TEST_F(UploadWorkerTest, AFileOpenForWritingElsewhereWaitsAndIsNoFailure) {
  const std::string path = Drop("log.txt", "begun");
  UniqueFd writer(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  options_.in_use_timeout = std::chrono::milliseconds(50);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().waiting_busy == 1; }));
  // It is looked at again, and said once.
  const int looks = 3;
  for (int i = 0; i < looks; ++i) EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().waiting_busy == 1; }));
  EXPECT_EQ(server_->call_count(), 0U);
  EXPECT_EQ(sync_->Stats().arbitrary.retries, 0U);
  EXPECT_TRUE(Logged("log.txt is open for writing elsewhere"));
  EXPECT_EQ(log_.Count("log.txt is open for writing elsewhere"), 1U);
  EXPECT_EQ(log_.Count("failed tries"), 0U);
  // Who waits for all to be uploaded waits a while for it, and is told.
  const absl::Status told = SyncNow(Wait::kUploaded);
  EXPECT_EQ(told.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_NE(told.message().find("log.txt"), std::string::npos) << told;
  EXPECT_EQ(OnDisk(), "log.txt");
  ASSERT_EQ(write(writer.get(), " and ended", 10), 10);
  SetAge(path, std::chrono::hours(1));
  writer.Reset();
  RunUntilIdle();
  EXPECT_EQ(server_->stored().back().contents, "begun and ended");
  EXPECT_EQ(server_->stored_count(), 1U);
}

TEST_F(UploadWorkerTest, OpenedForWritingDuringItsUploadItIsNotRemoved) {
  const std::string path = Drop("log.txt", "begun");
  UniqueFd writer;
  server_->OnCall([&, first = true](const UploadCall&) mutable {
    if (std::exchange(first, false))
      writer = UniqueFd(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    return absl::OkStatus();
  });
  Start();
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().waiting_busy == 1; }));
  ASSERT_EQ(write(writer.get(), " and ended", 10), 10);
  SetAge(path, std::chrono::hours(1));
  writer.Reset();
  RunUntilIdle();
  EXPECT_EQ(server_->stored().back().contents, "begun and ended");
}

TEST_F(UploadWorkerTest, WhereNeitherLocksNorLeasesTellTheAgeDecides) {
  class WithoutLocks : public FileOps {
   public:
    int Flock(int /*fd*/) override {
      errno = ENOSYS;
      return -1;
    }
    int TryLease(int /*fd*/, int /*type*/) override {
      errno = EINVAL;
      return -1;
    }
  } ops;
  options_.ops = &ops;
  const std::string old = Capture("old", 1);
  SetAge(old, std::chrono::hours(1));
  Capture("young", 1);
  Start();
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().waiting_busy == 1; }));
  EXPECT_TRUE(WaitUntil([&] { return Uploaded() == "old:1" && Waiting() == "young"; }));
  RunForSomePasses();
  EXPECT_EQ(Waiting(), "young");
  Close();  // Before its disk goes.
}

// What was stored of it is not what it holds by now.
TEST_F(UploadWorkerTest, ChangedBetweenTwoTriesItIsSentFromTheStart) {
  const std::string path =
      CaptureBytes("cam", CaptureFileBytes(BinaryMetadata(), {Image("one", 1), Image("two", 2)}));
  server_->OnCall([&, calls = 0](const UploadCall&) mutable {
    return ++calls > 1 ? absl::InternalError("busy") : absl::OkStatus();
  });
  impatient_ = false;
  config_.scheduled = false;
  Start();
  EXPECT_TRUE(SyncNow(Wait::kHandedOver).ok());
  EXPECT_TRUE(WaitUntil([&] { return sync_->Stats().binary.retries >= 1; }));
  WriteFile(path, CaptureFileBytes(BinaryMetadata(), {Image("new", 3), Image("two", 2)}));
  server_->OnCall(nullptr);
  EXPECT_TRUE(SyncNow(Wait::kUploaded).ok());
  std::set<std::string> images;
  for (const UploadCall& call : server_->stored()) images.insert(call.records.at(0).binary());
  EXPECT_EQ(images, (std::set<std::string>{"one", "new", "two"}));
  EXPECT_EQ(OnDisk(), "");
}

TEST_F(UploadWorkerTest, CountsWhatItDoes) {
  const uint64_t tabular_bytes = fs::file_size(Capture("arm", 3));
  const uint64_t binary_bytes = fs::file_size(CaptureImage("cam", 2000));
  Drop("notes.txt", "hello");
  server_->FailNext(1, absl::StatusCode::kInternal);
  config_.workers = 1;
  Start();
  RunUntilIdle();
  const SyncStats stats = sync_->Stats();
  EXPECT_EQ(stats.tabular.files, 1U);
  EXPECT_EQ(stats.tabular.bytes, tabular_bytes);
  EXPECT_EQ(stats.binary.files, 1U);
  EXPECT_EQ(stats.binary.bytes, binary_bytes);
  EXPECT_EQ(stats.arbitrary.files, 1U);
  EXPECT_EQ(stats.arbitrary.bytes, 5U);
  EXPECT_EQ(stats.tabular.retries + stats.binary.retries + stats.arbitrary.retries, 1U);
  EXPECT_EQ(stats.tabular.refused + stats.binary.refused + stats.arbitrary.refused, 0U);
  EXPECT_EQ(stats.unreadable, 0U);
}

}  // namespace
}  // namespace datamanager::sync
