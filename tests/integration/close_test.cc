// Close beats everything, and leaves everything captured on disk.
#include <fcntl.h>
#include <sys/file.h>

#include "base/unique_fd.h"
#include "tests/integration/world.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/hanging_reads.h"

namespace datamanager::testing {
namespace {

// What a busy machine may add to a limit.
constexpr std::chrono::seconds kSlack{3};

// A disk for one test. A thread that was left alone may use it after the test.
template <typename Disk>
Disk& LastingDisk() {
  static std::vector<std::unique_ptr<Disk>> all;
  return *all.emplace_back(std::make_unique<Disk>());
}

class CloseTest : public World {
 protected:
  // Of the sensor "cpu".
  void StartAnUploadThatHangs(HangingReads& disk) {
    AddSensor("cpu", 100);
    ASSERT_NO_FATAL_FAILURE(CaptureOffline("cpu", 3));
    ops_ = &disk;
    config_.capture_disabled = true;
    options_.close_timeout = 200ms;
    disk.gate().Close();
    Start();
    ASSERT_TRUE(WaitUntil([&] { return disk.gate().waiting() == 1; }));
  }
  std::chrono::nanoseconds TimeOf(const std::function<void()>& action) {
    const auto begin = std::chrono::steady_clock::now();
    action();
    return std::chrono::steady_clock::now() - begin;
  }
  void ExpectEverythingRefused() {
    EXPECT_TRUE(HasCode(absl::StatusCode::kFailedPrecondition, Reconfigure()));
    EXPECT_TRUE(HasCode(absl::StatusCode::kFailedPrecondition, manager_->Sync()));
    EXPECT_TRUE(HasCode(absl::StatusCode::kFailedPrecondition, SyncAll()));
  }
  // The next run uploads what is there.
  // A thread that was left alone keeps its file locked until it ends. A recovery that comes before
  // looks again only after a minute.
  void WaitForThreadsLeftAlone() {
    for (const std::string& path : OnDisk(".prog")) {
      ASSERT_TRUE(WaitUntil([&] {
        const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        return !file.valid() || ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
      })) << path;
    }
  }
  void ExpectTheNextRunUploads(const std::string& name) {
    WaitForThreadsLeftAlone();
    config_.capture_disabled = true;
    if (server_ == nullptr) StartServer();
    server_->SetFaults({});
    MakeManager();
    ASSERT_TRUE(IsOk(Reconfigure()));
    ASSERT_TRUE(WaitUntil([&] { return OnDisk(".prog").empty(); })) << "they are recovered";
    ASSERT_TRUE(IsOk(SyncAll()));
    ExpectArrivedOnce(name);
    EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  }
};

TEST_F(CloseTest, IsIdempotentAndNothingRunsAfterwards) {
  AddSensor("cpu", 100);
  config_.sync_disabled = true;
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 3));
  EXPECT_TRUE(IsOk(manager_->Close()));
  const int last = Returned("cpu");
  EXPECT_EQ(OnDisk(".capture").size(), 1U);
  EXPECT_EQ(OnDisk(".prog").size(), 0U);
  EXPECT_TRUE(IsOk(manager_->Close()));
  ExpectEverythingRefused();
  EXPECT_EQ(manager_->Stats().capture_dir, config_.capture_dir);
  EXPECT_EQ(StatsOf("cpu").state, CollectorState::kDisabled);
  EXPECT_EQ(StatsOf("cpu").captured, static_cast<uint64_t>(last));
  ExpectTheNextRunUploads("cpu");
  EXPECT_EQ(Returned("cpu"), last);
}

TEST_F(CloseTest, BeforeTheFirstReconfigure) {
  StartServer();
  MakeManager();
  EXPECT_TRUE(IsOk(manager_->Close()));
  ExpectEverythingRefused();
}

TEST_F(CloseTest, TheDestructorAloneCloses) {
  AddSensor("cpu", 100);
  config_.sync_disabled = true;
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 3));
  manager_.reset();
  EXPECT_EQ(OnDisk(".prog").size(), 0U);
  EXPECT_EQ(OnDisk(".capture").size(), 1U);
  ExpectTheNextRunUploads("cpu");
}

TEST_F(CloseTest, ConcurrentCallersGetTheSameAnswer) {
  AddSensor("stuck", 100, Hanging("stuck"));
  options_.close_timeout = 300ms;
  Start();
  ASSERT_TRUE(WaitForCaptured("stuck", 1));
  gate_->Close();
  ASSERT_TRUE(WaitUntil([&] { return gate_->waiting() == 1; }));
  std::vector<absl::Status> results(3);
  {
    std::vector<std::jthread> callers;
    for (absl::Status& result : results) {
      callers.emplace_back([this, &result] { result = manager_->Close(); });
    }
  }
  for (const absl::Status& result : results) {
    EXPECT_TRUE(HasCode(absl::StatusCode::kDeadlineExceeded, result));
    EXPECT_EQ(result, results[0]);
  }
}

TEST_F(CloseTest, AHangingSourceIsNamedAndTheDataOfAllIsOnDisk) {
  AddSensor("cpu", 100);
  AddSensor("stuck", 100, Hanging("stuck"));
  config_.sync_disabled = true;
  options_.close_timeout = 500ms;
  Start();
  ASSERT_TRUE(WaitForCaptured("stuck", 3));
  ASSERT_TRUE(WaitForCaptured("cpu", 3));
  gate_->Close();
  ASSERT_TRUE(WaitUntil([&] { return gate_->waiting() == 1; }));

  absl::Status result;
  const auto took = TimeOf([&] { result = manager_->Close(); });
  EXPECT_TRUE(HasCode(absl::StatusCode::kDeadlineExceeded, result));
  EXPECT_TRUE(Has(result.ToString(), "rdk:component:sensor/stuck Readings"));
  EXPECT_FALSE(Has(result.ToString(), "cpu"));
  EXPECT_GE(took, 500ms);
  EXPECT_LT(took, 1500ms + kSlack);
  EXPECT_EQ(OnDisk(".prog").size(), 0U);
  EXPECT_EQ(OnDisk(".capture").size(), 2U);
  EXPECT_EQ(StatsOf("stuck").captured, static_cast<uint64_t>(Returned("stuck")));
  ExpectTheNextRunUploads("cpu");
  EXPECT_EQ(ReceivedBy("stuck"), UpTo(Returned("stuck")));
}

TEST_F(CloseTest, WithoutAnyTimeForSourcesItIsDoneWithinASecond) {
  AddSensor("stuck", 100, Hanging("stuck"));
  options_.close_timeout = 0ms;
  Start();
  ASSERT_TRUE(WaitForCaptured("stuck", 1));
  gate_->Close();
  ASSERT_TRUE(WaitUntil([&] { return gate_->waiting() == 1; }));
  absl::Status result;
  EXPECT_LT(TimeOf([&] { result = manager_->Close(); }), 1s + kSlack);
  EXPECT_TRUE(HasCode(absl::StatusCode::kDeadlineExceeded, result));
}

// Its wait for the source that hangs is cut short.
TEST_F(CloseTest, EndsAReconfigureThatWaitsForAHangingSource) {
  AddSensor("stuck", 100, Hanging("stuck"));
  options_.close_timeout = 0ms;
  Start();
  ASSERT_TRUE(WaitForCaptured("stuck", 1));
  gate_->Close();
  ASSERT_TRUE(WaitUntil([&] { return gate_->waiting() == 1; }));
  ConfigOf("stuck").capture_frequency_hz = 50;
  std::jthread reconfigure([&] { Reconfigure().IgnoreError(); });
  ASSERT_TRUE(WaitForLog("closing collector"));
  absl::Status result;
  EXPECT_LT(TimeOf([&] { result = manager_->Close(); }), 1s + kSlack);
  EXPECT_TRUE(HasCode(absl::StatusCode::kDeadlineExceeded, result));
  reconfigure.join();
  // What it would have started does not run.
  for (const CollectorStats& stats : manager_->Stats().collectors) {
    EXPECT_NE(stats.state, CollectorState::kRunning);
  }
}

TEST_F(CloseTest, IsFastWhileUploadsHangAndEndsCallsOfSync) {
  AddSensor("cpu", 100);
  AddCamera("eye", 100, {1500000});
  config_.maximum_num_sync_threads = 2;
  config_.sync_disabled = true;
  StartServer({.delay_min = 60s, .delay_max = 60s});
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 3));
  ASSERT_TRUE(WaitForCaptured("eye", 2));
  absl::Status synced;
  std::jthread sync([&] { synced = SyncAll(); });
  ASSERT_TRUE(WaitUntil([&] { return Uploads().uploading >= 2; }));
  EXPECT_LT(TimeOf([&] { EXPECT_TRUE(IsOk(manager_->Close())); }), 1s + kSlack);
  sync.join();
  EXPECT_TRUE(HasCode(absl::StatusCode::kCancelled, synced));
  EXPECT_EQ(OnDisk(".prog").size(), 0U);
  ExpectTheNextRunUploads("cpu");
  ExpectArrivedOnce("eye");
}

TEST_F(CloseTest, IsFastWhileEightUploadsStallAndThePassWaitsForAWorker) {
  AddSensor("cpu", 200);
  config_.maximum_num_sync_threads = 8;
  config_.maximum_capture_file_size_bytes = 1;  // A file for each record.
  StartServer({.delay_min = 60s, .delay_max = 60s});
  Start();
  ASSERT_TRUE(WaitUntil([&] { return Uploads().uploading == 8; }));
  EXPECT_LT(TimeOf([&] { EXPECT_TRUE(IsOk(manager_->Close())); }), 1s + kSlack);
  EXPECT_EQ(Uploads().uploading, 0U);
  EXPECT_EQ(OnDisk(".prog").size(), 0U);
  ExpectTheNextRunUploads("cpu");
}

// A call of Sync is in its flush, which waits for the disk.
TEST_F(CloseTest, ADiskThatHangsIsSaidAndHoldsUpNothing) {
  auto& disk = LastingDisk<FaultyFileOps>();
  ops_ = &disk;
  AddSensor("cpu", 100);
  AddSensor("memory", 100);
  config_.sync_disabled = true;
  options_.close_timeout = 200ms;
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 3));
  ASSERT_TRUE(WaitForCaptured("memory", 3));
  disk.fdatasync_gate().Close();
  absl::Status synced;
  std::jthread sync([&] { synced = SyncAll(); });
  ASSERT_TRUE(WaitUntil([&] { return disk.fdatasync_gate().waiting() >= 1; }));
  ASSERT_TRUE(WaitForMore("cpu", 3));

  absl::Status result;
  EXPECT_LT(TimeOf([&] { result = manager_->Close(); }), 1200ms + kSlack);
  EXPECT_TRUE(HasCode(absl::StatusCode::kDeadlineExceeded, result));
  EXPECT_TRUE(Has(result.ToString(), "the disk hangs"));
  sync.join();
  EXPECT_TRUE(HasCode(absl::StatusCode::kCancelled, synced));
  EXPECT_GE(OnDisk(".prog").size(), 2U) << "for the next run to recover";
  EXPECT_EQ(manager_->Stats().unflushed_files, 0U);
  disk.fdatasync_gate().Open();
  ExpectTheNextRunUploads("cpu");
  ExpectArrivedOnce("memory");
}

TEST_F(CloseTest, ACollectorWhoseWriteHangsIsNamed) {
  auto& disk = LastingDisk<FaultyFileOps>();
  ops_ = &disk;
  AddSensor("cpu", 100);
  config_.sync_disabled = true;
  options_.close_timeout = 200ms;
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 3));
  disk.write_gate().Close();
  ASSERT_TRUE(WaitUntil([&] { return disk.write_gate().waiting() == 1; }));
  const uint64_t captured = StatsOf("cpu").captured;
  absl::Status result;
  EXPECT_LT(TimeOf([&] { result = manager_->Close(); }), 1200ms + kSlack);
  EXPECT_TRUE(HasCode(absl::StatusCode::kDeadlineExceeded, result));
  EXPECT_TRUE(Has(result.ToString(), "rdk:component:sensor/cpu Readings"));
  disk.write_gate().Open();
  WaitForThreadsLeftAlone();
  config_.capture_disabled = true;
  MakeManager();
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(WaitUntil([&] { return OnDisk(".prog").empty(); })) << "it is recovered";
  ASSERT_TRUE(IsOk(SyncAll()));
  EXPECT_GE(ReceivedBy("cpu").size(), captured);
}

TEST_F(CloseTest, IsNotHeldUpByAReconfigureThatWaitsForUploadsThatHangInTheDisk) {
  auto& disk = LastingDisk<HangingReads>();
  ASSERT_NO_FATAL_FAILURE(StartAnUploadThatHangs(disk));
  config_.maximum_num_sync_threads = 3;
  std::jthread reconfigure([&] { Reconfigure().IgnoreError(); });
  ASSERT_TRUE(WaitForLog("sync starts anew"));
  absl::Status result;
  EXPECT_LT(TimeOf([&] { result = manager_->Close(); }), 1200ms + kSlack);
  EXPECT_TRUE(HasCode(absl::StatusCode::kDeadlineExceeded, result));
  EXPECT_TRUE(Has(result.ToString(), "left alone"));
  disk.gate().Open();
  reconfigure.join();
  ExpectTheNextRunUploads("cpu");
}

TEST_F(CloseTest, UploadsThatHangInTheDiskAreLeftAlone) {
  auto& disk = LastingDisk<HangingReads>();
  ASSERT_NO_FATAL_FAILURE(StartAnUploadThatHangs(disk));
  absl::Status result;
  EXPECT_LT(TimeOf([&] { result = manager_->Close(); }), 1200ms + kSlack);
  EXPECT_TRUE(HasCode(absl::StatusCode::kDeadlineExceeded, result));
  EXPECT_TRUE(Has(result.ToString(), "the disk hangs: 1 threads of sync were left alone"));
  disk.gate().Open();
  ExpectTheNextRunUploads("cpu");
}

TEST_F(CloseTest, WithEverythingAtOnce) {
  auto& disk = LastingDisk<FaultyFileOps>();
  ops_ = &disk;
  AddSensor("cpu", 200);
  AddSensor("stuck", 100, Hanging("stuck"));
  config_.maximum_num_sync_threads = 8;
  config_.maximum_capture_file_size_bytes = 1;
  options_.close_timeout = 300ms;
  StartServer({.delay_min = 60s, .delay_max = 60s});
  Start();
  // Eight uploads stall, and the pass waits for a worker,
  ASSERT_TRUE(WaitUntil([&] { return Uploads().uploading == 8; }));
  // a source hangs,
  gate_->Close();
  ASSERT_TRUE(WaitUntil([&] { return gate_->waiting() == 1; }));
  // the disk hangs, and with it the flush of a call of Sync,
  disk.fdatasync_gate().Close();
  ASSERT_TRUE(WaitUntil([&] { return disk.fdatasync_gate().waiting() >= 1; }));
  absl::Status synced;
  std::jthread sync([&] { synced = SyncAll(); });
  // and a Reconfigure waits for the source.
  ConfigOf("stuck").capture_frequency_hz = 50;
  std::jthread reconfigure([&] { Reconfigure().IgnoreError(); });
  ASSERT_TRUE(WaitForLog("closing collector"));

  absl::Status result;
  EXPECT_LT(TimeOf([&] { result = manager_->Close(); }), 1300ms + kSlack);
  EXPECT_TRUE(HasCode(absl::StatusCode::kDeadlineExceeded, result));
  EXPECT_TRUE(Has(result.ToString(), "rdk:component:sensor/stuck Readings"));
  EXPECT_TRUE(Has(result.ToString(), "the disk hangs"));
  reconfigure.join();
  sync.join();
  EXPECT_TRUE(absl::IsCancelled(synced) || absl::IsFailedPrecondition(synced)) << synced;
  disk.fdatasync_gate().Open();
  gate_->Open();
  ExpectTheNextRunUploads("cpu");
  EXPECT_EQ(ReceivedBy("stuck"), UpTo(Returned("stuck")));
}

TEST_F(CloseTest, EndsASyncThatWaitsForTheConnection) {
  AddSensor("cpu", 100);
  options_.connect_timeout = 1h;
  Start();
  server_->Shutdown(0ms);
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  absl::Status synced;
  std::jthread sync([&] { synced = SyncAll(); });
  ASSERT_TRUE(WaitForMore("cpu", 3));
  EXPECT_LT(TimeOf([&] { EXPECT_TRUE(IsOk(manager_->Close())); }), 1s + kSlack);
  sync.join();
  // Unless it came too late to begin.
  EXPECT_TRUE(absl::IsCancelled(synced) || absl::IsFailedPrecondition(synced)) << synced;
}

TEST_F(CloseTest, CallsFromInsideASourceAreRefused) {
  std::mutex mutex;
  std::vector<absl::Status> answers;
  config_.sync_disabled = true;
  AddSensor("curious", 100, [&](const CaptureRequest&, Readings& out) {
    out.Set("captured", StatsOf("curious").captured);  // Reading is allowed.
    const std::lock_guard lock(mutex);
    answers.push_back(manager_->Sync());
    answers.push_back(manager_->Reconfigure({}, {}).status());
    answers.push_back(manager_->Close());
    return absl::OkStatus();
  });
  Start();
  ASSERT_TRUE(WaitForCaptured("curious", 2));
  EXPECT_TRUE(IsOk(manager_->Close()));
  ASSERT_GE(answers.size(), 6U);
  for (const absl::Status& answer : answers) {
    EXPECT_TRUE(HasCode(absl::StatusCode::kFailedPrecondition, answer));
    EXPECT_TRUE(Has(answer.ToString(), "from inside a source or a log sink"));
  }
}

TEST_F(CloseTest, CallsFromInsideALogSinkAreRefused) {
  std::mutex mutex;
  std::vector<absl::Status> answers;
  std::atomic<DataManager*> manager{nullptr};
  options_.logger = [&, sink = log_.sink()](const LogEntry& entry) {
    sink(entry);
    DataManager* const inside = manager;
    if (inside == nullptr) return;
    const std::lock_guard lock(mutex);
    answers.push_back(inside->Sync());
    answers.push_back(inside->Close());
  };
  AddSensor("cpu", 100);
  StartServer();
  MakeManager();
  manager = manager_.get();
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(WaitForCaptured("cpu", 2));
  EXPECT_TRUE(IsOk(manager_->Close()));
  ASSERT_GE(answers.size(), 2U);
  for (const absl::Status& answer : answers) {
    EXPECT_TRUE(HasCode(absl::StatusCode::kFailedPrecondition, answer));
  }
}

TEST_F(CloseTest, ALogSinkThatHangsDelaysNothing) {
  const auto gate = gate_;
  options_.logger = [gate](const LogEntry&) { gate->Pass(); };
  gate->Close();
  AddSensor("cpu", 100);
  Start();
  ASSERT_TRUE(WaitForArrived("cpu", 5));
  EXPECT_LT(TimeOf([&] { EXPECT_TRUE(IsOk(manager_->Close())); }), 1s + kSlack);
}

// Also for ThreadSanitizer: everything at once, from several threads.
TEST_F(CloseTest, UnderCallsOfEveryKind) {
  for (int i = 0; i < 4; ++i) AddSensor(absl::StrCat("sensor-", i), 200);
  config_.maximum_capture_file_size_bytes = 500;
  Start();
  ASSERT_TRUE(WaitForCaptured("sensor-0", 2));
  Config other = config_;
  other.collectors.pop_back();
  other.collectors[0].capture_frequency_hz = 100;
  other.maximum_num_sync_threads = 3;

  const auto fits = [](const absl::Status& status) {
    return status.ok() || absl::IsCancelled(status) || absl::IsFailedPrecondition(status);
  };
  // A busy machine may get no upload to its end between two changes: calls are counted instead.
  std::atomic<int> syncs = 0;
  std::atomic<int> changes = 0;
  {
    std::vector<std::jthread> callers;
    for (const SyncWait wait : {SyncWait::kUploaded, SyncWait::kHandedOver}) {
      callers.emplace_back([&, wait](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          const absl::Status status = manager_->Sync({.wait_for = wait});
          EXPECT_TRUE(fits(status)) << status;
          ++syncs;
        }
      });
    }
    for (const Config* config : {&config_, &other}) {
      callers.emplace_back([&, config](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          const absl::Status status = manager_->Reconfigure(*config, sources_).status();
          EXPECT_TRUE(fits(status)) << status;
          ++changes;
        }
      });
    }
    callers.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) EXPECT_LE(manager_->Stats().collectors.size(), 8U);
    });
    ASSERT_TRUE(WaitUntil([&] { return syncs >= 10 && changes >= 20; }));
    EXPECT_LT(TimeOf([&] { EXPECT_TRUE(IsOk(manager_->Close())); }), 1s + kSlack);
    EXPECT_TRUE(IsOk(manager_->Close()));
  }
  EXPECT_EQ(OnDisk(".prog").size(), 0U);
  for (int i = 0; i < 4; ++i) ExpectTheNextRunUploads(absl::StrCat("sensor-", i));
}

}  // namespace
}  // namespace datamanager::testing
