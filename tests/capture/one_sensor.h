// Sensors that are captured to a directory while a test does things to it.
#ifndef DATAMANAGER_TESTS_CAPTURE_ONE_SENSOR_H_
#define DATAMANAGER_TESTS_CAPTURE_ONE_SENSOR_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "capture/capture.h"
#include "capture_file/file_name.h"
#include "tests/capture/captured.h"
#include "tests/capture/fake_sources.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/log_capture.h"
#include "tests/support/wait_until.h"

namespace datamanager::testing {

// One sensor, "it", read every 2 ms; its records are numbered.
class OneSensor {
 public:
  explicit OneSensor(std::string directory) {
    config_.directory = std::move(directory);
    config_.max_file_bytes = 262144;
    logger_ = *Logger::Create(log_.sink());
  }
  ~OneSensor() {
    if (capture_ != nullptr) Close();
  }

  // Before Start.
  config::CaptureConfig& config() { return config_; }
  void Use(FileOps& ops) { ops_ = &ops; }

  void Start() {
    capture_ = *capture::Capture::Create({.logger = logger_, .ops = ops_, .clock = &clock_});
    sources_.AddReadings("rdk:component:sensor", "it", sensor_.source());
    config::ConfiguredCollector collector;
    collector.settings = {.api = "rdk:component:sensor",
                          .name = "it",
                          .method = "Readings",
                          .interval = std::chrono::milliseconds(2)};
    config_.collectors = {collector};
    ASSERT_TRUE(capture_->Reconfigure(config_, sources_, PatienceEnds()));
  }
  void Flush() { EXPECT_TRUE(capture_->Flush(PatienceEnds(), {}).ok()); }
  void Close() { EXPECT_TRUE(capture_->Close(PatienceEnds(), PatienceEnds()).ok()); }

  CollectorStats Stats() const { return capture_->Stats().at(0); }
  [[nodiscard]] bool WaitForCaptured(uint64_t more = 3) const {
    const uint64_t target = Stats().captured + more;
    return WaitUntil([&] { return Stats().captured >= target; });
  }
  [[nodiscard]] bool WaitForDropped(uint64_t more = 5) const {
    const uint64_t target = Stats().dropped.total() + more;
    return WaitUntil([&] { return Stats().dropped.total() >= target; });
  }
  std::string directory() const {
    return capture_file::CollectorDirectory(config_.directory, "rdk:component:sensor", "it",
                                            "Readings");
  }
  std::string OpenFile() const {
    const std::vector<std::string> files = FilesBelow(directory(), ".prog");
    return files.empty() ? "" : files[0];
  }

  // Once closed: each file below `root` is whole, and together they hold each captured record once.
  void ExpectAllKept(const std::string& root) const {
    const std::vector<CapturedFile> files = LoadPublished(root);
    for (const CapturedFile& file : files) EXPECT_TRUE(file.whole) << file.path;
    std::vector<int> numbers = Numbers(files);
    EXPECT_EQ(numbers.size(), Stats().captured);
    std::sort(numbers.begin(), numbers.end());
    EXPECT_EQ(std::adjacent_find(numbers.begin(), numbers.end()), numbers.end()) << "twice";
    EXPECT_TRUE(FilesBelow(root, ".prog").empty());
    const CollectorStats stats = Stats();
    EXPECT_EQ(stats.ticks_due, stats.captured + stats.missed + stats.failed);
    EXPECT_EQ(stats.failed, stats.dropped.total());
    EXPECT_EQ(stats.captured + stats.failed, static_cast<uint64_t>(sensor_.calls()));
    EXPECT_EQ(capture_->keeper().counters().lost.load(), 0U);
  }

  capture::Capture& capture() { return *capture_; }
  FakeSensor& sensor() { return sensor_; }
  FakeClock& clock() { return clock_; }
  const LogCapture& log() {
    logger_->Close();
    return log_;
  }

 private:
  LogCapture log_;
  std::shared_ptr<Logger> logger_;
  FileOps* ops_ = &FileOps::System();
  FakeClock clock_;
  config::CaptureConfig config_;
  Sources sources_;
  FakeSensor sensor_;
  std::unique_ptr<capture::Capture> capture_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_CAPTURE_ONE_SENSOR_H_
