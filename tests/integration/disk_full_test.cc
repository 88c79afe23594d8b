// Capture and the watch of the disk together, on real disks that are full.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/logger.h"
#include "capture/capture.h"
#include "capture_file/file_name.h"
#include "capture_file/reader.h"
#include "sync/disk.h"
#include "tests/support/files.h"
#include "tests/support/log_capture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::testing {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;

constexpr char kSensor[] = "rdk:component:sensor";

// A small disk that runs out of one resource.
struct SmallDisk {
  std::string name;
  // A shell command that mounts it at $1/disk; $1/image may be its image.
  std::string mount;
  // The directory of the capture files, below $1/disk.
  std::string directory = "/capture";
  // Captures pictures, each of which is a file, rather than readings.
  bool pictures = false;
  std::chrono::milliseconds retention_interval = 1h;  // Only refused writes start a pass.
  uint64_t EvictedByLimit::*limit = &EvictedByLimit::bytes;
};

void PrintTo(const SmallDisk& disk, std::ostream* out) { *out << disk.name; }

const SmallDisk kDisks[] = {
    {.name = "TmpfsBytes", .mount = "mount -t tmpfs -o size=2m tmpfs $1/disk"},
    {.name = "TmpfsInodes",
     .mount = "mount -t tmpfs -o size=64m,nr_inodes=100 tmpfs $1/disk",
     .pictures = true,
     .limit = &EvictedByLimit::inodes},
    // Shows in the number of inodes alone: a collector whose file grows has no write refused.
    {.name = "TmpfsInodesWithoutARefusedWrite",
     .mount = "mount -t tmpfs -o size=64m,nr_inodes=100 tmpfs $1/disk",
     .retention_interval = 5ms,
     .limit = &EvictedByLimit::inodes},
    {.name = "Ext4Inodes",
     .mount = "truncate -s 32M $1/image && mkfs.ext4 -q -N 400 $1/image && "
              "mount -o loop $1/image $1/disk",
     .pictures = true,
     .limit = &EvictedByLimit::inodes},
    // Root may write into the reserve: at first only the reserve grows.
    {.name = "Ext4Bytes",
     .mount = "truncate -s 8M $1/image && mkfs.ext4 -q -m 20 $1/image && "
              "mount -o loop $1/image $1/disk"},
    {.name = "BtrfsQuota",
     .mount = "truncate -s 128M $1/image && mkfs.btrfs -q $1/image >&2 && "
              "mount -o loop $1/image $1/disk && btrfs quota enable $1/disk && "
              "btrfs subvolume create $1/disk/sub >&2 && btrfs qgroup limit 6M $1/disk/sub",
     .directory = "/sub/capture",
     .limit = &EvictedByLimit::quota},
    {.name = "Overlay",
     .mount = "mkdir $1/lower $1/base && mount -t tmpfs -o size=2m tmpfs $1/base && "
              "mkdir $1/base/upper $1/base/work && mount -t overlay -o "
              "lowerdir=$1/lower,upperdir=$1/base/upper,workdir=$1/base/work overlay $1/disk"},
    // Other files take nearly all of it.
    {.name = "XfsAmongOthers",
     .mount = "truncate -s 320M $1/image && mkfs.xfs -q $1/image && "
              "mount -o loop $1/image $1/disk && "
              "fallocate -l $(($(stat -f -c '%a*%S' $1/disk) - 6000000)) $1/disk/others"},
};

// Runs the command in a mount namespace that ends with this process. Returns the reason if it
// cannot, or nothing.
std::string Mount(const SmallDisk& disk, const std::string& directory) {
  static const std::string own = [] {
    if (::unshare(CLONE_NEWNS) != 0) return std::string("unshare: ") + std::strerror(errno);
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      return std::string("mount: ") + std::strerror(errno);
    }
    return std::string();
  }();
  if (!own.empty()) return own;
  std::filesystem::create_directories(directory + "/disk");
  const std::string command =
      "set -- " + directory + "; exec 2>" + directory + "/errors; " + disk.mount;
  if (std::system(command.c_str()) == 0) return "";
  return ReadFile(directory + "/errors");
}

class DiskFullTest : public ::testing::TestWithParam<SmallDisk> {
 protected:
  ~DiskFullTest() override {
    disk_.reset();
    capture_.reset();
    ::umount2((temp_.path() + "/disk").c_str(), MNT_DETACH);
    ::umount2((temp_.path() + "/base").c_str(), MNT_DETACH);
  }
  CollectorStats Stats() const { return capture_->Stats().at(0); }

  const TempDir temp_;
  LogCapture log_;
  const std::shared_ptr<Logger> logger_ = *Logger::Create(log_.sink());
  std::unique_ptr<capture::Capture> capture_;
  std::unique_ptr<sync::Disk> disk_;
};

// Returns the time in the name of the newest file. Checks that all files are whole.
WallTime NewestOf(const std::string& directory) {
  WallTime newest = WallTime::min();
  for (const std::string& path : FilesBelow(directory, ".capture")) {
    newest = std::max(newest, *capture_file::ParseStamp(BaseName(path)));
    const auto fd = OpenFile(FileOps::System(), path, O_RDONLY);
    if (!fd.ok()) {
      ADD_FAILURE() << fd.status();
      continue;
    }
    struct stat info {};
    EXPECT_EQ(FileOps::System().Fstat(fd->get(), &info), 0);
    auto reader = capture_file::Reader::Open(FileOps::System(), fd->get(),
                                             static_cast<uint64_t>(info.st_size));
    if (!reader.ok()) {
      ADD_FAILURE() << path << reader.status();
      continue;
    }
    for (auto record = reader->Next(); record.ok() && record->has_value();) {
      record = reader->Next();
    }
    EXPECT_TRUE(reader->torn().ok()) << path << reader->torn();
  }
  return newest;
}

TEST_P(DiskFullTest, RetentionMakesRoomAndCaptureGoesOnWithTheNewest) {
  const SmallDisk& disk = GetParam();
  if (const std::string reason = Mount(disk, temp_.path()); !reason.empty()) {
    GTEST_SKIP() << "this disk cannot be mounted here (" << reason
                 << "); RetentionTest and DiskTest go by the seam";
  }
  const auto context = std::make_shared<sync::SyncContext>(sync::SyncOptions{.logger = logger_});
  disk_ = std::make_unique<sync::Disk>(
      context,
      sync::DiskOptions{.retention_interval = disk.retention_interval, .summary_interval = 5ms});
  config::CaptureConfig config{
      .directory = temp_.path() + "/disk" + disk.directory,
      .max_file_bytes = disk.limit == &EvictedByLimit::inodes ? 1 : 16 << 10};
  config.collectors.push_back({.settings = {.api = disk.pictures ? "rdk:component:camera" : kSensor,
                                            .name = "cpu",
                                            .method = disk.pictures ? "GetImages" : "Readings",
                                            .interval = 1ms}});
  const size_t bytes = disk.limit == &EvictedByLimit::inodes ? 100 : 8 << 10;
  Sources sources;
  sources.AddReadings(kSensor, "cpu", [bytes](const CaptureRequest&, Readings& out) {
    out.Set("text", std::string(bytes, 'x'));
    return absl::OkStatus();
  });
  sources.AddImages("cpu", [bytes](const CaptureRequest&, Images& out) {
    Image& image = out.Add();
    image.data = std::string(bytes, 'x');
    image.mime_type = "image/png";
    return absl::OkStatus();
  });
  capture_ = *capture::Capture::Create({.logger = logger_, .on_disk_full = [context](int error) {
                                          context->disk_full.Raise(error);
                                        }});
  ASSERT_TRUE(capture_->Check(config).ok());
  ASSERT_TRUE(capture_->Reconfigure(config, sources, PatienceEnds()));
  if (disk.retention_interval == 1h) {
    ASSERT_TRUE(WaitUntil([&] { return Stats().dropped.disk_full > 0; })) << log_.Text();
  }
  const CollectorStats before = Stats();
  ASSERT_TRUE(
      disk_->Reconfigure({.capture_directory = config.directory}, {.enabled = true}, PatienceEnds())
          .ok());
  const bool went_on = WaitUntil([&] {
    const uint64_t files = disk_->Stats().evicted.files;
    return Stats().captured >= before.captured + 300 && files > 0;
  });
  EXPECT_TRUE(went_on) << log_.Text();
  const WallTime late = Clock::System().WallNow();
  EXPECT_TRUE(WaitUntil([&, captured = Stats().captured] {
    return Stats().captured >= captured + 100;
  })) << log_.Text();
  const DiskStats stats = disk_->Stats();
  const CollectorStats now = Stats();
  EXPECT_GT(stats.evicted_by_limit.*disk.limit, 0u);
  EXPECT_EQ(stats.evicted_by_collector.begin()->second.files, stats.evicted.files);
  EXPECT_TRUE(WaitUntil([&] { return log_.Has("that were not uploaded: rdk_component_"); }));
  std::printf("%s: %d captured and %d dropped, then %d captured, %d dropped, %d files evicted\n",
              disk.name.c_str(), static_cast<int>(before.captured),
              static_cast<int>(before.dropped.total()),
              static_cast<int>(now.captured - before.captured),
              static_cast<int>(now.dropped.total() - before.dropped.total()),
              static_cast<int>(stats.evicted.files));

  EXPECT_TRUE(capture_->Close(PatienceEnds(), PatienceEnds()).ok());
  EXPECT_TRUE(disk_->Close(PatienceEnds()).ok());
  EXPECT_GE(NewestOf(config.directory), late);
}

INSTANTIATE_TEST_SUITE_P(All, DiskFullTest, ::testing::ValuesIn(kDisks),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace datamanager::testing
