// Power cuts of every file system with every set of options: see power_cut.h.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "tests/power_cut/power_cut.h"

namespace datamanager::power_cut {
namespace {

TEST(PowerCutSoak, LeavesWhatWasPromised) {
  for (const NamedFileSystem& named : FileSystems()) {
    for (const Durability durability : {Durability::kPublished, Durability::kPeriodic}) {
      const std::string name(DurabilityName(durability));
      const Result result = CutPower({.file_system = named.file_system,
                                      .durability = durability,
                                      .seeds = 5,
                                      .moments = named.mounts_at_any_moment ? 20U : 0U});
      if (!result.skipped.empty()) {
        std::printf("power cut, %s: skipped: %s\n", named.name.c_str(), result.skipped.c_str());
        break;
      }
      size_t broken = 0;
      for (const Left& left : result.cuts) {
        EXPECT_TRUE(left.holds()) << named.name << ", " << name << ", " << left.Text();
        if (!left.holds()) ++broken;
      }
      std::printf("power cut, %s, %s: %zu cuts, %zu of them broke a promise\n", named.name.c_str(),
                  name.c_str(), result.cuts.size(), broken);
    }
  }
}

}  // namespace
}  // namespace datamanager::power_cut
