// Prints, verifies and repairs capture files. Their format: src/capture_file/format.h.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/file_ops.h"
#include "base/strings.h"
#include "capture_file/reader.h"
#include "capture_file/repair.h"
#include "datamanager/clock.h"
#include "datamanager/value.h"
#include "json/json.h"
#include "standard_streams.h"
#include "viam/app/datasync/v1/data_sync.pb.h"

namespace {

namespace pb = viam::app::datasync::v1;
using datamanager::FileOps;
using datamanager::capture_file::Reader;
using datamanager::capture_file::Record;

constexpr char kUsage[] =
    "Usage: capture_cat [--json | --verify | --repair] FILE...\n"
    "Prints what capture files hold, complete (.capture) or in progress (.prog).\n"
    "  --json    one JSON object a record, and nothing else\n"
    "  --verify  one line a file: whether it is whole, and if not, why and from where\n"
    "  --repair  cuts each file where damage begins. Beside it, whole records from behind the "
    "damage\n"
    "            go to a further .capture file, and all else but zeros to "
    "FILE.cut-at-OFFSET.prog.\n"
    "            Leaves alone what is whole, what holds no whole record, and what a process has\n"
    "            open. The name stays: a data manager that captures to the same directory "
    "publishes\n"
    "            a .prog file\n"
    "Exit status: 0, 1 if a file is damaged, in use or cannot be read, 2 for wrong arguments.\n";

enum class Mode { kText, kJson, kVerify, kRepair };

std::string FormatTime(const google::protobuf::Timestamp& time) {
  const absl::Time instant =
      absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
  return absl::FormatTime(absl::RFC3339_full, instant, absl::UTCTimeZone());
}

std::string Quoted(const std::string& text) {
  return datamanager::ToJson(datamanager::Value(text));
}

class CaptureFile {
 public:
  static absl::StatusOr<CaptureFile> Open(const std::string& path) {
    FileOps& ops = FileOps::System();
    CaptureFile file;
    file.path_ = path;
    auto fd = datamanager::OpenFile(ops, path, O_RDONLY);
    if (!fd.ok()) return fd.status();
    file.fd_ = *std::move(fd);
    struct stat info {};
    if (ops.Fstat(file.fd_.get(), &info) != 0) {
      return datamanager::ErrnoStatus(errno, "look at", path);
    }
    if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(path + " is not a regular file");
    if (info.st_size == 0) return absl::DataLossError(path + " is empty");
    auto reader = Reader::Open(ops, file.fd_.get(), static_cast<uint64_t>(info.st_size));
    if (!reader.ok()) return datamanager::Wrap(reader.status(), path);
    file.reader_ = *std::move(reader);
    if (!file.metadata_.ParseFromString(file.reader().metadata())) {
      return absl::DataLossError(path + ": not a capture file: its metadata does not parse");
    }
    return file;
  }

  // Prints every whole record, and returns how many there are; what follows them is an error.
  absl::StatusOr<uint64_t> Print(Mode mode) {
    if (mode == Mode::kText) {
      std::printf("%s: %s %s %s%s\n", path_.c_str(), metadata_.component_type().c_str(),
                  metadata_.component_name().c_str(), metadata_.method_name().c_str(),
                  metadata_.tags().empty()
                      ? ""
                      : absl::StrCat(" tags ", json::ToJson(metadata_.tags())).c_str());
    }
    uint64_t records = 0;
    while (true) {
      auto record = reader().Next();
      if (!record.ok()) return datamanager::Wrap(record.status(), path_);
      if (!record->has_value()) break;
      if (mode != Mode::kVerify) {
        absl::Status status = PrintRecord(**record, mode);
        if (!status.ok()) return datamanager::Wrap(status, path_);
      }
      ++records;
    }
    if (!reader().torn().ok()) {
      return absl::DataLossError(absl::StrCat(path_, ": ", records, " whole records, then damage ",
                                              reader().torn().message()));
    }
    return records;
  }

 private:
  CaptureFile() = default;
  Reader& reader() { return *reader_; }

  absl::Status PrintRecord(const Record& record, Mode mode) {
    std::string bytes(record.metadata.size, '\0');
    absl::Status status = Read(record.metadata, bytes);
    if (!status.ok()) return status;
    pb::SensorMetadata metadata;
    if (!metadata.ParseFromString(bytes))
      return absl::DataLossError("a record's metadata is damaged");
    std::string payload;
    if (record.payload_kind == Record::Payload::kStruct) {
      bytes.resize(record.payload.size);
      status = Read(record.payload, bytes);
      if (!status.ok()) return status;
      google::protobuf::Struct values;
      if (!values.ParseFromString(bytes))
        return absl::DataLossError("a record's payload is damaged");
      payload = json::ToJson(values);
    }
    const std::string requested = FormatTime(metadata.time_requested());
    const std::string received = FormatTime(metadata.time_received());
    if (mode == Mode::kText) {
      std::printf(
          "  %s %s\n", requested.c_str(),
          payload.empty()
              ? absl::StrCat(record.payload.size, " bytes of ",
                             metadata_.mime_type().empty() ? "unknown type" : metadata_.mime_type())
                    .c_str()
              : payload.c_str());
      return absl::OkStatus();
    }
    const std::string content = payload.empty()
                                    ? absl::StrCat("\"mime_type\":", Quoted(metadata_.mime_type()),
                                                   ",\"size\":", record.payload.size)
                                    : absl::StrCat("\"json\":", payload);
    std::printf(
        "{\"component_type\":%s,\"component_name\":%s,\"method_name\":%s,\"tags\":%s,"
        "\"time_requested\":\"%s\",\"time_received\":\"%s\",%s}\n",
        Quoted(metadata_.component_type()).c_str(), Quoted(metadata_.component_name()).c_str(),
        Quoted(metadata_.method_name()).c_str(), json::ToJson(metadata_.tags()).c_str(),
        requested.c_str(), received.c_str(), content.c_str());
    return absl::OkStatus();
  }

  absl::Status Read(const datamanager::capture_file::Extent& extent, std::string& out) {
    return datamanager::ReadExactly(FileOps::System(), fd_.get(), static_cast<off_t>(extent.offset),
                                    extent.size, out.data());
  }

  std::string path_;
  datamanager::UniqueFd fd_;
  std::optional<Reader> reader_;
  pb::DataCaptureMetadata metadata_;
};

// False: `status` is an error, and has been printed.
bool Ok(const absl::Status& status) {
  if (status.ok()) return true;
  std::fflush(stdout);
  std::fprintf(stderr, "capture_cat: %s\n", std::string(status.message()).c_str());
  return false;
}

bool RepairFile(const std::string& path) {
  const auto repair = datamanager::capture_file::RepairFile(FileOps::System(), path,
                                                            datamanager::Clock::System().WallNow());
  if (!Ok(repair.status())) return false;
  std::string text = absl::StrCat(path, ": ");
  if (repair->cut_bytes == 0) {
    absl::StrAppend(&text, "ok, ", repair->records, " records, nothing to cut");
  } else {
    absl::StrAppend(&text, "cut ", repair->cut_bytes, " bytes at byte ", repair->size, ", after ",
                    repair->records, " whole records (", repair->damage, ")");
  }
  if (!repair->further.empty()) {
    absl::StrAppend(&text, "; the whole records behind the damage are in ", repair->further);
  }
  if (!repair->kept.empty()) {
    absl::StrAppend(&text, "; ", repair->kept_bytes, " bytes that are no whole record are kept in ",
                    repair->kept);
  }
  std::printf("%s\n", text.c_str());
  return true;
}

bool PrintFile(const std::string& path, Mode mode) {
  absl::StatusOr<CaptureFile> file = CaptureFile::Open(path);
  absl::StatusOr<uint64_t> records = file.ok() ? file->Print(mode) : file.status();
  if (!Ok(records.status())) return false;
  if (mode == Mode::kVerify) {
    std::printf("%s: ok, %llu records\n", path.c_str(), static_cast<unsigned long long>(*records));
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  OpenClosedStandardStreams(argv);
  Mode mode = Mode::kText;
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--help") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    if (argument == "--json") {
      mode = Mode::kJson;
    } else if (argument == "--verify") {
      mode = Mode::kVerify;
    } else if (argument == "--repair") {
      mode = Mode::kRepair;
    } else if (argument.starts_with("--")) {
      std::fprintf(stderr, "capture_cat: unknown flag %s\n%s", argument.c_str(), kUsage);
      return 2;
    } else {
      paths.push_back(argument);
    }
  }
  if (paths.empty()) {
    std::fprintf(stderr, "capture_cat: no file given\n%s", kUsage);
    return 2;
  }
  bool whole = true;
  if (mode == Mode::kRepair) {
    // A repair tries leases, which may be answered by a signal.
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
  }
  for (const std::string& path : paths) {
    whole = (mode == Mode::kRepair ? RepairFile(path) : PrintFile(path, mode)) && whole;
  }
  return whole ? 0 : 1;
}
