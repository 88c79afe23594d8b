// P6, P7, P11, and as the server is farther away and workers are more: what it takes to upload.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "base/unique_fd.h"
#include "capture_file/file_name.h"
#include "datamanager/data_manager.h"
#include "src/create_data_manager.h"
#include "sync/wire_field.h"
#include "tests/bench/bare_client.h"
#include "tests/bench/benches.h"
#include "tests/bench/curves.h"
#include "tests/bench/records.h"
#include "tests/bench/stopwatch.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::bench {
namespace {

constexpr char kUnary[] = "/viam.app.datasync.v1.DataSyncService/DataCaptureUpload";
constexpr char kFileUpload[] = "/viam.app.datasync.v1.DataSyncService/FileUpload";
constexpr size_t kPieceBytes = 65000;

void Append(std::vector<Row> more, std::vector<Row>& rows) {
  for (Row& row : more) rows.push_back(std::move(row));
}

std::vector<double> FirstOf(std::vector<double> measured) {
  measured.resize(1);
  return measured;
}

// A data manager that is connected and uploads when it is told to.
class Uploading {
 public:
  // So many uploads at a time; 0: the default numbers of workers and uploads.
  Uploading(const Settings& settings, const BenchServer& server, int workers)
      : capture_(settings.directory), files_(settings.directory) {
    const LogSink silent = [](const LogEntry&) {};
    auto cloud = Cloud::Create(
        {.id = "part", .app_address = absl::StrCat("http://", server.address())}, silent);
    Require(cloud.ok(), "no cloud");
    Require(
        testing::WaitUntil([&] { return (*cloud)->Status().state == ConnectionState::kHealthy; }),
        "no connection");
    auto manager = CreateDataManager({.cloud = *cloud, .logger = silent}, *settings.ops);
    Require(manager.ok(), "no data manager");
    manager_ = *std::move(manager);
    Config config;
    config.capture_dir = capture_.path();
    config.additional_sync_paths = {files_.path()};
    config.sync_disabled = true;
    config.maximum_num_sync_threads = workers;
    Require(manager_->Reconfigure(config, {}).ok(), "the config is refused");
    // It counts what lies there once, in the background: before there is anything.
    Require(testing::WaitUntil([&] { return manager_->Stats().disk.looks > 0; }), "no summary");
  }

  std::string CollectorDirectory() const {
    std::string directory = capture_file::CollectorDirectory(
        capture_.path(), "rdk:component:sensor", "sensor", "Readings");
    std::filesystem::create_directories(directory);
    return directory;
  }
  const std::string& files() const { return files_.path(); }

  void Upload() {
    const absl::Status status = manager_->Sync({.wait_for = SyncWait::kUploaded});
    Require(status.ok(), absl::StrCat("Sync: ", status.ToString()));
  }
  void ExpectAllGone() const {
    Require(
        testing::FilesBelow(capture_.path()).empty() && testing::FilesBelow(files_.path()).empty(),
        "an uploaded file is left");
  }

 private:
  const testing::TempDir capture_{testing::DiskDirectory()};
  const testing::TempDir files_{testing::DiskDirectory()};
  std::unique_ptr<DataManager> manager_;
};

std::vector<std::string> MakeFiles(const std::string& directory, size_t count,
                                   const std::string& bytes) {
  const WallTime begin = Clock::System().WallNow() - std::chrono::hours(1);
  std::vector<std::string> paths;
  for (size_t i = 0; i < count; ++i) {
    paths.push_back(absl::StrCat(directory, "/",
                                 capture_file::CompleteName(begin + std::chrono::milliseconds(i))));
    const UniqueFd fd(::open(paths.back().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    Require(::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
            "cannot write a file to upload");
  }
  return paths;
}

// Many small capture files.
class Files {
 public:
  Files(const Settings& settings, BenchServer& server, TabularFile file, size_t count, int workers)
      : settings_(settings),
        server_(server),
        file_(std::move(file)),
        count_(count),
        workers_(workers) {
    // How large the request is that the library makes of one of them.
    Uploading one(settings_, server_, 1);
    MakeFiles(one.CollectorDirectory(), 1, file_.bytes);
    server_.TakeCounts();
    one.Upload();
    request_bytes_ = server_.TakeCounts().bytes;
    Require(request_bytes_ > file_.bytes.size() && request_bytes_ < file_.bytes.size() * 2,
            "a request has another size than it should");
  }

  // Seconds, and the process's CPU seconds.
  std::vector<double> BySync() {
    Uploading uploading(settings_, server_, workers_);
    MakeFiles(uploading.CollectorDirectory(), count_, file_.bytes);
    server_.TakeCounts();
    const Stopwatch watch;
    uploading.Upload();
    std::vector<double> measured = {watch.Seconds(), watch.ProcessCpuSeconds()};
    CheckCounts();
    uploading.ExpectAllGone();
    return measured;
  }

  // Open, read, call, unlink.
  std::vector<double> ByBareLoop() {
    const testing::TempDir directory(settings_.directory);
    const std::vector<std::string> paths = MakeFiles(directory.path(), count_, file_.bytes);
    return Timed([&] {
      const size_t head = request_bytes_ - file_.bytes.size();
      const auto call = std::make_shared<BareUnary>(server_.channel(), kUnary);
      return [this, &paths, head, call](size_t i) {
        auto bytes = std::make_unique<char[]>(request_bytes_);
        std::memset(bytes.get(), 0, head);
        {
          const UniqueFd fd(::open(paths[i].c_str(), O_RDONLY | O_CLOEXEC));
          Require(::read(fd.get(), bytes.get() + head, file_.bytes.size()) ==
                      static_cast<ssize_t>(file_.bytes.size()),
                  "read");
        }
        call->Call(MessageOf(std::move(bytes), request_bytes_));
        Require(::unlink(paths[i].c_str()) == 0, "unlink");
      };
    });
  }

  // The same request again and again.
  std::vector<double> ByPrebuiltRequest() {
    const std::string request = Reserialized(file_.bytes);
    Require(request.size() == request_bytes_, "the prebuilt request has another size");
    const grpc::Slice slice(request);
    const grpc::ByteBuffer prebuilt(&slice, 1);
    return Timed([&] {
      const auto call = std::make_shared<BareUnary>(server_.channel(), kUnary);
      return [&prebuilt, call](size_t) { call->Call(prebuilt); };
    });
  }

  // What a client does that knows messages only: reads the file's, makes one of them, and sends it.
  std::vector<double> ByReserializing() {
    const testing::TempDir directory(settings_.directory);
    const std::vector<std::string> paths = MakeFiles(directory.path(), count_, file_.bytes);
    return Timed([&] {
      const auto call = std::make_shared<BareUnary>(server_.channel(), kUnary);
      return [&paths, call](size_t i) {
        const std::string request = Reserialized(testing::ReadFile(paths[i]));
        const grpc::Slice slice(request);
        call->Call(grpc::ByteBuffer(&slice, 1));
        Require(::unlink(paths[i].c_str()) == 0, "unlink");
      };
    });
  }

 private:
  std::vector<double> Timed(const std::function<Upload()>& make) {
    server_.TakeCounts();
    const Stopwatch watch;
    InParallel(count_, workers_, make);
    std::vector<double> measured = {watch.Seconds(), watch.ProcessCpuSeconds()};
    CheckCounts();
    return measured;
  }

  void CheckCounts() {
    Counts counts = server_.TakeCounts();
    const Counts due{.calls = count_,
                     .messages = count_,
                     .bytes = count_ * request_bytes_,
                     .records = counts.records == 0 ? 0 : count_ * file_.records};
    Require(counts == due,
            absl::StrCat("the server got ", Text(counts), " instead of ", Text(due)));
  }

  static std::string Reserialized(const std::string& file) {
    const char* at = file.data();
    const char* const end = at + file.size();
    const auto next = [&](auto& message) {
      uint64_t size = 0;
      at = capture_file::ReadVarint(at, end, &size);
      Require(at != nullptr && message.ParseFromArray(at, static_cast<int>(size)),
              "the file does not parse");
      at += size;
    };
    wire::DataCaptureMetadata stored;
    next(stored);
    wire::DataCaptureUploadRequest request;
    wire::UploadMetadata& metadata = *request.mutable_metadata();
    metadata.set_part_id("part");
    metadata.set_component_type(stored.component_type());
    metadata.set_component_name(stored.component_name());
    metadata.set_method_name(stored.method_name());
    metadata.set_type(stored.type());
    metadata.set_file_extension(stored.file_extension());
    while (at < end) next(*request.add_sensor_contents());
    return request.SerializeAsString();
  }

  const Settings& settings_;
  BenchServer& server_;
  const TabularFile file_;
  const size_t count_;
  const int workers_;
  size_t request_bytes_ = 0;
};

// As if it had been left alone for long.
void MakeOld(int fd) {
  const timespec times[] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1, .tv_nsec = 0}};
  Require(::futimens(fd, times) == 0, "cannot age a file");
}

// About what the library sends first of a file that is no capture file.
constexpr size_t kMetadataBytes = 100;

void UploadByBareStream(BenchServer& server, int fd, size_t file_size) {
  bool first = true;
  size_t offset = 0;
  BareStream(server.channel(), kFileUpload, [&](grpc::ByteBuffer& message) {
    if (std::exchange(first, false)) {
      message = MessageOf(std::make_unique<char[]>(kMetadataBytes), kMetadataBytes);
      return true;
    }
    if (offset == file_size) return false;
    const size_t size = std::min(kPieceBytes, file_size - offset);
    std::string inner;
    sync::AppendFieldHead(1, size, inner);
    std::string head;
    sync::AppendFieldHead(2, inner.size() + size, head);
    head += inner;
    std::unique_ptr<char[]> bytes(new char[head.size() + size]);
    std::memcpy(bytes.get(), head.data(), head.size());
    Require(::pread(fd, bytes.get() + head.size(), size, static_cast<off_t>(offset)) ==
                static_cast<ssize_t>(size),
            "read");
    offset += size;
    message = MessageOf(std::move(bytes), head.size() + size);
    return true;
  });
}

// Many small files that are no capture files.
class OtherFiles {
 public:
  OtherFiles(const Settings& settings, BenchServer& server, size_t count, int workers)
      : settings_(settings), server_(server), count_(count), workers_(workers) {}

  std::vector<double> BySync() {
    Uploading uploading(settings_, server_, workers_);
    Make(uploading.files());
    server_.TakeCounts();
    const Stopwatch watch;
    uploading.Upload();
    std::vector<double> measured = {watch.Seconds(), watch.ProcessCpuSeconds()};
    CheckCounts();
    uploading.ExpectAllGone();
    return measured;
  }

  // Open, stream, unlink.
  std::vector<double> ByBareLoop() {
    const testing::TempDir directory(settings_.directory);
    const std::vector<std::string> paths = Make(directory.path());
    server_.TakeCounts();
    const Stopwatch watch;
    InParallel(count_, workers_, [&] {
      return [this, &paths](size_t i) {
        {
          const UniqueFd fd(::open(paths[i].c_str(), O_RDONLY | O_CLOEXEC));
          UploadByBareStream(server_, fd.get(), kBytes);
        }
        Require(::unlink(paths[i].c_str()) == 0, "unlink");
      };
    });
    std::vector<double> measured = {watch.Seconds(), watch.ProcessCpuSeconds()};
    CheckCounts();
    return measured;
  }

 private:
  static constexpr size_t kBytes = 4096;

  std::vector<std::string> Make(const std::string& directory) const {
    const std::string bytes(kBytes, 'x');
    std::vector<std::string> paths;
    for (size_t i = 0; i < count_; ++i) {
      paths.push_back(absl::StrCat(directory, "/", i, ".bin"));
      const UniqueFd fd(
          ::open(paths.back().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
      Require(::write(fd.get(), bytes.data(), kBytes) == static_cast<ssize_t>(kBytes),
              "cannot write a file to upload");
      MakeOld(fd.get());
    }
    return paths;
  }
  void CheckCounts() {
    const Counts counts = server_.TakeCounts();
    Require(counts.calls == count_ && counts.messages >= 2 * count_ &&
                counts.bytes >= count_ * kBytes && counts.bytes <= count_ * (kBytes + 1000),
            absl::StrCat("the server got ", Text(counts), " instead of ", count_, " files of ",
                         kBytes, " bytes"));
  }

  const Settings& settings_;
  BenchServer& server_;
  const size_t count_;
  const int workers_;
};

// One large file that is no capture file.
class LargeFile {
 public:
  LargeFile(const Settings& settings, BenchServer& server, size_t size)
      : settings_(settings), server_(server), directory_(settings.directory), size_(size) {
    const std::string block(1 << 20, 'x');
    const UniqueFd fd(::open(path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    for (size_t written = 0; written < size; written += block.size()) {
      Require(::write(fd.get(), block.data(), block.size()) == static_cast<ssize_t>(block.size()),
              "cannot write the large file");
    }
    MakeOld(fd.get());
  }

  std::vector<double> BySync() {
    Uploading uploading(settings_, server_, 1);
    // A further name, which is removed in the end.
    Require(::link(path().c_str(), (uploading.files() + "/large.bin").c_str()) == 0, "link");
    server_.TakeCounts();
    const Stopwatch watch;
    uploading.Upload();
    std::vector<double> measured = {watch.Seconds(), watch.ProcessCpuSeconds()};
    CheckCounts();
    uploading.ExpectAllGone();
    return measured;
  }

  std::vector<double> ByBareLoop() {
    server_.TakeCounts();
    const Stopwatch watch;
    const UniqueFd fd(::open(path().c_str(), O_RDONLY | O_CLOEXEC));
    // As the library does, because its keys name the content.
    hash_cpu_.push_back(HashByBareLoop(fd.get()) * 1e3 / (static_cast<double>(size_) / 1e6));
    UploadByBareStream(server_, fd.get(), size_);
    std::vector<double> measured = {watch.Seconds(), watch.ProcessCpuSeconds()};
    CheckCounts();
    return measured;
  }

  // What naming the content took of each bare loop's CPU time, in ms for a MB.
  const std::vector<double>& hash_cpu() const { return hash_cpu_; }

 private:
  std::string path() const { return directory_.path() + "/large"; }
  // In seconds of CPU time.
  double HashByBareLoop(int fd) const {
    const Stopwatch watch;
    Sha256 sha256;
    std::string piece(256 << 10, '\0');
    for (size_t offset = 0; offset < size_; offset += piece.size()) {
      const size_t size = std::min(piece.size(), size_ - offset);
      Require(
          ::pread(fd, piece.data(), size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size),
          "read");
      sha256.Update(std::string_view(piece).substr(0, size));
    }
    Require(!sha256.Finish().empty(), "hash");
    return watch.ProcessCpuSeconds();
  }
  void CheckCounts() {
    const Counts counts = server_.TakeCounts();
    const size_t pieces = (size_ + kPieceBytes - 1) / kPieceBytes;
    Require(counts.calls == 1 && counts.messages >= pieces + 1 && counts.bytes >= size_ &&
                counts.bytes <= size_ + pieces * 10 + 1000,
            absl::StrCat("the server got ", Text(counts), " instead of a file of ", size_,
                         " bytes in ", pieces, " pieces"));
  }

  const Settings& settings_;
  BenchServer& server_;
  const testing::TempDir directory_{testing::DiskDirectory()};
  const size_t size_;
  std::vector<double> hash_cpu_;
};

}  // namespace

std::vector<Row> UploadSmallFiles(const Settings& settings) {
  std::vector<Row> rows;
  const TabularFile file = TabularFileOf(4096);
  {
    BenchServer server(settings, {});
    for (const int workers : {1, 8}) {
      Files files(settings, server, file, settings.Size(10000, 20), workers);
      const std::string what = absl::StrCat("upload 10,000 files of 4 KB, ", workers,
                                            workers == 1 ? " worker" : " workers");
      Append(Compare(
                 "P6", settings.Rounds(7),
                 {{.what = what, .bound = 1.65},
                  {.what = absl::StrCat(what, ", CPU of the client"), .bound = 2.25}},
                 [&] { return files.BySync(); }, [&] { return files.ByBareLoop(); }),
             rows);
    }
  }
  BenchServer server(settings, {"--delay", settings.brief ? "5" : "100"});
  Files files(settings, server, file, settings.Size(500, 20), 16);
  Append(Compare(
             "P6", settings.Rounds(7),
             {{.what = "upload 500 files of 4 KB with 100 ms added, 16 workers", .bound = 1.05}},
             [&] { return FirstOf(files.BySync()); }, [&] { return FirstOf(files.ByBareLoop()); }),
         rows);
  return rows;
}

std::vector<Row> UploadOtherFiles(const Settings& settings) {
  BenchServer server(settings, {});
  OtherFiles files(settings, server, settings.Size(10000, 20), 8);
  const std::string what = "upload 10,000 files of 4 KB that are no capture files, 8 workers";
  return Compare(
      "P15", settings.Rounds(7),
      {{.what = what, .bound = 1.65},
       {.what = absl::StrCat(what, ", CPU of the client"), .bound = 2.25}},
      [&] { return files.BySync(); }, [&] { return files.ByBareLoop(); });
}

std::vector<Row> UploadFarAway(const Settings& settings) {
  BenchServer server(settings, {"--delay", settings.brief ? "5" : "100"});
  const TabularFile file = TabularFileOf(4096);
  const size_t count = settings.Size(200, 20);
  Files by_default(settings, server, file, count, 0);
  Files one_at_a_time(settings, server, file, count, 1);
  return Compare(
      "P14", settings.Rounds(3),
      {{.what = "upload 200 files of 4 KB with 100 ms added, default workers; against one upload "
                "at a time",
        .bound = 1.0 / 6}},
      [&] { return FirstOf(by_default.BySync()); },
      [&] { return FirstOf(one_at_a_time.BySync()); });
}

std::vector<Row> UploadLargeFile(const Settings& settings) {
  BenchServer server(settings, {});
  LargeFile file(settings, server, settings.Size(1 << 30, 1 << 20));
  std::vector<Row> rows = Compare(
      "P7", settings.Rounds(11),
      {{.what = "hash and upload a file of 1 GiB, time", .bound = 1.15},
       {.what = "hash and upload a file of 1 GiB, CPU of the client", .bound = 1.10}},
      [&] { return file.BySync(); }, [&] { return file.ByBareLoop(); });
  rows.push_back(
      RowOf("P7", {.what = "SHA-256 of that file, CPU of the client", .bound = 10, .unit = "ms/MB"},
            file.hash_cpu()));
  return rows;
}

std::vector<Row> UploadTabularFiles(const Settings& settings) {
  const TabularFile file = TabularFileOf(256 << 10);
  const size_t count = settings.Size(250000000 / file.bytes.size(), 4);
  const auto one = [](const std::vector<double>& measured, size_t index) {
    return std::vector<double>{measured[index]};
  };
  std::vector<Row> rows;
  {
    BenchServer server(settings, {"--parse"});
    Files files(settings, server, file, count, 1);
    Append(Compare(
               "P11", settings.Rounds(7),
               {{.what = "upload 250 MB of tabular files of 256 KB to a server that parses, time; "
                         "against prebuilt requests",
                 .bound = 1.10}},
               [&] { return one(files.BySync(), 0); },
               [&] { return one(files.ByPrebuiltRequest(), 0); }),
           rows);
  }
  BenchServer server(settings, {});
  Files files(settings, server, file, count, 1);
  Append(
      Compare(
          "P11", settings.Rounds(7),
          {{.what = "upload 250 MB of tabular files of 256 KB, CPU of the client; against parsing "
                    "and reserializing",
            .bound = 0.15}},
          [&] { return one(files.BySync(), 1); }, [&] { return one(files.ByReserializing(), 1); }),
      rows);
  return rows;
}

std::vector<Curve> RoundTrip(const Settings& settings) {
  constexpr int kWorkers = 16;
  std::vector<Curve> curves = {{.id = "round_trip",
                                .title = "Uploads of 4 KB with 16 workers",
                                .x_axis = {.what = "added to each round trip", .unit = "ms"},
                                .y_axis = {.what = "time per file", .unit = "ms"},
                                .x = settings.brief
                                         ? std::vector<double>{0, 5}
                                         : std::vector<double>{0, 1, 2, 5, 10, 20, 50, 100, 200},
                                .series = {}}};
  const TabularFile file = TabularFileOf(4096);
  std::vector<std::unique_ptr<BenchServer>> servers;
  std::vector<std::unique_ptr<Files>> sizes;
  std::vector<double> counts;
  for (const double delay : curves[0].x) {
    servers.push_back(std::make_unique<BenchServer>(
        settings, std::vector<std::string>{"--delay", absl::StrCat(delay)}));
    // Whole turns of all workers, which take more than a second.
    const auto turns = static_cast<size_t>(std::clamp(1500 / std::max(delay, 1.0), 8.0, 250.0));
    const size_t count = kWorkers * settings.Size(turns, 2);
    counts.push_back(static_cast<double>(count));
    sizes.push_back(std::make_unique<Files>(settings, *servers.back(), file, count, kWorkers));
  }
  const auto way = [&](Series::Kind kind, const std::string& name,
                       std::vector<double> (Files::*by)()) {
    return Way{.kind = kind, .name = name, .run = [&sizes, &counts, by](size_t index) {
                 return std::vector<double>{((*sizes[index]).*by)()[0] * 1e3 / counts[index]};
               }};
  };
  Measure(curves, settings.Rounds(5),
          {way(Series::Kind::kSubject, "the library", &Files::BySync),
           way(Series::Kind::kBaseline, "bare loop, 16 in flight", &Files::ByBareLoop)});
  curves[0].series.push_back(Law(curves[0], "what is added / 16", [](double delay) {
    return delay > 0 ? delay / kWorkers : std::nan("");
  }));
  return curves;
}

std::vector<Curve> WorkerCount(const Settings& settings) {
  const int far_ms = settings.brief ? 5 : 20;
  std::vector<Curve> curves = {{.id = "workers",
                                .title = "Uploads of 4 KB",
                                .x_axis = {.what = "workers", .unit = ""},
                                .y_axis = {.what = "files per second", .unit = ""},
                                .x = settings.brief ? std::vector<double>{1, 4}
                                                    : std::vector<double>{1, 2, 4, 8, 16, 32, 64},
                                .series = {}}};
  const TabularFile file = TabularFileOf(4096);
  BenchServer near_server(settings, {});
  BenchServer far_server(settings, {"--delay", absl::StrCat(far_ms)});
  struct Size {
    size_t count;
    std::unique_ptr<Files> files;
  };
  std::vector<Size> near_by;
  std::vector<Size> far_off;
  for (const double x : curves[0].x) {
    const auto workers = static_cast<int>(x);
    const auto add = [&](BenchServer& server, size_t count, std::vector<Size>& to) {
      to.push_back({count, std::make_unique<Files>(settings, server, file, count, workers)});
    };
    add(near_server, settings.Size(3000, 20), near_by);
    add(far_server, static_cast<size_t>(workers) * settings.Size(60, 2), far_off);
  }
  const auto way = [](Series::Kind kind, const std::string& name, const std::vector<Size>& sizes,
                      std::vector<double> (Files::*by)()) {
    return Way{.kind = kind, .name = name, .run = [&sizes, by](size_t index) {
                 const double seconds = ((*sizes[index].files).*by)()[0];
                 return std::vector<double>{static_cast<double>(sizes[index].count) / seconds};
               }};
  };
  Measure(curves, settings.Rounds(5),
          {way(Series::Kind::kSubject, "the library, nothing added", near_by, &Files::BySync),
           way(Series::Kind::kBaseline, "bare loop, nothing added", near_by, &Files::ByBareLoop),
           way(Series::Kind::kSubject, "the library, 20 ms added", far_off, &Files::BySync),
           way(Series::Kind::kBaseline, "bare loop, 20 ms added", far_off, &Files::ByBareLoop)});
  curves[0].series.push_back(
      Law(curves[0], "workers / 20 ms", [&](double workers) { return workers * 1000 / far_ms; }));
  return curves;
}

}  // namespace datamanager::bench
