// P12: the wear that capture causes on a disk, by the writes to it.
//
// Each variant has a disk of its own, ext4 with blocks of 4 KiB by default, on a loop device over a
// file in memory. The variants of a load run beside each other, for the same time, on the same
// machine. The counts are those of the device: bytes written and flush requests of
// /sys/block/*/stat, the journal's included. The count begins when the file system is mounted and
// written out (syncfs), and ends, for each variant alike, when the data manager is closed and the
// file system is written out again: `process` leaves to the kernel what `periodic` writes out
// itself, and a run that ended before the kernel writes it, some 30 s later, would not count it.
// Data that was uploaded and removed before that is never written in either variant.
//
// With sync, a pass every six seconds, by default, finishes and uploads all files, to a server that
// accepts them at once. The baseline is still `process` without sync: with sync, `process` never
// writes what is uploaded and removed before the kernel writes it, so the baseline would measure
// how fast the server is.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/unique_fd.h"
#include "datamanager/data_manager.h"
#include "src/create_data_manager.h"
#include "tests/bench/bare_client.h"
#include "tests/bench/benches.h"
#include "tests/bench/collectors.h"
#include "tests/bench/reading.h"
#include "tests/support/loop_disk.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::bench {
namespace {

constexpr uint64_t kDiskBytes = 512 << 20;
constexpr char kApi[] = "rdk:component:sensor";

// About 320 bytes a record, so that 6,000 records make 1.9 MB.
void FillLargerReading(double value, Readings& out) {
  FillReading(value, out);
  for (const char* name : {"current", "power", "wind_speed", "rainfall"}) out.Set(name, ++value);
  out.Set("serial", "SN-0123456789");
}

struct WearLoad {
  std::string name;
  int collectors = 1;
  float hz = 1;
  std::chrono::milliseconds duration{0};
};

struct Wear {
  uint64_t captured = 0;  // Bytes of capture files.
  testing::LoopDisk::Work disk;
};

// A data manager on a disk of its own.
class Variant {
 public:
  Variant(const Settings& settings, const WearLoad& load, Durability durability, bool sync)
      : directory_(settings.directory) {
    testing::FileSystem file_system = testing::DefaultFileSystem(settings.file_system);
    // btrfs needs room for blocks that it has not freed yet.
    if (!settings.brief) file_system.bytes = kDiskBytes;
    Mount(file_system);
    const LogSink silent = [](const LogEntry&) {};
    DataManagerOptions options{.logger = silent};
    if (sync) {
      server_ = std::make_unique<BenchServer>(settings, std::vector<std::string>{"--parse"});
      auto cloud = Cloud::Create(
          {.id = "part", .app_address = absl::StrCat("http://", server_->address())}, silent);
      Require(cloud.ok(), "no cloud");
      options.cloud = *cloud;
      Require(
          testing::WaitUntil([&] { return (*cloud)->Status().state == ConnectionState::kHealthy; }),
          "no connection");
    }
    auto manager = CreateDataManager(std::move(options), *settings.ops);
    Require(manager.ok(), "no data manager");
    manager_ = *std::move(manager);

    config_.capture_dir = disk_->path() + "/captured";
    config_.durability = durability;
    config_.sync_disabled = !sync;
    for (int i = 0; i < load.collectors; ++i) {
      const std::string name = absl::StrCat("sensor-", i);
      sources_.AddReadings(
          kApi, name, [ended = ended_, value = 0.0](const CaptureRequest&, Readings& out) mutable {
            if (*ended) return NothingToStore();
            FillLargerReading(++value, out);
            return absl::OkStatus();
          });
      config_.collectors.push_back(
          {.api = kApi, .name = name, .method = "Readings", .capture_frequency_hz = load.hz});
    }
  }

  void Start() {
    WriteOut();
    before_ = disk_->work();
    Require(manager_->Reconfigure(config_, sources_).ok(), "no collectors");
  }

  // Ends capture: no further record is captured.
  void Stop() { *ended_ = true; }

  Wear End() {
    if (server_ != nullptr) {
      const absl::Status synced = manager_->Sync({.wait_for = SyncWait::kUploaded});
      Require(synced.ok(), absl::StrCat("Sync: ", synced.ToString()));
    }
    Require(manager_->Close().ok(), "Close");
    WriteOut();
    const testing::LoopDisk::Work after = disk_->work();

    uint64_t records = 0;
    Wear wear;
    for (const CollectorStats& stats : manager_->Stats().collectors) {
      Require(stats.failed == 0, "a tick failed");
      records += stats.captured;
    }
    uint64_t found = 0;
    if (server_ != nullptr) {
      const Counts counts = server_->TakeCounts();
      found = counts.records;
      wear.captured = counts.bytes;
    }
    const CapturedFiles files = LookAtFiles(config_.capture_dir);
    found += files.records;
    wear.captured += files.bytes;
    Require(records > 0 && found == records,
            absl::StrCat("of ", records, " records captured ", found, " are there"));
    wear.disk = {.bytes_written = after.bytes_written - before_.bytes_written,
                 .flushes = after.flushes - before_.flushes};
    return wear;
  }

 private:
  void Mount(const testing::FileSystem& file_system) {
    const std::string image = directory_.path() + "/image";
    const std::string at = directory_.path() + "/disk";
    std::filesystem::create_directory(at);
    absl::Status status = testing::EnterOwnMounts();
    if (status.ok()) status = testing::MakeImage(file_system, image);
    if (status.ok()) {
      auto disk = testing::LoopDisk::Mount(file_system, image, at);
      status = disk.status();
      if (disk.ok()) disk_ = *std::move(disk);
    }
    if (absl::IsUnavailable(status)) throw Skipped(status.ToString());
    Require(status.ok(), status.ToString());
  }

  void WriteOut() const {
    const UniqueFd root(::open(disk_->path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    Require(::syncfs(root.get()) == 0, "syncfs");
  }

  const testing::TempDir directory_{testing::DiskDirectory()};
  std::unique_ptr<testing::LoopDisk> disk_;
  std::unique_ptr<BenchServer> server_;
  const std::shared_ptr<std::atomic<bool>> ended_ = std::make_shared<std::atomic<bool>>(false);
  Config config_;
  Sources sources_;
  testing::LoopDisk::Work before_;
  std::unique_ptr<DataManager> manager_;
};

// The limits of each way to sync.
struct Bound {
  bool sync = false;
  const char* what = "";
  double bytes = 0;
  double flushes_a_second = 0;
};
constexpr Bound kBounds[] = {
    {.sync = false, .what = "", .bytes = 1.5, .flushes_a_second = 1.5},
    {.sync = true, .what = ", with sync", .bytes = 3, .flushes_a_second = 6}};

// The variants of one load.
struct Variants {
  std::vector<std::unique_ptr<Variant>> periodic;  // One for each bound.
  std::unique_ptr<Variant> process;
  std::unique_ptr<Variant> process_again;

  Variants(const Settings& settings, const WearLoad& load) {
    for (const Bound& bound : kBounds) {
      periodic.push_back(
          std::make_unique<Variant>(settings, load, Durability::kPeriodic, bound.sync));
    }
    process = std::make_unique<Variant>(settings, load, Durability::kProcess, false);
    process_again = std::make_unique<Variant>(settings, load, Durability::kProcess, false);
  }
  std::vector<Variant*> All() const {
    std::vector<Variant*> all{process.get(), process_again.get()};
    for (const auto& variant : periodic) all.push_back(variant.get());
    return all;
  }
};

std::string Text(const Wear& wear) {
  return absl::StrFormat(
      "%.2f MB captured, %.2f MB written (%.1f x), %d flushes",
      static_cast<double>(wear.captured) / 1e6, static_cast<double>(wear.disk.bytes_written) / 1e6,
      static_cast<double>(wear.disk.bytes_written) / static_cast<double>(wear.captured),
      wear.disk.flushes);
}

std::vector<Row> WearOf(const Settings& settings, const WearLoad& load) {
  std::vector<std::vector<Round>> rounds(std::size(kBounds));
  std::vector<std::vector<double>> flushes(std::size(kBounds));
  const auto bytes = [](const Wear& wear) {
    return std::vector<double>{static_cast<double>(wear.disk.bytes_written)};
  };
  for (int round = 0; round < settings.Rounds(3); ++round) {
    const Variants variants(settings, load);
    for (Variant* variant : variants.All()) variant->Start();
    std::this_thread::sleep_for(load.duration);
    for (Variant* variant : variants.All()) variant->Stop();
    const Wear process = variants.process->End();
    const Wear again = variants.process_again->End();
    for (size_t i = 0; i < std::size(kBounds); ++i) {
      const Wear periodic = variants.periodic[i]->End();
      rounds[i].push_back(
          {.subject = bytes(periodic), .baseline = bytes(process), .baseline_again = bytes(again)});
      flushes[i].push_back(static_cast<double>(periodic.disk.flushes) /
                           std::chrono::duration<double>(load.duration).count());
      if (!settings.brief) {
        std::fprintf(stderr, "%s%s: periodic: %s; process: %s\n", load.name.c_str(),
                     kBounds[i].what, Text(periodic).c_str(), Text(process).c_str());
      }
    }
  }
  std::vector<Row> rows;
  for (size_t i = 0; i < std::size(kBounds); ++i) {
    const Bound& bound = kBounds[i];
    const std::string what = absl::StrCat(load.name, bound.what);
    for (Row& row : RowsOf("P12",
                           {{.what = absl::StrCat(what,
                                                  ", `periodic`: bytes written to the disk; "
                                                  "against `process`"),
                           .bound = bound.bytes}},
                           rounds[i])) {
      rows.push_back(std::move(row));
    }
    rows.push_back({.id = "P12",
                    .what = absl::StrCat(what, ", `periodic`: flushes of the disk"),
                    .unit = "/s",
                    .bound = bound.flushes_a_second,
                    .figure = SpreadOf(std::move(flushes[i])),
                    .noise = {},
                    .broken = {}});
  }
  return rows;
}

}  // namespace

std::vector<Row> DiskWear(const Settings& settings) {
  std::vector<Row> rows;
  for (const WearLoad& load :
       {WearLoad{.name = "200 sensors at 1 Hz", .collectors = 200, .hz = 1},
        WearLoad{.name = "20 sensors at 10 Hz", .collectors = 20, .hz = 10}}) {
    WearLoad sized = load;
    sized.duration = std::chrono::seconds(30);
    if (settings.brief) {
      sized.collectors = 5;
      sized.hz = 20;
      sized.duration = std::chrono::milliseconds(200);
    }
    for (Row& row : WearOf(settings, sized)) rows.push_back(std::move(row));
    if (settings.brief) break;  // The other differs only in its numbers.
  }
  return rows;
}

}  // namespace datamanager::bench
