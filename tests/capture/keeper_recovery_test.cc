// Files in progress are flushed on time, however long recovery takes.
#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "capture/keeper.h"
#include "capture_file/file_name.h"
#include "capture_file/sequence.h"
#include "tests/capture/smallest_file.h"
#include "tests/support/files.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::capture {
namespace {

using capture_file::Writer;
using testing::WaitUntil;
using testing::WriteFile;

constexpr std::string_view kInProgress = ".prog";
constexpr int kLeftBehind = 400;
// How many of them are opened before a file is written, and the limit until it has been flushed
// three times: fewer than are flushed together.
constexpr int kOpenedBefore = 10;
constexpr int kOpenedAtMost = 40;

// A disk on which one directory's listing has no end, and on which files of a dead process are
// opened one at a time, each when Step lets it through. Flushes are only noted.
class SlowDisk final : public FileOps {
 public:
  void MakeEndless(const std::string& directory) {
    struct stat info {};
    ASSERT_EQ(::stat(directory.c_str(), &info), 0);
    endless_ = FileId::Of(info);
  }
  // Each file in progress below this directory waits to be opened.
  void SetSlow(std::string directory) { slow_ = std::move(directory); }
  void SetWatched(const std::string& path) { watched_ = path; }
  // Lets the next one through if one waits.
  void Step() {
    const std::lock_guard lock(mutex_);
    if (opened_ != let_through_) return;
    ++let_through_;
    changed_.notify_all();
  }
  void End() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  int listed() const { return listed_; }
  int watched_flushes() const { return watched_flushes_; }
  // How many of the slow files were let through.
  int opened() const {
    const std::lock_guard lock(mutex_);
    return opened_;
  }

  int OpenAt(int dir, const char* path, int flags, mode_t mode) override {
    const std::string_view name(path);
    if (!slow_.empty() && name.starts_with(slow_) && name.ends_with(kInProgress)) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ended_ || opened_ < let_through_; });
      ++opened_;
    }
    return FileOps::OpenAt(dir, path, flags, mode);
  }

  const dirent* ReadDirectory(DIR* directory) override {
    struct stat info {};
    if (ended_ || ::fstat(::dirfd(directory), &info) != 0 || !(FileId::Of(info) == endless_)) {
      return FileOps::ReadDirectory(directory);
    }
    static thread_local dirent entry;
    const std::string name =
        capture_file::CompleteName(WallTime(std::chrono::seconds(1767341045 + ++listed_)));
    std::strncpy(entry.d_name, name.c_str(), sizeof entry.d_name - 1);
    entry.d_type = DT_REG;
    return &entry;
  }

  int Fdatasync(int fd) override {
    char path[4096];
    const ssize_t size = ::readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), path, sizeof(path));
    const std::string_view name(path, size < 0 ? 0 : static_cast<size_t>(size));
    if (name == watched_) ++watched_flushes_;
    return 0;
  }
  int Fsync(int) override { return 0; }
  CommitMethod CommitMethodFor(int) override { return CommitMethod::kInTurn; }

 private:
  FileId endless_;
  std::string slow_;
  std::string watched_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int opened_ = 0;
  int let_through_ = 0;
  std::atomic<bool> ended_{false};
  std::atomic<int> listed_{0};
  std::atomic<int> watched_flushes_{0};
};

class KeeperRecoveryTest : public ::testing::Test {
 protected:
  std::string Directory(const std::string& name) const {
    return temp_.path() + "/rdk_component_sensor/" + name + "/Readings";
  }

  // Writes a file once recovery has begun; expects that it is flushed again and again.
  void ExpectFlushesWhileRecovering() {
    std::filesystem::create_directories(Directory("live"));
    const std::unique_ptr<Writer> file =
        *Writer::Create(disk_, Directory("live"), std::chrono::system_clock::now(), "");
    disk_.SetWatched(file->path());
    const std::shared_ptr<Keeper> keeper =
        *Keeper::Start({.ops = &disk_, .logger = *Logger::Create(log_.sink())});
    keeper->SetFlushPolicy(
        {.durability = Durability::kPeriodic, .interval = std::chrono::milliseconds(1)});
    keeper->Recover(temp_.path());
    EXPECT_TRUE(WaitUntil([&] {
      disk_.Step();
      return disk_.listed() > 0 || disk_.opened() >= kOpenedBefore;
    }));
    keeper->Announce(*file, [] {});
    for (int flush = 1; flush <= 3 && !HasFailure(); ++flush) {
      const int before = disk_.watched_flushes();
      EXPECT_TRUE(file->Append(kRecord).ok());
      EXPECT_TRUE(WaitUntil([&] {
        disk_.Step();
        return disk_.watched_flushes() > before;
      })) << "flush "
          << flush;
    }
    EXPECT_LE(disk_.opened(), kOpenedAtMost);
    disk_.End();
    keeper->Close(testing::PatienceEnds());
  }

  const testing::TempDir temp_{testing::MemoryDirectory()};
  testing::LogCapture log_;
  SlowDisk disk_;
};

TEST_F(KeeperRecoveryTest, FlushesWhileADirectoryIsListed) {
  std::filesystem::create_directories(Directory("other"));
  disk_.MakeEndless(Directory("other"));
  ExpectFlushesWhileRecovering();
}

TEST_F(KeeperRecoveryTest, FlushesWhileFilesOfASequenceAreLookedFor) {
  std::filesystem::create_directories(Directory("other"));
  WriteFile(absl::StrCat(capture_file::SequencesDirectory(temp_.path()),
                         "/01234567-89ab-cdef-0123-456789abcdef",
                         std::string(capture_file::kOpenSequenceSuffix)),
            capture_file::ToText({.start = std::chrono::system_clock::now(),
                                  .resources = {{.name = "other", .method = "Readings"}}}));
  disk_.MakeEndless(Directory("other"));
  ExpectFlushesWhileRecovering();
}

TEST_F(KeeperRecoveryTest, FlushesWhileSequencesAreListed) {
  const std::string sequences = capture_file::SequencesDirectory(temp_.path());
  std::filesystem::create_directories(sequences);
  disk_.MakeEndless(sequences);
  ExpectFlushesWhileRecovering();
}

TEST_F(KeeperRecoveryTest, FlushesBeforeAllThatWasLeftBehindIsRecovered) {
  for (int i = 0; i < kLeftBehind; ++i) {
    const std::string path =
        Directory("other") + "/" +
        capture_file::InProgressName(WallTime(std::chrono::seconds(1767341045 + i)));
    WriteFile(path, kFile);
    // Old enough for recovery.
    std::filesystem::last_write_time(
        path, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(1));
  }
  disk_.SetSlow(Directory("other"));
  ExpectFlushesWhileRecovering();
}

}  // namespace
}  // namespace datamanager::capture
