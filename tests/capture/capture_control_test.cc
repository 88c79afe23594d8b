// The control sensor, the sequences and the selective sensor, with real collectors.
#include "capture/capture_control.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "capture/capture.h"
#include "capture_file/file_name.h"
#include "datamanager/wire/viam/common/v1/common.pb.h"
#include "tests/capture/captured.h"
#include "tests/capture/fake_sources.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::capture {
namespace {

using config::CaptureConfig;
using config::ConfiguredCollector;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::FakeSensor;
using testing::FilesBelow;
using testing::In;
using testing::LoadPublished;
using testing::Numbers;
using testing::PatienceEnds;
using testing::ReadFile;
using testing::WaitUntil;

constexpr char kSensor[] = "rdk:component:sensor";
constexpr char kKey[] = "overrides";

using Fill = std::function<absl::Status(Readings&)>;

// An entry of the list of overrides.
ValueMap& AddOverride(Readings& readings, const std::string& name) {
  const Value* there = readings.Find(kKey);
  ValueList& list =
      there == nullptr ? readings.Add(kKey).SetList() : const_cast<ValueList&>(there->AsList());
  ValueMap& entry = list.Add().SetMap();
  entry.Set("resource_name", name);
  entry.Set("method", "Readings");
  return entry;
}
void AddSequence(Readings& readings, const std::string& name, const std::string& tag) {
  ValueMap& sequence = readings.Add("sequences").SetList().Add().SetMap();
  sequence.Add("sequence_tags").SetList().Append(tag);
  ValueMap& resource = sequence.Add("resources").SetList().Add().SetMap();
  resource.Set("resource_name", name);
  resource.Set("method", "Readings");
}

class CaptureControlTest : public ::testing::Test {
 protected:
  CaptureControlTest() {
    config_.directory = temp_.path() + "/capture";
    config_.max_file_bytes = 262144;
    config_.control = {.name = "control", .key = kKey};
    sources_.AddReadings(kSensor, "control", control_.source());
    Say([](Readings&) { return absl::OkStatus(); });
    Create(milliseconds(10));
  }
  ~CaptureControlTest() override {
    control_.gate().Open();
    for (auto& [name, sensor] : sensors_) sensor.gate().Open();
    // The destructor alone would leave threads with our clock and disk.
    capture_->Close(PatienceEnds(), PatienceEnds()).IgnoreError();
    capture_.reset();
    EXPECT_TRUE(WaitUntil([&] { return control_.under_way() == 0; }));
    for (auto& [name, sensor] : sensors_) {
      EXPECT_TRUE(WaitUntil([&s = sensor] { return s.under_way() == 0; })) << name;
    }
    if (HasFailure()) std::fprintf(stderr, "the log:\n%s", log_.Text().c_str());
  }

  void Create(milliseconds control_interval) {
    capture_ = *Capture::Create(
        {.logger = logger_, .ops = &ops_, .clock = &clock_, .control_interval = control_interval});
  }

  // What the control sensor says from here on.
  void Say(const Fill& fill) {
    control_.Do([fill](const CaptureRequest&, Readings& out) { return fill(out); });
  }
  void SayFrequency(const std::string& name, double hz) {
    Say([=](Readings& out) {
      AddOverride(out, name).Set("capture_frequency_hz", hz);
      return absl::OkStatus();
    });
  }
  ConfiguredCollector& AddSensor(const std::string& name, std::chrono::nanoseconds interval) {
    sources_.AddReadings(kSensor, name, sensors_[name].source());
    ConfiguredCollector collector;
    collector.settings = {.api = kSensor, .name = name, .method = "Readings", .interval = interval};
    return config_.collectors.emplace_back(std::move(collector));
  }
  void Reconfigure() { ASSERT_TRUE(capture_->Reconfigure(config_, sources_, PatienceEnds())); }
  absl::Status Close() { return capture_->Close(PatienceEnds(), PatienceEnds()); }

  // "<Hz> <state>"
  std::string StateOf(const std::string& name) const {
    for (const CollectorStats& stats : capture_->Stats()) {
      if (stats.name == name) {
        return absl::StrFormat("%.3g %s", stats.frequency_hz,
                               std::string(State(stats.state)).c_str());
      }
    }
    return "none";
  }
  static const char* State(CollectorState state) {
    constexpr std::array kNames = {"running", "disabled", "refused", "stopping"};
    return kNames.at(static_cast<size_t>(state));
  }
  CollectorStats StatsOf(const std::string& name) const {
    for (CollectorStats& stats : capture_->Stats()) {
      if (stats.name == name && stats.state != CollectorState::kStopping) return stats;
    }
    return {};
  }
  bool WaitForState(const std::string& name, const std::string& state) const {
    return WaitUntil([&] { return StateOf(name) == state; });
  }
  // So that "nothing happens" means something.
  bool WaitForAnswers(uint64_t more = 2) const {
    const uint64_t before = Answers();
    return WaitUntil([&] { return Answers() >= before + more; });
  }
  uint64_t Answers() const {
    const CaptureControlStats stats = capture_->ControlStats();
    return stats.answers + stats.broken_answers;
  }
  bool WaitForLog(const std::string& text) const {
    return WaitUntil([&] { return log_.Has(text); });
  }
  std::string DirectoryOf(const std::string& name) const {
    return capture_file::CollectorDirectory(config_.directory, kSensor, name, "Readings");
  }
  std::vector<std::string> Sequences(const std::string& suffix) const {
    return FilesBelow(config_.directory + "/sequences", suffix);
  }

  testing::TempDir temp_;
  testing::FaultyFileOps ops_;  // Flushes nothing, so that no other user of the disk matters.
  testing::FakeClock clock_;
  testing::LogCapture log_;
  const std::shared_ptr<Logger> logger_ = *Logger::Create(log_.sink());
  FakeSensor control_;
  std::map<std::string, FakeSensor> sensors_;
  CaptureConfig config_;
  Sources sources_;
  std::unique_ptr<Capture> capture_;
};

TEST_F(CaptureControlTest, ChangesAFrequencyAndLeavesTheOthersAlone) {
  AddSensor("a", hours(1));
  AddSensor("b", milliseconds(2));
  Reconfigure();
  ASSERT_TRUE(WaitUntil([&] { return FilesBelow(DirectoryOf("b"), ".prog").size() == 1; }));
  const std::vector<std::string> file = FilesBelow(DirectoryOf("b"), ".prog");
  SayFrequency("a", 200);
  ASSERT_TRUE(WaitForState("a", "200 running"));
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("a").captured >= 3; }));
  EXPECT_EQ(StatsOf("a").reason, "capture control: 200 Hz in place of 0.000277778 Hz");
  EXPECT_EQ(capture_->ControlStats().overrides, 1U);
  // It disappears: the config's own is back.
  Say([](Readings&) { return absl::OkStatus(); });
  ASSERT_TRUE(WaitForState("a", "0.000278 running"));
  EXPECT_EQ(StatsOf("a").reason, "");
  EXPECT_EQ(FilesBelow(DirectoryOf("b"), ".prog"), file);
  EXPECT_FALSE(sensors_["a"].overlapped());
  EXPECT_TRUE(
      WaitForLog("capture control sensor changing rdk:component:sensor/a Readings: capture "
                 "control: 200 Hz in place of 0.000277778 Hz"));
  EXPECT_TRUE(WaitForLog(
      "capture control sensor changing rdk:component:sensor/a Readings: as the config has it"));
  // Whoever is restarted again and again loses nothing.
  for (int i = 0; i < 4; ++i) {
    SayFrequency("a", 100 + i);
    ASSERT_TRUE(WaitForState("a", absl::StrCat(100 + i, " running")));
  }
  const absl::Status closed = Close();
  EXPECT_TRUE(closed.ok()) << closed;
  std::vector<int> numbers = Numbers(LoadPublished(DirectoryOf("a")));
  std::sort(numbers.begin(), numbers.end());
  ASSERT_EQ(numbers.size(), static_cast<size_t>(sensors_["a"].calls()));
  for (size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(numbers[i], static_cast<int>(i));
}

TEST_F(CaptureControlTest, AnAnswerIsActedOnAtOnceNotWithTheNextQuestion) {
  Create(hours(1));
  AddSensor("a", hours(1));
  control_.gate().Close();
  SayFrequency("a", 200);
  Reconfigure();
  ASSERT_TRUE(WaitUntil([&] { return control_.gate().waiting() == 1; }));
  EXPECT_EQ(StateOf("a"), "0.000278 running");
  control_.gate().Open();
  ASSERT_TRUE(WaitForState("a", "200 running"));
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("a").captured >= 1; }));
  EXPECT_EQ(control_.calls(), 1);
}

TEST_F(CaptureControlTest, ASensorMayAnswerWithAMessage) {
  using Answer = wire::viam::common::v1::GetReadingsResponse;
  sources_.AddMessage<Answer>(kSensor, "control", "Readings",
                              [](const CaptureRequest& request, Answer& out) {
                                EXPECT_TRUE(request.extra.Find("fromDataManagement")->AsBool());
                                auto& fields = *(*out.mutable_readings())[kKey]
                                                    .mutable_list_value()
                                                    ->add_values()
                                                    ->mutable_struct_value()
                                                    ->mutable_fields();
                                fields["resource_name"].set_string_value("a");
                                fields["method"].set_string_value("Readings");
                                fields["capture_frequency_hz"].set_number_value(200);
                                return absl::OkStatus();
                              });
  AddSensor("a", hours(1));
  Reconfigure();
  ASSERT_TRUE(WaitForState("a", "200 running"));
  EXPECT_TRUE(WaitForAnswers());
}

TEST_F(CaptureControlTest, AMessageThatHoldsNoReadingsIsNoSensorsAnswer) {
  using Answer = wire::viam::common::v1::GetWorldPoseResponse;
  sources_.AddMessage<Answer>(kSensor, "control", "Readings",
                              [](const CaptureRequest&, Answer&) { return absl::OkStatus(); });
  Reconfigure();
  EXPECT_TRUE(
      WaitForLog("capture_control_sensor: no source of readings was added under the name control"));
}

TEST_F(CaptureControlTest, DisablesAndEnables) {
  AddSensor("a", milliseconds(2));
  ConfiguredCollector& off = AddSensor("off", hours(1));
  off.state = CollectorState::kDisabled;
  off.reason = "collector disabled due to config `disabled` being true";
  sources_.AddReadings(kSensor, "new", sensors_["new"].source());
  Reconfigure();
  Say([](Readings& out) {
    AddOverride(out, "a").Set("capture_frequency_hz", 0);
    AddOverride(out, "off").Set("capture_frequency_hz", 100);
    AddOverride(out, "new").Set("capture_frequency_hz", 100);
    AddOverride(out, "ghost").Set("capture_frequency_hz", 100);
    return absl::OkStatus();
  });
  ASSERT_TRUE(WaitForState("new", "100 running"));
  EXPECT_EQ(StateOf("a"), "0 disabled");
  EXPECT_EQ(StateOf("off"), "100 running");
  EXPECT_TRUE(WaitForLog("cannot change ghost Readings: no resource of this name"));
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("new").captured >= 2; }));
  const int calls = sensors_["a"].calls();
  ASSERT_TRUE(WaitForAnswers(3));
  EXPECT_EQ(sensors_["a"].calls(), calls);
  EXPECT_EQ(log_.Count("ghost Readings"), 1U);

  Say([](Readings&) { return absl::OkStatus(); });
  ASSERT_TRUE(WaitForState("a", "500 running"));
  EXPECT_EQ(StateOf("off"), "0.000278 disabled");
  EXPECT_EQ(StateOf("new"), "none");
  EXPECT_TRUE(WaitForLog("capture control sensor disabling rdk:component:sensor/new"));
}

TEST_F(CaptureControlTest, NothingThatTheConfigRefusesIsStarted) {
  ConfiguredCollector& faulty = AddSensor("faulty", hours(1));
  faulty.state = CollectorState::kRefused;
  faulty.fault = faulty.reason = "capture_queue_size can't be less than 0, current value: -1";
  Reconfigure();
  SayFrequency("faulty", 100);
  ASSERT_TRUE(WaitForLog("cannot change faulty Readings: capture_queue_size"));
  ASSERT_TRUE(WaitForAnswers());
  EXPECT_EQ(StateOf("faulty"), "0.000278 refused");
  EXPECT_EQ(sensors_["faulty"].calls(), 0);
  EXPECT_EQ(log_.Count("cannot change faulty"), 1U);
}

TEST_F(CaptureControlTest, TagsAreStoredWithWhatIsCapturedFromThenOn) {
  config_.tags = {"service"};
  AddSensor("a", milliseconds(2));
  Reconfigure();
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("a").captured >= 2; }));
  Say([](Readings& out) {
    AddOverride(out, "a").Add("tags").SetList().Append("night");
    return absl::OkStatus();
  });
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("a").reason == "capture control: tags [night]"; }));
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("a").files >= 1; }));
  const uint64_t before = StatsOf("a").captured;
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("a").captured > before + 2; }));
  ASSERT_TRUE(Close().ok());
  const auto files = LoadPublished(DirectoryOf("a"));
  ASSERT_EQ(files.size(), 2U);
  ASSERT_EQ(files[0].metadata.tags_size(), 1);
  EXPECT_EQ(files[0].metadata.tags(0), "service");
  ASSERT_EQ(files[1].metadata.tags_size(), 1);
  EXPECT_EQ(files[1].metadata.tags(0), "night");
  EXPECT_EQ(Numbers(files).size(), static_cast<size_t>(sensors_["a"].calls()));
}

TEST_F(CaptureControlTest, ABrokenReadingIsToldOnceAndTheLastGoodOneHoldsForTenSeconds) {
  AddSensor("a", hours(1));
  Reconfigure();
  Say([](Readings& out) {
    AddOverride(out, "a").Set("capture_frequency_hz", 0.001);
    AddSequence(out, "a", "x");
    return absl::OkStatus();
  });
  ASSERT_TRUE(WaitForState("a", "0.001 running"));
  ASSERT_TRUE(WaitUntil([&] { return Sequences(".progseq").size() == 1; }));
  Say([](Readings&) { return absl::UnavailableError("the bus is gone"); });
  ASSERT_TRUE(WaitUntil([&] { return capture_->ControlStats().broken_answers >= 4; }));
  EXPECT_EQ(StateOf("a"), "0.001 running");
  EXPECT_EQ(Sequences(".progseq").size(), 1U);
  EXPECT_EQ(log_.Count("the bus is gone"), 1U);
  clock_.Advance(seconds(9));
  ASSERT_TRUE(WaitForAnswers());
  EXPECT_EQ(StateOf("a"), "0.001 running");
  clock_.Advance(seconds(2));
  ASSERT_TRUE(WaitForState("a", "0.000278 running"));
  ASSERT_TRUE(WaitUntil([&] { return Sequences(".seq").size() == 1; }));
  EXPECT_TRUE(WaitUntil([&] { return Sequences(".progseq").empty(); }));
  EXPECT_EQ(log_.Count("the bus is gone"), 1U);
  EXPECT_NE(capture_->ControlStats().last_error.find("the bus is gone"), std::string::npos);
  // It comes to its senses.
  SayFrequency("a", 0.002);
  ASSERT_TRUE(WaitForState("a", "0.002 running"));
  EXPECT_TRUE(WaitForLog("capture control sensor control makes sense again"));
}

TEST_F(CaptureControlTest, OfAReadingTheHalfThatMakesSenseCounts) {
  AddSensor("a", hours(1));
  Reconfigure();
  Say([](Readings& out) {
    AddOverride(out, "a").Set("capture_frequency_hz", 0.001);
    AddSequence(out, "a", "x");
    return absl::OkStatus();
  });
  ASSERT_TRUE(WaitForState("a", "0.001 running"));
  ASSERT_TRUE(WaitUntil([&] { return Sequences(".progseq").size() == 1; }));
  // The sequence goes on, though the overrides change.
  Say([](Readings& out) {
    AddOverride(out, "a").Set("capture_frequency_hz", 0.002);
    out.Set("sequences", "garbage");
    return absl::OkStatus();
  });
  ASSERT_TRUE(WaitForState("a", "0.002 running"));
  EXPECT_EQ(Sequences(".progseq").size(), 1U);
  // The other way round.
  Say([](Readings& out) {
    out.Set(kKey, std::numeric_limits<double>::quiet_NaN());
    return absl::OkStatus();
  });
  ASSERT_TRUE(WaitUntil([&] { return Sequences(".seq").size() == 1; }));
  EXPECT_EQ(StateOf("a"), "0.002 running");
}

TEST_F(CaptureControlTest, ASensorThatReturnsAnythingAtAllHarmsNothing) {
  AddSensor("a", milliseconds(2));
  Reconfigure();
  const std::vector<Fill> kCases = {
      [](Readings& out) {
        for (int i = 0; i < 100000; ++i) out.Set("k", i);
        return absl::OkStatus();
      },
      [](Readings& out) {
        ValueList& list = out.Add(kKey).SetList();
        for (int i = 0; i < 100000; ++i) list.Append(i);
        return absl::OkStatus();
      },
      [](Readings& out) {
        for (int i = 0; i < 4000; ++i) {
          AddOverride(out, absl::StrCat("ghost", i)).Set("capture_frequency_hz", i);
        }
        return absl::OkStatus();
      },
      [](Readings& out) {
        Value* deep = &out.Add(kKey);
        for (int i = 0; i < 1000; ++i) deep = &deep->SetList().Add();
        return absl::OkStatus();
      },
      [](Readings& out) {
        AddOverride(out, "../../etc").Set("capture_frequency_hz", 10);
        AddOverride(out, std::string("\0x", 2)).Set("capture_frequency_hz", 10);
        AddOverride(out, std::string(100000, 'x')).Set("capture_frequency_hz", 10);
        return absl::OkStatus();
      },
      [](Readings& out) {
        out.Add(kKey).SetBytes("\xff\xfe");
        out.Add("sequences").SetMap().Set("x", 1);
        return absl::OkStatus();
      },
      [](Readings&) -> absl::Status { throw std::runtime_error("a bad day"); },
      [](Readings&) -> absl::Status { throw 5; },
  };
  for (size_t i = 0; i < kCases.size(); ++i) {
    Say(kCases[i]);
    ASSERT_TRUE(WaitForAnswers(2)) << i;
    EXPECT_EQ(StateOf("a"), "500 running") << i;
  }
  const uint64_t captured = StatsOf("a").captured;
  EXPECT_TRUE(WaitUntil([&] { return StatsOf("a").captured > captured + 3; }));
  EXPECT_LT(log_.entries().size(), 100U);
  for (const LogEntry& entry : log_.entries()) EXPECT_LT(entry.message.size(), 2000U);
}

TEST_F(CaptureControlTest, ASensorThatHangsHoldsUpNothingAndIsNamed) {
  AddSensor("a", hours(1));
  Reconfigure();
  SayFrequency("a", 0.001);
  ASSERT_TRUE(WaitForState("a", "0.001 running"));
  control_.gate().Close();
  ASSERT_TRUE(WaitUntil([&] { return control_.gate().waiting() == 1; }));
  clock_.Advance(seconds(11));
  ASSERT_TRUE(WaitForState("a", "0.000278 running"));
  EXPECT_TRUE(WaitForLog("capture control sensor control: it has not answered for"));
  // Reconfigure waits for it no longer than for any other source, and a new one asks only then.
  config_.control.key = "other";
  EXPECT_TRUE(capture_->Reconfigure(config_, sources_, In(milliseconds(20))));
  EXPECT_TRUE(WaitForLog("sensor control: its source did not return; left alone"));
  const int calls = control_.calls();
  const absl::Status closed = capture_->Close(In(milliseconds(20)), PatienceEnds());
  EXPECT_TRUE(absl::IsDeadlineExceeded(closed)) << closed;
  EXPECT_NE(closed.message().find("control"), absl::string_view::npos);
  EXPECT_EQ(control_.calls(), calls);
  EXPECT_FALSE(control_.overlapped());
}

TEST_F(CaptureControlTest, ASlowSourceHoldsUpItsOwnChangeOnlyAndLosesNothing) {
  AddSensor("slow", milliseconds(2));
  AddSensor("quick", hours(1));
  Reconfigure();
  sensors_["slow"].gate().Close();
  ASSERT_TRUE(WaitUntil([&] { return sensors_["slow"].gate().waiting() == 1; }));
  Say([](Readings& out) {
    AddOverride(out, "slow").Set("capture_frequency_hz", 100);
    AddOverride(out, "quick").Set("capture_frequency_hz", 100);
    return absl::OkStatus();
  });
  ASSERT_TRUE(WaitForState("quick", "100 running"));
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("quick").captured >= 2; }));
  const auto states = [&] {
    std::vector<std::string> all;
    for (const CollectorStats& stats : capture_->Stats()) {
      if (stats.name == "slow") all.emplace_back(State(stats.state));
    }
    return all;
  };
  EXPECT_EQ(states(), std::vector<std::string>({"running", "stopping"}));
  sensors_["slow"].gate().Open();
  const uint64_t captured = StatsOf("slow").captured;
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("slow").captured >= captured + 3; }));
  EXPECT_FALSE(sensors_["slow"].overlapped());
  ASSERT_TRUE(Close().ok());
  EXPECT_EQ(Numbers(LoadPublished(DirectoryOf("slow"))).size(),
            static_cast<size_t>(sensors_["slow"].calls()));
}

TEST_F(CaptureControlTest, ASensorThatIsCapturedTooIsNeverAskedTwiceAtOnce) {
  ConfiguredCollector collector;
  collector.settings = {
      .api = kSensor, .name = "control", .method = "Readings", .interval = milliseconds(1)};
  config_.collectors.push_back(collector);
  Reconfigure();
  ASSERT_TRUE(WaitForAnswers(5));
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("control").captured >= 20; }));
  EXPECT_EQ(control_.threads().size(), 2U);
  EXPECT_FALSE(control_.overlapped());
}

TEST_F(CaptureControlTest, SequencesBeginAndEndAndCloseEndsThem) {
  AddSensor("a", milliseconds(2));
  Reconfigure();
  Say([](Readings& out) {
    AddSequence(out, "a", "first");
    return absl::OkStatus();
  });
  ASSERT_TRUE(WaitUntil([&] { return Sequences(".progseq").size() == 1; }));
  EXPECT_TRUE(WaitForLog("sequence started: "));
  Say([](Readings& out) {
    AddSequence(out, "a", "second");
    return absl::OkStatus();
  });
  ASSERT_TRUE(WaitUntil([&] { return Sequences(".seq").size() == 1; }));
  ASSERT_TRUE(WaitUntil([&] { return capture_->ControlStats().ended_sequences == 1; }));
  EXPECT_EQ(capture_->ControlStats().open_sequences, 1U);
  ASSERT_TRUE(Close().ok());
  EXPECT_EQ(Sequences(".progseq").size(), 0U);
  ASSERT_EQ(Sequences(".seq").size(), 2U);
  for (const std::string& path : Sequences(".seq")) {
    const auto sequence = capture_file::ParseSequence(ReadFile(path));
    ASSERT_TRUE(sequence.ok()) << sequence.status();
    ASSERT_TRUE(sequence->end.has_value());
    EXPECT_GE(*sequence->end, sequence->start);
    EXPECT_EQ(sequence->resources,
              std::vector<capture_file::SequenceResource>({{"a", "Readings"}}));
  }
}

TEST_F(CaptureControlTest, WithoutTheSensorOrInAnotherDirectorySequencesEnd) {
  AddSensor("a", hours(1));
  Reconfigure();
  Say([](Readings& out) {
    AddOverride(out, "a").Set("capture_frequency_hz", 0.001);
    AddSequence(out, "a", "x");
    return absl::OkStatus();
  });
  ASSERT_TRUE(WaitForState("a", "0.001 running"));
  ASSERT_TRUE(WaitUntil([&] { return Sequences(".progseq").size() == 1; }));
  const std::string first = config_.directory;
  config_.directory = temp_.path() + "/second";
  Reconfigure();
  // What is overridden stays so: no moment at the config's own.
  EXPECT_EQ(StateOf("a"), "0.001 running");
  EXPECT_EQ(FilesBelow(first, ".seq").size(), 1U);
  EXPECT_EQ(FilesBelow(first, ".progseq").size(), 0U);
  ASSERT_TRUE(WaitUntil([&] { return Sequences(".progseq").size() == 1; }));
  config_.control = {};
  Reconfigure();
  EXPECT_EQ(StateOf("a"), "0.000278 running");
  EXPECT_EQ(Sequences(".progseq").size(), 0U);
  EXPECT_EQ(Sequences(".seq").size(), 1U);
  EXPECT_EQ(capture_->ControlStats().sensor, "");
}

TEST_F(CaptureControlTest, WithoutSuchASensorNothingIsControlledAndAnErrorSaysSo) {
  AddSensor("a", hours(1));
  config_.control.name = "nobody";
  Reconfigure();
  EXPECT_TRUE(
      WaitForLog("error: capture_control_sensor: no source of readings was added under the "
                 "name nobody; nothing is controlled"));
  EXPECT_EQ(StateOf("a"), "0.000278 running");
}

TEST_F(CaptureControlTest, AReconfigureKeepsWhatIsOverridden) {
  AddSensor("a", hours(1));
  Reconfigure();
  SayFrequency("a", 0.001);
  ASSERT_TRUE(WaitForState("a", "0.001 running"));
  AddSensor("b", hours(1));
  Reconfigure();
  EXPECT_EQ(StateOf("a"), "0.001 running");
  EXPECT_EQ(StateOf("b"), "0.000278 running");
  EXPECT_EQ(log_.Count("closing collector"), 0U);
}

TEST_F(CaptureControlTest, UnderReconfiguresOfEveryKindAllIsCapturedOnce) {
  AddSensor("a", milliseconds(1));
  std::atomic<int> said{0};
  Say([&said](Readings& out) {
    AddOverride(out, "a").Set("capture_frequency_hz", 500 + ++said % 2);
    return absl::OkStatus();
  });
  for (int i = 0; i < 30; ++i) {
    config_.tags = {absl::StrCat("t", i % 3)};
    config_.control.name = i % 5 == 3 ? "" : "control";
    Reconfigure();
    std::this_thread::yield();
  }
  ASSERT_TRUE(WaitForAnswers(3));
  ASSERT_TRUE(Close().ok());
  EXPECT_FALSE(sensors_["a"].overlapped());
  std::vector<int> numbers = Numbers(LoadPublished(DirectoryOf("a")));
  std::sort(numbers.begin(), numbers.end());
  ASSERT_EQ(numbers.size(), static_cast<size_t>(sensors_["a"].calls()));
  EXPECT_EQ(std::adjacent_find(numbers.begin(), numbers.end()), numbers.end());
}

TEST_F(CaptureControlTest, ACollectorThatTakesOverKeepsThePhase) {
  const auto collector = [&](std::chrono::nanoseconds interval,
                             const std::vector<std::shared_ptr<Collector>>& before,
                             const std::shared_ptr<CollectorCounters>& counters) {
    sources_.AddReadings(kSensor, "a", sensors_["a"].source());
    static const Method* const method = *FindMethod(kSensor, "Readings");
    auto started = Collector::Start(
        {.settings = {.api = kSensor, .name = "a", .method = "Readings", .interval = interval},
         .method = method,
         .source = sources_.Find(kSensor, "a", "Readings"),
         .directory = DirectoryOf("a"),
         .max_file_bytes = 1,
         .counters = counters,
         .keeper = *Keeper::Start({.logger = logger_}),
         .logger = logger_,
         .clock = &clock_},
        before);
    EXPECT_TRUE(started.ok()) << started.status();
    return std::shared_ptr<Collector>(*std::move(started));
  };
  const auto first = collector(hours(1), {}, std::make_shared<CollectorCounters>());
  first->RequestStop();
  ASSERT_TRUE(first->JoinUntil(PatienceEnds()));
  // Due 3.5 intervals ago it would have ticked at 1, 2 and 3: the last is made up for.
  clock_.Advance(hours(3) + std::chrono::minutes(30));
  const auto same = std::make_shared<CollectorCounters>();
  const auto successor = collector(hours(1), {first}, same);
  EXPECT_TRUE(WaitUntil([&] { return same->missed == 2; }));
  EXPECT_EQ(same->ticks_due, 2U);
  const auto other = std::make_shared<CollectorCounters>();
  {
    const auto another = collector(hours(2), {first}, other);
    another->RequestStop();
    ASSERT_TRUE(another->JoinUntil(PatienceEnds()));
  }
  EXPECT_EQ(other->missed, 0U);
}

TEST_F(CaptureControlTest, TheSelectiveSensorIsAskedAndAnErrorSaysWhyItIsNotKnown) {
  sources_.AddReadings(kSensor, "uplink", sensors_["uplink"].source());
  config_.control = {};
  Reconfigure();
  EXPECT_TRUE(absl::IsNotFound(capture_->SetSelectiveSensor("nobody", sources_, PatienceEnds())));
  EXPECT_FALSE(capture_->ShouldSync(PatienceEnds(), {}).ok());
  ASSERT_TRUE(capture_->SetSelectiveSensor("uplink", sources_, PatienceEnds()).ok());
  EXPECT_NE(capture_->ShouldSync(PatienceEnds(), {}).status().message().find("no should_sync"),
            absl::string_view::npos);
  for (const bool wanted : {true, false}) {
    sensors_["uplink"].Do([wanted](const CaptureRequest& request, Readings& out) {
      EXPECT_NE(request.extra.Find("fromDataManagement"), nullptr);
      out.Set("should_sync", wanted);
      return absl::OkStatus();
    });
    EXPECT_EQ(*capture_->ShouldSync(PatienceEnds(), {}), wanted);
  }
  sensors_["uplink"].Do(
      [](const CaptureRequest&, Readings&) { return absl::UnavailableError("no modem"); });
  EXPECT_TRUE(absl::IsUnavailable(capture_->ShouldSync(PatienceEnds(), {}).status()));
  // One that hangs costs the asker its own limit once, and nothing from then on.
  sensors_["uplink"].gate().Close();
  EXPECT_TRUE(absl::IsDeadlineExceeded(capture_->ShouldSync(In(milliseconds(5)), {}).status()));
  EXPECT_TRUE(WaitUntil([&] { return sensors_["uplink"].gate().waiting() == 1; }));
  const auto again = capture_->ShouldSync(PatienceEnds(), {});
  EXPECT_NE(again.status().message().find("it has not answered for"), absl::string_view::npos);
  const absl::Status closed = capture_->Close(In(milliseconds(5)), PatienceEnds());
  EXPECT_NE(closed.message().find("uplink"), absl::string_view::npos) << closed;
}

// Three collectors ask the control sensor itself all the time.
TEST_F(CaptureControlTest, IsAskedAlsoWhileSlowCollectorsUseTheSensor) {
  control_.Do([](const CaptureRequest&, Readings& out) {
    std::this_thread::sleep_for(milliseconds(15));  // The source is slow.
    out.Set("value", 1);
    return absl::OkStatus();
  });
  for (int i = 0; i < 3; ++i) {
    ConfiguredCollector collector;
    collector.settings = {
        .api = kSensor, .name = "control", .method = "Readings", .interval = milliseconds(1 + i)};
    collector.settings.additional_params.Set("number", i);
    config_.collectors.push_back(std::move(collector));
  }
  Reconfigure();
  ASSERT_TRUE(WaitUntil([&] {
    const auto stats = capture_->Stats();
    return std::all_of(stats.begin(), stats.end(),
                       [](const CollectorStats& one) { return one.captured >= 2; });
  }));
  const uint64_t answers = capture_->ControlStats().answers;
  const std::vector<CollectorStats> before = capture_->Stats();
  EXPECT_TRUE(WaitUntil([&] { return capture_->ControlStats().answers >= answers + 10; }));
  // A question waits for at most one call of each collector: no collector has more calls than there
  // were answers, except at the edges.
  const std::vector<CollectorStats> now = capture_->Stats();
  const uint64_t heard = capture_->ControlStats().answers - answers;
  for (size_t i = 0; i < now.size(); ++i) {
    EXPECT_LE(now[i].captured - before[i].captured, 2 * heard + 4) << i;
    EXPECT_GT(now[i].captured, before[i].captured) << i;
  }
}

// A thread that takes its turn, and has it until the test gives it back.
class TurnTaker {
 public:
  TurnTaker(SourceTurn& turn, bool alone)
      : thread_([this, &turn, alone] {
          if (alone) {
            has_turn_ = turn.EnterAlone(stop_.get_token());
          } else {
            ticket_ = turn.Enter(stop_.get_token());
            has_turn_ = ticket_ != 0;
          }
        }) {}
  ~TurnTaker() {
    stop_.request_stop();
    thread_.join();
  }
  bool has_turn() const { return has_turn_; }
  SourceTurn::Ticket ticket() const { return ticket_; }

 private:
  std::stop_source stop_;
  std::atomic<bool> has_turn_{false};
  std::atomic<SourceTurn::Ticket> ticket_{0};
  std::thread thread_;
};

TEST(SourceTurnTest, AQuestionWaitsForTheCallsUnderWayAndForNoOthers) {
  SourceTurn turn(std::chrono::minutes(10));
  const std::stop_token never;
  const SourceTurn::Ticket first = turn.Enter(never);
  const SourceTurn::Ticket second = turn.Enter(never);
  TurnTaker question(turn, /*alone=*/true);
  // While the question waits, no call begins: with calls that overlap, it would never get its turn.
  std::stop_source stop;
  ASSERT_TRUE(WaitUntil([&] {
    stop = std::stop_source();
    std::thread soon([&stop] { stop.request_stop(); });
    const SourceTurn::Ticket third = turn.Enter(stop.get_token());
    soon.join();
    if (third != 0) turn.Leave(third);
    return third == 0;
  }));
  TurnTaker collector(turn, /*alone=*/false);
  ASSERT_TRUE(WaitUntil([&] { return turn.waiting_collectors() == 1; }));
  turn.Leave(first);
  EXPECT_FALSE(question.has_turn());
  turn.Leave(second);
  EXPECT_TRUE(WaitUntil([&] { return question.has_turn(); }));
  EXPECT_FALSE(collector.has_turn());
  // The collector comes before the next question.
  turn.LeaveAlone();
  TurnTaker next(turn, /*alone=*/true);
  EXPECT_TRUE(WaitUntil([&] { return collector.has_turn(); }));
  turn.Leave(collector.ticket());
  EXPECT_TRUE(WaitUntil([&] { return next.has_turn(); }));
  turn.LeaveAlone();
}

TEST(SourceTurnTest, ACallThatHangsHoldsUpOtherCollectorsOnlyForAWhile) {
  SourceTurn turn(milliseconds(20));
  const std::stop_token never;
  const SourceTurn::Ticket hanging = turn.Enter(never);
  TurnTaker question(turn, /*alone=*/true);
  for (int i = 0; i < 100; ++i) {
    const SourceTurn::Ticket other = turn.Enter(never);
    ASSERT_NE(other, 0U);
    turn.Leave(other);
  }
  EXPECT_FALSE(question.has_turn());
  turn.Leave(hanging);
  EXPECT_TRUE(WaitUntil([&] { return question.has_turn(); }));
  turn.LeaveAlone();
}

// While long calls overlap, other calls are held back.
TEST(SourceTurnTest, LongCallsThatOverlapLetTheQuestionIn) {
  SourceTurn turn(milliseconds(1));
  std::stop_source stop;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop.stop_requested()) {
        const SourceTurn::Ticket ticket = turn.Enter(stop.get_token());
        if (ticket == 0) break;
        std::this_thread::sleep_for(milliseconds(7));  // The call takes this long.
        turn.Leave(ticket);
      }
    });
  }
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(turn.EnterAlone({}));
    turn.LeaveAlone();
  }
  stop.request_stop();
  for (std::thread& thread : threads) thread.join();
}

TEST(SourceTurnTest, QuestionsAndCallsNeverOverlapAndNobodyStarves) {
  SourceTurn turn;
  std::atomic<int> calls{0};
  std::atomic<int> alone{0};
  std::atomic<bool> overlapped{false};
  std::atomic<int> asked{0};
  std::atomic<int> called{0};
  std::stop_source stop;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!stop.stop_requested()) {
        const SourceTurn::Ticket ticket = turn.Enter(stop.get_token());
        if (ticket == 0) break;
        ++calls;
        overlapped = overlapped || alone > 0;
        --calls;
        ++called;
        turn.Leave(ticket);
      }
    });
    threads.emplace_back([&] {
      while (turn.EnterAlone(stop.get_token()) && !stop.stop_requested()) {
        overlapped = overlapped || calls > 0 || ++alone > 1;
        --alone;
        ++asked;
        turn.LeaveAlone();
      }
    });
  }
  EXPECT_TRUE(WaitUntil([&] { return asked > 200 && called > 200; }));
  stop.request_stop();
  // Those that left their loops inside hold up nobody who was told to stop.
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(overlapped);
}

}  // namespace
}  // namespace datamanager::capture
