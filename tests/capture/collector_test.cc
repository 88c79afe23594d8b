#include "capture/collector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/callback_scope.h"
#include "tests/capture/captured.h"
#include "tests/capture/fake_sources.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::capture {
namespace {

using std::chrono::milliseconds;
using testing::CapturedFile;
using testing::FakeSensor;
using testing::FaultyFileOps;
using testing::FilesBelow;
using testing::In;
using testing::LoadPublished;
using testing::LogCapture;
using testing::Numbers;
using testing::PatienceEnds;
using testing::TempDir;
using testing::WaitForStop;
using testing::WaitUntil;
using Call = FaultyFileOps::Call;

Image Picture(std::string source_name, std::string mime_type, std::string data) {
  return {.source_name = std::move(source_name),
          .mime_type = std::move(mime_type),
          .data = std::move(data)};
}

std::vector<int> Range(int begin, int end) {
  std::vector<int> numbers(static_cast<size_t>(end - begin));
  std::iota(numbers.begin(), numbers.end(), begin);
  return numbers;
}

class CollectorTest : public ::testing::Test {
 protected:
  CollectorTest() {
    logger_ = *Logger::Create(log_.sink());
    keeper_ = *Keeper::Start({.ops = &ops_, .logger = logger_});
    Configure("rdk:component:sensor", "Readings");
    options_.settings.interval = milliseconds(2);
    options_.max_file_bytes = 262144;
  }
  ~CollectorTest() override {
    sensor_.gate().Open();
    if (collector_ != nullptr) Stop();
    keeper_->Close(PatienceEnds());
  }

  // Telling the story.

  void Configure(const std::string& api, const std::string& method) {
    options_.settings.api = api;
    options_.settings.name = "it";
    options_.settings.method = method;
    options_.method = *FindMethod(api, method);
  }
  static std::shared_ptr<const SourceFunction> SourceOf(SourceFunction function) {
    return std::make_shared<const SourceFunction>(std::move(function));
  }
  void Start() {
    options_.source = SourceOf(sensor_.source());
    Restart();
  }
  // Another collector, on the same source, with the same counters.
  void Restart(std::shared_ptr<Collector> predecessor = nullptr) {
    options_.directory = directory_;
    options_.counters = counters_;
    options_.keeper = keeper_;
    options_.logger = logger_;
    options_.ops = &ops_;
    auto started = predecessor == nullptr ? Collector::Start(options_)
                                          : Collector::Start(options_, {std::move(predecessor)});
    ASSERT_TRUE(started.ok()) << started.status();
    collector_ = *std::move(started);
  }
  void Stop() {
    collector_->RequestStop();
    EXPECT_TRUE(collector_->JoinUntil(PatienceEnds()));
    EXPECT_TRUE(collector_->ended());
    collector_.reset();
    EXPECT_TRUE(keeper_->WaitUntilPublished(PatienceEnds(), {}).ok());
  }
  // The first answer is as given; then the source waits to be told to stop. What that adds to the
  // counters is taken out of `once_`.
  void Once(SourceFunction function) {
    const auto called = std::make_shared<std::atomic<int>>(0);
    const auto once = [called](auto source) {
      return [called, source](const CaptureRequest& request, auto& out) {
        return ++*called == 1 ? source(request, out) : WaitForStop(request);
      };
    };
    if (auto* readings = std::get_if<ReadingsSource>(&function)) {
      options_.source = SourceOf(ReadingsSource(once(*readings)));
    } else {
      options_.source = SourceOf(ImagesSource(once(std::get<ImagesSource>(function))));
    }
    Restart();
    ASSERT_TRUE(WaitUntil([&] { return called->load() == 2; }));
    Stop();
    once_ = Stats();
    --once_.failed;
    --once_.source_errors;
  }
  void TakePicturesOnce(std::vector<Image> pictures) {
    Once(ImagesSource([pictures = std::move(pictures)](const CaptureRequest&, Images& out) {
      for (const Image& picture : pictures) out.Add() = picture;
      return absl::OkStatus();
    }));
  }
  void Params(const std::string& key, Value value) {
    options_.settings.additional_params.Set(key, std::move(value));
    options_.params = options_.settings.additional_params;
  }
  bool WaitForCaptured(uint64_t more) {
    const uint64_t target = counters_->captured + more;
    return WaitUntil([&] { return counters_->captured >= target; });
  }
  bool WaitForFailed(uint64_t more) {
    const uint64_t target = counters_->failed + more;
    return WaitUntil([&] { return counters_->failed >= target; });
  }
  bool WaitForCalls(int more) {
    const int target = sensor_.calls() + more;
    return WaitUntil([&] { return sensor_.calls() >= target; });
  }
  bool WaitForBlockedCall() {
    sensor_.gate().Close();
    return WaitUntil([&] { return sensor_.gate().waiting() == 1; });
  }

  CollectorStats Stats() const {
    CollectorStats stats;
    counters_->CopyTo(stats, Clock::System().MonotonicNow());
    return stats;
  }
  std::vector<CapturedFile> Files() const { return LoadPublished(directory_); }
  // Of the only published file: "<component>/<MIME type>/<extension>: <payload>".
  std::string OnlyPicture() const {
    const std::vector<CapturedFile> files = Files();
    EXPECT_EQ(files.size(), 1U);
    if (files.size() != 1) return "";
    EXPECT_EQ(files[0].records.size(), 1U);
    return absl::StrCat(files[0].metadata.mime_type(), " ", files[0].metadata.file_extension(),
                        ": ", files[0].records.at(0).binary());
  }
  void ExpectEveryTickAccounted() const {
    const CollectorStats stats = Stats();
    EXPECT_EQ(stats.ticks_due, stats.captured + stats.missed + stats.failed);
  }
  // Everything logged by now.
  const LogCapture& Log() {
    logger_->Close();
    return log_;
  }
  // How often an error may be logged since the test began: once, and again every 2 s.
  size_t OncePerTwoSeconds() const {
    const auto elapsed = std::chrono::steady_clock::now() - begin_;
    return 1 + static_cast<size_t>(elapsed / std::chrono::seconds(2));
  }

  const MonotonicTime begin_ = std::chrono::steady_clock::now();
  const TempDir temp_;
  const std::string directory_ = temp_.path() + "/rdk_component_sensor/it/Readings";
  FaultyFileOps ops_;
  LogCapture log_;
  std::shared_ptr<Logger> logger_;
  std::shared_ptr<Keeper> keeper_;
  const std::shared_ptr<CollectorCounters> counters_ = std::make_shared<CollectorCounters>();
  CollectorOptions options_;
  FakeSensor sensor_;
  std::shared_ptr<Collector> collector_;
  CollectorStats once_;
};

TEST_F(CollectorTest, TellsHowLateItAskedAndHowLongTheSourceTook) {
  Start();
  ASSERT_TRUE(WaitForCaptured(5));
  EXPECT_GT(Stats().achieved_hz, 0);
  const MonotonicTime before = std::chrono::steady_clock::now();
  ASSERT_TRUE(WaitForBlockedCall());
  const MonotonicTime blocked = std::chrono::steady_clock::now();
  ASSERT_TRUE(
      WaitUntil([&] { return std::chrono::steady_clock::now() - blocked > milliseconds(5); }));
  const MonotonicTime opened = std::chrono::steady_clock::now();
  sensor_.gate().Open();
  ASSERT_TRUE(WaitForCaptured(3));
  Stop();
  const auto elapsed = std::chrono::steady_clock::now() - before;

  const CollectorStats stats = Stats();
  EXPECT_EQ(stats.achieved_hz, 0) << "it does not run";
  EXPECT_GE(stats.source_time.max, opened - blocked);
  EXPECT_LE(stats.source_time.max, elapsed);
  EXPECT_LE(stats.source_time.p50, stats.source_time.p99);
  EXPECT_LE(stats.source_time.p99, stats.source_time.max);
  EXPECT_GT(stats.lateness.max.count(), 0);
  EXPECT_LE(stats.lateness.p50, stats.lateness.p99);
  EXPECT_LE(stats.lateness.p99, stats.lateness.max);
  EXPECT_LE(stats.lateness.max, std::chrono::steady_clock::now() - begin_);
}

TEST_F(CollectorTest, CapturesEachTickOnce) {
  const MonotonicTime before = std::chrono::steady_clock::now();
  Start();
  ASSERT_TRUE(WaitForCaptured(50));
  Stop();
  const auto elapsed = std::chrono::steady_clock::now() - before;

  const CollectorStats stats = Stats();
  ExpectEveryTickAccounted();
  EXPECT_LE(stats.ticks_due, static_cast<uint64_t>(elapsed / options_.settings.interval));
  EXPECT_EQ(Numbers(Files()), Range(0, static_cast<int>(stats.captured)));
  EXPECT_EQ(stats.captured, static_cast<uint64_t>(sensor_.calls()));
  EXPECT_EQ(stats.records, stats.captured);
  EXPECT_EQ(stats.failed, 0U);
  EXPECT_EQ(stats.last_error, "");
  const std::vector<FakeSensor::Call> calls = sensor_.log();
  for (size_t i = 0; i < calls.size(); ++i) {
    EXPECT_GE(calls[i].begin, before + static_cast<int>(i + 1) * options_.settings.interval)
        << "call " << i << " came too early";
  }
}

TEST_F(CollectorTest, WritesWhatTheFormatAsksFor) {
  options_.tags = {"demo"};
  const auto before = std::chrono::system_clock::now();
  Once(ReadingsSource([](const CaptureRequest&, Readings& out) {
    out.Set("celsius", 21.5);
    return absl::OkStatus();
  }));
  const auto after = std::chrono::system_clock::now();
  const std::vector<CapturedFile> files = Files();
  ASSERT_EQ(files.size(), 1U);
  EXPECT_TRUE(files[0].whole);
  EXPECT_EQ(files[0].metadata.component_type(), "rdk:component:sensor");
  EXPECT_EQ(files[0].metadata.tags(0), "demo");
  ASSERT_EQ(files[0].records.size(), 1U);
  const auto& record = files[0].records[0];
  const auto stamp = [](const google::protobuf::Timestamp& time) {
    return WallTime(std::chrono::seconds(time.seconds()) + std::chrono::nanoseconds(time.nanos()));
  };
  EXPECT_GE(stamp(record.metadata().time_requested()), before);
  EXPECT_GE(stamp(record.metadata().time_received()), stamp(record.metadata().time_requested()));
  EXPECT_LE(stamp(record.metadata().time_received()), after);
  EXPECT_EQ(
      record.struct_().fields().at("readings").struct_value().fields().at("celsius").number_value(),
      21.5);
  EXPECT_EQ(once_.bytes + 1 + files[0].metadata.ByteSizeLong(), files[0].size)
      << "bytes count the records with their lengths";
  EXPECT_EQ(once_.files, 1U);
}

TEST_F(CollectorTest, CapturesEmptyReadings) {
  Once(ReadingsSource([](const CaptureRequest&, Readings&) { return absl::OkStatus(); }));
  const std::vector<CapturedFile> files = Files();
  ASSERT_EQ(files.size(), 1U);
  ASSERT_EQ(files[0].records.size(), 1U);
  EXPECT_TRUE(
      files[0].records[0].struct_().fields().at("readings").struct_value().fields().empty());
}

TEST_F(CollectorTest, CountsTheTicksThatPassDuringASlowOne) {
  Start();
  ASSERT_TRUE(WaitForCaptured(3));
  ASSERT_TRUE(WaitForBlockedCall());
  const MonotonicTime blocked = std::chrono::steady_clock::now();
  ASSERT_TRUE(WaitUntil([&] {
    return std::chrono::steady_clock::now() > blocked + 20 * options_.settings.interval;
  }));
  sensor_.gate().Open();
  ASSERT_TRUE(WaitForCaptured(10));
  Stop();
  EXPECT_GE(Stats().missed, 18U);
  ExpectEveryTickAccounted();
  EXPECT_EQ(Numbers(Files()), Range(0, static_cast<int>(Stats().captured)));
}

TEST_F(CollectorTest, DoesNotMakeUpForMissedTicks) {
  Start();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(WaitForCaptured(2));
    ASSERT_TRUE(WaitForBlockedCall());
    const MonotonicTime blocked = std::chrono::steady_clock::now();
    ASSERT_TRUE(WaitUntil([&] {
      return std::chrono::steady_clock::now() > blocked + 4 * options_.settings.interval;
    }));
    sensor_.gate().Open();
  }
  ASSERT_TRUE(WaitForCaptured(5));
  Stop();
  // The tick after the next is a whole interval away, however late this one was.
  const std::vector<FakeSensor::Call> calls = sensor_.log();
  for (size_t i = 0; i + 2 < calls.size(); ++i) {
    EXPECT_GE(calls[i + 2].begin, calls[i].end + options_.settings.interval) << i;
  }
}

TEST_F(CollectorTest, CallsItsSourceFromOneThreadOnly) {
  Start();
  std::atomic<bool> done{false};
  std::thread flusher([&] {
    while (!done) collector_->Flush(PatienceEnds());
  });
  ASSERT_TRUE(WaitForCaptured(50));
  done = true;
  flusher.join();
  EXPECT_EQ(sensor_.threads().size(), 1U);
  EXPECT_FALSE(sensor_.threads().contains(std::this_thread::get_id()));
  EXPECT_FALSE(sensor_.overlapped());
  Stop();
  EXPECT_EQ(Numbers(Files()), Range(0, static_cast<int>(Stats().captured)));
}

TEST_F(CollectorTest, MarksItsThreadAsInsideACallback) {
  std::atomic<bool> inside{false};
  Once(ReadingsSource([&](const CaptureRequest&, Readings&) {
    inside = CallbackScope::Active();
    return absl::OkStatus();
  }));
  EXPECT_TRUE(inside);
}

TEST_F(CollectorTest, BeginsAFileWhenTheLastIsFull) {
  options_.max_file_bytes = 300;
  Start();
  ASSERT_TRUE(WaitForCaptured(40));
  Stop();
  const std::vector<CapturedFile> files = Files();
  ASSERT_GT(files.size(), 3U);
  EXPECT_EQ(files.size(), Stats().files);
  for (size_t i = 0; i < files.size(); ++i) {
    EXPECT_TRUE(files[i].whole);
    EXPECT_LE(files[i].size - files[i].last_frame, 300U) << "it was full before its last record";
    EXPECT_TRUE(i + 1 == files.size() || files[i].size > 300U) << "it was not full";
  }
  EXPECT_EQ(Numbers(files), Range(0, static_cast<int>(Stats().captured)));
}

TEST_F(CollectorTest, FlushPublishesTheOpenFile) {
  Start();
  ASSERT_TRUE(WaitForCaptured(3));
  collector_->Flush(PatienceEnds());
  ASSERT_TRUE(keeper_->WaitUntilPublished(PatienceEnds(), {}).ok());
  EXPECT_EQ(Files().size(), 1U);
  ASSERT_TRUE(WaitForCaptured(3));
  Stop();
  EXPECT_EQ(Files().size(), 2U);
  EXPECT_EQ(Numbers(Files()), Range(0, static_cast<int>(Stats().captured)));
  EXPECT_TRUE(FilesBelow(temp_.path(), ".prog").empty());
}

// Pictures.

class CameraTest : public CollectorTest {
 protected:
  // What the source names stand as in the published files, with their payloads.
  std::vector<std::string> Labelled() const {
    std::vector<std::string> result;
    for (const CapturedFile& file : Files()) {
      EXPECT_TRUE(file.whole);
      EXPECT_EQ(file.records.size(), 1U) << "one file per picture";
      const auto& annotations = file.records.at(0).metadata().annotations();
      EXPECT_EQ(annotations.classifications_size(), 1);
      EXPECT_FALSE(annotations.classifications(0).has_confidence());
      result.push_back(absl::StrCat(annotations.classifications(0).label(), "=",
                                    file.records.at(0).binary(), " ", file.metadata.mime_type()));
    }
    return result;
  }
};

class GetImagesTest : public CameraTest {
 protected:
  GetImagesTest() { Configure("rdk:component:camera", "GetImages"); }
};

TEST_F(GetImagesTest, MakesAFileOfEachPicture) {
  TakePicturesOnce({Picture("left", "image/jpeg", "L"), Picture("right", "image/png", "R"),
                    Picture("", "image/jpeg", "unnamed")});
  EXPECT_EQ(Labelled(), (std::vector<std::string>{"left=L image/jpeg", "right=R image/png",
                                                  "=unnamed image/jpeg"}));
  const std::vector<CapturedFile> files = Files();
  const auto& first = files.at(0).records.at(0).metadata();
  for (const CapturedFile& file : files) {
    EXPECT_EQ(file.metadata.type(), testing::wire::DATA_TYPE_BINARY_SENSOR);
    EXPECT_EQ(file.metadata.file_extension(), "");
    EXPECT_EQ(file.records[0].metadata().time_requested().nanos(), first.time_requested().nanos());
    EXPECT_EQ(file.records[0].metadata().time_received().nanos(), first.time_received().nanos());
  }
  EXPECT_EQ(once_.captured, 1U);
  EXPECT_EQ(once_.records, 3U);
  EXPECT_EQ(once_.files, 3U);
  ExpectEveryTickAccounted();
}

TEST_F(GetImagesTest, KeepsTheSourcesThatAreWanted) {
  ValueList names;
  names.Append("right");
  names.Append("depth");
  Params("filter_source_names", names);
  TakePicturesOnce({Picture("left", "image/jpeg", ""), Picture("right", "image/png", "R"),
                    Picture("depth", "image/vnd.viam.dep", "D")});
  EXPECT_EQ(Labelled(),
            (std::vector<std::string>{"right=R image/png", "depth=D image/vnd.viam.dep"}))
      << "and the empty picture of another source is no matter";
}

TEST_F(GetImagesTest, AnEmptyFilterWantsThemAll) {
  Params("filter_source_names", ValueList());
  TakePicturesOnce({Picture("left", "image/jpeg", "L")});
  EXPECT_EQ(Labelled(), std::vector<std::string>{"left=L image/jpeg"});
}

TEST_F(GetImagesTest, OneEmptyPictureVoidsTheTick) {
  TakePicturesOnce({Picture("left", "image/jpeg", "L"), Picture("right", "image/jpeg", "")});
  EXPECT_TRUE(Files().empty());
  EXPECT_EQ(once_.failed, 1U);
  EXPECT_EQ(once_.source_errors, 0U);
  EXPECT_EQ(Log().Count("binary results can't have empty binary payload", LogLevel::kError), 1U)
      << Log().Text();
}

TEST_F(GetImagesTest, NoPictureIsAnError) {
  TakePicturesOnce({});
  EXPECT_TRUE(Files().empty());
  EXPECT_EQ(once_.failed, 1U);
  EXPECT_EQ(Log().Count("binary result must have non empty binary data", LogLevel::kError), 1U)
      << Log().Text();
}

TEST_F(GetImagesTest, RefusesTextThatIsNotUtf8) {
  TakePicturesOnce({Picture("caf\xe9", "image/jpeg", "L")});
  EXPECT_TRUE(Files().empty());
  EXPECT_TRUE(Log().Has("the label of a classification, or a source_name, is not UTF-8"));
}

TEST_F(GetImagesTest, TakesAHundredMegabytes) {
  constexpr size_t kBytes = 50 << 20;
  Once(ImagesSource([](const CaptureRequest&, Images& out) {
    for (const char* name : {"left", "right"}) {
      Image& image = out.Add();
      image.source_name = name;
      image.mime_type = "image/png";
      image.data.assign(kBytes, 'x');
    }
    return absl::OkStatus();
  }));
  EXPECT_EQ(once_.captured, 1U);
  const std::vector<std::string> paths = FilesBelow(directory_, ".capture");
  ASSERT_EQ(paths.size(), 2U);
  for (const std::string& path : paths) EXPECT_GT(std::filesystem::file_size(path), kBytes);
  EXPECT_EQ(ops_.Count(Call::kWrite), 2) << "one write for each";
}

TEST_F(GetImagesTest, LogsFailedPicturesOnceThoughEachHasAFileOfItsOwn) {
  ops_.Fail(Call::kWrite, ENOSPC);
  options_.source = SourceOf(ImagesSource([](const CaptureRequest&, Images& out) {
    out.Add() = Picture("left", "image/jpeg", "L");
    return absl::OkStatus();
  }));
  Restart();
  ASSERT_TRUE(WaitForFailed(30));
  ops_.Heal();
  ops_.Fail(Call::kOpen, ENOSPC, FaultyFileOps::kAlways, ".prog");
  ASSERT_TRUE(WaitForFailed(30));
  ops_.Heal();
  ASSERT_TRUE(WaitForCaptured(1));
  Stop();
  EXPECT_EQ(Files().size(), Stats().captured);
  EXPECT_TRUE(FilesBelow(temp_.path(), ".prog").empty());
  EXPECT_EQ(Stats().dropped.total(), Stats().failed);
  const size_t limit = OncePerTwoSeconds();
  EXPECT_GE(Log().Count("No space left on device", LogLevel::kError), 1U);
  EXPECT_LE(Log().Count("No space left on device", LogLevel::kError), limit) << Log().Text();
}

class ReadImageTest : public CameraTest {
 protected:
  ReadImageTest() { Configure("rdk:component:camera", "ReadImage"); }
  const std::vector<Image> pictures_ = {Picture("a", "image/png", "first"),
                                        Picture("b", "image/jpeg", "second"),
                                        Picture("c", "pointcloud/pcd", "third")};
};

TEST_F(ReadImageTest, TakesTheJpegUnlessToldOtherwise) {
  TakePicturesOnce(pictures_);
  EXPECT_EQ(OnlyPicture(), "image/jpeg : second");
  EXPECT_FALSE(Files()[0].records[0].metadata().has_annotations());
}

TEST_F(ReadImageTest, TakesTheWantedMimeType) {
  Params("mime_type", "pointcloud/pcd");
  TakePicturesOnce(pictures_);
  EXPECT_EQ(OnlyPicture(), "pointcloud/pcd .pcd: third");
}

TEST_F(ReadImageTest, TakesTheFirstWhereTheWantedIsMissing) {
  Params("mime_type", "image/vnd.viam.rgba");
  TakePicturesOnce(pictures_);
  EXPECT_EQ(OnlyPicture(), "image/png : first");
}

TEST_F(ReadImageTest, NamesTheExtensionByWhatWasAskedFor) {
  Params("mime_type", "image/png");
  TakePicturesOnce({Picture("", "image/jpeg", "jpeg after all")});
  EXPECT_EQ(OnlyPicture(), "image/jpeg .png: jpeg after all");
}

TEST_F(ReadImageTest, NoPictureIsAnError) {
  TakePicturesOnce({});
  EXPECT_EQ(once_.failed, 1U);
  EXPECT_TRUE(Log().Has("no images returned from camera")) << Log().Text();
}

TEST_F(ReadImageTest, AnEmptyPictureIsAnError) {
  TakePicturesOnce({Picture("", "image/jpeg", "")});
  EXPECT_TRUE(Files().empty());
  EXPECT_EQ(once_.failed, 1U);
  EXPECT_TRUE(Log().Has("binary results can't have empty binary payload")) << Log().Text();
}

// What a source is asked.

TEST_F(CollectorTest, HandsASensorItsParameters) {
  Params("unit", "celsius");
  std::string asked;
  Once(ReadingsSource([&](const CaptureRequest& request, Readings&) {
    asked = absl::StrCat(std::string(request.method), " ", ToJson(request.extra));
    return absl::OkStatus();
  }));
  EXPECT_EQ(asked, R"(Readings {"fromDataManagement":true,"unit":"celsius"})");
  EXPECT_EQ(Files().at(0).metadata.method_parameters().count("unit"), 1U);
}

TEST_F(CollectorTest, LetsAParameterStandInForFromDataManagement) {
  Params("fromDataManagement", false);
  std::string asked;
  Once(ReadingsSource([&](const CaptureRequest& request, Readings&) {
    asked = ToJson(request.extra);
    return absl::OkStatus();
  }));
  EXPECT_EQ(asked, R"({"fromDataManagement":false})");
}

TEST_F(CollectorTest, HandsOtherSourcesNoParameters) {
  for (const char* api : {"rdk:component:movement_sensor", "rdk:component:power_sensor"}) {
    Configure(api, "Readings");
    Params("unit", "celsius");
    std::string asked;
    Once(ReadingsSource([&](const CaptureRequest& request, Readings&) {
      asked = ToJson(request.extra);
      return absl::OkStatus();
    }));
    EXPECT_EQ(asked, R"({"fromDataManagement":true})") << api;
  }
}

TEST_F(GetImagesTest, HandsACameraNoParameters) {
  Params("filter_source_names", ValueList());
  std::string asked;
  Once(ImagesSource([&](const CaptureRequest& request, Images& out) {
    asked = absl::StrCat(std::string(request.method), " ", ToJson(request.extra));
    out.Add() = Picture("", "image/jpeg", "x");
    return absl::OkStatus();
  }));
  EXPECT_EQ(asked, R"(GetImages {"fromDataManagement":true})");
}

TEST_F(CollectorTest, RefusesASourceOfTheOtherKind) {
  options_.source =
      SourceOf(ImagesSource([](const CaptureRequest&, Images&) { return absl::OkStatus(); }));
  options_.counters = counters_;
  options_.keeper = keeper_;
  options_.logger = logger_;
  const absl::Status pictures = Collector::Start(options_).status();
  EXPECT_EQ(pictures.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(pictures.message(),
            "the source of rdk:component:sensor/it gives pictures, which Readings cannot take");
  Configure("rdk:component:camera", "GetImages");
  options_.source = SourceOf(sensor_.source());
  EXPECT_EQ(Collector::Start(options_).status().message(),
            "the source of rdk:component:camera/it gives readings, which GetImages cannot take");
}

// Sources that fail.

TEST_F(CollectorTest, GoesOnAfterASourcesError) {
  sensor_.Do([](const CaptureRequest&, Readings&) { return absl::UnavailableError("unplugged"); });
  Start();
  ASSERT_TRUE(WaitForFailed(20));
  sensor_.Do(nullptr);
  ASSERT_TRUE(WaitForCaptured(5));
  Stop();
  const CollectorStats stats = Stats();
  ExpectEveryTickAccounted();
  EXPECT_EQ(stats.source_errors, stats.failed);
  EXPECT_EQ(stats.dropped.total(), 0U);
  EXPECT_EQ(stats.last_error,
            "UNAVAILABLE: failed to get reading of method Readings of component it: unplugged");
  EXPECT_EQ(Numbers(Files()),
            Range(static_cast<int>(stats.failed), static_cast<int>(stats.failed + stats.captured)));
  const size_t limit = OncePerTwoSeconds();
  EXPECT_GE(Log().Count("error while capturing data: rdk:component:sensor/it Readings: UNAVAILABLE",
                        LogLevel::kWarning),
            1U);
  EXPECT_LE(Log().Count("unplugged"), limit) << Log().Text();
  EXPECT_EQ(Log().Count("unplugged", LogLevel::kError), 0U) << "it is tried again";
}

TEST_F(CollectorTest, LetsNoExceptionPast) {
  sensor_.Do([](const CaptureRequest&, Readings& out) -> absl::Status {
    if (out.Find("seq")->AsNumber() == 0) throw std::runtime_error("ouch");
    if (out.Find("seq")->AsNumber() == 1) throw 42;
    return absl::OkStatus();
  });
  Start();
  ASSERT_TRUE(WaitForCaptured(3));
  Stop();
  EXPECT_EQ(Stats().source_errors, 2U);
  ExpectEveryTickAccounted();
  EXPECT_EQ(Log().Count("the source threw: ouch", LogLevel::kWarning), 1U) << Log().Text();
  EXPECT_EQ(Log().Count("the source threw something that is no std::exception"), 1U);
}

TEST_F(CollectorTest, ASourceThatIsNoneIsAnError) {
  options_.source = SourceOf(ReadingsSource());
  Restart();
  ASSERT_TRUE(WaitForFailed(2));
  Stop();
  EXPECT_EQ(Stats().source_errors, Stats().failed);
}

TEST_F(CollectorTest, RefusesReadingsThatNoServerTakes) {
  Once(ReadingsSource([](const CaptureRequest&, Readings& out) {
    out.Set("blob", std::string(33 << 20, 'x'));
    return absl::OkStatus();
  }));
  EXPECT_EQ(once_.failed, 1U);
  EXPECT_EQ(once_.source_errors, 0U);
  EXPECT_EQ(once_.records, 0U);
  EXPECT_TRUE(Files().empty());
  EXPECT_EQ(Log().Count("larger than the 33554432 a server accepts", LogLevel::kError), 1U)
      << Log().Text();
}

TEST_F(CollectorTest, NamesTheReadingThatCannotBeEncoded) {
  Once(ReadingsSource([](const CaptureRequest&, Readings& out) {
    out.Set("label", "caf\xe9");
    return absl::OkStatus();
  }));
  EXPECT_EQ(once_.failed, 1U);
  EXPECT_TRUE(Log().Has(
      R"(capture result failed validation: label: proto: invalid UTF-8 in string: "caf\xe9")"))
      << Log().Text();
}

// Sources that block.

TEST_F(CollectorTest, FlushDoesNotWaitForTheSource) {
  Start();
  ASSERT_TRUE(WaitForCaptured(3));
  ASSERT_TRUE(WaitForBlockedCall());
  const auto captured = static_cast<int>(Stats().captured);
  collector_->Flush(PatienceEnds());
  ASSERT_TRUE(keeper_->WaitUntilPublished(PatienceEnds(), {}).ok());
  EXPECT_EQ(Numbers(Files()), Range(0, captured));
  EXPECT_EQ(sensor_.under_way(), 1);
}

TEST_F(CollectorTest, AnAbandonedSourceKeepsNothingBack) {
  Start();
  ASSERT_TRUE(WaitForCaptured(3));
  ASSERT_TRUE(WaitForBlockedCall());
  const auto captured = static_cast<int>(Stats().captured);
  collector_->RequestStop();
  EXPECT_FALSE(collector_->JoinUntil(In(milliseconds(5))));
  EXPECT_FALSE(collector_->ended());
  collector_->Abandon();
  ASSERT_TRUE(keeper_->WaitUntilPublished(PatienceEnds(), {}).ok());
  EXPECT_EQ(Numbers(Files()), Range(0, captured));

  sensor_.gate().Open();
  ASSERT_TRUE(WaitUntil([&] { return collector_->ended(); }));
  collector_.reset();
  ASSERT_TRUE(keeper_->WaitUntilPublished(PatienceEnds(), {}).ok());
  EXPECT_EQ(Numbers(Files()), Range(0, captured)) << "the late answer is dropped";
  EXPECT_TRUE(FilesBelow(temp_.path(), ".prog").empty());
  EXPECT_EQ(Stats().failed, 1U);
  ExpectEveryTickAccounted();
}

TEST_F(CollectorTest, ASuccessorBeginsWhenTheSourceHasReturned) {
  Start();
  ASSERT_TRUE(WaitForBlockedCall());
  collector_->RequestStop();
  ASSERT_FALSE(collector_->JoinUntil(MonotonicTime::min()));
  collector_->Abandon();
  const std::shared_ptr<Collector> old = collector_;
  const int calls = sensor_.calls();
  Restart(old);
  const MonotonicTime started = std::chrono::steady_clock::now();
  ASSERT_TRUE(WaitUntil([&] {
    return std::chrono::steady_clock::now() > started + 10 * options_.settings.interval;
  }));
  EXPECT_EQ(sensor_.calls(), calls);
  EXPECT_FALSE(old->ended());
  sensor_.gate().Open();
  ASSERT_TRUE(WaitForCaptured(5));
  EXPECT_TRUE(old->ended());
  EXPECT_FALSE(sensor_.overlapped());
  EXPECT_EQ(sensor_.threads().size(), 2U);
  Stop();
}

TEST_F(CollectorTest, ASuccessorStopsThoughTheSourceHangs) {
  Start();
  ASSERT_TRUE(WaitForBlockedCall());
  collector_->RequestStop();
  ASSERT_FALSE(collector_->JoinUntil(MonotonicTime::min()));
  collector_->Abandon();
  const std::shared_ptr<Collector> old = collector_;
  const int calls = sensor_.calls();
  Restart(old);
  Stop();
  EXPECT_EQ(sensor_.calls(), calls);
  sensor_.gate().Open();
  ASSERT_TRUE(WaitUntil([&] { return old->ended(); }));
}

TEST_F(CollectorTest, WritesWhatTheSourceReturnsAfterTheStop) {
  Start();
  ASSERT_TRUE(WaitForCaptured(2));
  ASSERT_TRUE(WaitForBlockedCall());
  const auto captured = static_cast<int>(Stats().captured);
  collector_->RequestStop();
  sensor_.gate().Open();
  ASSERT_TRUE(collector_->JoinUntil(PatienceEnds()));
  Stop();
  EXPECT_EQ(Numbers(Files()), Range(0, captured + 1));
  ExpectEveryTickAccounted();
}

TEST_F(CollectorTest, ASourceThatGivesUpWhenToldIsNoNews) {
  sensor_.Do([](const CaptureRequest& request, Readings&) { return WaitForStop(request); });
  Start();
  ASSERT_TRUE(WaitUntil([&] { return sensor_.under_way() == 1; }));
  Stop();
  EXPECT_EQ(Stats().failed, 1U);
  ExpectEveryTickAccounted();
  EXPECT_EQ(Log().Count("", LogLevel::kInfo), 0U) << Log().Text();
}

TEST_F(CollectorTest, StopsAtOnceWhileItWaitsForItsTick) {
  options_.settings.interval = std::chrono::hours(1);
  Start();
  Stop();
  EXPECT_EQ(sensor_.calls(), 0);
  EXPECT_EQ(Stats().ticks_due, 0U);
}

TEST_F(CollectorTest, IsStoppedByItsDestructor) {
  Start();
  ASSERT_TRUE(WaitForCaptured(3));
  collector_.reset();
  const int calls = sensor_.calls();
  ASSERT_TRUE(keeper_->WaitUntilPublished(PatienceEnds(), {}).ok());
  EXPECT_EQ(Numbers(Files()), Range(0, calls));
}

// Results of answers that a source receives.

TEST_F(CollectorTest, TellsASourceOfEachAnswerWhetherItIsWritten) {
  // The results received, by the number of the answer.
  const auto told = std::make_shared<std::map<int, std::vector<absl::Status>>>();
  const auto next = std::make_shared<int>(0);
  sensor_.Do([told, next](const CaptureRequest& request, Readings& /*out*/) {
    EXPECT_NE(request.when_written, nullptr);
    EXPECT_EQ(told->size(), static_cast<size_t>(*next)) << "asked before the last was told";
    const auto heard = [told, number = (*next)++](const absl::Status& written) {
      EXPECT_TRUE(CallbackScope::Active());
      (*told)[number].push_back(written);
    };
    *request.when_written = heard;
    return *next % 7 == 0 ? NothingToStore() : absl::OkStatus();
  });
  Start();
  ASSERT_TRUE(WaitForCaptured(5));
  ops_.FillUp(7, 3);
  ASSERT_TRUE(WaitForFailed(3));
  ops_.Fail(Call::kWrite, EIO, 3);
  ASSERT_TRUE(WaitForFailed(3));
  ASSERT_TRUE(WaitForCaptured(9));
  Stop();

  EXPECT_EQ(static_cast<int>(told->size()), sensor_.calls());
  std::vector<int> written;
  for (const auto& [number, statuses] : *told) {
    ASSERT_EQ(statuses.size(), 1U) << number;
    if (statuses.front().ok()) written.push_back(number);
    EXPECT_EQ(IsNothingToStore(statuses.front()), number % 7 == 6) << statuses.front();
  }
  EXPECT_EQ(written, Numbers(Files()));
  EXPECT_EQ(Stats().dropped.total(), 6U);
}

TEST_F(CollectorTest, TellsASourceNothingThatAnEarlierAnswerAskedFor) {
  const auto told = std::make_shared<int>(0);
  const auto asked = std::make_shared<int>(0);
  sensor_.Do([told, asked](const CaptureRequest& request, Readings& /*out*/) {
    if (++*asked == 1) *request.when_written = [told](const absl::Status&) { ++*told; };
    return absl::OkStatus();
  });
  Start();
  ASSERT_TRUE(WaitForCaptured(5));
  Stop();
  EXPECT_EQ(*told, 1);
}

TEST_F(CollectorTest, LogsWhatASourceThrowsWhenItIsTold) {
  sensor_.Do([](const CaptureRequest& request, Readings& /*out*/) {
    *request.when_written = [](const absl::Status&) { throw std::runtime_error("not now"); };
    return absl::OkStatus();
  });
  Start();
  ASSERT_TRUE(WaitForCaptured(5));
  Stop();
  EXPECT_GE(Log().Count("the source threw: not now"), 1U) << Log().Text();
  EXPECT_EQ(static_cast<int>(Numbers(Files()).size()), sensor_.calls());
  EXPECT_EQ(Stats().failed, 0U);
}

// Disks that fail.

TEST_F(CollectorTest, AFullDiskCostsTheRecordsThatItHasNoRoomFor) {
  Start();
  ASSERT_TRUE(WaitForCaptured(5));
  ops_.FillUp(7, 20);
  ASSERT_TRUE(WaitForFailed(20));
  ASSERT_TRUE(WaitForCaptured(5));
  ops_.Fail(Call::kWrite, EIO, 20);
  ASSERT_TRUE(WaitForFailed(20));
  ASSERT_TRUE(WaitForCaptured(5));
  Stop();

  const CollectorStats stats = Stats();
  ExpectEveryTickAccounted();
  EXPECT_EQ(stats.failed, 40U);
  EXPECT_EQ(stats.dropped.total(), 40U);
  EXPECT_EQ(stats.source_errors, 0U);
  const std::vector<CapturedFile> files = Files();
  for (const CapturedFile& file : files) EXPECT_TRUE(file.whole) << file.path;
  const std::vector<int> numbers = Numbers(files);
  EXPECT_EQ(numbers.size(), stats.captured);
  EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
  EXPECT_EQ(numbers.front(), 0);
  EXPECT_EQ(numbers.back(), sensor_.calls() - 1);
  const size_t limit = OncePerTwoSeconds();
  EXPECT_GE(Log().Count("No space left on device", LogLevel::kError), 1U);
  EXPECT_LE(Log().Count("No space left on device"), limit) << Log().Text();
  EXPECT_GE(Log().Count("Input/output error", LogLevel::kError), 1U);
  EXPECT_LE(Log().Count("Input/output error"), limit) << Log().Text();
}

TEST_F(CollectorTest, BeginsAnotherFileWhereOneCannotBeCutBack) {
  Start();
  ASSERT_TRUE(WaitForCaptured(5));
  ops_.Fail(Call::kFtruncate, EIO, 1);
  ops_.FillUp(7);
  ASSERT_TRUE(WaitForFailed(1));
  ASSERT_TRUE(WaitForCaptured(5));
  Stop();
  keeper_->Recover(temp_.path());
  ASSERT_TRUE(WaitUntil([&] { return keeper_->counters().recovered.load() == 1; }));
  const std::vector<CapturedFile> files = Files();
  EXPECT_EQ(files.size(), 2U);
  for (const CapturedFile& file : files) EXPECT_TRUE(file.whole) << file.path;
  EXPECT_EQ(Numbers(files).size(), Stats().captured);
  ExpectEveryTickAccounted();
}

TEST_F(CollectorTest, MakesItsDirectoryAgain) {
  Start();
  ASSERT_TRUE(WaitForCaptured(3));
  collector_->Flush(PatienceEnds());
  ASSERT_TRUE(keeper_->WaitUntilPublished(PatienceEnds(), {}).ok());
  std::filesystem::rename(temp_.path() + "/rdk_component_sensor", temp_.path() + "/gone");
  collector_->Flush(PatienceEnds());  // What was written since lies in a file without a name.
  ASSERT_TRUE(WaitForCaptured(5));
  Stop();
  EXPECT_EQ(Numbers(Files()).back(), sensor_.calls() - 1);
  ExpectEveryTickAccounted();
}

TEST_F(CollectorTest, LogsOnceThatItsDirectoryCannotBeMade) {
  testing::WriteFile(temp_.path() + "/rdk_component_sensor", "in the way");
  Start();
  ASSERT_TRUE(WaitForFailed(30));
  ::unlink((temp_.path() + "/rdk_component_sensor").c_str());
  ASSERT_TRUE(WaitForCaptured(3));
  Stop();
  EXPECT_EQ(Numbers(Files()).size(), Stats().captured);
  ExpectEveryTickAccounted();
  const size_t limit = OncePerTwoSeconds();
  EXPECT_GE(Log().Count("Not a directory", LogLevel::kError), 1U);
  EXPECT_LE(Log().Count("Not a directory"), limit) << Log().Text();
}

TEST_F(CollectorTest, NeverWaitsForTheFlushToTheMedium) {
  options_.max_file_bytes = 1;  // Each record but the first finishes the file before it.
  ops_.fdatasync_gate().Close();
  Start();
  const bool went_on = WaitForCaptured(200);
  ops_.fdatasync_gate().Open();
  EXPECT_TRUE(went_on);
  Stop();
  EXPECT_EQ(Numbers(Files()), Range(0, static_cast<int>(Stats().captured)));
  EXPECT_EQ(keeper_->counters().unflushed.load(), 0U);
}

// Equality, by which Reconfigure decides.

TEST_F(CollectorTest, WorkIsTheSameOnlyIfNothingDiffers) {
  options_.source = SourceOf(sensor_.source());
  options_.directory = directory_;
  options_.tags = {"a"};
  Params("unit", "celsius");
  EXPECT_TRUE(options_.SameWork(options_));
  const std::vector<std::function<void(CollectorOptions&)>> changes = {
      [](CollectorOptions& o) { o.settings.interval += std::chrono::nanoseconds(1); },
      [](CollectorOptions& o) { o.settings.name = "other"; },
      [](CollectorOptions& o) { o.settings.method = "Other"; },
      [](CollectorOptions& o) { o.settings.api = "other"; },
      [](CollectorOptions& o) { o.settings.additional_params.Set("unit", "kelvin"); },
      [](CollectorOptions& o) { o.tags.push_back("b"); },
      [](CollectorOptions& o) { o.directory += "/x"; },
      [](CollectorOptions& o) { o.max_file_bytes += 1; },
      [this](CollectorOptions& o) { o.source = SourceOf(sensor_.source()); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    CollectorOptions other = options_;
    changes[i](other);
    EXPECT_FALSE(options_.SameWork(other)) << i;
    EXPECT_FALSE(other.SameWork(options_)) << i;
  }
}

}  // namespace
}  // namespace datamanager::capture
