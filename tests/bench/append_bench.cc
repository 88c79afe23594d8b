// P2, and as records grow: what it costs to append a record so that a killed process does not lose
// it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/logger.h"
#include "base/unique_fd.h"
#include "capture/keeper.h"
#include "capture/output.h"
#include "capture_file/reader.h"
#include "capture_file/record_buffer.h"
#include "tests/bench/benches.h"
#include "tests/bench/curves.h"
#include "tests/bench/records.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::bench {
namespace {

class Appends {
 public:
  Appends(const Settings& settings, size_t size, size_t records)
      : settings_(settings), size_(size), records_(records), record_(RecordOf(size)) {
    logger_ = *Logger::Create([](const LogEntry&) {});
    keeper_ = *capture::Keeper::Start({.ops = settings.ops, .logger = logger_});
  }

  // The collector's part of a tick once a record is encoded.
  std::vector<double> ByOutput() {
    const testing::TempDir directory(settings_.directory);
    const auto finished = std::make_shared<std::atomic<uint64_t>>(0);
    const auto output =
        std::make_shared<capture::Output>(capture::OutputOptions{.directory = directory.path(),
                                                                 .max_file_bytes = int64_t{1} << 40,
                                                                 .keeper = keeper_,
                                                                 .finished_files = finished,
                                                                 .ops = settings_.ops});
    const std::string metadata = TabularMetadata().SerializeAsString();
    std::atomic<uint64_t> records{0};
    std::atomic<uint64_t> bytes{0};
    const auto append = [&](size_t count) {
      for (size_t i = 0; i < count; ++i) {
        const std::string_view head = record_.Frame();
        Require(output->Append(metadata, head, {}, /*finish=*/false).ok(), "a record is refused");
        ++records;
        bytes += head.size();
      }
    };
    append(1);  // Makes the file.
    const double seconds = settings_.micro->SecondsPerCall(records_, append);
    output->Close(testing::PatienceEnds());
    Require(keeper_->WaitUntilPublished(testing::PatienceEnds(), {}).ok(),
            "a file is not published");
    const std::vector<std::string> files = testing::FilesBelow(directory.path(), ".capture");
    Require(files.size() == 1 && CountRecords(files[0]) == records_ + 1 &&
                records == records_ + 1 && bytes == (records_ + 1) * size_,
            "a record is missing in the file");
    return {seconds};
  }

  std::vector<double> ByWrite() {
    const testing::TempDir directory(settings_.directory);
    const std::string path = directory.path() + "/records";
    const UniqueFd fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600));
    capture_file::RecordBuffer metadata;
    metadata.PrependBytes(TabularMetadata().SerializeAsString());
    const std::string_view head = metadata.Frame();
    const std::string_view frame = record_.Frame();
    const auto append = [&](size_t count) {
      for (size_t i = 0; i < count; ++i) {
        Require(::write(fd.get(), frame.data(), frame.size()) == static_cast<ssize_t>(frame.size()),
                "write fails");
      }
    };
    // So that the records lie where the subject's do: one that begins at a page's beginning touches
    // a page less, and where it begins decides how fast the kernel copies it.
    Require(::write(fd.get(), head.data(), head.size()) == static_cast<ssize_t>(head.size()),
            "write fails");
    append(1);
    const double seconds = settings_.micro->SecondsPerCall(records_, append);
    struct stat info {};
    Require(::fstat(fd.get(), &info) == 0 &&
                static_cast<size_t>(info.st_size) == head.size() + (records_ + 1) * size_,
            "a record of the baseline is missing");
    return {seconds};
  }

 private:
  static size_t CountRecords(const std::string& path) {
    FileOps& ops = FileOps::System();
    const absl::StatusOr<UniqueFd> fd = OpenFile(ops, path, O_RDONLY);
    struct stat info {};
    Require(fd.ok() && ops.Fstat(fd->get(), &info) == 0, "the file is gone");
    auto reader = capture_file::Reader::Open(ops, fd->get(), static_cast<uint64_t>(info.st_size));
    Require(reader.ok(), "the file is no capture file");
    size_t count = 0;
    while (true) {
      const auto record = reader->Next();
      Require(record.ok(), "the file cannot be read");
      if (!record->has_value()) return count;
      ++count;
    }
  }

  const Settings& settings_;
  const size_t size_;
  const size_t records_;
  capture_file::RecordBuffer record_;
  std::shared_ptr<Logger> logger_;
  std::shared_ptr<capture::Keeper> keeper_;
};

}  // namespace

std::vector<Row> Append(const Settings& settings) {
  std::vector<Row> rows;
  const auto compare = [&](size_t size, size_t records, const std::string& what, double bound) {
    Appends appends(settings, size, settings.Size(records, 10));
    for (Row& row : Compare(
             "P2", settings.Rounds(7), {{.what = what, .bound = bound}},
             [&] { return appends.ByOutput(); }, [&] { return appends.ByWrite(); })) {
      rows.push_back(std::move(row));
    }
  };
  compare(200, 300000, "append a record of 200 B", 1.15);
  compare(64 << 10, 2000, "append a record of 64 KiB", 1.05);
  return rows;
}

std::vector<Curve> RecordSize(const Settings& settings) {
  const Axis bytes{.what = "size of a record", .unit = "bytes"};
  const std::vector<double> sizes = settings.brief
                                        ? std::vector<double>{10, 10000}
                                        : std::vector<double>{10, 100, 1e3, 1e4, 1e5, 1e6, 1e7};
  std::vector<Curve> curves = {{.id = "record_time",
                                .title = "Time of a record",
                                .x_axis = bytes,
                                .y_axis = {.what = "time per record", .unit = "µs"},
                                .x = sizes,
                                .series = {}},
                               {.id = "record_byte",
                                .title = "Time of a byte",
                                .x_axis = bytes,
                                .y_axis = {.what = "time per byte", .unit = "ns"},
                                .x = sizes,
                                .series = {}}};
  std::vector<std::unique_ptr<Appends>> appends;
  for (const double size : sizes) {
    const auto records = static_cast<size_t>(std::clamp(1.28e8 / size, 12.0, 1e5));
    appends.push_back(
        std::make_unique<Appends>(settings, static_cast<size_t>(size), settings.Size(records, 10)));
  }
  const auto figures = [&](const std::vector<double>& seconds, size_t index) {
    return std::vector<double>{seconds[0] * 1e6, seconds[0] * 1e9 / sizes[index]};
  };
  std::vector<Way> ways = {
      {.kind = Series::Kind::kSubject,
       .name = "append",
       .run = [&](size_t index) { return figures(appends[index]->ByOutput(), index); }},
      {.kind = Series::Kind::kBaseline, .name = "write", .run = [&](size_t index) {
         return figures(appends[index]->ByWrite(), index);
       }}};
  for (Way& way : PublishPayloads(settings, sizes)) ways.push_back(std::move(way));
  Measure(curves, settings.Rounds(7), ways);
  return curves;
}

}  // namespace datamanager::bench
