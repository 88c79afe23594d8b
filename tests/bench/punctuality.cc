// How punctual collectors are, from 1 Hz to 10 kHz at once, beside bare threads that sleep until
// the same ticks and write the same bytes, in the same run. Prints a Markdown table; status 1 if a
// tick or a record is missing.
//   punctuality [SECONDS]    60 by default
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "datamanager/data_manager.h"
#include "tests/bench/collectors.h"
#include "tests/bench/compare.h"
#include "tests/bench/reading.h"
#include "tests/support/temp_dir.h"

namespace datamanager::bench {
namespace {

constexpr int kRates[] = {1, 10, 100, 1000, 10000};
constexpr char kApi[] = "rdk:component:sensor";

double Micros(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

// The bare threads, one for each rate, for so long.
std::vector<Work> RunBare(const Settings& settings, std::chrono::milliseconds duration) {
  std::vector<Work> works(std::size(kRates));
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < works.size(); ++i) {
    threads.emplace_back([&, i] {
      works[i] = RunThreads(
          settings,
          {.interval = std::chrono::nanoseconds(1000000000 / kRates[i]), .duration = duration},
          /*write=*/true);
    });
  }
  threads.clear();
  for (Work& work : works) {
    Require(!work.lateness.empty(), "a bare thread had no tick");
    std::sort(work.lateness.begin(), work.lateness.end());
  }
  return works;
}

double MicrosAt(const Work& work, double part) {
  const auto index = static_cast<size_t>(part * static_cast<double>(work.lateness.size() - 1));
  return work.lateness[index] * 1e6;
}

std::string Table(std::chrono::milliseconds duration) {
  const testing::TempDir directory(testing::MemoryDirectory());
  Config config;
  config.capture_dir = directory.path();
  config.sync_disabled = true;
  Sources sources;
  for (const int rate : kRates) {
    const std::string name = absl::StrCat(rate, "-hz");
    sources.AddReadings(kApi, name, [value = 0.0](const CaptureRequest&, Readings& out) mutable {
      FillReading(++value, out);
      return absl::OkStatus();
    });
    config.collectors.push_back({.api = kApi,
                                 .name = name,
                                 .method = "Readings",
                                 .capture_frequency_hz = static_cast<float>(rate)});
  }
  auto manager = DataManager::Create({.logger = [](const LogEntry&) {}});
  Require(manager.ok() && (*manager)->Reconfigure(config, sources).ok(), "no collectors");

  Settings settings;
  settings.directory = directory.path();
  const std::vector<Work> bare = RunBare(settings, duration);
  std::vector<double> achieved;  // A collector that has ended has none.
  for (const CollectorStats& stats : (*manager)->Stats().collectors) {
    achieved.push_back(stats.achieved_hz);
  }
  Require((*manager)->Close().ok(), "Close");
  const std::vector<CollectorStats> collectors = (*manager)->Stats().collectors;
  Require(collectors.size() == std::size(kRates) && achieved.size() == collectors.size(),
          "a collector is missing");

  std::string table =
      "| due a second | captured a second | late by p50, p99, max (µs) | missed | bare: p50, p99, "
      "max (µs) |\n| ---: | ---: | ---: | ---: | ---: |\n";
  for (size_t i = 0; i < collectors.size(); ++i) {
    const CollectorStats& stats = collectors[i];
    Require(stats.failed == 0 && stats.records == stats.captured &&
                stats.ticks_due == stats.captured + stats.missed,
            stats.name + ": a tick is neither captured nor missed");
    absl::StrAppendFormat(
        &table, "| %d | %.4g | %.1f, %.1f, %.0f | %d of %d | %.1f, %.1f, %.0f |\n", kRates[i],
        achieved[i], Micros(stats.lateness.p50), Micros(stats.lateness.p99),
        Micros(stats.lateness.max), stats.missed, stats.ticks_due, MicrosAt(bare[i], 0.5),
        MicrosAt(bare[i], 0.99), MicrosAt(bare[i], 1));
  }
  return table;
}

}  // namespace
}  // namespace datamanager::bench

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::strtod(argv[1], nullptr) : 60;
  if (argc > 2 || !(seconds > 0)) {
    std::fputs("usage: punctuality [SECONDS]\n", stderr);
    return 2;
  }
  try {
    const auto duration = std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
    std::fputs(datamanager::bench::Table(duration).c_str(), stdout);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "punctuality: %s\n", error.what());
    return 1;
  }
  return 0;
}
