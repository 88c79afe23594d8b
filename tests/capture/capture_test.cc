#include "capture/capture.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capture_file/file_name.h"
#include "tests/capture/captured.h"
#include "tests/capture/fake_sources.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/log_capture.h"
#include "tests/support/lowered_rights.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::capture {
namespace {

using config::CaptureConfig;
using config::ConfiguredCollector;
using std::chrono::milliseconds;
using testing::FakeSensor;
using testing::FaultyFileOps;
using testing::FilesBelow;
using testing::In;
using testing::LoadPublished;
using testing::LogCapture;
using testing::Numbers;
using testing::PatienceEnds;
using testing::TempDir;
using testing::WaitUntil;
using Call = FaultyFileOps::Call;

constexpr const char* kSensor = "rdk:component:sensor";

class CaptureTest : public ::testing::Test {
 protected:
  // What threads that had to be left alone may still use.
  struct World {
    FaultyFileOps ops;
    std::mutex mutex;
    std::vector<std::string> hints;
  };

  CaptureTest() {
    config_.directory = temp_.path() + "/capture";
    config_.max_file_bytes = 262144;
    logger_ = *Logger::Create(log_.sink());
    Create();
  }
  ~CaptureTest() override {
    for (auto& [name, sensor] : sensors_) sensor.gate().Open();
    world_->ops.fdatasync_gate().Open();
    for (auto& [name, sensor] : sensors_) {
      EXPECT_TRUE(WaitUntil([&s = sensor] { return s.under_way() == 0; })) << name;
    }
    capture_.reset();
  }

  // Telling the story.

  void Create() {
    capture_ = *Capture::Create({.logger = logger_,
                                 .ops = &world_->ops,
                                 .on_published = [world = world_](const std::string& path) {
                                   const std::lock_guard lock(world->mutex);
                                   world->hints.push_back(path);
                                 }});
  }
  // Adds a sensor to the sources and to the config.
  void AddSensor(const std::string& name) {
    sources_.AddReadings(kSensor, name, sensors_[name].source());
    Want(kSensor, name, "Readings");
  }
  ConfiguredCollector& Want(const std::string& api, const std::string& name,
                            const std::string& method) {
    ConfiguredCollector collector;
    collector.settings = {.api = api, .name = name, .method = method, .interval = milliseconds(2)};
    return config_.collectors.emplace_back(std::move(collector));
  }
  ConfiguredCollector& Wanted(const std::string& name) {
    for (ConfiguredCollector& collector : config_.collectors) {
      if (collector.settings.name == name) return collector;
    }
    ADD_FAILURE() << name;
    return config_.collectors.front();
  }
  void Unwant(const std::string& name) {
    std::erase_if(config_.collectors, [&](const ConfiguredCollector& collector) {
      return collector.settings.name == name;
    });
  }
  void Reconfigure(MonotonicTime deadline = PatienceEnds()) {
    capture_->Reconfigure(config_, sources_, deadline);
  }
  absl::Status Close() { return capture_->Close(PatienceEnds(), PatienceEnds()); }

  // The first entry of that name, and that state if it is given.
  CollectorStats StatsOf(const std::string& name) const {
    for (CollectorStats& stats : capture_->Stats()) {
      if (stats.name == name) return stats;
    }
    ADD_FAILURE() << name << " has no statistics";
    return {};
  }
  // "<name> <state>" of all.
  std::vector<std::string> States() const {
    std::vector<std::string> states;
    for (const CollectorStats& stats : capture_->Stats()) {
      constexpr std::array kNames = {"running", "disabled", "refused", "stopping"};
      states.push_back(absl::StrCat(stats.name, " ", kNames.at(static_cast<size_t>(stats.state))));
    }
    return states;
  }
  bool WaitForCaptured(const std::string& name, uint64_t more = 3) {
    const uint64_t target = StatsOf(name).captured + more;
    return WaitUntil([&] { return StatsOf(name).captured >= target; });
  }
  bool Block(const std::string& name) {
    sensors_[name].gate().Close();
    return WaitUntil([&] { return sensors_[name].gate().waiting() == 1; });
  }
  std::string DirectoryOf(const std::string& name) const {
    return capture_file::CollectorDirectory(config_.directory, kSensor, name, "Readings");
  }
  std::vector<int> CapturedOf(const std::string& name) const {
    return Numbers(LoadPublished(DirectoryOf(name)));
  }
  void ExpectNothingLost(const std::string& name) {
    const CollectorStats stats = StatsOf(name);
    EXPECT_EQ(stats.ticks_due, stats.captured + stats.missed + stats.failed) << name;
    std::vector<int> all(static_cast<size_t>(sensors_[name].calls()));
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(CapturedOf(name), all) << name;
  }
  std::vector<std::string> InProgress() const { return FilesBelow(temp_.path(), ".prog"); }
  // How often a collector was closed.
  size_t Closings(const std::string& name) {
    return log_.Count(absl::StrCat("closing collector ", kSensor, "/", name, " Readings"));
  }
  bool LogHas(const std::string& text) {
    return WaitUntil([&] { return log_.Has(text); });
  }

  const TempDir temp_{testing::DiskDirectory()};
  const std::shared_ptr<World> world_ = std::make_shared<World>();
  LogCapture log_;
  std::shared_ptr<Logger> logger_;
  CaptureConfig config_;
  Sources sources_;
  std::map<std::string, FakeSensor> sensors_;
  std::unique_ptr<Capture> capture_;
};

TEST_F(CaptureTest, CapturesWhatTheConfigWants) {
  AddSensor("a");
  AddSensor("b");
  config_.tags = {"demo"};
  Reconfigure();
  EXPECT_EQ(States(), (std::vector<std::string>{"a running", "b running"}));
  ASSERT_TRUE(WaitForCaptured("a"));
  ASSERT_TRUE(WaitForCaptured("b"));
  EXPECT_TRUE(Close().ok());
  ExpectNothingLost("a");
  ExpectNothingLost("b");
  EXPECT_EQ(LoadPublished(DirectoryOf("a")).at(0).metadata.tags(0), "demo");
  EXPECT_TRUE(LogHas("collector initialized; collector: rdk:component:sensor/a Readings"));
}

// Reconfigure.

TEST_F(CaptureTest, AnUnchangedCollectorGoesOnWithItsFile) {
  AddSensor("kept");
  AddSensor("changed");
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("kept"));
  ASSERT_TRUE(WaitForCaptured("changed"));
  const std::vector<std::string> file = FilesBelow(DirectoryOf("kept"));
  ASSERT_EQ(file.size(), 1U);

  for (int i = 1; i <= 3; ++i) {
    Wanted("changed").settings.interval += milliseconds(1);
    Reconfigure();
    ASSERT_TRUE(WaitForCaptured("changed"));
    ASSERT_TRUE(WaitForCaptured("kept"));
  }
  EXPECT_EQ(FilesBelow(DirectoryOf("kept")), file);
  EXPECT_EQ(Closings("kept"), 0U);
  EXPECT_EQ(sensors_["kept"].threads().size(), 1U);
  EXPECT_TRUE(
      WaitUntil([&] { return FilesBelow(DirectoryOf("changed"), ".capture").size() == 3; }));
  EXPECT_TRUE(Close().ok());
  EXPECT_EQ(Closings("changed"), 3U);
  EXPECT_EQ(LoadPublished(DirectoryOf("kept")).size(), 1U);
  ExpectNothingLost("kept");
  ExpectNothingLost("changed");
}

TEST_F(CaptureTest, AnUnchangedCollectorDoesNotWaitForOneThatHangs) {
  AddSensor("kept");
  AddSensor("hangs");
  Reconfigure();
  ASSERT_TRUE(Block("hangs"));
  Unwant("hangs");
  std::thread reconfigure([&] { Reconfigure(PatienceEnds()); });
  EXPECT_TRUE(WaitForCaptured("kept", 20));
  sensors_["hangs"].gate().Open();
  reconfigure.join();
  EXPECT_TRUE(Close().ok());
  ExpectNothingLost("kept");
}

TEST_F(CaptureTest, AnEqualConfigChangesNothing) {
  AddSensor("a");
  Wanted("a").settings.additional_params.Set("x", 1);
  Wanted("a").settings.additional_params.Set("y", 2);
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a"));
  Wanted("a").settings.additional_params.Clear();
  Wanted("a").settings.additional_params.Set("y", 2);
  Wanted("a").settings.additional_params.Set("x", 1);
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a"));
  EXPECT_TRUE(Close().ok());
  EXPECT_EQ(Closings("a"), 0U);
  EXPECT_EQ(LoadPublished(DirectoryOf("a")).size(), 1U);
}

TEST_F(CaptureTest, RestartsAChangedCollectorOnly) {
  const std::vector<std::pair<std::string, std::function<void()>>> changes = {
      {"frequency", [&] { Wanted("a").settings.interval = milliseconds(3); }},
      {"parameters", [&] { Wanted("a").settings.additional_params.Set("unit", "kelvin"); }},
      {"source", [&] { sources_.AddReadings(kSensor, "a", sensors_["a"].source()); }},
  };
  AddSensor("a");
  AddSensor("b");
  Reconfigure();
  size_t closings = 0;
  for (const auto& [what, change] : changes) {
    ASSERT_TRUE(WaitForCaptured("a"));
    change();
    Reconfigure();
    ASSERT_TRUE(WaitForCaptured("a")) << what;
    EXPECT_TRUE(WaitUntil([&] { return Closings("a") == closings + 1; })) << what;
    ++closings;
  }
  EXPECT_EQ(Closings("b"), 0U);
  EXPECT_FALSE(sensors_["a"].overlapped());
}

TEST_F(CaptureTest, RestartsEverythingWhereTheServiceChanges) {
  AddSensor("a");
  AddSensor("b");
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a"));
  const std::string old_directory = config_.directory;

  config_.tags = {"new"};
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a"));
  config_.max_file_bytes = 1000;
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a"));
  const size_t before = LoadPublished(old_directory).size();
  config_.directory = temp_.path() + "/elsewhere";
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a"));
  ASSERT_TRUE(WaitForCaptured("b"));
  EXPECT_TRUE(Close().ok());
  EXPECT_EQ(Closings("a"), 3U);
  EXPECT_EQ(Closings("b"), 3U);
  EXPECT_GE(LoadPublished(old_directory).size(), before);
  EXPECT_FALSE(LoadPublished(config_.directory).empty());
  EXPECT_TRUE(InProgress().empty());

  std::vector<int> numbers = Numbers(LoadPublished(old_directory + "/rdk_component_sensor/a"));
  const std::vector<int> rest = CapturedOf("a");
  numbers.insert(numbers.end(), rest.begin(), rest.end());
  std::vector<int> all(static_cast<size_t>(sensors_["a"].calls()));
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(numbers, all);
}

TEST_F(CaptureTest, CountersOutliveARestartAndARemoval) {
  AddSensor("a");
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a", 10));
  Wanted("a").settings.interval = milliseconds(1);
  Reconfigure();
  EXPECT_GE(StatsOf("a").captured, 10U);
  const ConfiguredCollector wanted = Wanted("a");
  Unwant("a");
  Reconfigure();
  EXPECT_TRUE(capture_->Stats().empty());
  config_.collectors.push_back(wanted);
  Reconfigure();
  EXPECT_GE(StatsOf("a").captured, 10U);
  ASSERT_TRUE(WaitForCaptured("a"));
  EXPECT_TRUE(Close().ok());
  EXPECT_EQ(StatsOf("a").captured, static_cast<uint64_t>(sensors_["a"].calls()));
  EXPECT_EQ(StatsOf("a").files, LoadPublished(DirectoryOf("a")).size());
  ExpectNothingLost("a");
}

TEST_F(CaptureTest, StopsWhatTheConfigDisables) {
  AddSensor("a");
  AddSensor("b");
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a"));
  for (ConfiguredCollector& collector : config_.collectors) {
    collector.state = CollectorState::kDisabled;
    collector.reason = "capture_disabled";
  }
  Reconfigure();
  EXPECT_EQ(States(), (std::vector<std::string>{"a disabled", "b disabled"}));
  EXPECT_EQ(StatsOf("a").reason, "capture_disabled");
  const int calls = sensors_["a"].calls();
  EXPECT_EQ(StatsOf("a").captured, static_cast<uint64_t>(calls));
  EXPECT_TRUE(capture_->Flush(PatienceEnds(), {}).ok());
  EXPECT_TRUE(InProgress().empty());
  ExpectNothingLost("a");
  EXPECT_EQ(sensors_["a"].calls(), calls);
}

// Collectors that cannot run.

TEST_F(CaptureTest, RefusesAMethodThatNobodyKnowsAndNamesTheNearest) {
  AddSensor("a");
  Want(kSensor, "typo", "Reading");
  Reconfigure();
  EXPECT_EQ(States(), (std::vector<std::string>{"a running", "typo refused"}));
  EXPECT_NE(StatsOf("typo").reason.find("did you mean method Readings?"), std::string::npos)
      << StatsOf("typo").reason;
  EXPECT_TRUE(LogHas("collector rdk:component:sensor/typo Reading refused: "));
  EXPECT_TRUE(WaitForCaptured("a"));
}

TEST_F(CaptureTest, RefusesWhereASourceIsMissing) {
  AddSensor("a");
  Want(kSensor, "absent", "Readings");
  sources_.AddReadings("rdk:component:camera", "cam", sensors_["cam"].source());
  Want("rdk:component:camera", "cam", "GetImages");
  Reconfigure();
  EXPECT_EQ(StatsOf("absent").reason,
            "no source for resource rdk:component:sensor/absent was added");
  EXPECT_EQ(StatsOf("cam").reason,
            "no source for resource rdk:component:camera/cam has the method GetImages");
  EXPECT_TRUE(WaitForCaptured("a"));

  sources_.AddReadings(kSensor, "absent", sensors_["absent"].source());
  Reconfigure();
  EXPECT_TRUE(WaitForCaptured("absent"));
  EXPECT_EQ(StatsOf("absent").reason, "");
}

TEST_F(CaptureTest, RefusesParametersThatCannotBeStored) {
  AddSensor("a");
  Wanted("a").settings.additional_params.Add("unit").SetString("\xff");
  Reconfigure();
  EXPECT_EQ(States(), std::vector<std::string>{"a refused"});
  EXPECT_NE(StatsOf("a").reason.find("additional_params.unit"), std::string::npos);
}

TEST_F(CaptureTest, ShowsWhatTheConfigRefused) {
  AddSensor("a");
  ConfiguredCollector& twin = Want(kSensor, "a twin", "Readings");
  twin.state = CollectorState::kRefused;
  twin.reason = "the same as collectors[0]";
  Reconfigure();
  EXPECT_EQ(States(), (std::vector<std::string>{"a running", "a twin refused"}));
  EXPECT_EQ(StatsOf("a twin").reason, "the same as collectors[0]");
  EXPECT_TRUE(LogHas("refused: the same as collectors[0]"));
}

// The directory.

TEST_F(CaptureTest, CheckMakesTheDirectory) {
  AddSensor("a");
  EXPECT_TRUE(capture_->Check(config_).ok());
  struct stat info {};
  ASSERT_EQ(::stat(config_.directory.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
}

TEST_F(CaptureTest, CheckNamesAFileInTheWay) {
  AddSensor("a");
  testing::WriteFile(config_.directory, "in the way");
  for (const std::string& directory : {config_.directory, config_.directory + "/below"}) {
    config_.directory = directory;
    const absl::Status status = capture_->Check(config_);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(status.message().find("capture_dir: "), 0U) << status;
    EXPECT_NE(status.message().find(directory), std::string::npos) << status;
    EXPECT_NE(status.message().find("Not a directory"), std::string::npos) << status;
  }
}

TEST_F(CaptureTest, CheckLooksAtNothingThatIsNotCapturedTo) {
  testing::WriteFile(config_.directory, "in the way");
  EXPECT_TRUE(capture_->Check(config_).ok());
  AddSensor("a");
  Wanted("a").state = CollectorState::kDisabled;
  EXPECT_TRUE(capture_->Check(config_).ok());
}

TEST_F(CaptureTest, CheckNamesADirectoryThatCannotBeWrittenTo) {
  AddSensor("a");
  ASSERT_EQ(::mkdir(config_.directory.c_str(), 0500), 0);
  const testing::LoweredRights lowered;
  const absl::Status status = capture_->Check(config_);
  EXPECT_NE(status.message().find("capture_dir: read and write in " + config_.directory),
            std::string::npos)
      << status;
}

TEST_F(CaptureTest, PublishesWhatAnEarlierProcessLeft) {
  const std::string left = DirectoryOf("gone") + "/" +
                           capture_file::InProgressName(WallTime(std::chrono::hours(500000)));
  testing::WriteFile(left, std::string("\0\x03\x1a\x01x", 5));
  Reconfigure();
  EXPECT_TRUE(WaitUntil([&] { return capture_->keeper().counters().recovered.load() == 1; }));
  EXPECT_EQ(FilesBelow(config_.directory), std::vector{capture_file::CompletePath(left)});
}

// Flush.

TEST_F(CaptureTest, FlushPublishesEveryOpenFile) {
  for (const char* name : {"a", "b", "c"}) AddSensor(name);
  Reconfigure();
  for (int i = 0; i < 10; ++i) {
    for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(WaitForCaptured(name, 1));
    std::map<std::string, size_t> captured;
    for (const char* name : {"a", "b", "c"}) captured[name] = StatsOf(name).captured;
    EXPECT_TRUE(capture_->Flush(PatienceEnds(), {}).ok());
    for (const char* name : {"a", "b", "c"}) EXPECT_GE(CapturedOf(name).size(), captured[name]);
  }
  EXPECT_TRUE(Close().ok());
  for (const char* name : {"a", "b", "c"}) ExpectNothingLost(name);
}

TEST_F(CaptureTest, FlushPassesASourceThatHangsAndReachesAll) {
  AddSensor("a");
  AddSensor("hangs");
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a"));
  ASSERT_TRUE(WaitForCaptured("hangs"));
  ASSERT_TRUE(Block("hangs"));
  EXPECT_TRUE(capture_->Flush(PatienceEnds(), {}).ok());
  EXPECT_EQ(CapturedOf("hangs").size(), StatsOf("hangs").captured);
  EXPECT_GE(CapturedOf("a").size(), 3U);
}

TEST_F(CaptureTest, FlushGivesUpOnADiskThatHangs) {
  AddSensor("a");
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a"));
  world_->ops.fdatasync_gate().Close();
  EXPECT_EQ(capture_->Flush(In(milliseconds(5)), {}).code(), absl::StatusCode::kDeadlineExceeded);
  std::stop_source stop;
  std::thread other([&stop] { stop.request_stop(); });
  EXPECT_EQ(capture_->Flush(PatienceEnds(), stop.get_token()).code(), absl::StatusCode::kCancelled);
  other.join();
  world_->ops.fdatasync_gate().Open();
  EXPECT_TRUE(capture_->Flush(PatienceEnds(), {}).ok());
}

TEST_F(CaptureTest, FlushNamesAFileThatCannotBePublishedAndWhy) {
  AddSensor("good");
  AddSensor("bad");
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("good"));
  ASSERT_TRUE(WaitForCaptured("bad"));
  ASSERT_TRUE(Block("bad"));
  const std::vector<std::string> bad = FilesBelow(config_.directory + "/rdk_component_sensor/bad");
  ASSERT_EQ(bad.size(), 1U);
  world_->ops.Fail(Call::kRename, EACCES, FaultyFileOps::kAlways, bad.front());
  const absl::Status status = capture_->Flush(PatienceEnds(), {});
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
  EXPECT_NE(status.message().find(bad.front()), std::string::npos) << status;
  EXPECT_NE(status.message().find("Permission denied"), std::string::npos) << status;
  EXPECT_GE(CapturedOf("good").size(), 3U);
  EXPECT_TRUE(capture_->Flush(PatienceEnds(), {}).ok()) << "nothing else is open";
  world_->ops.Heal();
}

TEST_F(CaptureTest, FlushIsNotOkWhileARecordIsBeingWritten) {
  AddSensor("a");
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a"));
  world_->ops.write_gate().Close();
  ASSERT_TRUE(WaitUntil([&] { return world_->ops.write_gate().waiting() == 1; }));
  EXPECT_EQ(capture_->Flush(In(milliseconds(5)), {}).code(), absl::StatusCode::kDeadlineExceeded);
  world_->ops.write_gate().Open();
  EXPECT_TRUE(capture_->Flush(PatienceEnds(), {}).ok());
}

TEST_F(CaptureTest, FlushMayComeWhileReconfigureGoesOn) {
  AddSensor("a");
  AddSensor("b");
  Reconfigure();
  std::atomic<bool> done{false};
  std::thread flusher([&] {
    while (!done) {
      EXPECT_TRUE(capture_->Flush(PatienceEnds(), {}).ok());
      capture_->Stats();
    }
  });
  for (int i = 0; i < 20; ++i) {
    Wanted("a").settings.interval = milliseconds(1 + i % 2);
    Reconfigure();
    ASSERT_TRUE(WaitForCaptured("b", 1));
  }
  done = true;
  flusher.join();
  EXPECT_TRUE(Close().ok());
  ExpectNothingLost("a");
  ExpectNothingLost("b");
}

// Close.

TEST_F(CaptureTest, CloseLeavesNothingInProgress) {
  for (const char* name : {"a", "b", "c"}) AddSensor(name);
  config_.max_file_bytes = 200;
  Reconfigure();
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(WaitForCaptured(name, 20));
  EXPECT_TRUE(Close().ok());
  EXPECT_TRUE(InProgress().empty());
  uint64_t files = 0;
  for (const char* name : {"a", "b", "c"}) {
    ExpectNothingLost(name);
    files += StatsOf(name).files;
  }
  EXPECT_EQ(capture_->keeper().counters().published.load(), files);
  EXPECT_EQ(world_->hints.size(), files);
  EXPECT_EQ(FilesBelow(config_.directory, ".capture").size(), files);
  EXPECT_EQ(States(), (std::vector<std::string>{"a disabled", "b disabled", "c disabled"}))
      << "statistics outlive the collectors";
  EXPECT_TRUE(Close().ok());
}

TEST_F(CaptureTest, AnotherDurabilityRestartsNothing) {
  AddSensor("a");
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a"));
  const std::vector<std::string> open = InProgress();
  ASSERT_EQ(open.size(), 1U);
  config_.durability = Durability::kPeriodic;
  config_.durability_interval = milliseconds(5);
  Reconfigure();
  const std::string flush = "flush " + std::string(BaseName(open[0]));
  const auto flushes = [&] {
    const std::vector<std::string> journal = world_->ops.journal();
    return std::count(journal.begin(), journal.end(), flush);
  };
  ASSERT_TRUE(WaitUntil([&] { return flushes() >= 3; }));
  EXPECT_EQ(InProgress(), open) << "the same file, still open";
  EXPECT_EQ(Closings("a"), 0U);
  EXPECT_TRUE(Close().ok());
  ExpectNothingLost("a");
}

TEST_F(CaptureTest, CloseRemovesAFileWithoutRecords) {
  AddSensor("a");
  world_->ops.Fail(Call::kWrite, ENOSPC);
  Reconfigure();
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("a").failed >= 3; }));
  EXPECT_TRUE(Close().ok());
  EXPECT_TRUE(FilesBelow(config_.directory).empty());
}

TEST_F(CaptureTest, CloseNamesTheSourceThatHangs) {
  AddSensor("a");
  AddSensor("hangs");
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("hangs"));
  ASSERT_TRUE(Block("hangs"));
  const uint64_t captured = StatsOf("hangs").captured;

  const MonotonicTime begin = std::chrono::steady_clock::now();
  const absl::Status status = capture_->Close(In(milliseconds(50)), PatienceEnds());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(status.message(),
            "these sources did not return and were left alone: rdk:component:sensor/hangs "
            "Readings");
  EXPECT_EQ(CapturedOf("hangs").size(), captured);
  // On a busy machine the other one may have been left alone in the middle of a record, too.
  EXPECT_TRUE(WaitUntil([&] { return InProgress().empty(); }));
  ExpectNothingLost("a");
  EXPECT_EQ(States(), (std::vector<std::string>{"a disabled", "hangs disabled", "hangs stopping"}));
  EXPECT_FALSE(capture_->Close(MonotonicTime::min(), PatienceEnds()).ok()) << "it still hangs";

  sensors_["hangs"].gate().Open();
  EXPECT_TRUE(Close().ok());
  EXPECT_EQ(CapturedOf("hangs").size(), captured) << "the late answer is dropped";
  EXPECT_EQ(States(), (std::vector<std::string>{"a disabled", "hangs disabled"}));
}

TEST_F(CaptureTest, CloseWaitsForASourceThatReconfigureLeftAlone) {
  AddSensor("slow");
  Reconfigure();
  ASSERT_TRUE(Block("slow"));
  Unwant("slow");
  Reconfigure(MonotonicTime::min());
  EXPECT_EQ(States(), std::vector<std::string>{"slow stopping"});
  std::thread other([&] { sensors_["slow"].gate().Open(); });
  EXPECT_TRUE(Close().ok());
  EXPECT_EQ(sensors_["slow"].under_way(), 0);
  other.join();
}

TEST_F(CaptureTest, CloseDoesNotWaitForADiskThatHangs) {
  for (const char* name : {"a", "b", "c"}) AddSensor(name);
  Reconfigure();
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(WaitForCaptured(name));
  world_->ops.fdatasync_gate().Close();
  const absl::Status closed = capture_->Close(PatienceEnds(), In(milliseconds(100)));
  EXPECT_TRUE(absl::IsDeadlineExceeded(closed)) << closed;
  EXPECT_NE(closed.ToString().find("the disk hangs"), std::string::npos) << closed;
  EXPECT_EQ(capture_->keeper().counters().unflushed.load(), 0U);
  EXPECT_EQ(InProgress().size(), 3U);
  world_->ops.fdatasync_gate().Open();
  const std::unique_ptr<Keeper> next_run =
      *Keeper::Start({.logger = logger_,
                      .recovery_interval = std::chrono::milliseconds(5),
                      .given_up_delay = std::chrono::milliseconds(5)});
  next_run->Recover(config_.directory);
  ASSERT_TRUE(WaitUntil([&] { return InProgress().empty(); }));
  for (const char* name : {"a", "b", "c"}) ExpectNothingLost(name);
}

TEST_F(CaptureTest, IsClosedByItsDestructor) {
  AddSensor("a");
  Reconfigure();
  ASSERT_TRUE(WaitForCaptured("a"));
  capture_.reset();
  EXPECT_TRUE(WaitUntil([&] { return InProgress().empty(); }));
  EXPECT_GE(CapturedOf("a").size(), 3U);
}

// Sources that hang or fail.

TEST_F(CaptureTest, OneSourceDisturbsNoOther) {
  AddSensor("good");
  AddSensor("hangs");
  AddSensor("fails");
  AddSensor("throws");
  sensors_["fails"].Do(
      [](const CaptureRequest&, Readings&) { return absl::InternalError("broken"); });
  sensors_["throws"].Do(
      [](const CaptureRequest&, Readings&) -> absl::Status { throw std::bad_alloc(); });
  Reconfigure();
  ASSERT_TRUE(Block("hangs"));
  EXPECT_TRUE(WaitForCaptured("good", 30));
  EXPECT_EQ(StatsOf("good").failed, 0U);
  EXPECT_EQ(StatsOf("fails").captured, 0U);
  EXPECT_NE(StatsOf("fails").last_error.find("broken"), std::string::npos);
  EXPECT_NE(StatsOf("throws").last_error.find("the source found no memory"), std::string::npos);
  sensors_["hangs"].gate().Open();
  EXPECT_TRUE(Close().ok());
  ExpectNothingLost("good");
  ExpectNothingLost("hangs");
}

TEST_F(CaptureTest, ReconfigureGivesUpOnASourceThatHangs) {
  AddSensor("hangs");
  Reconfigure();
  ASSERT_TRUE(Block("hangs"));
  const uint64_t captured = StatsOf("hangs").captured;
  Wanted("hangs").settings.interval = milliseconds(1);
  Reconfigure(In(milliseconds(5)));
  EXPECT_EQ(States(), (std::vector<std::string>{"hangs running", "hangs stopping"}));
  EXPECT_TRUE(LogHas("its source did not return; left alone"));
  EXPECT_EQ(sensors_["hangs"].under_way(), 1) << "the successor waits for the call to return";

  sensors_["hangs"].gate().Open();
  EXPECT_TRUE(WaitForCaptured("hangs"));
  EXPECT_EQ(States(), std::vector<std::string>{"hangs running"});
  EXPECT_FALSE(sensors_["hangs"].overlapped());
  EXPECT_TRUE(Close().ok());
  const CollectorStats stats = StatsOf("hangs");
  EXPECT_EQ(stats.failed, 1U) << "the late answer";
  EXPECT_EQ(stats.ticks_due, stats.captured + stats.missed + stats.failed);
  EXPECT_EQ(CapturedOf("hangs").size(), stats.captured);
  EXPECT_GE(stats.captured, captured + 3);
}

TEST_F(CaptureTest, ANewSourceNeedNotWaitForTheOldOne) {
  AddSensor("a");
  Reconfigure();
  ASSERT_TRUE(Block("a"));
  FakeSensor fresh;
  sources_.AddReadings(kSensor, "a", fresh.source());
  Reconfigure(In(milliseconds(5)));
  EXPECT_TRUE(WaitForCaptured("a"));
  EXPECT_GE(fresh.calls(), 3);
  EXPECT_EQ(sensors_["a"].under_way(), 1);
}

TEST_F(CaptureTest, NeverCallsASourceTwiceAtOnceHoweverOftenItIsRestarted) {
  AddSensor("a");
  Reconfigure();
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(Block("a"));
    const int calls = sensors_["a"].calls();
    for (int i = 0; i < 5; ++i) {
      Wanted("a").settings.interval = std::chrono::microseconds(500 + 100 * i + round);
      Reconfigure(MonotonicTime::min());
    }
    const MonotonicTime due = In(milliseconds(5));  // Some ticks of the last of them.
    ASSERT_TRUE(WaitUntil([&] { return std::chrono::steady_clock::now() > due; }));
    EXPECT_EQ(sensors_["a"].calls(), calls);
    sensors_["a"].gate().Open();
    ASSERT_TRUE(WaitForCaptured("a", 1));
  }
  EXPECT_FALSE(sensors_["a"].overlapped());
  EXPECT_TRUE(Close().ok());
  EXPECT_TRUE(InProgress().empty());
}

}  // namespace
}  // namespace datamanager::capture
