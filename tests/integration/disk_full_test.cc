// Capture and the watch of the disk together, on a real disk that is full.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>

#include "base/logger.h"
#include "capture/capture.h"
#include "capture_file/reader.h"
#include "sync/disk.h"
#include "tests/support/files.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::testing {
namespace {

using std::chrono_literals::operator""ms;

constexpr char kSensor[] = "rdk:component:sensor";

// Puts a small disk at `path`, which nobody but this process sees. Returns what is in the way, or
// nothing.
std::string MountSmallDisk(const std::string& path) {
  if (::unshare(CLONE_NEWNS) != 0) return std::string("unshare: ") + std::strerror(errno);
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=2m") != 0) {
    return std::string("mount: ") + std::strerror(errno);
  }
  return "";
}

class DiskFullTest : public ::testing::Test {
 protected:
  ~DiskFullTest() override {
    disk_.reset();
    capture_.reset();
    ::umount2(temp_.path().c_str(), MNT_DETACH);
  }
  CollectorStats Stats() const { return capture_->Stats().at(0); }

  const TempDir temp_;
  LogCapture log_;
  const std::shared_ptr<Logger> logger_ = *Logger::Create(log_.sink());
  std::unique_ptr<capture::Capture> capture_;
  std::unique_ptr<sync::Disk> disk_;
};

TEST_F(DiskFullTest, RetentionMakesRoomAndCaptureGoesOn) {
  if (const std::string reason = MountSmallDisk(temp_.path()); !reason.empty()) {
    GTEST_SKIP() << "no disk can be mounted here (" << reason
                 << "); RetentionTest and DiskTest go by the seam";
  }
  disk_ = std::make_unique<sync::Disk>(
      std::make_shared<sync::SyncContext>(sync::SyncOptions{.logger = logger_}),
      sync::DiskOptions{.retention_interval = 5ms, .summary_interval = 5ms});
  config::CaptureConfig config{.directory = temp_.path() + "/capture", .max_file_bytes = 16 << 10};
  config.collectors.push_back(
      {.settings = {.api = kSensor, .name = "cpu", .method = "Readings", .interval = 1ms}});
  Sources sources;
  sources.AddReadings(kSensor, "cpu", [](const CaptureRequest&, Readings& out) {
    out.Set("text", std::string(8 << 10, 'x'));
    return absl::OkStatus();
  });
  capture_ = *capture::Capture::Create({.logger = logger_});
  ASSERT_TRUE(capture_->Check(config).ok());
  ASSERT_TRUE(capture_->Reconfigure(config, sources, PatienceEnds()));
  ASSERT_TRUE(WaitUntil([&] { return Stats().dropped.disk_full > 0; }));

  const uint64_t captured = Stats().captured;
  ASSERT_TRUE(
      disk_->Reconfigure({.capture_directory = config.directory}, {.enabled = true}, PatienceEnds())
          .ok());
  EXPECT_TRUE(WaitUntil([&] { return Stats().captured >= captured + 100; })) << log_.Text();
  const DiskStats stats = disk_->Stats();
  EXPECT_GT(stats.evicted.files, 0u);
  EXPECT_EQ(stats.evicted_by_collector.at("rdk_component_sensor/cpu/Readings").files,
            stats.evicted.files);
  EXPECT_TRUE(
      WaitUntil([&] { return log_.Has("that were not uploaded: rdk_component_sensor/cpu"); }));

  // What is left is whole.
  EXPECT_TRUE(capture_->Close(PatienceEnds(), PatienceEnds()).ok());
  EXPECT_TRUE(disk_->Close(PatienceEnds()).ok());
  for (const std::string& path : FilesBelow(config.directory, ".capture")) {
    const auto fd = OpenFile(FileOps::System(), path, O_RDONLY);
    ASSERT_TRUE(fd.ok()) << fd.status();
    struct stat info {};
    ASSERT_EQ(FileOps::System().Fstat(fd->get(), &info), 0);
    auto reader = capture_file::Reader::Open(FileOps::System(), fd->get(),
                                             static_cast<uint64_t>(info.st_size));
    ASSERT_TRUE(reader.ok()) << path << reader.status();
    for (auto record = reader->Next(); record.ok() && record->has_value();) {
      record = reader->Next();
    }
    EXPECT_TRUE(reader->torn().ok()) << path << reader->torn();
  }
}

}  // namespace
}  // namespace datamanager::testing
