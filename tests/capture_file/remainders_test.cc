#include "capture_file/remainders.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "capture_file/file_name.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::capture_file {
namespace {

using testing::FaultyFileOps;
using testing::FilesBelow;
using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;

class RemaindersTest : public ::testing::Test {
 protected:
  static constexpr RemainderLimits kLimits{
      .volume_share = 0, .least_bytes = 8000, .most_bytes = 8000, .most_files = 20};

  absl::StatusOr<std::string> Keep(const std::string& name, const std::string& content,
                                   const KeepGoing& keep_going = {}) {
    const std::string path = temp_.path() + "/a/b/c/" + name;
    WriteFile(path, content);
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const std::vector<Extent> stretches{{2, content.size() - 2}};
    return remainders_.Keep(temp_.path(), path, fd.get(), 2, stretches, keep_going);
  }
  std::vector<std::string> Kept() const { return FilesBelow(temp_.path() + "/failed"); }

  const TempDir temp_;
  FaultyFileOps ops_;
  Remainders remainders_{ops_, kLimits};
};

TEST_F(RemaindersTest, Stretches_AreKeptBelowFailedUnderANameOfTheirOwn) {
  const auto kept = Keep("x.prog", "..rest");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(*kept, temp_.path() + "/failed/a/b/c/x.prog.cut-at-2.prog");
  EXPECT_EQ(ReadFile(*kept), "rest");
  EXPECT_TRUE(IsRemainder(BaseName(*kept)));
  EXPECT_EQ(remainders_.kept_files(), 1U);
  EXPECT_EQ(remainders_.kept_bytes(), 4U);
}

TEST_F(RemaindersTest, ARepeat_KeepsNothingTwice) {
  ASSERT_TRUE(Keep("x.prog", "..rest").ok());
  ASSERT_TRUE(Keep("x.prog", "..rest").ok());
  EXPECT_EQ(Kept().size(), 1U);
  const auto other = Keep("x.prog", "..tail");
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(Kept().size(), 2U) << "another file of the same name is not overwritten";
  EXPECT_TRUE(IsRemainder(BaseName(*other)));
  EXPECT_EQ(ReadFile(*other), "tail");
}

TEST_F(RemaindersTest, OldestOnes_GoBeyondTheLimits) {
  for (int i = 0; i < 30; ++i) {
    const auto kept = Keep(absl::StrCat(i, ".prog"), ".." + std::string(1000, 'x'));
    ASSERT_TRUE(kept.ok());
    // Set by hand, because change times are only as precise as the kernel's clock.
    const timespec times[2] = {{.tv_sec = 1000 + i, .tv_nsec = 0},
                               {.tv_sec = 1000 + i, .tv_nsec = 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, kept->c_str(), times, 0), 0);
    ASSERT_LE(Kept().size(), 8U);
    ASSERT_TRUE(testing::Exists(*kept));
  }
  EXPECT_EQ(remainders_.kept_files(), 30U);
  EXPECT_EQ(remainders_.removed_files(), 30 - Kept().size());
  EXPECT_EQ(remainders_.removed_bytes(), 1000 * remainders_.removed_files());
  EXPECT_FALSE(testing::Exists(temp_.path() + "/failed/a/b/c/0.prog.cut-at-2.prog"));
}

TEST_F(RemaindersTest, ManySmallOnes_AreBoundedToo) {
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Keep(absl::StrCat(i, ".prog"), "..rest").ok());
  EXPECT_LE(Kept().size(), 20U);
}

TEST_F(RemaindersTest, OneBeyondTheLimit_IsKeptAllTheSame) {
  ASSERT_TRUE(Keep("small.prog", "..rest").ok());
  const auto kept = Keep("large.prog", std::string(20000, 'x'));
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(Kept(), std::vector<std::string>{*kept});
}

TEST_F(RemaindersTest, OnlyRemaindersAreCountedAndRemoved) {
  const std::string refused = temp_.path() + "/failed/a/b/c/2026-01-02T03_04_05.000006Z.capture";
  WriteFile(refused, std::string(50000, 'x'));
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(Keep(absl::StrCat(i, ".prog"), ".." + std::string(1000, 'x')).ok());
  }
  EXPECT_TRUE(testing::Exists(refused));
  EXPECT_GE(Kept().size(), 7U);
}

TEST_F(RemaindersTest, NothingIsVisibleBeforeItIsDurable) {
  for (const auto call : {FaultyFileOps::Call::kWrite, FaultyFileOps::Call::kFdatasync,
                          FaultyFileOps::Call::kRename, FaultyFileOps::Call::kOpen}) {
    ops_.Fail(call, EIO, FaultyFileOps::kAlways, "part.prog");
    EXPECT_FALSE(Keep("x.prog", "..rest").ok()) << static_cast<int>(call);
    EXPECT_EQ(Kept().size(), 0U);
    ops_.Heal();
  }
  EXPECT_TRUE(absl::IsCancelled(Keep("x.prog", "..rest", [] { return false; }).status()));
  EXPECT_EQ(Kept().size(), 0U);
  EXPECT_EQ(remainders_.kept_files(), 0U);
}

// A power cut or a kill leaves these: the file they were taken from still exists.
TEST_F(RemaindersTest, UnfinishedOneOfADeadProcess_GoesWithTheNextAttempt) {
  const std::string left = temp_.path() + "/failed/a/b/c/x.prog.cut-at-2.part.prog";
  WriteFile(left, "re");
  const auto kept = Keep("x.prog", "..rest");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(Kept(), std::vector<std::string>{*kept});
  EXPECT_EQ(ReadFile(*kept), "rest");
  // Also if there is nothing more to write.
  WriteFile(left, "re");
  ASSERT_TRUE(Keep("x.prog", "..rest").ok());
  EXPECT_EQ(Kept(), std::vector<std::string>{*kept});
}

TEST_F(RemaindersTest, UnfinishedOnesOfOtherFiles_GoWithTheFirstRemainder) {
  WriteFile(temp_.path() + "/failed/d/e/y.prog.cut-at-7.part.prog", "re");
  WriteFile(temp_.path() + "/failed/d/e/y.capture.cut-at-7.part.prog", "");
  // A file whose name ends like that of an unfinished one.
  const std::string whole = temp_.path() + "/failed/d/e/z.part.prog";
  WriteFile(whole, "z");
  const auto kept = Keep("x.prog", "..rest");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(Kept(), (std::vector<std::string>{*kept, whole}));
}

TEST_F(RemaindersTest, OneThatIsBeingWritten_IsLeftAlone) {
  const std::string other = temp_.path() + "/failed/d/y.prog.cut-at-2.part.prog";
  const std::string same = temp_.path() + "/failed/a/b/c/x.prog.cut-at-2.part.prog";
  std::vector<UniqueFd> writers;
  for (const std::string& path : {other, same}) {
    WriteFile(path, "re");
    writers.emplace_back(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(FileOps::System().TryLock(writers.back().get()), 0);
  }
  ASSERT_TRUE(Keep("w.prog", "..rest").ok());
  EXPECT_TRUE(absl::IsUnavailable(Keep("x.prog", "..rest").status()));
  EXPECT_EQ(Kept().size(), 3U);
  // When their writers are gone, they are removed.
  writers.clear();
  ASSERT_TRUE(Keep("x.prog", "..rest").ok());
  EXPECT_FALSE(testing::Exists(same));
  Remainders next(ops_, kLimits);
  const std::string path = temp_.path() + "/a/b/c/w.prog";
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const std::vector<Extent> stretches{{2, 4}};
  ASSERT_TRUE(next.Keep(temp_.path(), path, fd.get(), 2, stretches, {}).ok());
  EXPECT_FALSE(testing::Exists(other));
  EXPECT_EQ(Kept().size(), 2U);
}

TEST_F(RemaindersTest, HoldsTheLockOfWhatItWrites) {
  // It asks whether to go on while it writes.
  bool locked = false;
  const std::string part = temp_.path() + "/failed/a/b/c/x.prog.cut-at-2.part.prog";
  ASSERT_TRUE(Keep("x.prog", ".." + std::string(1 << 20, 'x'), [&] {
                const UniqueFd fd(::open(part.c_str(), O_RDWR | O_CLOEXEC));
                if (fd.valid()) locked = FileOps::System().TryLock(fd.get()) != 0;
                return true;
              }).ok());
  EXPECT_TRUE(locked);
}

TEST_F(RemaindersTest, LinkInPlaceOfFailed_IsNotFollowed) {
  const TempDir elsewhere;
  ASSERT_EQ(::symlink(elsewhere.path().c_str(), (temp_.path() + "/failed").c_str()), 0);
  EXPECT_FALSE(Keep("x.prog", "..rest").ok());
  EXPECT_TRUE(FilesBelow(elsewhere.path()).empty());
}

TEST_F(RemaindersTest, RootBehindALink_IsFine) {
  ASSERT_TRUE(Keep("x.prog", "..rest").ok());
  const TempDir other;
  const std::string link = other.path() + "/link";
  ASSERT_EQ(::symlink(temp_.path().c_str(), link.c_str()), 0);
  const std::string path = link + "/a/b/c/x.prog";
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const std::vector<Extent> stretches{{0, 1}};
  EXPECT_TRUE(remainders_.Keep(link, path, fd.get(), 0, stretches, {}).ok());
  EXPECT_EQ(Kept().size(), 2U);
}

}  // namespace
}  // namespace datamanager::capture_file
