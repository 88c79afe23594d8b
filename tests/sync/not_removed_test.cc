// Files that are stored but cannot be removed.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "sync/stored_keys.h"
#include "tests/support/faulty_file_ops.h"
#include "tests/sync/sync_fixture.h"

namespace datamanager::sync {
namespace {

using testing::FaultyFileOps;

class NotRemovedTest : public SyncFixture {
 protected:
  NotRemovedTest() {
    options_.ops = &ops_;
    // Retries follow at once.
    options_.random = [] { return 0.0; };
  }
  // Before the disk is gone.
  ~NotRemovedTest() override { Close(); }

  // Until its removal was tried that many times more.
  void RunForRemovals(int tries) {
    const int before = ops_.Count(FaultyFileOps::Call::kUnlink);
    EXPECT_TRUE(
        WaitUntil([&] { return ops_.Count(FaultyFileOps::Call::kUnlink) >= before + tries; }));
  }
  void RunUntilRemoved() {
    EXPECT_TRUE(WaitUntil([this] { return OnDisk().empty(); })) << OnDisk();
  }
  size_t Warnings() const { return log_.Count("is stored, but cannot be removed"); }

  FaultyFileOps ops_;
};

TEST_F(NotRemovedTest, AreSentOnceAlsoAfterARestart) {
  const std::string file = Drop("a.bin", Noise(2000000));
  const std::string readings = Capture("arm", 3);
  for (const std::string& path : {file, readings}) {
    ops_.Fail(FaultyFileOps::Call::kUnlink, EPERM, FaultyFileOps::kAlways,
              std::string(BaseName(path)));
  }
  Start();
  ASSERT_TRUE(WaitUntil([this] { return sync_->Stats().not_removed == 2; }));
  RunForRemovals(5);
  EXPECT_EQ(server_->call_count(), 2U);
  EXPECT_TRUE(WaitUntil([this] { return Warnings() == 2; }));

  Close();
  Start();
  RunForRemovals(5);
  EXPECT_EQ(server_->call_count(), 2U);
  EXPECT_EQ(Warnings(), 2U);

  // Moved and with other permissions it is the same file.
  Close();
  std::filesystem::rename(file, files_ + "/b.bin");
  ops_.Fail(FaultyFileOps::Call::kUnlink, EPERM, FaultyFileOps::kAlways, "b.bin");
  Start();
  RunForRemovals(5);
  EXPECT_EQ(server_->call_count(), 2U);

  ops_.Heal();
  RunUntilRemoved();
  EXPECT_EQ(server_->call_count(), 2U);

  // What has been removed may come again.
  Drop("a.bin", Noise(2000000));
  RunUntilRemoved();
  EXPECT_EQ(server_->call_count(), 3U);
}

TEST_F(NotRemovedTest, ChangedTheyAreSentAgain) {
  const std::string file = Drop("a.bin", "one");
  ops_.Fail(FaultyFileOps::Call::kUnlink, EPERM, FaultyFileOps::kAlways, "a.bin");
  Start();
  ASSERT_TRUE(WaitUntil([this] { return sync_->Stats().not_removed == 1; }));
  Drop("a.bin", "two");
  EXPECT_TRUE(WaitUntil([this] { return sync_->Stats().not_removed == 2; }));
  EXPECT_EQ(Uploaded(), "a.bin a.bin");
}

class StoredKeysTest : public ::testing::Test {
 protected:
  static std::string Key(int number) {
    std::string key = std::to_string(number);
    return std::string(32 - key.size(), '0') + key;
  }
  bool Add(StoredKeys& keys, int number) {
    bool is_new = false;
    const absl::Status status = keys.Add(dir_.path(), Key(number), &is_new);
    EXPECT_TRUE(status.ok()) << status;
    return is_new;
  }
  bool Has(StoredKeys& keys, int number) { return keys.Contains(dir_.path(), Key(number)); }

  testing::TempDir dir_;
  FaultyFileOps ops_;
};

TEST_F(StoredKeysTest, LastOverARestart) {
  {
    StoredKeys keys(ops_);
    EXPECT_FALSE(Has(keys, 1));
    EXPECT_TRUE(Add(keys, 1));
    EXPECT_FALSE(Add(keys, 1));
    EXPECT_TRUE(Add(keys, 2));
    keys.Remove(dir_.path(), Key(2));
    EXPECT_TRUE(Has(keys, 1));
    EXPECT_FALSE(Has(keys, 2));
  }
  StoredKeys keys(ops_);
  EXPECT_TRUE(Has(keys, 1));
  EXPECT_FALSE(Has(keys, 2));
}

TEST_F(StoredKeysTest, TheLogGoesWithTheLastKey) {
  StoredKeys keys(ops_);
  Add(keys, 1);
  Add(keys, 2);
  keys.Remove(dir_.path(), Key(1));
  EXPECT_EQ(FilesBelow(dir_.path()), std::vector<std::string>{"stored-not-removed.prog"});
  keys.Remove(dir_.path(), Key(2));
  EXPECT_TRUE(FilesBelow(dir_.path()).empty());
}

TEST_F(StoredKeysTest, ATornLineIsNone) {
  StoredKeys first(ops_);
  EXPECT_TRUE(Add(first, 1));
  AppendToFile(dir_.path() + "/stored-not-removed.prog", "+" + Key(2).substr(0, 10));
  StoredKeys second(ops_);
  EXPECT_TRUE(Has(second, 1));
  EXPECT_FALSE(Has(second, 2));
  // And what follows it is a line of its own.
  EXPECT_TRUE(Add(second, 3));
  StoredKeys third(ops_);
  EXPECT_TRUE(Has(third, 3));
}

TEST_F(StoredKeysTest, AreBoundedAndSoIsTheLog) {
  StoredKeys keys(ops_);
  const int count = static_cast<int>(StoredKeys::kMost);
  for (int i = 0; i < 6 * count; ++i) Add(keys, i);
  EXPECT_FALSE(Has(keys, 0));
  EXPECT_FALSE(Has(keys, 5 * count - 1));
  EXPECT_TRUE(Has(keys, 5 * count));
  EXPECT_LE(std::filesystem::file_size(dir_.path() + "/stored-not-removed.prog"), 600000U);
  StoredKeys again(ops_);
  EXPECT_FALSE(Has(again, 5 * count - 1));
  EXPECT_TRUE(Has(again, 5 * count));
  EXPECT_TRUE(Has(again, 6 * count - 1));
}

TEST_F(StoredKeysTest, WhatCannotBeNotedIsKnownUntilTheEnd) {
  StoredKeys keys(ops_);
  ops_.Fail(FaultyFileOps::Call::kOpen, EACCES);
  bool is_new = false;
  EXPECT_FALSE(keys.Add(dir_.path(), Key(1), &is_new).ok());
  EXPECT_TRUE(is_new);
  EXPECT_TRUE(Has(keys, 1));
}

}  // namespace
}  // namespace datamanager::sync
