// Cuts the power of a real file system under a data manager, and looks at what is left.
//
// The file system lies on a disk with a volatile cache (tests/support/recording_disk.h). At moments
// when the data manager has promised something, the disk is cut off: what the file system makes of
// it when it is mounted again must hold what was promised, whether the cut takes all of the cache,
// some of it, or nothing.
#ifndef DATAMANAGER_TESTS_POWER_CUT_POWER_CUT_H_
#define DATAMANAGER_TESTS_POWER_CUT_POWER_CUT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/file_ops.h"
#include "datamanager/config.h"
#include "tests/support/loop_disk.h"

namespace datamanager::power_cut {

struct Options {
  testing::FileSystem file_system;
  Durability durability = Durability::kPublished;
  int collectors = 300;
  int records = 2;     // Of each collector, between two moments.
  uint32_t seeds = 1;  // How often some of the cache is drawn.
  FileOps* ops = &FileOps::System();
};

// What is left after one cut.
struct Left {
  std::string moment;
  std::string cache;
  std::string broken;  // Why there is nothing to count.
  size_t files = 0;
  size_t torn = 0;     // Published files that are not whole.
  size_t missing = 0;  // Promised records.
  size_t promised = 0;

  bool holds() const { return broken.empty() && torn == 0 && missing == 0; }
  std::string Text() const;
};

struct Result {
  std::string skipped;  // Why nothing was tried.
  std::vector<Left> cuts;
};

// Captures, and cuts the power when Flush has returned OK, when the files in progress have been
// flushed (with kPeriodic), and when Close has returned OK.
Result CutPower(const Options& options);

// By name: each with the options that decide how it makes files durable. The first three are its
// kinds with their defaults.
struct NamedFileSystem {
  std::string name;
  testing::FileSystem file_system;
};
std::vector<NamedFileSystem> FileSystems();

}  // namespace datamanager::power_cut

#endif  // DATAMANAGER_TESTS_POWER_CUT_POWER_CUT_H_
