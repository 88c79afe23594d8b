// bad_server_soak EXAMPLES [SECONDS]: the load of examples/demo.sh, and a counter with a journal,
// for so long against a server that fails, stalls, dawdles and loses answers; then against one that
// works, until all is drained. Every record must have arrived once.
#include <chrono>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "tests/soak/soak_world.h"
#include "tests/support/files.h"

namespace datamanager::testing {
namespace {

constexpr char kFaults[] =
    "unavailable=0.3,internal=0.1,drop-after-store=0.1,stall=0.02,delay=5ms..50ms";

// Name and method.
using Collector = std::pair<std::string, std::string>;

std::string Component(const char* name, const char* model, const std::string& attributes,
                      const char* api, const char* method, int hz) {
  return absl::StrCat(R"({"name": ")", name, R"(", "api": "rdk:component:)", api,
                      R"(", "model": ")", model, R"(", "attributes": {)", attributes,
                      R"(}, "service_configs": [{"type": "data_manager", "attributes": )",
                      R"({"capture_methods": [{"method": ")", method,
                      R"(", "capture_frequency_hz": )", hz, "}]}}]}");
}

void WriteConfig(SoakWorld& world, bool capture_disabled) {
  std::string components;
  for (const char* name : {"cpu", "memory", "network", "disk", "thermal"}) {
    absl::StrAppend(
        &components,
        Component(name, absl::StrCat("host-", name).c_str(), "", "sensor", "Readings", 10), ",");
  }
  absl::StrAppend(
      &components,
      Component("count", "counter", absl::StrCat(R"("journal": ")", world.Path("journal"), "\""),
                "sensor", "Readings", 100),
      ",",
      Component("simulated-camera", "simulated-camera", R"("frame_bytes": [300000, 1200000])",
                "camera", "GetImages", 5));
  world.WriteConfig(
      components, absl::StrCat(R"(, "sync_interval_mins": 0.01, "maximum_num_sync_threads": 8)",
                               R"(, "tags": ["soak"], "file_last_modified_millis": 500)",
                               R"(, "additional_sync_paths": [")", world.Path("outbox"),
                               R"("], "capture_disabled": )", capture_disabled ? "true" : "false"));
}

// What the robot's summary says, a line "collector API NAME METHOD key=value ..." each.
std::map<Collector, uint64_t> Captured(const std::string& summary) {
  std::map<Collector, uint64_t> captured;
  for (const absl::string_view line : absl::StrSplit(summary, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() < 4 || words[0] != "collector") continue;
    for (absl::string_view word : words) {
      uint64_t records = 0;
      if (absl::ConsumePrefix(&word, "records=") && absl::SimpleAtoi(word, &records)) {
        captured[{std::string(words[2]), std::string(words[3])}] = records;
      }
    }
  }
  return captured;
}

std::string LastLineWith(const std::string& text, const std::string& part) {
  std::string last;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StrContains(line, part)) last = std::string(line);
  }
  return last;
}

void Run(SoakWorld& world, int seconds) {
  world.StartServer({"--fail", kFaults});
  WriteConfig(world, /*capture_disabled=*/false);
  WriteFile(world.Path("outbox/tag=field-notes/note.txt"), "An arbitrary file");
  world.StartRobot({"--upload-stall-timeout", "5s", "--status-every", "1s"});
  static_cast<void>(WaitUntil(
      [&] {
        world.ExpectBothRun();
        return false;
      },
      std::chrono::seconds(seconds)));
  world.Await("something of each kind to arrive", [&] {
    std::set<std::string> kinds;
    for (const ingest::Received& row : world.Arrived()) kinds.insert(row.kind);
    return kinds.size() == 3;
  });

  world.EndServer();
  const std::string faults = LastLineWith(world.server().Output(), "faults: ");
  world.StartServer();
  WriteConfig(world, /*capture_disabled=*/true);
  world.ReloadAndDrain([&] { return FilesBelow(world.Path("outbox")).empty(); });
  world.EndRobot();
  world.EndServer();
  std::printf("%s\n%s\n", faults.c_str(), LastLineWith(world.robot().Output(), "status ").c_str());

  std::map<Collector, std::multiset<std::string>> arrived;
  size_t files = 0;
  for (const ingest::Received& row : world.Arrived()) {
    if (row.kind == "file") {
      ++files;
    } else {
      // The time tells a record from every other one of its collector.
      arrived[{row.component_name, row.method_name}].insert(row.time_requested);
    }
  }
  std::map<Collector, uint64_t> captured = Captured(world.robot().Output());
  const std::vector<std::string> journalled =
      absl::StrSplit(ReadFile(world.Path("journal")), '\n', absl::SkipEmpty());
  int wrong = captured.size() == 7 && journalled.size() == captured[{"count", "Readings"}] ? 0 : 1;
  std::printf("%-34s %9s %9s %8s %6s\n", "collector", "captured", "arrived", "missing", "twice");
  for (const auto& [collector, records] : captured) {
    const std::multiset<std::string>& times = arrived[collector];
    const std::set<std::string> distinct(times.begin(), times.end());
    const int64_t missing = static_cast<int64_t>(records) - static_cast<int64_t>(distinct.size());
    const size_t twice = times.size() - distinct.size();
    std::printf("%-34s %9zu %9zu %8lld %6zu\n",
                absl::StrCat(collector.first, " ", collector.second).c_str(),
                static_cast<size_t>(records), times.size(), static_cast<long long>(missing), twice);
    if (records == 0 || missing != 0 || twice != 0) ++wrong;
  }
  std::printf("%-34s %9d %9zu\n", "tag=field-notes/note.txt", 1, files);
  if (files != 1) ++wrong;
  std::printf("journal of count: %zu lines\n", journalled.size());
  if (wrong > 0) throw SoakFailure(absl::StrCat(wrong, " rows are wrong"));
}

}  // namespace
}  // namespace datamanager::testing

int main(int argc, char** argv) {
  return datamanager::testing::RunSoak(argc, argv, "bad_server_soak EXAMPLES [SECONDS]", 60,
                                       datamanager::testing::Run);
}
