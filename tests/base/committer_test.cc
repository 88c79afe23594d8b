#include "base/committer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/sanitizers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager {
namespace {

using testing::FaultyFileOps;
using testing::TempDir;
using Call = FaultyFileOps::Call;

class CommitterTest : public ::testing::TestWithParam<CommitMethod> {
 protected:
  CommitterTest() { ops_->SetCommitMethod(GetParam()); }

  std::vector<Committer::File> Files(int count) {
    std::vector<Committer::File> files;
    for (int i = 0; i < count; ++i) {
      const std::string path = temp_.path() + "/" + std::to_string(i);
      testing::WriteFile(path, "content");
      files.push_back(
          {.descriptor = std::make_shared<const UniqueFd>(::open(path.c_str(), O_RDWR | O_CLOEXEC)),
           .path = path});
    }
    struct stat info {};
    EXPECT_EQ(::stat(temp_.path().c_str(), &info), 0);
    device_ = info.st_dev;
    return files;
  }
  size_t Journal(const std::string& entry) const {
    const std::vector<std::string> journal = ops_->journal();
    return static_cast<size_t>(std::count(journal.begin(), journal.end(), entry));
  }

  const TempDir temp_{testing::DiskDirectory()};
  const std::shared_ptr<FaultyFileOps> ops_ = std::make_shared<FaultyFileOps>();
  dev_t device_ = 0;
  Committer committer_{{.ops = ops_.get()}};
};

bool IsOk(const Committer::Outcome& outcome) { return outcome.has_value() && outcome->ok(); }

TEST_P(CommitterTest, CommitsEveryFile) {
  for (const int count : {1, 7, 8, 100}) {
    const Committer::Outcomes outcomes = committer_.CommitFiles(device_, Files(count));
    ASSERT_EQ(outcomes.each.size(), static_cast<size_t>(count));
    EXPECT_TRUE(std::all_of(outcomes.each.begin(), outcomes.each.end(), IsOk));
  }
}

// Who publishes a file after that must have it closed: its upload would find it locked.
TEST_P(CommitterTest, HoldsNoFileOnceItIsCommitted) {
  const std::vector<Committer::File> files = Files(2);
  for (int round = 0; round < 300; ++round) {
    committer_.CommitFiles(device_, files);
    for (const Committer::File& file : files) ASSERT_EQ(file.descriptor.use_count(), 1) << round;
  }
}

TEST_P(CommitterTest, TellsTheErrorOfEachFile) {
  const std::vector<Committer::File> files = Files(20);
  const bool together = GetParam() == CommitMethod::kAnchor || GetParam() == CommitMethod::kWhole;
  // The second half of the calls waits for the writes that the first has begun, and reports errors.
  ops_->Fail(together ? Call::kSyncFileRange : Call::kFdatasync, EIO, together ? 2 : 1, "/13");
  const Committer::Outcomes outcomes = committer_.CommitFiles(device_, files);
  for (size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(IsOk(outcomes.each[i]), i != 13) << i;
  }
  EXPECT_EQ(together ? Journal("flush 13") : 0, 0U)
      << "the kernel reports an error once: a flush of it would say OK";
}

TEST_P(CommitterTest, FlushesEachFileWhereTheCallForAllFails) {
  if (GetParam() != CommitMethod::kAnchor && GetParam() != CommitMethod::kWhole) return;
  const std::vector<Committer::File> files = Files(20);
  ops_->Fail(Call::kSyncfs, EIO);
  ops_->Fail(Call::kOpen, EOPNOTSUPP, FaultyFileOps::kAlways, temp_.path());
  const Committer::Outcomes outcomes = committer_.CommitFiles(device_, files);
  EXPECT_TRUE(std::all_of(outcomes.each.begin(), outcomes.each.end(), IsOk));
  EXPECT_EQ(outcomes.extent, Committer::Outcomes::Extent::kData);
  EXPECT_EQ(Journal("flush 13"), 1U);
}

TEST_P(CommitterTest, FlushesEachFileWhereSyncFileRangeIsUnknown) {
  ops_->Fail(Call::kSyncFileRange, ENOSYS);
  const std::vector<Committer::File> files = Files(20);
  const Committer::Outcomes outcomes = committer_.CommitFiles(device_, files);
  EXPECT_TRUE(std::all_of(outcomes.each.begin(), outcomes.each.end(), IsOk));
  EXPECT_EQ(Journal("flush 13"), 1U);
}

TEST_P(CommitterTest, WorksOneByOneWithoutThreads) {
  if (testing::kNeedsMemoryAndDescriptors) GTEST_SKIP() << "the sanitizer needs them";
  const std::vector<Committer::File> files = Files(20);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  // No further stacks can be mapped.
  const rlimit none{.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &none), 0);
  const Committer::Outcomes outcomes = committer_.CommitFiles(device_, files);
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_TRUE(std::all_of(outcomes.each.begin(), outcomes.each.end(), IsOk));
}

TEST_P(CommitterTest, MakesNamesDurable) {
  const Committer::Outcomes data = committer_.CommitFiles(device_, Files(1));
  std::vector<std::string> directories;
  for (int i = 0; i < 10; ++i) {
    directories.push_back(temp_.path() + "/directory" + std::to_string(i));
    ASSERT_EQ(::mkdir(directories.back().c_str(), 0700), 0);
  }
  const std::vector<Committer::Outcome> outcomes =
      committer_.CommitNames(device_, directories, data.extent);
  ASSERT_EQ(outcomes.size(), directories.size());
  EXPECT_TRUE(std::all_of(outcomes.begin(), outcomes.end(), IsOk));
  const size_t flushes = Journal("flush directory directory7");
  switch (GetParam()) {
    case CommitMethod::kInTurn:
    case CommitMethod::kEach:
      EXPECT_EQ(flushes, 1U);
      break;
    case CommitMethod::kAnchor:
      EXPECT_EQ(flushes, 0U);
      break;
    case CommitMethod::kWhole:
      EXPECT_EQ(flushes, 0U);
      EXPECT_EQ(Journal("flush file system"), 1U);
      break;
  }
}

TEST_P(CommitterTest, CommitFiles_FlushesEach_AfterTheCommitOfDataAndNamesFailed) {
  using Extent = Committer::Outcomes::Extent;
  const std::vector<Committer::File> files = Files(20);
  const Extent left = committer_.CommitFiles(device_, files).extent;
  EXPECT_EQ(left == Extent::kWithNames, GetParam() == CommitMethod::kAnchor);
  if (left != Extent::kWithNames) return;
  ops_->Fail(Call::kFtruncate, EIO);
  const std::vector<Committer::Outcome> names =
      committer_.CommitNames(device_, {temp_.path()}, left);
  ASSERT_EQ(names.size(), 1U);
  EXPECT_FALSE(IsOk(names.front()));
  EXPECT_EQ(Journal("flush 13"), 0U) << "an error of one file would be lost here";
  ops_->Fail(Call::kFdatasync, EIO, 1, "/13");
  const Committer::Outcomes again = committer_.CommitFiles(device_, files);
  EXPECT_EQ(again.extent, Extent::kData);
  for (size_t i = 0; i < files.size(); ++i) EXPECT_EQ(IsOk(again.each[i]), i != 13) << i;
}

TEST_P(CommitterTest, AnAnchorGrowsNoFurtherThanItsLimit) {
  const std::vector<Committer::File> files = Files(1);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 8192, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  size_t failed = 0;
  for (int i = 0; i < 9000 && failed == 0; ++i) {
    const auto extent = committer_.CommitFiles(device_, files).extent;
    if (extent != Committer::Outcomes::Extent::kWithNames) break;
    if (!IsOk(committer_.CommitNames(device_, {temp_.path()}, extent).front())) ++failed;
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(failed, 0U);
}

std::string NameOf(const ::testing::TestParamInfo<CommitMethod>& info) {
  constexpr const char* kNames[] = {"InTurn", "Each", "Anchor", "Whole"};
  return kNames[static_cast<size_t>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Methods, CommitterTest,
                         ::testing::Values(CommitMethod::kInTurn, CommitMethod::kEach,
                                           CommitMethod::kAnchor, CommitMethod::kWhole),
                         NameOf);

}  // namespace
}  // namespace datamanager
