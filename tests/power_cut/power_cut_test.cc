// Promised data is there after a power cut, on the file systems of this kernel.
#include "tests/power_cut/power_cut.h"

#include <gtest/gtest.h>

#include <string>

namespace datamanager::power_cut {
namespace {

// Where that is quick, more files than any limit.
int CollectorsOn(const std::string& type) { return type == "ext4" ? 300 : 50; }

class PowerCut : public ::testing::TestWithParam<std::string> {
 protected:
  void ExpectThatPromisesHold(Durability durability) {
    const Result result = CutPower({.file_system = testing::DefaultFileSystem(GetParam()),
                                    .durability = durability,
                                    .collectors = CollectorsOn(GetParam())});
    if (!result.skipped.empty()) GTEST_SKIP() << result.skipped;
    for (const Left& left : result.cuts) EXPECT_TRUE(left.holds()) << left.Text();
  }
};

TEST_P(PowerCut, LeavesWhatWasPublished) { ExpectThatPromisesHold(Durability::kPublished); }

TEST_P(PowerCut, LeavesWhatIsFlushedNowAndThen) { ExpectThatPromisesHold(Durability::kPeriodic); }

INSTANTIATE_TEST_SUITE_P(, PowerCut, ::testing::Values("ext4", "xfs", "btrfs"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace datamanager::power_cut
