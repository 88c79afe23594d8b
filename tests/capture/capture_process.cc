// A process that captures, for tests that need several of them on one directory:
//   capture_process ours DIRECTORY RUN      captures, with a flush now and then, until it is told
//   to
//                                           end by SIGTERM or a kill
//   capture_process foreign DIRECTORY RUN   the same as one that takes no lock and knows nothing of
//                                           ours: plain open, append in pieces, close, rename
// Each record is {"run": RUN, "seq": 0}, then 1 and so on. Once a record is written, its number
// goes to standard output, a line each.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/logger.h"
#include "capture/capture.h"
#include "capture_file/file_name.h"
#include "capture_file/format.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"

namespace {

namespace dm = datamanager;
namespace wire = datamanager::wire::viam::app::datasync::v1;
using std::chrono::milliseconds;

constexpr const char* kApi = "rdk:component:sensor";

std::atomic<bool> end{false};

// One write: the reader sees whole lines, whoever is killed.
void Tell(int seq) {
  const std::string line = std::to_string(seq) + "\n";
  if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) ::_exit(3);
}

int Ours(const std::string& directory, int run) {
  auto logger = *dm::Logger::Create(
      [](const dm::LogEntry& entry) { std::fprintf(stderr, "%s\n", entry.message.c_str()); });
  std::atomic<int> told{0};  // Outlives whoever counts.
  auto capture = *dm::capture::Capture::Create({.logger = logger});
  dm::Sources sources;
  // The one before is in the file when the source is asked again.
  sources.AddReadings(kApi, "it", [run, &told, seq = 0](const auto&, dm::Readings& out) mutable {
    if (seq > 0) Tell(seq - 1);
    told = seq;
    told.notify_one();
    out.Set("run", run);
    out.Set("seq", seq++);
    return absl::OkStatus();
  });
  dm::config::CaptureConfig config{.directory = directory, .max_file_bytes = 2000};
  config.collectors.resize(1);
  config.collectors[0].settings = {
      .api = kApi, .name = "it", .method = "Readings", .interval = milliseconds(1)};
  const auto soon = [] { return std::chrono::steady_clock::now() + std::chrono::seconds(20); };
  if (!capture->Reconfigure(config, sources, soon())) return 1;
  // A few records a file.
  for (int next = 5; !end; next = told + 5) {
    for (int seen = told; seen < next && !end; seen = told) told.wait(seen);
    if (!capture->Flush(soon(), {}).ok()) return 1;
  }
  const bool closed = capture->Close(soon(), soon()).ok();
  logger->Close();
  return closed ? 0 : 1;
}

std::string Framed(const google::protobuf::MessageLite& message) {
  const std::string bytes = message.SerializeAsString();
  std::string frame(dm::capture_file::VarintSize(bytes.size()), '\0');
  dm::capture_file::WriteVarint(bytes.size(), frame.data());
  return frame + bytes;
}

int Foreign(const std::string& directory, int run) {
  const std::string mine = dm::capture_file::CollectorDirectory(directory, kApi, "it", "Readings");
  int seq = 0;
  while (!end) {
    std::filesystem::create_directories(mine);
    const auto now = std::chrono::system_clock::now();
    const std::string path = mine + "/" + dm::capture_file::InProgressName(now);
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return 1;
    wire::DataCaptureMetadata metadata;
    metadata.set_component_type(kApi);
    metadata.set_component_name("it");
    metadata.set_method_name("Readings");
    metadata.set_type(wire::DATA_TYPE_TABULAR_SENSOR);
    const int first = seq;
    std::string bytes = Framed(metadata);
    for (; seq < first + 10; ++seq) {
      wire::SensorData record;
      record.mutable_metadata()->mutable_time_requested()->set_seconds(seq);
      auto& fields = *(*record.mutable_struct_()->mutable_fields())["readings"]
                          .mutable_struct_value()
                          ->mutable_fields();
      fields["run"].set_number_value(run);
      fields["seq"].set_number_value(seq);
      bytes += Framed(record);
    }
    // As a buffer is written out: wherever it happens to be full, and slowly, so that others look
    // at the file in the middle. It waits for nothing.
    for (std::string_view rest = bytes; !rest.empty();) {
      const std::string_view piece = rest.substr(0, 100);
      if (::write(fd, piece.data(), piece.size()) != static_cast<ssize_t>(piece.size())) return 1;
      rest.remove_prefix(piece.size());
      std::this_thread::sleep_for(milliseconds(1));
    }
    ::close(fd);
    if (::rename(path.c_str(), dm::capture_file::CompletePath(path).c_str()) != 0) return 1;
    for (int told = first; told < seq; ++told) Tell(told);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  struct sigaction action {};
  action.sa_handler = [](int) { end = true; };
  ::sigaction(SIGTERM, &action, nullptr);
  const bool ours = std::string_view(argv[1]) == "ours";
  return ours ? Ours(argv[2], std::atoi(argv[3])) : Foreign(argv[2], std::atoi(argv[3]));
}
