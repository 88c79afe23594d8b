// Runs the benches and prints their table.
//   bench [--json FILE] [--only ID,ID...] [--directory DIR] [--source DIR] [--file-system TYPE]
//         [--brief]
// P12 measures on the file system of --file-system: ext4, xfs or btrfs.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "tests/bench/benches.h"
#include "tests/bench/report.h"
#include "tests/support/temp_dir.h"

namespace datamanager::bench {
namespace {

// Google Benchmark, asked for one measurement at a time.
class GoogleBenchmark final : public Micro {
 public:
  GoogleBenchmark() {
    std::vector<std::string> arguments = {"bench", "--benchmark_min_time=0.2"};
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    int count = static_cast<int>(pointers.size());
    benchmark::Initialize(&count, pointers.data());
  }

  double SecondsPerCall(size_t calls, const Body& body) override {
    // Batches of 100, or what divides `calls`: a last batch is not cut short.
    const size_t batch = std::gcd(calls, size_t{100});
    benchmark::ClearRegisteredBenchmarks();
    auto* registered = benchmark::RegisterBenchmark("call", [&](benchmark::State& state) {
      while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(batch))) body(batch);
    });
    if (calls != 0) registered->Iterations(static_cast<benchmark::IterationCount>(calls));
    Last last;
    benchmark::RunSpecifiedBenchmarks(&last);
    return last.seconds;
  }

 private:
  struct Last final : benchmark::BenchmarkReporter {
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
      const Run& run = runs.front();
      seconds = run.cpu_accumulated_time / static_cast<double>(run.iterations);
    }
    double seconds = 0;
  };
};

struct Options {
  std::string json;
  std::vector<std::string> only;
  Settings settings;
};

int Usage() {
  std::fputs(
      "usage: bench [--json FILE] [--only ID,ID...] [--directory DIR] [--source DIR] "
      "[--file-system TYPE] [--brief]\n",
      stderr);
  return 2;
}

struct Bench {
  const char* id;
  std::vector<Row> (*run)(const Settings&);
};

constexpr Bench kBenches[] = {{"P1", &Encode},
                              {"P2", &Append},
                              {"P3", &Punctuality},
                              {"P4", &CollectorCpu},
                              {"P5", &PublishFrames},
                              {"P6", &UploadSmallFiles},
                              {"P7", &UploadLargeFile},
                              {"P8", &Walk},
                              {"P9", &Memory},
                              {"P10", &Idle},
                              {"P11", &UploadTabularFiles},
                              {"P12", &DiskWear},
                              {"P13", &Footprint},
                              {"P13-build", &CleanBuild},
                              {"P14", &UploadFarAway},
                              {"P15", &UploadOtherFiles}};

int Main(const Options& options) {
  std::vector<Row> rows;
  int broken = 0;
  for (const Bench& bench : kBenches) {
    const std::string id = bench.id;
    if (!options.only.empty() &&
        std::find(options.only.begin(), options.only.end(), id) == options.only.end()) {
      continue;
    }
    std::fprintf(stderr, "%s ...\n", bench.id);
    const size_t before = rows.size();
    try {
      for (Row& row : bench.run(options.settings)) rows.push_back(std::move(row));
      std::fputs(Table({rows.begin() + static_cast<std::ptrdiff_t>(before), rows.end()}).c_str(),
                 stderr);
    } catch (const Skipped& reason) {
      std::fprintf(stderr, "%s is skipped: %s\n", bench.id, reason.what());
    } catch (const std::exception& error) {
      ++broken;
      rows.push_back(
          {.id = id, .what = "", .unit = "x", .figure = {}, .noise = {}, .broken = error.what()});
    }
  }
  std::fputs(Table(rows).c_str(), stdout);
  if (!options.json.empty()) std::ofstream(options.json) << Json(rows);
  return broken == 0 ? 0 : 1;
}

}  // namespace
}  // namespace datamanager::bench

int main(int argc, char** argv) {
  using datamanager::bench::Options;
  Options options;
  datamanager::bench::GoogleBenchmark micro;
  options.settings.micro = &micro;
  options.settings.directory = datamanager::testing::MemoryDirectory();
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  options.settings.programs = self.parent_path();
  options.settings.examples = self.parent_path().parent_path().parent_path() / "examples";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const auto value = [&]() -> std::string { return i + 1 < argc ? argv[++i] : ""; };
    if (argument == "--brief") {
      options.settings.brief = true;
    } else if (argument == "--json") {
      options.json = value();
    } else if (argument == "--only") {
      options.only = absl::StrSplit(value(), ',');
    } else if (argument == "--directory") {
      options.settings.directory = value();
    } else if (argument == "--file-system") {
      options.settings.file_system = value();
    } else if (argument == "--source") {
      options.settings.source = value();
    } else {
      return datamanager::bench::Usage();
    }
  }
  return datamanager::bench::Main(options);
}
