// Collectors at work as the library runs them, and bare threads in their place.
#ifndef DATAMANAGER_TESTS_BENCH_COLLECTORS_H_
#define DATAMANAGER_TESTS_BENCH_COLLECTORS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/settings.h"

namespace datamanager::bench {

struct Load {
  int collectors = 1;
  std::chrono::nanoseconds interval{0};
  std::chrono::milliseconds duration{0};
};

struct Work {
  std::vector<double> lateness;  // Seconds, of each tick.
  double cpu_seconds = 0;        // Of the process.
};

// Collectors of a reading with six values. Throws Broken if a tick is neither captured nor counted
// as missed, or a record is missing on the disk.
Work RunCollectors(const Settings& settings, const Load& load);

// The contents of the capture files below a directory. Throws Broken unless each is whole.
struct CapturedFiles {
  uint64_t records = 0;
  uint64_t bytes = 0;
};
CapturedFiles LookAtFiles(const std::string& directory);

// Threads that sleep until the same ticks. With `write`, each appends as many bytes as a collector.
Work RunThreads(const Settings& settings, const Load& load, bool write);

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_COLLECTORS_H_
