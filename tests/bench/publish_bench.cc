// P5, and as payloads grow: what it takes to get a frame into a published file.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/logger.h"
#include "base/unique_fd.h"
#include "capture/keeper.h"
#include "capture/output.h"
#include "capture/record_encoder.h"
#include "tests/bench/benches.h"
#include "tests/bench/curves.h"
#include "tests/bench/records.h"
#include "tests/bench/stopwatch.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::bench {
namespace {

// Flushes files to the medium, and their directory, on a thread of its own.
class Flusher {
 public:
  explicit Flusher(const std::string& directory)
      : directory_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
  // Waits for the last of them.
  ~Flusher() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void Add(std::string path) {
    {
      const std::lock_guard lock(mutex_);
      paths_.push_back(std::move(path));
    }
    changed_.notify_all();
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return closed_ || !paths_.empty(); });
      if (paths_.empty()) return;
      const std::string path = std::move(paths_.front());
      paths_.pop_front();
      lock.unlock();
      const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      ::fdatasync(fd.get());
      ::fsync(directory_.get());
      lock.lock();
    }
  }

  const UniqueFd directory_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> paths_;
  bool closed_ = false;
  std::thread thread_{[this] { Run(); }};
};

class Frames {
 public:
  Frames(const Settings& settings, size_t size, size_t count)
      : settings_(settings), count_(count), frame_(size, 'x') {
    logger_ = *Logger::Create([](const LogEntry&) {});
    keeper_ = *capture::Keeper::Start({.ops = settings.ops, .logger = logger_});
    keeper_->SetFlushPolicy({.durability = Durability::kPublished});
  }

  size_t count() const { return count_; }
  // Seconds until the last is published.
  std::vector<double> ByOutput() {
    const testing::TempDir directory(settings_.directory);
    const auto output = std::make_shared<capture::Output>(
        capture::OutputOptions{.directory = directory.path(),
                               .max_file_bytes = 262144,
                               .keeper = keeper_,
                               .finished_files = std::make_shared<std::atomic<uint64_t>>(0),
                               .ops = settings_.ops});
    capture_file::RecordBuffer head;
    const std::string metadata = TabularMetadata().SerializeAsString();
    const Stopwatch watch;
    for (size_t i = 0; i < count_; ++i) {
      head.Clear();
      capture::PrependBinaryHead({}, {}, frame_.size(), head);
      Require(output->Append(metadata, head.Frame(frame_.size()), frame_, /*finish=*/true).ok(),
              "a frame is refused");
    }
    Require(keeper_->WaitUntilPublished(testing::PatienceEnds(), {}).ok(),
            "a frame is not published");
    const double seconds = watch.Seconds();
    Check(directory.path());
    return {seconds};
  }

  // Open, write, rename, close.
  std::vector<double> BySystemCalls() {
    const testing::TempDir directory(settings_.directory);
    const Stopwatch watch;
    {
      Flusher flusher(directory.path());
      for (size_t i = 0; i < count_; ++i) {
        const std::string path = absl::StrCat(directory.path(), "/", i);
        UniqueFd fd(
            ::open((path + ".prog").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        Require(
            ::write(fd.get(), frame_.data(), frame_.size()) == static_cast<ssize_t>(frame_.size()),
            "write");
        Require(::rename((path + ".prog").c_str(), (path + ".capture").c_str()) == 0, "rename");
        fd.Reset();
        flusher.Add(path + ".capture");
      }
    }
    const double seconds = watch.Seconds();
    Check(directory.path());
    return {seconds};
  }

 private:
  void Check(const std::string& directory) const {
    const std::vector<std::string> files = testing::FilesBelow(directory, ".capture");
    Require(files.size() == count_, "a file is missing");
    for (const std::string& file : files) {
      const uintmax_t size = std::filesystem::file_size(file);
      Require(size >= frame_.size() && size < frame_.size() + 1000, "a frame is not whole");
    }
  }

  const Settings& settings_;
  const size_t count_;
  const std::string frame_;
  std::shared_ptr<Logger> logger_;
  std::shared_ptr<capture::Keeper> keeper_;
};

}  // namespace

std::vector<Row> PublishFrames(const Settings& settings) {
  Frames frames(settings, 1000000, settings.Size(100, 3));
  return Compare(
      "P5", settings.Rounds(7),
      {{.what = "capture a frame of 1 MB to a published file", .bound = 1.2}},
      [&] { return frames.ByOutput(); }, [&] { return frames.BySystemCalls(); });
}

std::vector<Way> PublishPayloads(const Settings& settings, const std::vector<double>& sizes) {
  const auto frames = std::make_shared<std::vector<std::unique_ptr<Frames>>>();
  for (const double size : sizes) {
    const auto count = static_cast<size_t>(std::clamp(6.4e7 / size, 8.0, 1e3));
    frames->push_back(
        std::make_unique<Frames>(settings, static_cast<size_t>(size), settings.Size(count, 3)));
  }
  const auto way = [&](Series::Kind kind, const std::string& name,
                       std::vector<double> (Frames::*by)()) {
    return Way{.kind = kind, .name = name, .run = [frames, sizes, by](size_t index) {
                 Frames& of_size = *(*frames)[index];
                 const double seconds = (of_size.*by)()[0] / static_cast<double>(of_size.count());
                 return std::vector<double>{seconds * 1e6, seconds * 1e9 / sizes[index]};
               }};
  };
  return {way(Series::Kind::kSubject, "capture to a file of its own", &Frames::ByOutput),
          way(Series::Kind::kBaseline, "open, write, rename, close", &Frames::BySystemCalls)};
}

}  // namespace datamanager::bench
