// A new config: checked as a whole first, and only what differs restarts.
#include <limits>

#include "tests/integration/world.h"

namespace datamanager::testing {
namespace {

class ReconfigureTest : public World {
 protected:
  ReconfigureTest() { config_.sync_disabled = true; }

  // The file that a sensor writes to, once the one before it is published.
  std::string OpenFileOf(const std::string& name) const {
    std::vector<std::string> files;
    EXPECT_TRUE(WaitUntil([&] {
      files = FilesBelow(DirectoryOf(name), ".prog");
      return files.size() == 1;
    }));
    return files.empty() ? "" : files[0];
  }
  // Names and codes of the parts that the last Reconfigure refused.
  std::vector<std::pair<std::string, absl::StatusCode>> Refused() const {
    std::vector<std::pair<std::string, absl::StatusCode>> all;
    for (const ReconfigureResult::Refused& one : result_.refused) {
      all.emplace_back(one.name, one.status.code());
    }
    return all;
  }
  // Its collector has gone on: the same thread, the same file.
  void ExpectUntouched(const std::string& name, const std::string& file) {
    EXPECT_TRUE(WaitForMore(name, 2));
    EXPECT_EQ(OpenFileOf(name), file);
    EXPECT_EQ(SourceOf(name).threads(), 1U);
    EXPECT_FALSE(log_.Has(absl::StrCat("closing collector ", kSensor, "/", name)));
  }
};

// The reference's TestReconfigure, error cases.
TEST_F(ReconfigureTest, AWrongConfigListsEveryFaultAndTheOldOneRunsOn) {
  AddSensor("cpu", 100);
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 2));
  const std::string file = OpenFileOf("cpu");

  const Config good = config_;
  config_.sync_interval_mins = -1;
  config_.maximum_num_sync_threads = -2;
  config_.file_last_modified_millis = -3;
  config_.maximum_capture_file_size_bytes = -4;
  config_.delete_every_nth_when_disk_full = -5;
  config_.disk_usage_deletion_threshold = std::numeric_limits<double>::quiet_NaN();
  config_.capture_dir_deletion_threshold = -7;
  config_.additional_sync_paths = {"/"};
  config_.collectors.clear();
  const absl::Status status = Reconfigure();
  EXPECT_TRUE(HasCode(absl::StatusCode::kInvalidArgument, status));
  for (const char* fault :
       {"sync_interval_mins can't be negative", "maximum_num_sync_threads can't be negative",
        "file_last_modified_millis can't be negative",
        "maximum_capture_file_size_bytes can't be negative",
        "delete_every_nth_when_disk_full can't be negative",
        "disk_usage_deletion_threshold: must be a finite number",
        "capture_dir_deletion_threshold can't be negative",
        "additional_sync_paths[0]: can't be the root directory"}) {
    EXPECT_TRUE(Has(status.ToString(), fault));
  }
  ExpectUntouched("cpu", file);
  EXPECT_EQ(StatsOf("cpu").state, CollectorState::kRunning);
  config_ = good;
  Drain();
  ExpectArrivedOnce("cpu");
}

TEST_F(ReconfigureTest, ACaptureDirThatCannotBeNamesItAndTheOldOneRunsOn) {
  AddSensor("cpu", 100);
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 2));
  const std::string file = OpenFileOf("cpu");
  WriteFile(Path("in-the-way"), "a file");
  const std::string good = config_.capture_dir;
  for (const std::string& path :
       {Path("in-the-way"), Path("in-the-way/below"), std::string("/proc/capture")}) {
    config_.capture_dir = path;
    const absl::Status status = Reconfigure();
    EXPECT_TRUE(HasCode(absl::StatusCode::kFailedPrecondition, status));
    EXPECT_TRUE(Has(status.ToString(), "capture_dir: "));
    EXPECT_TRUE(
        Has(status.ToString(), path == Path("in-the-way/below") ? Path("in-the-way") : path));
  }
  EXPECT_EQ(ReadFile(Path("in-the-way")), "a file");
  config_.capture_dir = good;
  ExpectUntouched("cpu", file);
  EXPECT_EQ(manager_->Stats().capture_dir, good);
}

// The reference's TestNew and TestReconfigure: untrusted environments.
TEST_F(ReconfigureTest, AnUntrustedEnvironmentKeepsToTheDefaultDirectory) {
  options_.untrusted_environment = true;
  AddSensor("cpu", 100);
  StartServer();
  MakeManager();
  const absl::Status status = Reconfigure();
  EXPECT_TRUE(HasCode(absl::StatusCode::kFailedPrecondition, status));
  EXPECT_TRUE(
      Has(status.ToString(), "changing the capture directory is prohibited in this environment"));
  EXPECT_TRUE(manager_->Stats().collectors.empty());

  config_.capture_dir = "";
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_EQ(manager_->Stats().capture_dir, Path(".viam/capture"));
  ASSERT_TRUE(WaitForCaptured("cpu", 2));
  EXPECT_TRUE(IsOk(manager_->Close()));
  EXPECT_EQ(FilesBelow(Path(".viam/capture"), ".capture").size(), 1U);
}

TEST_F(ReconfigureTest, AnEqualConfigIsANoOp) {
  config_.sync_disabled = false;
  config_.sync_interval_mins = 1000;
  AddSensor("cpu", 100);
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 2));
  const std::string file = OpenFileOf("cpu");
  ASSERT_TRUE(WaitForLog("Connected to app"));
  ASSERT_TRUE(WaitForLog("starting sync worker pool"));
  ASSERT_TRUE(WaitForLog("on disk: "));
  const size_t said = log_.entries().size();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(IsOk(Reconfigure()));
  // Zero means the default: equal too.
  config_.file_last_modified_millis = 0;
  ASSERT_TRUE(IsOk(Reconfigure()));
  ExpectUntouched("cpu", file);
  EXPECT_EQ(log_.entries().size(), said) << log_.Text();
}

TEST_F(ReconfigureTest, AChangedFrequencyRestartsThatCollectorOnly) {
  AddSensor("changed", 100);
  AddSensor("kept", 100);
  Start();
  ASSERT_TRUE(WaitForCaptured("changed", 2));
  ASSERT_TRUE(WaitForCaptured("kept", 2));
  const std::string changed_file = OpenFileOf("changed");
  const std::string kept_file = OpenFileOf("kept");
  const CollectorStats before = StatsOf("changed");

  ConfigOf("changed").capture_frequency_hz = 50;
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(WaitForMore("changed", 2));
  EXPECT_NE(OpenFileOf("changed"), changed_file);
  EXPECT_EQ(SourceOf("changed").threads(), 2U);
  EXPECT_GE(StatsOf("changed").captured, before.captured + 2);  // Counters go on.
  ExpectUntouched("kept", kept_file);
  EXPECT_FALSE(log_.Has("sync config changes"));
  Drain();
  ExpectArrivedOnce("changed");
  ExpectArrivedOnce("kept");
}

TEST_F(ReconfigureTest, CollectorsComeAndGoBesideOneThatStays) {
  AddSensor("stays", 100);
  AddSensor("goes", 100);
  Start();
  ASSERT_TRUE(WaitForCaptured("stays", 2));
  ASSERT_TRUE(WaitForCaptured("goes", 2));
  const std::string file = OpenFileOf("stays");
  config_.collectors.pop_back();
  AddSensor("comes", 100);
  ASSERT_TRUE(IsOk(Reconfigure()));
  const int last = Returned("goes");
  ASSERT_TRUE(WaitForCaptured("comes", 2));
  ExpectUntouched("stays", file);
  EXPECT_EQ(Returned("goes"), last);
  EXPECT_EQ(manager_->Stats().collectors.size(), 2U);
  Drain();
  for (const char* name : {"stays", "goes", "comes"}) ExpectArrivedOnce(name);
}

// The reference's TestReconfigureResource.
TEST_F(ReconfigureTest, ANewSourceUnderTheSameConfigTakesOver) {
  AddSensor("cpu", 100);
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 3));
  sources_.AddReadings(kSensor, "cpu", [this](const CaptureRequest&, Readings& out) {
    FillReadings(1000 + SourceOf("new").Next(), out);
    return absl::OkStatus();
  });
  ASSERT_TRUE(IsOk(Reconfigure()));
  const int old_count = Returned("cpu");
  ASSERT_TRUE(WaitUntil([&] { return Returned("new") >= 3; }));
  EXPECT_EQ(Returned("cpu"), old_count);
  Drain();
  std::vector<int> expected = UpTo(old_count);
  for (const int i : UpTo(Returned("new"))) expected.push_back(1000 + i);
  EXPECT_EQ(ReceivedBy("cpu"), expected);
}

// The reference's TestSyncConfigUpdateBehavior.
TEST_F(ReconfigureTest, SyncConfigUpdateBehavior) {
  config_.sync_disabled = false;
  config_.sync_interval_mins = 1000;
  AddSensor("cpu", 100);
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 2));
  const std::string file = OpenFileOf("cpu");

  // The same: nothing restarts. A new number of threads: other workers.
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_EQ(log_.Count("sync config changes"), 0U);
  config_.maximum_num_sync_threads = 10;
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_TRUE(WaitForLog("starting sync worker pool of size: 10"));
  EXPECT_EQ(log_.Count("sync config changes"), 1U);
  ExpectUntouched("cpu", file);

  // A new interval counts from now on, and leaves capture alone.
  config_.sync_interval_mins = kShortIntervalMins;
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(WaitForArrived("cpu"));
  EXPECT_EQ(SourceOf("cpu").threads(), 1U);
  EXPECT_FALSE(log_.Has("closing collector"));

  // Disabled: no more passes.
  config_.sync_disabled = true;
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_TRUE(WaitForLog("Sync Disabled"));
  const uint64_t passes = Uploads().passes;
  ASSERT_TRUE(WaitForMore("cpu", 10));
  EXPECT_EQ(Uploads().passes, passes);
  Drain();
  ExpectArrivedOnce("cpu");
}

TEST_F(ReconfigureTest, CaptureDisabledStopsAndFlushes) {
  AddSensor("cpu", 100);
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 2));
  ASSERT_NO_FATAL_FAILURE(StopCapture());
  const int last = Returned("cpu");
  ASSERT_TRUE(WaitUntil([&] { return OnDisk(".prog").empty(); }));
  EXPECT_EQ(OnDisk(".capture").size(), 1U);
  EXPECT_EQ(StatsOf("cpu").state, CollectorState::kDisabled);
  ASSERT_TRUE(IsOk(SyncAll()));
  EXPECT_EQ(Returned("cpu"), last);
  ExpectArrivedOnce("cpu");
}

TEST_F(ReconfigureTest, AChangedCaptureDirRebuildsCollectorsAndUploadsFromTheOldOneToo) {
  AddSensor("cpu", 100);
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 2));
  const std::string old_dir = config_.capture_dir;
  config_.capture_dir = Path("another: place");
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(WaitForMore("cpu", 2));
  EXPECT_EQ(OnDisk(".prog").size(), 1U);
  ASSERT_TRUE(WaitUntil([&] { return FilesBelow(old_dir, ".prog").empty(); }));
  EXPECT_FALSE(FilesBelow(old_dir, ".capture").empty());
  ASSERT_TRUE(WaitUntil([&] { return manager_->Stats().disk.directories.size() == 2; }));
  const DirectorySummary old = manager_->Stats().disk.directories[1];
  EXPECT_EQ(old.path, old_dir);
  EXPECT_EQ(old.role, DirectorySummary::Role::kFormer);
  EXPECT_TRUE(WaitForLog(absl::StrCat("on disk: ", old_dir, " (former capture_dir): ")));
  Drain();
  EXPECT_TRUE(FilesBelow(old_dir).empty());
  ExpectArrivedOnce("cpu");
}

TEST_F(ReconfigureTest, AFaultyCollectorIsRefusedVisiblyWhileOthersRun) {
  AddSensor("good", 100);
  AddCollector("good", 50);                        // Again, with another frequency.
  AddCollector("good", 100, kSensor, "Redaings");  // Misspelt.
  AddCollector("missing", 100);
  AddSensor("negative", 100);
  ConfigOf("negative").capture_queue_size = -1;
  sources_.AddImages("eye", [](const CaptureRequest&, Images&) { return absl::OkStatus(); });
  AddCollector("eye", 100, kCamera, "Readings");
  Start();
  ASSERT_TRUE(WaitForCaptured("good", 3));
  using enum absl::StatusCode;
  const std::vector<std::pair<std::string, absl::StatusCode>> refused = {
      {"rdk:component:sensor/good Readings", kInvalidArgument},
      {"rdk:component:sensor/good Redaings", kNotFound},
      {"rdk:component:sensor/missing Readings", kNotFound},
      {"rdk:component:sensor/negative Readings", kInvalidArgument},
      {"rdk:component:camera/eye Readings", kNotFound}};
  EXPECT_EQ(Refused(), refused);
  EXPECT_TRUE(result_.still_running.empty());

  const std::vector<CollectorStats> stats = manager_->Stats().collectors;
  ASSERT_EQ(stats.size(), 6U);
  EXPECT_EQ(stats[0].state, CollectorState::kRunning);
  const char* const reasons[] = {"an earlier entry has the same resource, method",
                                 "did you mean method Readings?", "no source for resource",
                                 "capture_queue_size can't be less than 0, current value: -1",
                                 "it has NextPointCloud, ReadImage, GetImages, DoCommand"};
  for (size_t i = 1; i < stats.size(); ++i) {
    EXPECT_EQ(stats[i].state, CollectorState::kRefused) << i;
    EXPECT_TRUE(Has(stats[i].reason, reasons[i - 1]));
    EXPECT_EQ(result_.refused[i - 1].status.message(), stats[i].reason);
    EXPECT_TRUE(WaitUntil([&] { return log_.Count(reasons[i - 1], LogLevel::kError) == 1; })) << i;
  }
  EXPECT_TRUE(WaitForLog("collector rdk:component:sensor/missing Readings refused"));

  // The source comes: only that collector starts.
  const std::string file = OpenFileOf("good");
  sources_.AddReadings(kSensor, "missing", NumberedReadings("missing"));
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_EQ(result_.refused.size(), 4U) << "the others are refused again";
  ASSERT_TRUE(WaitForCaptured("missing", 2));
  ExpectUntouched("good", file);
  Drain();
  ExpectArrivedOnce("good");
  ExpectArrivedOnce("missing");
}

TEST_F(ReconfigureTest, SensorsThatAreNotThereAreRefusedWhileTheRestRuns) {
  AddSensor("cpu", 100);
  config_.capture_control_sensor = {.name = "nowhere", .key = "controls"};
  config_.selective_syncer_name = "nobody";
  Start();
  const std::vector<std::pair<std::string, absl::StatusCode>> refused = {
      {"capture_control_sensor", absl::StatusCode::kNotFound},
      {"selective_syncer_name", absl::StatusCode::kNotFound}};
  EXPECT_EQ(Refused(), refused);
  EXPECT_TRUE(WaitForCaptured("cpu", 2));
}

TEST_F(ReconfigureTest, ASensorThatHangsIsStillRunning) {
  config_.sync_disabled = false;
  sources_.AddReadings(kSensor, "asked", Hanging("asked"));
  config_.selective_syncer_name = "asked";
  gate_->Close();
  Start();
  ASSERT_TRUE(WaitUntil([&] { return gate_->waiting() == 1; }));
  config_.selective_syncer_name = "";
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_EQ(result_.still_running, std::vector<std::string>{"sensor asked"});
}

TEST_F(ReconfigureTest, AHangingSourceIsShownAsStoppingAndItsSuccessorStarts) {
  AddSensor("cpu", 100);
  AddSensor("stuck", 100, Hanging("stuck"));
  Start();
  ASSERT_TRUE(WaitForCaptured("stuck", 2));
  gate_->Close();
  ASSERT_TRUE(WaitUntil([&] { return gate_->waiting() == 1; }));
  sources_.AddReadings(kSensor, "stuck", NumberedReadings("successor"));
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  const std::vector<std::string> stuck = {"rdk:component:sensor/stuck Readings"};
  EXPECT_EQ(result_.still_running, stuck);
  EXPECT_TRUE(result_.refused.empty());
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_EQ(result_.still_running, stuck) << "a further call says so too";
  ASSERT_TRUE(WaitUntil([&] { return Returned("successor") >= 2; }));
  EXPECT_TRUE(WaitForMore("cpu", 2));
  const auto stopping = [&] {
    const std::vector<CollectorStats> stats = manager_->Stats().collectors;
    return std::count_if(stats.begin(), stats.end(), [](const CollectorStats& one) {
      return one.name == "stuck" && one.state == CollectorState::kStopping;
    });
  };
  EXPECT_EQ(stopping(), 1);
  const int before = Returned("stuck");
  gate_->Open();
  EXPECT_TRUE(WaitUntil([&] { return stopping() == 0; }));
  EXPECT_EQ(Returned("stuck"), before);
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_TRUE(result_.still_running.empty());
  EXPECT_TRUE(IsOk(manager_->Close()));
}

}  // namespace
}  // namespace datamanager::testing
