#include "tests/power_cut/power_cut.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "capture_file/reader.h"
#include "datamanager/data_manager.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "src/create_data_manager.h"
#include "tests/support/files.h"
#include "tests/support/recording_disk.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::power_cut {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;
using testing::CacheAtCut;
using testing::DiskMoment;

constexpr char kApi[] = "rdk:component:sensor";
// A collector that captures all the time, so that there is always a file to flush.
constexpr char kPulse[] = "pulse";
// More than a page in total, so that files have whole pages and a part of one.
constexpr size_t kFillerBytes = 3000;

void Require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

// A data manager whose sensors give as many readings as they are allowed.
class Robot {
 public:
  explicit Robot(const Options& options, const std::string& directory)
      : collectors_(options.collectors) {
    auto manager = CreateDataManager({.logger = [](const LogEntry&) {}}, *options.ops);
    Require(manager.ok(), "no data manager");
    manager_ = *std::move(manager);
    Config config;
    config.capture_dir = directory;
    config.durability = options.durability;
    config.durability_interval_millis = 100;
    config.sync_disabled = true;
    Sources sources;
    for (int i = 0; i < collectors_; ++i) {
      const std::string name = absl::StrCat("sensor-", i);
      sources.AddReadings(
          kApi, name,
          [allowed = allowed_, i, number = 0](const CaptureRequest&, Readings& out) mutable {
            if (number >= *allowed) return NothingToStore();
            out.Set("id", absl::StrCat(i, "/", ++number));
            out.Set("filler", std::string(number % 2 == 0 ? kFillerBytes : 1, 'x'));
            return absl::OkStatus();
          });
      config.collectors.push_back(
          {.api = kApi, .name = name, .method = "Readings", .capture_frequency_hz = 20});
    }
    sources.AddReadings(kApi, kPulse, [](const CaptureRequest&, Readings& out) {
      out.Set("beat", true);
      return absl::OkStatus();
    });
    config.collectors.push_back(
        {.api = kApi, .name = kPulse, .method = "Readings", .capture_frequency_hz = 20});
    const absl::Status status = manager_->Reconfigure(config, sources).status();
    Require(status.ok(), status.ToString());
  }

  // Lets every sensor give that many more readings, and waits until all are captured.
  void Capture(int records) {
    *allowed_ += records;
    const auto captured = static_cast<uint64_t>(*allowed_) * static_cast<uint64_t>(collectors_);
    Require(testing::WaitUntil([&] {
              uint64_t sum = 0;
              for (const CollectorStats& stats : manager_->Stats().collectors) {
                if (stats.name != kPulse) sum += stats.captured;
              }
              return sum == captured;
            }),
            "not all is captured");
  }
  // Waits for a flush of the files in progress that begins from here on.
  void WaitForFlush() const {
    // The first that ends may have begun before.
    const uint64_t rounds = manager_->Stats().flush.rounds + 2;
    Require(testing::WaitUntil([&] { return manager_->Stats().flush.rounds >= rounds; }),
            "files in progress are not flushed");
  }
  // The ids of the records captured so far.
  std::set<std::string> Ids() const {
    std::set<std::string> ids;
    for (int i = 0; i < collectors_; ++i) {
      for (int number = 1; number <= *allowed_; ++number) ids.insert(absl::StrCat(i, "/", number));
    }
    return ids;
  }
  DataManager& manager() { return *manager_; }

 private:
  const int collectors_;
  // Shared, because a source whose thread hangs may outlive this.
  const std::shared_ptr<std::atomic<int>> allowed_ = std::make_shared<std::atomic<int>>(0);
  std::unique_ptr<DataManager> manager_;
};

// Adds the records of a file; returns whether it consists only of whole ones.
bool Read(const std::string& path, std::set<std::string>& ids) {
  FileOps& ops = FileOps::System();
  const UniqueFd fd(ops.Open(path.c_str(), O_RDONLY, 0));
  struct stat info {};
  if (ops.Fstat(fd.get(), &info) != 0) return false;
  auto reader = capture_file::Reader::Open(ops, fd.get(), static_cast<uint64_t>(info.st_size));
  if (!reader.ok()) return false;
  while (true) {
    const auto found = reader->Next();
    if (!found.ok()) return false;
    if (!found->has_value()) return reader->torn().ok();
    const auto& message = (*found)->message;
    std::string bytes(message.size, '\0');
    wire::SensorData record;
    if (!ReadExactly(ops, fd.get(), static_cast<off_t>(message.offset), bytes.size(), bytes.data())
             .ok() ||
        !record.ParseFromString(bytes)) {
      return false;
    }
    const auto& readings = record.struct_().fields().at("readings").struct_value().fields();
    const auto id = readings.find("id");
    if (id != readings.end()) ids.insert(id->second.string_value());
  }
}

struct Promise {
  std::string moment;
  DiskMoment at = 0;
  std::set<std::string> ids;
  bool in_progress = false;  // Whether files in progress count.
};

Left LookAt(const std::string& directory, const Promise& promise) {
  Left left{.moment = promise.moment, .promised = promise.ids.size()};
  std::set<std::string> ids;
  for (const std::string& path : testing::FilesBelow(directory, ".capture")) {
    ++left.files;
    if (!Read(path, ids)) ++left.torn;
  }
  // Recovery publishes the whole records of these.
  if (promise.in_progress) {
    for (const std::string& path : testing::FilesBelow(directory, ".prog")) Read(path, ids);
  }
  for (const std::string& id : promise.ids) {
    if (!ids.contains(id)) ++left.missing;
  }
  return left;
}

testing::FileSystem Ext4(std::vector<std::string> make, std::string options) {
  testing::FileSystem file_system = testing::DefaultFileSystem("ext4");
  file_system.make.insert(file_system.make.end(), make.begin(), make.end());
  // With clusters of 64 KiB the directories alone fill a small disk.
  file_system.bytes *= 4;
  file_system.options = std::move(options);
  return file_system;
}

testing::FileSystem WithOptions(const std::string& type, std::string options) {
  testing::FileSystem file_system = testing::DefaultFileSystem(type);
  file_system.options = std::move(options);
  return file_system;
}

}  // namespace

std::string Left::Text() const {
  return absl::StrCat(moment, ", of the cache ", cache, ": ",
                      broken.empty() ? absl::StrCat(torn, " of ", files, " files torn, ", missing,
                                                    " of ", promised, " records missing")
                                     : broken);
}

Result CutPower(const Options& options) {
  const testing::TempDir directory(testing::MemoryDirectory());
  auto mounted =
      testing::RecordingDisk::Mount(options.file_system, directory.path(), RECORDING_DISK);
  if (absl::IsUnavailable(mounted.status())) {
    return {.skipped = mounted.status().ToString(), .cuts = {}};
  }
  Require(mounted.ok(), mounted.status().ToString());
  testing::RecordingDisk& disk = **mounted;

  std::vector<Promise> promises;
  const DiskMoment begin = disk.Now();
  {
    Robot robot(options, disk.path() + "/captured");
    const auto promise = [&](std::string moment, bool in_progress) {
      promises.push_back({.moment = std::move(moment),
                          .at = disk.Now(),
                          .ids = robot.Ids(),
                          .in_progress = in_progress});
    };
    robot.Capture(options.records);
    // On a busy machine it may take longer than one Flush waits.
    absl::Status flushed;
    const bool ended = testing::WaitUntil([&] {
      flushed = robot.manager().Flush();
      return !absl::IsDeadlineExceeded(flushed);
    });
    promise("Flush", false);
    Require(ended && flushed.ok(), flushed.ToString());
    robot.Capture(options.records);
    if (options.durability == Durability::kPeriodic) {
      robot.WaitForFlush();
      promise("a flush of files in progress", true);
      robot.Capture(options.records);
    }
    const absl::Status closed = robot.manager().Close();
    promise("Close", false);
    Require(closed.ok(), closed.ToString());
  }
  const DiskMoment duration = disk.Now() - begin;
  for (uint32_t i = 0; i < options.moments; ++i) {
    promises.push_back({.moment = absl::StrCat("moment ", i),
                        .at = begin + duration * i / options.moments,
                        .ids = {}});
  }

  Result result;
  const auto cut = [&](const Promise& promise, CacheAtCut cache, uint32_t seed,
                       const std::string& name) {
    auto copy = disk.MountCut(promise.at, cache, seed);
    Left left;
    if (copy.ok()) {
      left = LookAt((*copy)->path() + "/captured", promise);
    } else {
      left = {.moment = promise.moment, .broken = copy.status().ToString()};
    }
    left.cache = name;
    result.cuts.push_back(std::move(left));
  };
  for (const Promise& promise : promises) {
    cut(promise, CacheAtCut::kNothing, 0, "nothing");
    cut(promise, CacheAtCut::kAll, 0, "all");
    for (uint32_t seed = 1; seed <= options.seeds; ++seed) {
      cut(promise, CacheAtCut::kSome, seed, absl::StrCat("some, seed ", seed));
    }
  }
  return result;
}

std::vector<NamedFileSystem> FileSystems() {
  return {
      {"ext4", Ext4({}, "")},
      {"xfs", WithOptions("xfs", "")},
      {"btrfs", WithOptions("btrfs", "")},
      {"ext4, data=writeback", Ext4({}, "data=writeback")},
      {"ext4, data=journal", Ext4({}, "data=journal")},
      {"ext4, nodelalloc", Ext4({}, "nodelalloc")},
      {"ext4, dioread_lock", Ext4({}, "dioread_lock")},
      {"ext4, journal_async_commit", Ext4({}, "journal_async_commit,data=writeback")},
      {"ext4, blocks of 1 KiB", Ext4({"-b", "1024"}, "")},
      {"ext4, bigalloc", Ext4({"-O", "bigalloc"}, "")},
      {"ext4, inline_data", Ext4({"-O", "inline_data"}, "")},
      {"ext4, fast_commit", Ext4({"-O", "fast_commit"}, ""), false},
      {"ext4 without a journal", Ext4({"-O", "^has_journal"}, "")},
      {"ext3", testing::DefaultFileSystem("ext3")},
      {"ext2", testing::DefaultFileSystem("ext2")},
      {"btrfs, compress", WithOptions("btrfs", "compress=zstd")},
      {"btrfs, notreelog", WithOptions("btrfs", "notreelog")},
  };
}

}  // namespace datamanager::power_cut
