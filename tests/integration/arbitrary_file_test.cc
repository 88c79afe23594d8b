// The reference's TestArbitraryFileUpload: files that somebody else puts into additional paths.
#include "tests/integration/world.h"

namespace datamanager::testing {
namespace {

enum class Trigger { kScheduled, kManual, kBoth };

std::string NameOf(Trigger trigger) {
  if (trigger == Trigger::kBoth) return "Both";
  return trigger == Trigger::kManual ? "Manual" : "Scheduled";
}
void PrintTo(Trigger trigger, std::ostream* out) { *out << NameOf(trigger); }

class ArbitraryFileTest : public World {
 protected:
  ArbitraryFileTest() {
    config_.additional_sync_paths = {Root()};
    config_.file_last_modified_millis = 1;
    config_.sync_disabled = true;
    std::filesystem::create_directories(Root());
  }
  std::string Root() const { return Path("extra"); }
};

class ArbitraryFileUploadTest : public ArbitraryFileTest,
                                public ::testing::WithParamInterface<Trigger> {};

TEST_P(ArbitraryFileUploadTest, ArrivesOnceWithItsLabelsAndIsRemoved) {
  config_.tags = {"demo"};
  config_.sync_disabled = GetParam() == Trigger::kManual;
  const std::string labelled = Root() + "/tag=red/dataset=abc/tag= blue /tag=/notes v1.txt";
  const std::string large = Root() + "/image.PNG";
  WriteFile(labelled, "hello");
  WriteFile(large, Picture(1, 3000000));
  Start();
  if (GetParam() != Trigger::kScheduled) {
    ASSERT_TRUE(IsOk(SyncAll()));
    ASSERT_TRUE(IsOk(SyncAll()));
  }
  ASSERT_TRUE(WaitUntil([&] { return FilesBelow(Root()).empty(); }));

  std::vector<ingest::Received> files = ArrivedFiles();
  ASSERT_EQ(files.size(), 2U);
  if (files[0].file_name != labelled) std::swap(files[0], files[1]);
  EXPECT_EQ(files[0].file_name, labelled);
  EXPECT_EQ(files[0].part_id, kPart);
  EXPECT_EQ(files[0].tags, R"(["demo","red","blue"])");
  EXPECT_EQ(files[0].dataset_ids, R"(["abc"])");
  EXPECT_EQ(Blob(files[0]), "hello");
  EXPECT_EQ(files[1].file_name, large);
  EXPECT_EQ(files[1].tags, R"(["demo"])");
  EXPECT_TRUE(Blob(files[1]) == Picture(1, 3000000));
  EXPECT_TRUE(WaitUntil([&] { return Uploads().arbitrary.files == 2; }));
  EXPECT_EQ(Uploads().arbitrary.bytes, 3000005U);
}
INSTANTIATE_TEST_SUITE_P(, ArbitraryFileUploadTest,
                         ::testing::Values(Trigger::kScheduled, Trigger::kManual, Trigger::kBoth),
                         [](const ::testing::TestParamInfo<Trigger>& test) {
                           return NameOf(test.param);
                         });

TEST_F(ArbitraryFileTest, OnAServerErrorItStaysAndIsSentWholeLater) {
  config_.sync_disabled = false;
  const std::string path = Root() + "/large.bin";
  WriteFile(path, Picture(1, 1000000));
  StartServer({.failures = {{grpc::StatusCode::UNAVAILABLE, 1}}});
  Start();
  ASSERT_TRUE(WaitUntil([&] { return Uploads().arbitrary.retries >= 2; }));
  EXPECT_TRUE(Exists(path));
  EXPECT_TRUE(ArrivedFiles().empty());
  EXPECT_TRUE(Has(Uploads().last_error, path));
  server_->SetFaults({});
  ASSERT_TRUE(IsOk(SyncAll()));
  ASSERT_EQ(ArrivedFiles().size(), 1U);
  EXPECT_TRUE(Blob(ArrivedFiles()[0]) == Picture(1, 1000000));
  EXPECT_FALSE(Exists(path));
}

TEST_F(ArbitraryFileTest, OnALostReplyItIsStoredOnce) {
  config_.sync_disabled = false;
  WriteFile(Root() + "/a.txt", "a");
  StartServer({.drop_after_store = 1});
  Start();
  ASSERT_TRUE(WaitUntil([&] { return Uploads().arbitrary.retries >= 2; }));
  server_->SetFaults({});
  ASSERT_TRUE(IsOk(SyncAll()));
  EXPECT_EQ(ArrivedFiles().size(), 1U);
}

TEST_F(ArbitraryFileTest, MovedAfterALostReplyItIsStoredOnce) {
  config_.sync_disabled = false;
  WriteFile(Root() + "/a.bin", Picture(1, 3000000));
  StartServer({.drop_after_store = 1});
  Start();
  ASSERT_TRUE(WaitUntil([&] { return Uploads().arbitrary.retries >= 2; }));
  std::filesystem::rename(Root() + "/a.bin", Root() + "/b.bin");
  std::filesystem::permissions(Root() + "/b.bin", std::filesystem::perms::owner_read);
  server_->SetFaults({});
  ASSERT_TRUE(IsOk(SyncAll()));
  EXPECT_FALSE(Exists(Root() + "/b.bin"));
  EXPECT_EQ(ArrivedFiles().size(), 1U);
}

TEST_F(ArbitraryFileTest, TwoThatDifferOnlyInTheMiddleAreBothStored) {
  const std::string path = Root() + "/recording.bin";
  std::string bytes = Picture(1, 3000000);
  const auto modified = std::filesystem::file_time_type::clock::now() - 1h;
  Start();
  for (int i = 0; i < 2; ++i) {
    bytes[bytes.size() / 2] ^= 1;
    WriteFile(path, bytes);
    std::filesystem::last_write_time(path, modified);
    ASSERT_TRUE(IsOk(SyncAll()));
    EXPECT_FALSE(Exists(path));
    ASSERT_EQ(ArrivedFiles().size(), static_cast<size_t>(i + 1));
    EXPECT_TRUE(Blob(ArrivedFiles()[i]) == bytes);
  }
}

TEST_F(ArbitraryFileTest, RefusedItMovesToFailedBelowItsRoot) {
  WriteFile(Root() + "/tag=x/a.txt", "a");
  Start();
  server_->FailNext(1, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(HasCode(absl::StatusCode::kInvalidArgument, SyncAll()));
  EXPECT_EQ(FilesBelow(Root()), std::vector<std::string>{Root() + "/failed/tag=x/a.txt"});
  EXPECT_EQ(Uploads().arbitrary.refused, 1U);
  EXPECT_TRUE(IsOk(SyncAll()));
  EXPECT_TRUE(ArrivedFiles().empty());
}

TEST_F(ArbitraryFileTest, WhatIsNotForUploadStays) {
  const std::vector<std::string> kept = {Root() + "/2026-01-02T03_04_05.000006Z.prog",
                                         Root() + "/datasetUpload/a.png", Root() + "/empty.txt",
                                         Root() + "/failed/a.txt", Root() + "/sequences/a.seq"};
  for (const std::string& path : kept) WriteFile(path, path.ends_with("empty.txt") ? "" : "x");
  WriteFile(Path("outside.txt"), "x");
  std::filesystem::create_symlink(Path("outside.txt"), Root() + "/link.txt");
  WriteFile(Root() + "/good.txt", "x");
  Start();
  ASSERT_TRUE(IsOk(SyncAll()));
  ASSERT_EQ(ArrivedFiles().size(), 1U);
  EXPECT_EQ(ArrivedFiles()[0].file_name, Root() + "/good.txt");
  std::vector<std::string> left = FilesBelow(Root());
  std::erase(left, Root() + "/link.txt");
  EXPECT_EQ(left, kept);
  EXPECT_TRUE(Exists(Path("outside.txt")));
}

TEST_F(ArbitraryFileTest, OneThatWasJustChangedWaits) {
  config_.file_last_modified_millis = 3600000;
  const std::string path = Root() + "/growing.txt";
  WriteFile(path, "x");
  Start();
  ASSERT_TRUE(IsOk(SyncAll()));
  EXPECT_TRUE(Exists(path));
  std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - 2h);
  ASSERT_TRUE(IsOk(SyncAll()));
  EXPECT_FALSE(Exists(path));
  EXPECT_EQ(ArrivedFiles().size(), 1U);
}

TEST_F(ArbitraryFileTest, OverlappingPathsAreWalkedOnce) {
  config_.additional_sync_paths = {Root(), Root() + "/sub", Root() + "/"};
  WriteFile(Root() + "/sub/a.txt", "a");
  WriteFile(Root() + "/b.txt", "b");
  Start();
  ASSERT_TRUE(IsOk(SyncAll()));
  EXPECT_EQ(ArrivedFiles().size(), 2U);
}

}  // namespace
}  // namespace datamanager::testing
