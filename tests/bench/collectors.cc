#include "tests/bench/collectors.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logger.h"
#include "base/unique_fd.h"
#include "base/waker.h"
#include "capture/capture.h"
#include "capture_file/reader.h"
#include "capture_file/record_buffer.h"
#include "tests/bench/compare.h"
#include "tests/bench/reading.h"
#include "tests/bench/records.h"
#include "tests/bench/stopwatch.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::bench {
namespace {

using Duration = std::chrono::nanoseconds;

// In which threads start and files are made; its CPU time does not count.
constexpr int kFirstTicks = 3;

// When ticks are due, by the rule of the collector's loop: absolute, and what has passed is left
// out.
class Ticks {
 public:
  Ticks(MonotonicTime begin, Duration interval) : interval_(interval), due_(begin + interval) {}

  MonotonicTime due() const { return due_; }
  void Ended(MonotonicTime now) {
    due_ += interval_;
    if (now >= due_) due_ += interval_ * ((now - due_) / interval_ + 1);
  }

 private:
  const Duration interval_;
  MonotonicTime due_;
};

// Follows what each collector is due for. Its thread reads the monotonic clock as the last before
// its first tick and after each, and again right before it asks the source.
class WatchedClock final : public Clock {
 public:
  // Of the calling thread from here on. The threads of capture begin without.
  struct Watched {
    MonotonicTime last_read;
    MonotonicTime read_before;
    std::unique_ptr<Ticks> ticks;
    std::vector<double> lateness;
  };

  explicit WatchedClock(Duration interval) : interval_(interval) {}

  MonotonicTime MonotonicNow() const override {
    Watched& watched = Mine();
    watched.read_before = watched.last_read;
    return watched.last_read = Clock::System().MonotonicNow();
  }
  WallTime WallNow() const override { return Clock::System().WallNow(); }

  // For a source: how late this tick is.
  void NoteTick() const {
    Watched& watched = Mine();
    if (watched.ticks == nullptr) {
      watched.ticks = std::make_unique<Ticks>(watched.read_before, interval_);
    } else {
      watched.ticks->Ended(watched.read_before);
    }
    const Duration late = watched.last_read - watched.ticks->due();
    watched.lateness.push_back(std::chrono::duration<double>(late).count());
  }

  std::vector<double> TakeLateness() const {
    const std::lock_guard lock(mutex_);
    std::vector<double> all;
    for (const auto& watched : watched_) {
      all.insert(all.end(), watched->lateness.begin(), watched->lateness.end());
    }
    return all;
  }

 private:
  Watched& Mine() const {
    // Cheap, since only what is measured pays for it.
    static thread_local uint64_t of_clock = 0;
    static thread_local Watched* mine = nullptr;
    if (of_clock != number_) {
      const std::lock_guard lock(mutex_);
      mine = watched_.emplace_back(std::make_unique<Watched>()).get();
      of_clock = number_;
    }
    return *mine;
  }
  static uint64_t NextNumber() {
    static std::atomic<uint64_t> last{0};
    return ++last;
  }

  const Duration interval_;
  const uint64_t number_ = NextNumber();
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Watched>> watched_;
};

}  // namespace

CapturedFiles LookAtFiles(const std::string& directory) {
  FileOps& ops = FileOps::System();
  CapturedFiles files;
  for (const std::string& path : testing::FilesBelow(directory, ".capture")) {
    const absl::StatusOr<UniqueFd> fd = OpenFile(ops, path, O_RDONLY);
    struct stat info {};
    Require(fd.ok() && ops.Fstat(fd->get(), &info) == 0, "a file is gone");
    auto reader = capture_file::Reader::Open(ops, fd->get(), static_cast<uint64_t>(info.st_size));
    Require(reader.ok(), "a file is no capture file");
    while (true) {
      const auto record = reader->Next();
      Require(record.ok(), "a file cannot be read");
      if (!record->has_value()) break;
      ++files.records;
    }
    Require(reader->torn().ok(), "a file is torn");
    files.bytes += static_cast<uint64_t>(info.st_size);
  }
  return files;
}

Work RunCollectors(const Settings& settings, const Load& load) {
  const testing::TempDir directory(settings.directory);
  const WatchedClock clock(load.interval);
  config::CaptureConfig config;
  config.directory = directory.path();
  config.max_file_bytes = 262144;
  Sources sources;
  for (int i = 0; i < load.collectors; ++i) {
    const std::string name = absl::StrCat("sensor-", i);
    sources.AddReadings("rdk:component:sensor", name,
                        [&clock, value = 0.0](const CaptureRequest&, Readings& out) mutable {
                          clock.NoteTick();
                          FillReading(++value, out);
                          return absl::OkStatus();
                        });
    config::ConfiguredCollector collector;
    collector.settings = {.api = "rdk:component:sensor",
                          .name = name,
                          .method = "Readings",
                          .interval = load.interval};
    config.collectors.push_back(std::move(collector));
  }
  const auto logger = *Logger::Create([](const LogEntry&) {});
  const auto capture =
      *capture::Capture::Create({.logger = logger, .ops = settings.ops, .clock = &clock});

  Work work;
  Require(capture->Reconfigure(config, sources, testing::PatienceEnds()), "no collectors");
  std::this_thread::sleep_for(load.interval * kFirstTicks);
  const Stopwatch watch;
  std::this_thread::sleep_for(load.duration);
  work.cpu_seconds = watch.ProcessCpuSeconds();
  Require(capture->Close(testing::PatienceEnds(), testing::PatienceEnds()).ok(), "Close");
  work.lateness = clock.TakeLateness();
  Require(std::all_of(work.lateness.begin(), work.lateness.end(),
                      [](double late) { return late >= 0; }),
          "a tick came before it was due");

  uint64_t captured = 0;
  for (const CollectorStats& stats : capture->Stats()) {
    Require(stats.captured > 0 && stats.ticks_due == stats.captured + stats.missed,
            "a tick is neither captured nor missed");
    captured += stats.captured;
  }
  Require(work.lateness.size() == captured && LookAtFiles(directory.path()).records == captured,
          "a record is missing on the disk");
  return work;
}

Work RunThreads(const Settings& settings, const Load& load, bool write) {
  const testing::TempDir directory(settings.directory);
  capture_file::RecordBuffer buffer;
  Readings readings;
  FillReading(1, readings);
  const WallTime wall = Clock::System().WallNow();
  ReadingEncoder().Encode({.requested = wall, .received = wall}, readings, buffer);
  const std::string record(buffer.Frame());

  std::atomic<bool> stop{false};
  std::mutex mutex;
  Work work;
  const auto run = [&](int index) {
    UseFinestTimers();
    const UniqueFd fd(::open(absl::StrCat(directory.path(), "/", index).c_str(),
                             O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    std::vector<double> lateness;
    Ticks ticks(Clock::System().MonotonicNow(), load.interval);
    while (!stop) {
      const auto due = ticks.due().time_since_epoch();
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(due);
      const timespec until{.tv_sec = seconds.count(), .tv_nsec = (due - seconds).count()};
      ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
      const MonotonicTime now = Clock::System().MonotonicNow();
      lateness.push_back(std::chrono::duration<double>(now - ticks.due()).count());
      if (write) {
        Require(
            ::write(fd.get(), record.data(), record.size()) == static_cast<ssize_t>(record.size()),
            "write");
      }
      ticks.Ended(Clock::System().MonotonicNow());
    }
    const std::lock_guard lock(mutex);
    work.lateness.insert(work.lateness.end(), lateness.begin(), lateness.end());
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < load.collectors; ++i) threads.emplace_back(run, i);
  std::this_thread::sleep_for(load.interval * kFirstTicks);
  const Stopwatch watch;
  std::this_thread::sleep_for(load.duration);
  work.cpu_seconds = watch.ProcessCpuSeconds();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  uintmax_t bytes = 0;
  for (const std::string& path : testing::FilesBelow(directory.path())) {
    bytes += std::filesystem::file_size(path);
  }
  Require(bytes == (write ? work.lateness.size() * record.size() : 0), "a bare record is missing");
  return work;
}

}  // namespace datamanager::bench
