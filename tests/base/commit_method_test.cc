#include "base/commit_method.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <string>

#include "base/unique_fd.h"
#include "tests/support/temp_dir.h"

namespace datamanager {
namespace {

// The options that a current kernel shows for a file system with all defaults.
constexpr const char* kDefaults =
    "rw\nbsddf\nnogrpid\nblock_validity\ndioread_nolock\nnodiscard\ndelalloc\nnowarn_on_error\n"
    "journal_checksum\nbarrier\nauto_da_alloc\nuser_xattr\nacl\nnoquota\nresuid=0\nresgid=0\n"
    "errors=continue\ncommit=5\nmin_batch_time=0\nmax_batch_time=15000\ni_version\nstripe=0\n"
    "data=ordered\ninode_readahead_blks=32\ninit_itable=10\nmax_dir_size_kb=0\n"
    "prefetch_block_bitmaps\n";

MountFacts Ext4(const std::string& options = kDefaults) {
  return {.type = "ext4", .super_options = "rw", .ext4_options = options, .ext4_has_journal = true};
}

std::string With(const std::string& from, const std::string& to) {
  std::string options = kDefaults;
  options.replace(options.find(from), from.size(), to);
  return options;
}

TEST(CommitMethodTest, UsesTheJournalOfExt4WithTracedOptions) {
  EXPECT_EQ(CommitMethodOf(Ext4()), CommitMethod::kAnchor);
  for (const char* mode : {"data=writeback", "data=journal"}) {
    EXPECT_EQ(CommitMethodOf(Ext4(With("data=ordered", mode))), CommitMethod::kAnchor) << mode;
  }
  EXPECT_EQ(CommitMethodOf(Ext4(With("nodiscard", "discard"))), CommitMethod::kAnchor);
  EXPECT_EQ(CommitMethodOf(Ext4(With("errors=continue", "errors=remount-ro"))),
            CommitMethod::kAnchor);
}

TEST(CommitMethodTest, FlushesEachFileOnExt4WhereTheJournalIsNoProof) {
  MountFacts facts = Ext4();
  facts.ext4_has_journal = false;
  EXPECT_EQ(CommitMethodOf(facts), CommitMethod::kEach) << "no journal, or on another device";
  facts = Ext4();
  facts.ext4_options = "";
  EXPECT_EQ(CommitMethodOf(facts), CommitMethod::kEach) << "a container hides the options";
  facts = Ext4();
  facts.ext4_has_fast_commits = true;
  EXPECT_EQ(CommitMethodOf(facts), CommitMethod::kEach);
  for (const char* fast : {"fc_debug_force", "fast_commit"}) {
    EXPECT_EQ(CommitMethodOf(Ext4(std::string(kDefaults) + fast + "\n")), CommitMethod::kEach)
        << fast;
  }
  EXPECT_EQ(CommitMethodOf(Ext4(With("barrier", "nobarrier"))), CommitMethod::kEach);
  EXPECT_EQ(CommitMethodOf(Ext4(std::string(kDefaults) + "of_another_kernel\n")),
            CommitMethod::kEach)
      << "an option that was not traced";
  EXPECT_EQ(CommitMethodOf(Ext4("")), CommitMethod::kEach);
}

TEST(CommitMethodTest, UsesTheLogOfXfsOnTheSameDevice) {
  MountFacts facts{.type = "xfs", .super_options = "rw,inode64,logbufs=8,logbsize=32k,noquota"};
  EXPECT_EQ(CommitMethodOf(facts), CommitMethod::kAnchor);
  for (const char* option : {",logdev=/dev/sdb1", ",rtdev=/dev/sdb2", ",nobarrier"}) {
    MountFacts other = facts;
    other.super_options += option;
    EXPECT_EQ(CommitMethodOf(other), CommitMethod::kEach) << option;
  }
}

TEST(CommitMethodTest, KnowsTheOthersByTheirType) {
  EXPECT_EQ(CommitMethodOf({.type = "btrfs"}), CommitMethod::kWhole);
  EXPECT_EQ(CommitMethodOf({.type = "tmpfs"}), CommitMethod::kInTurn);
  for (const char* type : {"ext2", "ext3", "vfat", "f2fs", "overlay", "fuse.bindfs", "nfs4", ""}) {
    EXPECT_EQ(CommitMethodOf({.type = type}), CommitMethod::kEach) << type;
  }
}

TEST(CommitMethodTest, FindsTheMountOfAnOpenFile) {
  const UniqueFd memory(::open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (memory.valid()) {
    const std::optional<MountFacts> facts = FindMount(memory.get());
    ASSERT_TRUE(facts.has_value());
    EXPECT_EQ(facts->type, "tmpfs");
    EXPECT_EQ(FindCommitMethod(memory.get()), CommitMethod::kInTurn);
  }
  const testing::TempDir temp{testing::DiskDirectory()};
  const UniqueFd directory(::open(temp.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(FindMount(directory.get()).has_value());
  EXPECT_GE(MountIdOf(directory.get()), 0);
  EXPECT_EQ(MountIdOf(-1), -1);
}

}  // namespace
}  // namespace datamanager
