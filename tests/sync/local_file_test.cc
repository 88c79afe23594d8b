#include "sync/local_file.h"

#include <gtest/gtest.h>
#include <sys/file.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>

#include "tests/support/temp_dir.h"
#include "tests/sync/test_files.h"

namespace datamanager::sync {
namespace {

class LocalFileTest : public ::testing::Test {
 protected:
  LocalFileTest() { WriteFile(path_, "0123456789"); }

  LocalFile Open() { return *LocalFile::Open(ops_, Found(dir_.path(), path_)); }
  std::string OnDisk() const { return Join(FilesBelow(dir_.path())); }

  testing::TempDir dir_;
  FileOps& ops_ = FileOps::System();
  const std::string path_ = dir_.path() + "/sensor/arm/a.capture";
};

TEST_F(LocalFileTest, IsLockedWhileItIsOpen) {
  const FoundFile found = Found(dir_.path(), path_);
  {
    const auto file = LocalFile::Open(ops_, found);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->size(), 10U);
    const auto second = LocalFile::Open(ops_, found);
    EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
  }
  EXPECT_TRUE(LocalFile::Open(ops_, found).ok());
}

TEST_F(LocalFileTest, GoneOrReplacedIsNotFound) {
  const FoundFile found = Found(dir_.path(), path_);
  WriteFile(path_ + ".new", "other");
  std::filesystem::rename(path_ + ".new", path_);
  EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(ops_, found).status()));
  std::filesystem::remove(path_);
  EXPECT_TRUE(absl::IsNotFound(LocalFile::Open(ops_, found).status()));
}

TEST_F(LocalFileTest, LinksAreNotFollowed) {
  const FoundFile found = Found(dir_.path(), path_);
  std::filesystem::rename(path_, path_ + ".real");
  std::filesystem::create_symlink(path_ + ".real", path_);
  EXPECT_FALSE(LocalFile::Open(ops_, found).ok());
}

TEST_F(LocalFileTest, ReadsAStretch) {
  const LocalFile file = Open();
  std::string bytes(4, '\0');
  ASSERT_TRUE(file.Read(3, 4, bytes.data()).ok());
  EXPECT_EQ(bytes, "3456");
  EXPECT_TRUE(absl::IsAborted(file.Read(8, 4, bytes.data())));
}

TEST_F(LocalFileTest, RemovesWhatIsUnchanged) {
  LocalFile file = Open();
  EXPECT_TRUE(file.CheckUnchanged().ok());
  EXPECT_TRUE(file.Remove().ok());
  EXPECT_EQ(OnDisk(), "");
  EXPECT_TRUE(absl::IsNotFound(file.Remove()));
}

TEST_F(LocalFileTest, LeavesWhatHasChanged) {
  LocalFile file = Open();
  AppendToFile(path_, "x");
  EXPECT_TRUE(absl::IsAborted(file.CheckUnchanged()));
  EXPECT_TRUE(absl::IsAborted(file.Remove()));
  EXPECT_TRUE(absl::IsAborted(file.SetAside().status()));
  EXPECT_EQ(OnDisk(), "sensor/arm/a.capture");
}

TEST_F(LocalFileTest, LeavesWhatTookItsName) {
  LocalFile file = Open();
  WriteFile(path_ + ".new", "0123456789");
  std::filesystem::rename(path_ + ".new", path_);
  EXPECT_TRUE(absl::IsAborted(file.Remove()));
  EXPECT_TRUE(absl::IsAborted(file.SetAside().status()));
  EXPECT_EQ(OnDisk(), "sensor/arm/a.capture");
}

TEST_F(LocalFileTest, SetsAsideWithItsPathBelowTheRoot) {
  const auto aside = Open().SetAside();
  ASSERT_TRUE(aside.ok()) << aside.status();
  EXPECT_EQ(*aside, dir_.path() + "/failed/sensor/arm/a.capture");
  EXPECT_EQ(OnDisk(), "failed/sensor/arm/a.capture");
  EXPECT_EQ(ReadFile(*aside), "0123456789");
}

TEST_F(LocalFileTest, SettingAsideNeverOverwrites) {
  WriteFile(dir_.path() + "/failed/sensor/arm/a.capture", "first");
  WriteFile(dir_.path() + "/failed/sensor/arm/a.capture.1", "second");
  const auto aside = Open().SetAside();
  ASSERT_TRUE(aside.ok()) << aside.status();
  EXPECT_EQ(*aside, dir_.path() + "/failed/sensor/arm/a.capture.2");
  EXPECT_EQ(ReadFile(dir_.path() + "/failed/sensor/arm/a.capture"), "first");
}

TEST_F(LocalFileTest, KeepsTheRestWithTheMetadata) {
  LocalFile file = Open();
  const auto rest = file.SetRestAside(2, 7);
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(ReadFile(*rest), "01789");
  EXPECT_EQ(*rest, dir_.path() + "/failed/sensor/arm/a.capture");
  const auto again = file.SetRestAside(2, 7);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, dir_.path() + "/failed/sensor/arm/a.capture.1");
  EXPECT_EQ(ReadFile(path_), "0123456789");
}

TEST_F(LocalFileTest, AFailedCopyOfTheRestLeavesNothing) {
  class FullDisk : public FileOps {
    ssize_t Write(int, const void*, size_t) override {
      errno = ENOSPC;
      return -1;
    }
  } full_disk;
  LocalFile file = *LocalFile::Open(full_disk, Found(dir_.path(), path_));
  EXPECT_TRUE(absl::IsResourceExhausted(file.SetRestAside(2, 7).status()));
  EXPECT_EQ(OnDisk(), "sensor/arm/a.capture");
}

}  // namespace
}  // namespace datamanager::sync
