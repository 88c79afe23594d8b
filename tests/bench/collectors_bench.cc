// P3, P4, and as they become more: how punctual collectors are, and what CPU time they take.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "tests/bench/benches.h"
#include "tests/bench/collectors.h"
#include "tests/bench/curves.h"

namespace datamanager::bench {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;

double Quantile(std::vector<double>& sorted, double part) {
  return sorted[std::min(sorted.size() - 1,
                         static_cast<size_t>(static_cast<double>(sorted.size()) * part))];
}

std::vector<double> LatenessOf(Work work) {
  std::sort(work.lateness.begin(), work.lateness.end());
  return {Quantile(work.lateness, 0.5), Quantile(work.lateness, 0.9),
          Quantile(work.lateness, 0.99)};
}

}  // namespace

std::vector<Row> Punctuality(const Settings& settings) {
  std::vector<Row> rows;
  const auto compare = [&](const Load& load, const std::string& what) {
    for (Row& row : Compare(
             "P3", settings.Rounds(15),
             {{.what = what + ", p50", .bound = 1.10},
              {.what = what + ", p90", .bound = 1.10},
              {.what = what + ", p99", .bound = 1.30}},
             [&] { return LatenessOf(RunCollectors(settings, load)); },
             [&] { return LatenessOf(RunThreads(settings, load, /*write=*/false)); })) {
      rows.push_back(std::move(row));
    }
  };
  const auto duration = settings.brief ? 50ms : 1000ms;
  compare({.collectors = 1, .interval = 100us, .duration = duration},
          "lateness of a collector at 10 kHz");
  compare({.collectors = settings.brief ? 5 : 50, .interval = 10ms, .duration = duration},
          "lateness of 50 collectors at 100 Hz");
  return rows;
}

std::vector<Row> CollectorCpu(const Settings& settings) {
  const Load load{.collectors = settings.brief ? 10 : 100,
                  .interval = settings.brief ? 10ms : 100ms,
                  .duration = settings.brief ? 50ms : 3000ms};
  return Compare(
      "P4", settings.Rounds(7), {{.what = "CPU time of 100 collectors at 10 Hz", .bound = 1.25}},
      [&] { return std::vector<double>{RunCollectors(settings, load).cpu_seconds}; },
      [&] { return std::vector<double>{RunThreads(settings, load, /*write=*/true).cpu_seconds}; });
}

std::vector<Curve> CollectorCount(const Settings& settings) {
  const Axis collectors{.what = "collectors, at 10 Hz each", .unit = ""};
  const std::vector<double> counts = settings.brief
                                         ? std::vector<double>{1, 10}
                                         : std::vector<double>{1, 3, 10, 30, 100, 300, 1000};
  std::vector<Curve> curves = {{.id = "collectors_cpu",
                                .title = "CPU time of a tick",
                                .x_axis = collectors,
                                .y_axis = {.what = "CPU time per tick", .unit = "µs"},
                                .x = counts,
                                .series = {}},
                               {.id = "collectors_lateness",
                                .title = "Lateness of ticks",
                                .x_axis = collectors,
                                .y_axis = {.what = "p99 of lateness", .unit = "µs"},
                                .x = counts,
                                .series = {}}};
  const auto measure = [&](size_t index, const std::function<Work(const Load&)>& run) {
    const Load load{.collectors = static_cast<int>(counts[index]),
                    .interval = settings.brief ? 10ms : 100ms,
                    .duration = settings.brief ? 50ms : 3000ms};
    Work work = run(load);
    const double ticks = counts[index] * std::chrono::duration<double>(load.duration).count() /
                         std::chrono::duration<double>(load.interval).count();
    const double cpu = work.cpu_seconds / ticks;
    return std::vector<double>{cpu * 1e6, LatenessOf(std::move(work))[2] * 1e6};
  };
  Measure(curves, settings.Rounds(5),
          {{.kind = Series::Kind::kSubject,
            .name = "collectors of six values",
            .run =
                [&](size_t index) {
                  return measure(index,
                                 [&](const Load& load) { return RunCollectors(settings, load); });
                }},
           {.kind = Series::Kind::kBaseline,
            .name = "threads that sleep and write",
            .run = [&](size_t index) {
              return measure(index, [&](const Load& load) {
                return RunThreads(settings, load, /*write=*/true);
              });
            }}});
  return curves;
}

}  // namespace datamanager::bench
