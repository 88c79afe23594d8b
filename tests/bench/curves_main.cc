// Measures the curves; writes each as data and as a plot: DIR/ID.json and DIR/ID.svg.
//   curves [--to DIR] [--only SUBJECT,SUBJECT...] [--directory DIR] [--brief]
//   curves --plot FILE.json...   draws again what was measured
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/bench/curve.h"
#include "tests/bench/curves.h"
#include "tests/bench/plot.h"
#include "tests/bench/stopwatch.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::bench {
namespace {

// So many calls that a clock can tell.
class ManyCalls final : public Micro {
 public:
  double SecondsPerCall(size_t calls, const Body& body) override {
    const Stopwatch watch;
    body(calls);
    return watch.CpuSeconds() / static_cast<double>(calls);
  }
};

struct Subject {
  const char* name;
  std::vector<Curve> (*measure)(const Settings&);
};

constexpr Subject kSubjects[] = {{"backlog", &BacklogTime},       {"memory", &BacklogMemory},
                                 {"collectors", &CollectorCount}, {"record", &RecordSize},
                                 {"round_trip", &RoundTrip},      {"workers", &WorkerCount}};

struct Options {
  std::string to;
  std::vector<std::string> only;
  std::vector<std::string> plot;
  Settings settings;
};

void Draw(const Curve& curve, const std::filesystem::path& file) {
  testing::WriteFile(file, Svg(curve));
}

int Main(const Options& options) {
  for (const std::filesystem::path file : options.plot) {
    Draw(CurveOf(testing::ReadFile(file)), std::filesystem::path(file).replace_extension(".svg"));
  }
  if (!options.plot.empty()) return 0;
  int broken = 0;
  for (const Subject& subject : kSubjects) {
    if (!options.only.empty() &&
        std::find(options.only.begin(), options.only.end(), subject.name) == options.only.end()) {
      continue;
    }
    std::fprintf(stderr, "%s ...\n", subject.name);
    try {
      for (const Curve& curve : subject.measure(options.settings)) {
        std::fputs(Table(curve).c_str(), stdout);
        std::fflush(stdout);
        if (options.to.empty()) continue;
        const std::string file = absl::StrCat(options.to, "/", curve.id);
        testing::WriteFile(file + ".json", Json(curve));
        Draw(curve, file + ".svg");
      }
    } catch (const std::exception& error) {
      ++broken;
      std::fprintf(stderr, "%s is broken: %s\n", subject.name, error.what());
    }
  }
  return broken == 0 ? 0 : 1;
}

int Usage() {
  std::fputs(
      "usage: curves [--to DIR] [--only SUBJECT,SUBJECT...] [--directory DIR] [--brief]\n"
      "       curves --plot FILE.json...\n",
      stderr);
  return 2;
}

// A collector has a file open.
void AllowManyFiles() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace
}  // namespace datamanager::bench

int main(int argc, char** argv) {
  using datamanager::bench::Options;
  datamanager::bench::AllowManyFiles();
  Options options;
  datamanager::bench::ManyCalls micro;
  options.settings.micro = &micro;
  options.settings.directory = datamanager::testing::MemoryDirectory();
  options.settings.programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto value = [&]() -> std::string { return i + 1 < argc ? argv[++i] : ""; };
    if (argument == "--brief") {
      options.settings.brief = true;
    } else if (argument == "--to") {
      options.to = value();
    } else if (argument == "--only") {
      options.only = absl::StrSplit(value(), ',');
    } else if (argument == "--directory") {
      options.settings.directory = value();
    } else if (argument == "--plot" && i + 1 < argc) {
      while (i + 1 < argc) options.plot.push_back(value());
    } else {
      return datamanager::bench::Usage();
    }
  }
  try {
    return datamanager::bench::Main(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
