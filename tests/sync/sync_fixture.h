// A robot's directories, a cloud and a Sync between them, in words that make stories.
#ifndef DATAMANAGER_TESTS_SYNC_SYNC_FIXTURE_H_
#define DATAMANAGER_TESTS_SYNC_SYNC_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <iterator>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/logger.h"
#include "capture_file/writer.h"
#include "config/effective_config.h"
#include "sync/sync.h"
#include "tests/support/fake_uploader.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"
#include "tests/sync/test_files.h"

namespace datamanager::sync {

using testing::UploadCall;
using testing::WaitUntil;

// The machine's clock, set forward. What waits for an instant of a clock that is ahead waits that
// much longer, so that nothing happens by itself but what is woken. Thread-safe.
class ClockAhead : public Clock {
 public:
  void Advance(std::chrono::seconds by) { ahead_ += by.count(); }
  // The time stands still from here on.
  void Stop() { stopped_at_ = MonotonicNow().time_since_epoch().count(); }

  MonotonicTime MonotonicNow() const override {
    if (stopped_at_ != 0) return MonotonicTime(MonotonicTime::duration(stopped_at_));
    return Clock::System().MonotonicNow() + std::chrono::seconds(ahead_);
  }
  WallTime WallNow() const override {
    return Clock::System().WallNow() + std::chrono::seconds(ahead_);
  }

 private:
  std::atomic<int64_t> ahead_{0};
  std::atomic<int64_t> stopped_at_{0};
};

class SyncFixture : public ::testing::Test {
 protected:
  SyncFixture() {
    std::filesystem::create_directories(captured_);
    std::filesystem::create_directories(files_);
    config_.capture_directory = captured_;
    config_.additional_paths = {files_};
    config_.scheduled = true;
    config_.interval = std::chrono::milliseconds(10);
    config_.workers = 2;
    config_.min_file_age = std::chrono::seconds(10);
    options_.uploader = server_;
    options_.logger = *Logger::Create(log_.sink());
    options_.clock = &clock_;
    options_.connect_timeout = std::chrono::milliseconds(20);
    options_.random = [] { return 0.5; };
    options_.flush = [this](MonotonicTime, std::stop_token) {
      ++flushes_;
      return absl::OkStatus();
    };
  }
  ~SyncFixture() override { Close(); }

  // --- What the robot does.

  // A file with `count` readings of `component`, which go on from its last.
  std::string Capture(const std::string& component, int count) {
    std::vector<wire::SensorData> records;
    for (int i = 0; i < count; ++i) records.push_back(Reading(++last_[component]));
    return Publish(TabularMetadata(component), records);
  }
  std::string CaptureImage(const std::string& component, size_t size) {
    return Publish(BinaryMetadata(component),
                   {Image(Noise(size, static_cast<uint32_t>(++last_[component])))});
  }
  // Through the writer, as capture does it.
  std::string Publish(const wire::DataCaptureMetadata& metadata,
                      const std::vector<wire::SensorData>& records) {
    const std::string directory = DirectoryOf(metadata.component_name());
    std::filesystem::create_directories(directory);
    auto writer =
        capture_file::Writer::Create(FileOps::System(), directory, std::chrono::system_clock::now(),
                                     metadata.SerializeAsString());
    EXPECT_TRUE(writer.ok()) << writer.status();
    for (const wire::SensorData& record : records) {
      EXPECT_TRUE((*writer)->Append(Framed(record)).ok());
    }
    auto path = (*writer)->Publish();
    EXPECT_TRUE(path.ok()) << path.status();
    return *path;
  }
  // A capture file with whatever bytes.
  std::string CaptureBytes(const std::string& component, const std::string& bytes) {
    std::string path =
        DirectoryOf(component) + "/" + capture_file::CompleteName(std::chrono::system_clock::now());
    WriteFile(path, bytes);
    return path;
  }
  // A file that somebody put into the additional directory some time ago.
  std::string Drop(const std::string& name, const std::string& bytes) {
    std::string path = files_ + "/" + name;
    WriteFile(path, bytes);
    SetAge(path, std::chrono::hours(1));
    return path;
  }

  // --- What sync does.

  void Start() {
    sync_ = std::make_unique<Sync>(options_);
    Reconfigure();
  }
  // And until it runs, so that the clock may be set.
  void StartAndWait() {
    Start();
    EXPECT_TRUE(WaitUntil([this] { return server_->ready_checks() > 0; }));
  }
  void Reconfigure() {
    const absl::Status status = sync_->Reconfigure(config_, In(std::chrono::seconds(5)));
    EXPECT_TRUE(status.ok()) << status;
  }
  void Close() {
    if (sync_ == nullptr) return;
    const absl::Status status = sync_->Close(In(std::chrono::seconds(5)));
    EXPECT_TRUE(status.ok()) << status;
    sync_ = nullptr;
  }
  absl::Status SyncNow(Wait wait = Wait::kUploaded, std::stop_token stop = {}) {
    return sync_->SyncNow(wait, std::move(stop));
  }
  std::future<absl::Status> SyncInBackground(Wait wait = Wait::kUploaded,
                                             std::stop_token stop = {}) {
    return std::async(std::launch::async, [this, wait, stop] { return SyncNow(wait, stop); });
  }
  // Until sync has nothing left to do: no file, no retry, no upload under way.
  void RunUntilIdle() {
    EXPECT_TRUE(WaitUntil([this] {
      const SyncStats stats = sync_->Stats();
      // Makes the retries due, as a call does once in a while.
      if (impatient_ && stats.waiting_retries > 0) {
        clock_.Advance(std::chrono::seconds(31));
        SyncNow(Wait::kHandedOver).IgnoreError();
      }
      if (impatient_) sync_->context()->Wake();  // The scheduler waits for a clock that is ahead.
      return stats.uploading == 0 && stats.waiting_retries == 0 && Waiting() == "";
    })) << "on disk: "
        << OnDisk();
  }
  // Until sync has had occasion to do what it should not do.
  void RunForSomePasses() {
    const uint64_t passes = sync_->Stats().passes;
    EXPECT_TRUE(WaitAwake([&] { return sync_->Stats().passes >= passes + 3; }));
  }
  // Wakes the scheduler again and again, which a clock that was advanced does not.
  bool WaitAwake(const std::function<bool()>& condition) {
    return WaitUntil([&] {
      sync_->context()->Wake();
      return condition();
    });
  }
  static MonotonicTime In(std::chrono::milliseconds wait) {
    return Clock::System().MonotonicNow() + wait;
  }
  static bool IsDone(const std::future<absl::Status>& call) {
    return call.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  // --- What there is.

  // Files by component, or by name: "arm arm failed/cam notes.txt".
  std::string OnDisk() const { return Names(true); }
  // The same without those that were set aside.
  std::string Waiting() const { return Names(false); }
  // What the server has: "arm:1,2,3 cam:10B notes.txt sequence <tags>".
  std::string Uploaded() const { return Describe(server_->stored()); }
  static std::string Describe(const std::vector<UploadCall>& stored) {
    std::map<std::string, std::vector<int>> readings;
    std::vector<std::string> others;
    for (const UploadCall& call : stored) {
      const std::string& component = call.metadata.component_name();
      if (call.method == UploadMethod::kCreateSequence) {
        others.push_back("sequence " + Join({call.sequence.sequence_tags().begin(),
                                             call.sequence.sequence_tags().end()},
                                            ","));
      } else if (call.method == UploadMethod::kFileUpload) {
        others.emplace_back(BaseName(call.metadata.file_name()));
      } else if (call.method == UploadMethod::kStreamingDataCaptureUpload) {
        others.push_back(component + ":" + std::to_string(call.contents.size()) + "B");
      }
      for (const wire::SensorData& record : call.records) {
        if (record.has_struct_()) {
          readings[component].push_back(ValueOf(record));
        } else {
          others.push_back(component + ":" + std::to_string(record.binary().size()) + "B");
        }
      }
    }
    for (auto& [component, values] : readings) {
      std::sort(values.begin(), values.end());
      std::vector<std::string> texts;
      for (const int value : values) texts.push_back(std::to_string(value));
      others.push_back(component + ":" + Join(texts, ","));
    }
    std::sort(others.begin(), others.end());
    return Join(others);
  }
  // "1,2,...,last"
  static std::string Up(int last) {
    std::vector<std::string> texts;
    for (int i = 1; i <= last; ++i) texts.push_back(std::to_string(i));
    return Join(texts, ",");
  }
  // The number of the component's last reading.
  int last(const std::string& component) const {
    const auto found = last_.find(component);
    return found == last_.end() ? 0 : found->second;
  }
  bool Logged(const std::string& text) {
    return WaitUntil([&] { return log_.Has(text); });
  }

  std::string DirectoryOf(const std::string& component) const {
    return capture_file::CollectorDirectory(captured_, "rdk:component:sensor", component,
                                            "Readings");
  }

  testing::TempDir dir_;
  const std::string captured_ = dir_.path() + "/captured";
  const std::string files_ = dir_.path() + "/files";
  testing::LogCapture log_;
  ClockAhead clock_;
  std::atomic<int> flushes_{0};
  bool impatient_ = false;  // For tests that are not about how long a retry waits.
  const std::shared_ptr<testing::FakeUploader> server_ = std::make_shared<testing::FakeUploader>();
  config::SyncConfig config_;
  SyncOptions options_;
  std::unique_ptr<Sync> sync_;

 private:
  std::string Names(bool with_failed) const {
    std::vector<std::string> names;
    for (const std::string& root : {captured_, files_}) {
      for (const std::string& path : FilesBelow(root)) {
        const bool failed = path.starts_with("failed/");
        if (failed && !with_failed) continue;
        const std::filesystem::path relative = failed ? path.substr(7) : path;
        std::string name = relative.string();
        // <api>/<component>/<method>/<stamp>.capture
        if (name.starts_with("rdk_")) name = std::next(relative.begin())->string();
        names.push_back((failed ? "failed/" : "") + name);
      }
    }
    std::sort(names.begin(), names.end());
    return Join(names);
  }

  std::map<std::string, int> last_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_TESTS_SYNC_SYNC_FIXTURE_H_
