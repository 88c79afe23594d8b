// Cuts the power of a real file system under a data manager, and checks the data that is left.
//
// The file system lies on a disk with a volatile cache (tests/support/recording_disk.h). At moments
// when the data manager has promised something, the disk is cut off: when the file system is
// mounted again, it must hold what was promised, whether the cut takes all of the cache, some of
// it, or nothing.
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
  int records = 2;     // Records of each collector, between two moments.
  uint32_t seeds = 1;  // How often a random part of the cache is drawn.
  // How many further moments, evenly spread: published files must be whole then, too.
  uint32_t moments = 2;
  FileOps* ops = &FileOps::System();
};

// The data left after one cut.
struct Left {
  std::string moment;
  std::string cache;
  std::string broken;  // Why nothing can be counted.
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
// flushed (with kPeriodic), when Close has returned OK, and at moments between.
Result CutPower(const Options& options);

// File systems by name: each with the options that decide how it makes files durable. The first
// three are one of each kind with its defaults.
struct NamedFileSystem {
  std::string name;
  testing::FileSystem file_system;
  // False: after a cut at some moments the kernel cannot mount it, whatever was on it.
  bool mounts_at_any_moment = true;
};
std::vector<NamedFileSystem> FileSystems();

}  // namespace datamanager::power_cut

#endif  // DATAMANAGER_TESTS_POWER_CUT_POWER_CUT_H_
