// P13: how large, and how soon at work.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capture_file/format.h"
#include "datamanager/wire/viam/app/datasync/v1/data_sync.pb.h"
#include "tests/bench/benches.h"
#include "tests/bench/stopwatch.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::bench {
namespace {

namespace wire = datamanager::wire::viam::app::datasync::v1;

// Its output goes to `output`.
void RunProgram(const std::vector<std::string>& command, const std::string& output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.data()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, command[0].c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = -1;
  const bool ended = error == 0 && ::waitpid(pid, &status, 0) == pid && status == 0;
  Require(ended, absl::StrCat(command[0], " fails: ", testing::ReadFile(output)));
}

// Between the start of the robot and its first record's answer from the source, in milliseconds.
double StartToFirstRecord(const Settings& settings) {
  const testing::TempDir directory(settings.directory);
  const std::string config = directory.path() + "/robot.json";
  const std::string capture = directory.path() + "/capture";
  std::ofstream(config) << absl::StrCat(
      R"({"components": [{"name": "it", "api": "rdk:component:sensor", "model": "counter",
      "attributes": {"journal": ")",
      directory.path(), R"(/journal"}, "service_configs": [{
      "type": "data_manager", "attributes": {"capture_methods": [
      {"method": "Readings", "capture_frequency_hz": 1000}]}}]}],
      "services": [{"name": "data", "api": "rdk:service:data_manager",
      "model": "rdk:builtin:builtin", "attributes": {"capture_dir": ")",
      capture, R"("}}]})");
  const auto begin = std::chrono::system_clock::now();
  RunProgram({settings.examples + "/robot", "--config", config, "--run-for", "100ms"},
             directory.path() + "/output");
  const std::vector<std::string> files = testing::FilesBelow(capture, ".capture");
  Require(!files.empty(), "the robot captured nothing");
  const std::string bytes = testing::ReadFile(files.front());
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  const auto next = [&](auto& message) {
    uint64_t size = 0;
    at = capture_file::ReadVarint(at, end, &size);
    Require(at != nullptr && size <= static_cast<uint64_t>(end - at) &&
                message.ParseFromArray(at, static_cast<int>(size)),
            "the robot's file does not parse");
    at += size;
  };
  wire::DataCaptureMetadata metadata;
  wire::SensorData record;
  next(metadata);
  next(record);
  const auto& time = record.metadata().time_received();
  const auto received =
      std::chrono::seconds(time.seconds()) + std::chrono::nanoseconds(time.nanos());
  return std::chrono::duration<double, std::milli>(received - begin.time_since_epoch()).count();
}

}  // namespace

std::vector<Row> Footprint(const Settings& settings) {
  const testing::TempDir directory(settings.directory);
  const std::string stripped = directory.path() + "/robot";
  RunProgram({"strip", "-o", stripped, settings.examples + "/robot"}, directory.path() + "/output");
  std::vector<double> starts;
  for (int i = 0; i < settings.Rounds(7); ++i) starts.push_back(StartToFirstRecord(settings));
  return {RowOf("P13",
                {.what = "stripped robot beyond its shared libraries", .bound = 3, .unit = "MiB"},
                {static_cast<double>(std::filesystem::file_size(stripped)) / (1 << 20)}),
          RowOf("P13", {.what = "start to first record at 1 kHz", .bound = 50, .unit = "ms"},
                std::move(starts))};
}

std::vector<Row> CleanBuild(const Settings& settings) {
  if (settings.source.empty()) return {};
  const testing::TempDir directory{testing::DiskDirectory()};
  const Stopwatch watch;
  RunProgram(
      {"cmake", "-S", settings.source, "--preset", "release", "-B", directory.path() + "/build",
       "-DDATAMANAGER_BUILD_TESTS=OFF", "-DCCACHE=CCACHE-NOTFOUND"},
      directory.path() + "/output");
  RunProgram({"cmake", "--build", directory.path() + "/build", "-j2"},
             directory.path() + "/output");
  return {RowOf("P13",
                {.what = "clean build of library and examples with -j2", .bound = 5, .unit = "min"},
                {watch.Seconds() / 60})};
}

}  // namespace datamanager::bench
