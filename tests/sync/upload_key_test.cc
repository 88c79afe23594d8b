#include "sync/upload_key.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <string>

#include "tests/support/temp_dir.h"
#include "tests/sync/test_files.h"

namespace datamanager::sync {
namespace {

class UploadKeyTest : public ::testing::Test {
 protected:
  // The key of bytes 0 to 100, or of others, of the file at `path` below the directory.
  std::string Key(const std::string& path, const std::string& part = "part-1", uint64_t begin = 0,
                  uint64_t end = 100) {
    auto file = LocalFile::Open(FileOps::System(), Found(dir_.path(), Path(path)));
    EXPECT_TRUE(file.ok()) << file.status();
    auto keys = UploadKeys::Of(*file, part);
    EXPECT_TRUE(keys.ok()) << keys.status();
    return keys->ForRange(begin, end);
  }
  std::string Path(const std::string& path) const { return dir_.path() + "/" + path; }
  void Write(const std::string& path, const std::string& bytes) { WriteFile(Path(path), bytes); }

  testing::TempDir dir_;
};

TEST_F(UploadKeyTest, IsOf128BitsInHexadecimal) {
  Write("a.capture", "abc");
  const std::string key = Key("a.capture");
  EXPECT_EQ(key.size(), 32U);
  EXPECT_EQ(key.find_first_not_of("0123456789abcdef"), std::string::npos) << key;
}

TEST_F(UploadKeyTest, OfACaptureFileIsStableOverTimeAndAMovedRoot) {
  const std::string bytes = Noise(10000);
  Write("old/arm/a.capture", bytes);
  const std::string key = Key("old/arm/a.capture");
  EXPECT_EQ(Key("old/arm/a.capture"), key);

  std::filesystem::rename(Path("old"), Path("new"));
  EXPECT_EQ(Key("new/arm/a.capture"), key);
  SetAge(Path("new/arm/a.capture"), std::chrono::hours(5));
  EXPECT_EQ(Key("new/arm/a.capture"), key);
}

TEST_F(UploadKeyTest, OfACaptureFileDiffersWithWhatItNames) {
  std::string bytes = Noise(10000);
  std::set<std::string> keys;
  const auto add = [&](const std::string& key) { EXPECT_TRUE(keys.insert(key).second) << key; };
  Write("a.capture", bytes);
  add(Key("a.capture"));
  add(Key("a.capture", "part-2"));
  add(Key("a.capture", "part-1", 0, 101));
  add(Key("a.capture", "part-1", 1, 100));
  add(Key("a.capture", "part-1", 100, 200));
  Write("b.capture", bytes);
  add(Key("b.capture"));
  Write("a.capture", bytes + "x");
  add(Key("a.capture"));
  bytes[10] ^= 1;
  Write("a.capture", bytes);
  add(Key("a.capture"));
  bytes[9990] ^= 1;
  Write("a.capture", bytes);
  add(Key("a.capture"));
}

TEST_F(UploadKeyTest, LooksAtBothEndsOnly) {
  std::string bytes = Noise(10000);
  Write("a.capture", bytes);
  const std::string key = Key("a.capture");
  bytes[5000] ^= 1;
  Write("a.capture", bytes);
  EXPECT_EQ(Key("a.capture"), key);
}

TEST_F(UploadKeyTest, OfAnotherFileIsMadeOfItsPathAndItsTime) {
  Write("one/notes.txt", "abc");
  Write("two/notes.txt", "abc");
  SetAge(Path("one/notes.txt"), std::chrono::hours(1));
  SetAge(Path("two/notes.txt"), std::chrono::hours(1));
  const std::string key = Key("one/notes.txt");
  EXPECT_EQ(Key("one/notes.txt"), key);
  EXPECT_NE(Key("two/notes.txt"), key);
  SetAge(Path("one/notes.txt"), std::chrono::hours(2));
  EXPECT_NE(Key("one/notes.txt"), key);
}

TEST_F(UploadKeyTest, ShortFilesHaveKeys) {
  Write("empty.txt", "");
  Write("one.capture", "1");
  EXPECT_EQ(Key("empty.txt").size(), 32U);
  EXPECT_EQ(Key("one.capture").size(), 32U);
}

}  // namespace
}  // namespace datamanager::sync
