#include "sync/upload_key.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/sha256.h"

namespace datamanager::sync {
namespace {

std::string Key(const std::string& content, FileKind kind = FileKind::kCapture) {
  return UploadKeys("part-1", kind, Sha256::Of(content)).ForRange(0, 100);
}

TEST(UploadKeyTest, IsOf128BitsInHexadecimal) {
  const std::string key = Key("abc");
  EXPECT_EQ(key.size(), 32U);
  EXPECT_EQ(key.find_first_not_of("0123456789abcdef"), std::string::npos) << key;
  EXPECT_EQ(Key("").size(), 32U);
}

// A key that changed with a version would have all robots send once more what is on its way.
TEST(UploadKeyTest, StaysAsItIs) { EXPECT_EQ(Key("abc"), "f9642a58075dc4f0a482aa8659ded48c"); }

TEST(UploadKeyTest, DiffersWithAllThatItNames) {
  const std::string digest = Sha256::Of("abc");
  std::set<std::string> keys;
  const auto add = [&](const std::string& key) { EXPECT_TRUE(keys.insert(key).second) << key; };
  const UploadKeys here("part-1", FileKind::kArbitrary, digest);
  add(here.ForRange(0, 3));
  add(here.ForRange(0, 4));
  add(here.ForRange(1, 3));
  add(UploadKeys("part-2", FileKind::kArbitrary, digest).ForRange(0, 3));
  add(UploadKeys("part-1", FileKind::kArbitrary, Sha256::Of("abd")).ForRange(0, 3));
  for (const FileKind kind : {FileKind::kCapture, FileKind::kSequence, FileKind::kDatasetUpload}) {
    add(UploadKeys("part-1", kind, digest).ForRange(0, 3));
  }
  add(UploadKeys("part-1", FileKind::kArbitrary, digest, "a").ForRange(0, 3));
  // No part runs into the next one.
  add(UploadKeys("part-12", FileKind::kArbitrary, digest).ForRange(0, 3));
}

}  // namespace
}  // namespace datamanager::sync
