// When uploads happen: the schedule's switch, calls of Sync, and what they meet.
#include "tests/integration/world.h"

namespace datamanager::testing {
namespace {

// Whether there is a cloud in reach.
enum class Cloudiness { kReady, kNobodyListens, kNoCloud };

std::string NameOf(Cloudiness cloudiness) {
  switch (cloudiness) {
    case Cloudiness::kReady:
      return "Ready";
    case Cloudiness::kNobodyListens:
      return "NobodyListens";
    case Cloudiness::kNoCloud:
      break;
  }
  return "NoCloud";
}

class SyncWorld : public World {
 protected:
  void MakeManagerIn(Cloudiness cloudiness) {
    if (cloudiness == Cloudiness::kReady) {
      ASSERT_NO_FATAL_FAILURE(StartServer());
    } else {
      ASSERT_NO_FATAL_FAILURE(ReserveAddress());
      options_.connect_timeout = 50ms;
    }
    ASSERT_NO_FATAL_FAILURE(MakeManager(cloudiness != Cloudiness::kNoCloud));
  }
};

// --- The reference's TestSyncEnabled ---

struct EnabledCase {
  bool before;
  bool after;
  Cloudiness cloudiness;
};

std::string NameOf(const EnabledCase& test) {
  return absl::StrCat(test.before ? "On" : "Off", test.after ? "ThenOn" : "ThenOff",
                      NameOf(test.cloudiness));
}
void PrintTo(const EnabledCase& test, std::ostream* out) { *out << NameOf(test); }

class SyncEnabledTest : public SyncWorld, public ::testing::WithParamInterface<EnabledCase> {
 protected:
  // Uploads happen exactly if sync is enabled and there is a cloud.
  void ExpectUploads(bool enabled) {
    if (enabled && GetParam().cloudiness == Cloudiness::kReady) {
      const uint64_t files = Uploads().tabular.files;
      EXPECT_TRUE(WaitUntil([&] { return Uploads().tabular.files >= files + 2; }));
      return;
    }
    const SyncStats before = Uploads();
    EXPECT_TRUE(WaitForMore("cpu", 20));  // Several intervals.
    EXPECT_EQ(Uploads().passes, before.passes);
    EXPECT_EQ(Uploads().tabular.files, before.tabular.files);
    // The open file is not even finished.
    EXPECT_EQ(OnDisk(".prog").size(), 1U);
  }
};

TEST_P(SyncEnabledTest, UploadsHappenExactlyWhenEnabledAndConnected) {
  AddSensor("cpu", 200);
  config_.sync_disabled = !GetParam().before;
  MakeManagerIn(GetParam().cloudiness);
  ASSERT_TRUE(IsOk(Reconfigure()));
  ExpectUploads(GetParam().before);
  config_.sync_disabled = !GetParam().after;
  ASSERT_TRUE(IsOk(Reconfigure()));
  ExpectUploads(GetParam().after);
  ASSERT_NO_FATAL_FAILURE(StopCapture());
  if (GetParam().cloudiness == Cloudiness::kReady) {
    ASSERT_TRUE(IsOk(SyncAll()));
    ExpectArrivedOnce("cpu");
  } else {
    EXPECT_EQ(CountFrom("cpu"), 0);
  }
}

std::vector<EnabledCase> EnabledCases() {
  std::vector<EnabledCase> cases;
  for (const Cloudiness cloudiness :
       {Cloudiness::kReady, Cloudiness::kNobodyListens, Cloudiness::kNoCloud}) {
    for (const bool before : {false, true}) {
      for (const bool after : {false, true}) cases.push_back({before, after, cloudiness});
    }
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(, SyncEnabledTest, ::testing::ValuesIn(EnabledCases()),
                         [](const ::testing::TestParamInfo<EnabledCase>& test) {
                           return NameOf(test.param);
                         });

// --- The reference's TestDataCaptureUploadIntegration ---

enum class Before { kTabular, kBinary, kNone };
enum class Way { kScheduled, kManual, kBoth, kEachFileFailsOnce };

struct IntegrationCase {
  Before before;
  Way way;
  Cloudiness cloudiness;
};

std::string NameOf(const IntegrationCase& test) {
  const char* const befores[] = {"CapturedTabular", "CapturedBinary", "CapturedNothing"};
  const char* const ways[] = {"Scheduled", "Manual", "ScheduledAndManual", "EachFileFailsOnce"};
  return absl::StrCat(befores[static_cast<int>(test.before)], ways[static_cast<int>(test.way)],
                      NameOf(test.cloudiness));
}

void PrintTo(const IntegrationCase& test, std::ostream* out) { *out << NameOf(test); }

class DataCaptureUploadIntegrationTest : public SyncWorld,
                                         public ::testing::WithParamInterface<IntegrationCase> {};

TEST_P(DataCaptureUploadIntegrationTest, WhatAnEarlierRunCaptured) {
  const auto [before, way, cloudiness] = GetParam();
  const std::string name = before == Before::kBinary ? "eye" : "cpu";
  if (before == Before::kBinary) {
    AddCamera(name, 100, {100, 1000001});
  } else {
    AddSensor(name, 100);
  }
  config_.maximum_capture_file_size_bytes = 500;
  if (before != Before::kNone) {
    CaptureOffline(name, 8);
    ASSERT_FALSE(HasFatalFailure());
    config_.capture_disabled = true;
  }
  const std::vector<std::string> captured = OnDisk();
  config_.sync_disabled = way == Way::kManual;

  MakeManagerIn(cloudiness);
  if (way == Way::kEachFileFailsOnce) {
    server_->FailNext(static_cast<int>(captured.size()), grpc::StatusCode::UNAVAILABLE);
  }
  ASSERT_TRUE(IsOk(Reconfigure()));
  if (before == Before::kNone) {
    ASSERT_TRUE(WaitForCaptured(name, 8));
    ASSERT_NO_FATAL_FAILURE(StopCapture());
  }
  if (way == Way::kManual || way == Way::kBoth) {
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(HasCode(
          cloudiness == Cloudiness::kReady ? absl::StatusCode::kOk : absl::StatusCode::kUnavailable,
          SyncAll()));
    }
  }
  if (cloudiness == Cloudiness::kReady) {
    EXPECT_TRUE(WaitUntil([&] { return OnDisk().empty(); }));
    ExpectArrivedOnce(name);
    if (way == Way::kEachFileFailsOnce) {
      EXPECT_EQ(Uploads().tabular.retries + Uploads().binary.retries, captured.size());
    }
  } else {
    EXPECT_EQ(Uploads().passes, 0U);
    EXPECT_EQ(OnDisk(), captured);
    EXPECT_EQ(CountFrom(name), 0);
  }
}

std::vector<IntegrationCase> IntegrationCases() {
  std::vector<IntegrationCase> cases;
  for (const Before before : {Before::kTabular, Before::kBinary, Before::kNone}) {
    for (const Way way : {Way::kScheduled, Way::kManual, Way::kBoth, Way::kEachFileFailsOnce}) {
      if (before == Before::kNone && way == Way::kEachFileFailsOnce) continue;
      cases.push_back({before, way, Cloudiness::kReady});
    }
  }
  for (const Before before : {Before::kTabular, Before::kBinary}) {
    for (const Way way : {Way::kScheduled, Way::kManual}) {
      cases.push_back({before, way, Cloudiness::kNobodyListens});
      cases.push_back({before, way, Cloudiness::kNoCloud});
    }
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(, DataCaptureUploadIntegrationTest,
                         ::testing::ValuesIn(IntegrationCases()),
                         [](const ::testing::TestParamInfo<IntegrationCase>& test) {
                           return NameOf(test.param);
                         });

// --- Calls of Sync ---

class SyncCallTest : public World {
 protected:
  SyncCallTest() { config_.sync_disabled = true; }

  // Nothing is answered before the test lets it.
  void StartSlowServer() { StartServer({.delay_min = 60s, .delay_max = 60s}); }
};

TEST_F(SyncCallTest, HandedOverReturnsWhenWorkersHaveTheFiles) {
  config_.maximum_num_sync_threads = 2;
  AddSensor("cpu", 100);
  AddSensor("memory", 100);
  StartSlowServer();
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 2));
  ASSERT_TRUE(WaitForCaptured("memory", 2));
  ASSERT_TRUE(IsOk(manager_->Sync()));
  EXPECT_EQ(Uploads().uploading, 2U);
  EXPECT_EQ(Uploads().tabular.files, 0U);
  EXPECT_TRUE(Arrived().empty());
  EXPECT_TRUE(WaitForMore("cpu", 3));
}

TEST_F(SyncCallTest, UploadedReturnsWhileCaptureGoesOn) {
  AddSensor("cpu", 500);
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 20));
  const int returned = Returned("cpu");
  ASSERT_TRUE(IsOk(SyncAll()));
  // All that was captured before the call.
  EXPECT_GE(CountFrom("cpu"), returned - 1);
  EXPECT_TRUE(WaitForMore("cpu", 3));
  Drain();
  ExpectArrivedOnce("cpu");
}

TEST_F(SyncCallTest, NothingToDoIsSuccess) {
  AddCollector("nobody", 1);
  Start();
  EXPECT_TRUE(IsOk(manager_->Sync()));
  EXPECT_TRUE(IsOk(SyncAll()));
  std::filesystem::remove_all(config_.capture_dir);
  EXPECT_TRUE(IsOk(SyncAll()));
}

TEST_F(SyncCallTest, BeforeTheFirstReconfigureNothingRuns) {
  StartServer();
  MakeManager();
  EXPECT_TRUE(HasCode(absl::StatusCode::kFailedPrecondition, manager_->Sync()));
}

TEST_F(SyncCallTest, AStopEndsItAndTheUploadGoesOn) {
  config_.maximum_num_sync_threads = 1;
  AddSensor("cpu", 100);
  AddSensor("memory", 100);
  StartSlowServer();
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 2));
  ASSERT_TRUE(WaitForCaptured("memory", 2));
  for (const SyncWait wait : {SyncWait::kHandedOver, SyncWait::kUploaded}) {
    std::stop_source stop;
    absl::Status result;
    std::jthread call(
        [&] { result = manager_->Sync({.wait_for = wait, .stop = stop.get_token()}); });
    // The one worker has one file, and nobody the other.
    ASSERT_TRUE(WaitUntil([&] { return Uploads().uploading == 1; }));
    stop.request_stop();
    call.join();
    EXPECT_TRUE(HasCode(absl::StatusCode::kCancelled, result));
    EXPECT_EQ(Uploads().uploading, 1U);
  }
  std::stop_source stopped;
  stopped.request_stop();
  EXPECT_TRUE(HasCode(absl::StatusCode::kCancelled, manager_->Sync({.stop = stopped.get_token()})));
}

TEST_F(SyncCallTest, AReconfigureOfSyncEndsItAndUploadsAnew) {
  AddSensor("cpu", 100);
  StartSlowServer();
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 2));
  absl::Status result;
  std::jthread call([&] { result = SyncAll(); });
  ASSERT_TRUE(WaitUntil([&] { return server_->fault_counts().delays == 1; }));
  server_->SetFaults({});  // For calls to come: the new scheduler tries the file at once.
  config_.maximum_num_sync_threads = 3;
  ASSERT_TRUE(IsOk(Reconfigure()));
  call.join();
  EXPECT_TRUE(HasCode(absl::StatusCode::kCancelled, result));
  EXPECT_EQ(Uploads().tabular.retries, 0U);  // Our own doing is no failed try.
  Drain();
  ExpectArrivedOnce("cpu");
}

TEST_F(SyncCallTest, ManyInParallelWithTheScheduleStoreOnce) {
  config_.sync_disabled = false;
  config_.maximum_capture_file_size_bytes = 1;  // A file for each record.
  AddSensor("cpu", 200);
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 10));
  {
    std::vector<std::jthread> calls;
    for (int i = 0; i < 4; ++i) {
      calls.emplace_back([this, i] {
        EXPECT_TRUE(IsOk(manager_->Sync(
            {.wait_for = i % 2 == 0 ? SyncWait::kUploaded : SyncWait::kHandedOver})));
      });
    }
  }
  Drain();
  ExpectArrivedOnce("cpu");
  EXPECT_EQ(Uploads().tabular.retries, 0U);
}

TEST_F(SyncCallTest, MakesAWaitingRetryDue) {
  AddSensor("cpu", 100);
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 2));
  ASSERT_NO_FATAL_FAILURE(StopCapture());
  server_->SetFaults({.failures = {{grpc::StatusCode::INTERNAL, 1}}});
  ASSERT_TRUE(IsOk(manager_->Sync()));
  // Waits double: soon the next try is far off.
  ASSERT_TRUE(WaitUntil([&] {
    const WaitingRetries waiting = Uploads().retries;
    return !waiting.most_tried.empty() && waiting.most_tried[0].next_due >= 1s;
  }));
  server_->SetFaults({});
  // It returns when the file is with a worker, and so no longer waits.
  ASSERT_TRUE(IsOk(manager_->Sync()));
  EXPECT_EQ(Uploads().waiting_retries, 0U);
  ASSERT_TRUE(IsOk(SyncAll()));
  ExpectArrivedOnce("cpu");
  EXPECT_TRUE(WaitForLog(" bytes) after "));
}

}  // namespace
}  // namespace datamanager::testing
