// What the benches are run with.
#ifndef DATAMANAGER_TESTS_BENCH_SETTINGS_H_
#define DATAMANAGER_TESTS_BENCH_SETTINGS_H_

#include <cstddef>
#include <functional>
#include <string>

#include "base/file_ops.h"

namespace datamanager::bench {

// How one call is timed that takes less than a clock can tell: by Google Benchmark in the program,
// not at all in the tests.
class Micro {
 public:
  virtual ~Micro() = default;

  // Does the job that many times.
  using Body = std::function<void(size_t calls)>;
  // CPU seconds of the calling thread for one call. `calls` says how many are made; 0, as many as
  // it takes to be exact.
  virtual double SecondsPerCall(size_t calls, const Body& body) = 0;
};

struct Settings {
  Micro* micro = nullptr;
  std::string directory;  // Where each bench makes directories of its own: in memory, so that it is
                          // not a disk that is measured.
  std::string programs;   // The directory of bench_server and bench_process,
  std::string examples;   // and that of the example programs.
  std::string source;     // The project, for its clean build.
  std::string file_system = "ext4";  // The one that disks are measured with.
  // A moment of each bench, to see that it works; its figures mean nothing.
  bool brief = false;
  // The disk of what is measured, for tests that break it.
  FileOps* ops = &FileOps::System();

  int Rounds(int full) const { return brief ? 1 : full; }
  size_t Size(size_t full, size_t in_brief) const { return brief ? in_brief : full; }
};

}  // namespace datamanager::bench

#endif  // DATAMANAGER_TESTS_BENCH_SETTINGS_H_
