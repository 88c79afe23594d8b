// The time from a start to the first flush of files in progress, on a disk that has much to
// recover, as at the boot after a power cut.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "capture_file/file_name.h"
#include "datamanager/data_manager.h"
#include "src/create_data_manager.h"
#include "tests/support/files.h"
#include "tests/support/loop_disk.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::power_cut {
namespace {

constexpr char kApi[] = "rdk:component:sensor";
constexpr int kCollectors = 50;
constexpr std::chrono::milliseconds kInterval{1000};
// Allowance for a loaded machine.
constexpr std::chrono::milliseconds kAllowance{1000};
// A SensorData with one byte of payload, after empty metadata; each with its length.
const std::string kFile = std::string(1, '\0') + std::string("\x03\x1a\x01x");

// Notes the first flush of a file of the collectors at work, and makes the listing of one directory
// slow.
class WatchedDisk final : public FileOps {
 public:
  WatchedDisk(std::string live, std::string slow)
      : live_(std::move(live)), slow_(std::move(slow)) {}

  bool flushed() const { return flushed_; }

  int Fdatasync(int fd) override {
    const int result = FileOps::Fdatasync(fd);
    Note(fd);
    return result;
  }
  int SyncFileRange(int fd, unsigned flags) override {
    const int result = FileOps::SyncFileRange(fd, flags);
    if ((flags & SYNC_FILE_RANGE_WAIT_AFTER) != 0) Note(fd);
    return result;
  }
  const dirent* ReadDirectory(DIR* directory) override {
    if (!slow_.empty() && PathOf(::dirfd(directory)).starts_with(slow_)) ::usleep(10000);
    return FileOps::ReadDirectory(directory);
  }

 private:
  static std::string PathOf(int fd) {
    char path[4096];
    const ssize_t size = ::readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), path, sizeof(path));
    return std::string(path, size < 0 ? 0 : static_cast<size_t>(size));
  }
  void Note(int fd) {
    if (!flushed_ && PathOf(fd).find(live_) != std::string::npos) flushed_ = true;
  }

  const std::string live_;
  const std::string slow_;
  std::atomic<bool> flushed_{false};
};

void MakeFiles(const std::string& directory, int count, bool complete, std::string_view content) {
  std::filesystem::create_directories(directory);
  for (int i = 0; i < count; ++i) {
    const WallTime begun(std::chrono::seconds(1700000000 + i));
    const std::string path =
        directory + "/" +
        (complete ? capture_file::CompleteName(begun) : capture_file::InProgressName(begun));
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    ASSERT_EQ(::write(fd.get(), content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
    // Old enough for recovery.
    const timespec times[2] = {{.tv_sec = 1700000000, .tv_nsec = 0},
                               {.tv_sec = 1700000000, .tv_nsec = 0}};
    ASSERT_EQ(::futimens(fd.get(), times), 0);
  }
}

std::string DirectoryOf(const std::string& root, const std::string& collector) {
  return capture_file::CollectorDirectory(root, kApi, collector, "Readings");
}

void ExpectAFlushOnTime(const std::string& what, const std::function<void(std::string root)>& fill,
                        const std::string& slow = "") {
  const testing::TempDir directory(testing::MemoryDirectory());
  testing::FileSystem file_system = testing::DefaultFileSystem("ext4");
  file_system.bytes = uint64_t{2} << 30;
  file_system.make.insert(file_system.make.end(), {"-N", "600000"});
  const std::string image = directory.path() + "/image";
  const std::string at = directory.path() + "/disk";
  std::filesystem::create_directory(at);
  absl::Status status = testing::EnterOwnMounts();
  if (status.ok()) status = testing::MakeImage(file_system, image);
  auto disk = status.ok() ? testing::LoopDisk::Mount(file_system, image, at) : status;
  if (absl::IsUnavailable(disk.status())) GTEST_SKIP() << disk.status();
  ASSERT_TRUE(disk.ok()) << disk.status();
  fill(at + "/captured");
  // Mounted again, so that nothing of it is cached.
  disk->reset();
  disk = testing::LoopDisk::Mount(file_system, image, at);
  ASSERT_TRUE(disk.ok()) << disk.status();

  WatchedDisk ops("/live-", slow.empty() ? "" : DirectoryOf(at + "/captured", slow));
  auto manager = CreateDataManager({.logger = [](const LogEntry&) {}}, ops);
  ASSERT_TRUE(manager.ok()) << manager.status();
  Config config;
  config.capture_dir = at + "/captured";
  config.durability = Durability::kPeriodic;
  config.durability_interval_millis = kInterval.count();
  config.sync_disabled = true;
  Sources sources;
  for (int i = 0; i < kCollectors; ++i) {
    const std::string name = absl::StrCat("live-", i);
    sources.AddReadings(kApi, name, [](const CaptureRequest&, Readings& out) {
      out.Set("value", 1.0);
      return absl::OkStatus();
    });
    config.collectors.push_back(
        {.api = kApi, .name = name, .method = "Readings", .capture_frequency_hz = 10});
  }
  const MonotonicTime begin = std::chrono::steady_clock::now();
  ASSERT_TRUE((*manager)->Reconfigure(config, sources).ok());
  EXPECT_TRUE(testing::WaitUntil([&] { return ops.flushed(); }, std::chrono::minutes(2)));
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  std::printf("first flush, %s: after %lld ms, with an interval of %lld\n", what.c_str(),
              static_cast<long long>(took.count()), static_cast<long long>(kInterval.count()));
  EXPECT_LE(took, kInterval + kAllowance) << what;
  EXPECT_TRUE((*manager)->Close().ok());
}

TEST(FirstFlushSoak, ComesOnTimeWithNothingToRecover) {
  ExpectAFlushOnTime("nothing to recover", [](const std::string&) {});
}

TEST(FirstFlushSoak, ComesOnTimeWithFilesLeftBehind) {
  ExpectAFlushOnTime("400 files left behind", [](const std::string& root) {
    for (int i = 0; i < 400; ++i) {
      MakeFiles(DirectoryOf(root, absl::StrCat("dead-", i)), 1, /*complete=*/false, kFile);
    }
  });
}

TEST(FirstFlushSoak, ComesOnTimeWithABacklog) {
  ExpectAFlushOnTime("300,000 published files in one directory", [](const std::string& root) {
    MakeFiles(DirectoryOf(root, "dead"), 300000, /*complete=*/true, kFile);
  });
}

TEST(FirstFlushSoak, ComesOnTimeWithABacklogAndAnOpenSequence) {
  ExpectAFlushOnTime("300,000 published files of an open sequence", [](const std::string& root) {
    MakeFiles(DirectoryOf(root, "dead"), 300000, /*complete=*/true, kFile);
    testing::WriteFile(
        absl::StrCat(capture_file::SequencesDirectory(root),
                     "/01234567-89ab-cdef-0123-456789abcdef",
                     std::string(capture_file::kOpenSequenceSuffix)),
        R"({"start_time": "2020-01-02T03:04:05Z", "end_time": "0001-01-01T00:00:00Z", "resources": [{"resource_name": "dead", "method_name": "Readings"}]})");
  });
}

TEST(FirstFlushSoak, ComesOnTimeWithASlowDirectory) {
  ExpectAFlushOnTime(
      "a directory of 1,000 files whose listing takes 10 s",
      [](const std::string& root) {
        MakeFiles(DirectoryOf(root, "dead"), 1000, /*complete=*/true, kFile);
      },
      "dead");
}

}  // namespace
}  // namespace datamanager::power_cut
