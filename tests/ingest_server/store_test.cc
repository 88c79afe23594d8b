#include "ingest_server/store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <thread>

#include "tests/support/temp_dir.h"

namespace ingest {
namespace {

using Strings = std::vector<std::string>;

Item Reading(std::string json) { return {.kind = Kind::kReading, .json = std::move(json)}; }

Upload Readings(std::string key, std::vector<Item> items) {
  Upload upload{.key = std::move(key), .items = std::move(items)};
  upload.metadata.set_component_name("cpu");
  return upload;
}

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() { Reopen(); }

  void Reopen() {
    store_.reset();
    auto store = IngestStore::Open(directory());
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  Item Binary(std::string_view bytes) {
    auto writer = store_->NewBlob();
    EXPECT_TRUE(writer.ok() && (*writer)->Append(bytes).ok());
    return {.kind = Kind::kBinary, .blob = (*writer)->Finish().value()};
  }

  int64_t Add(const Upload& upload) {
    const auto stored = store_->Add(upload);
    EXPECT_TRUE(stored.ok()) << stored.status();
    return stored.ok() ? stored->id : -1;
  }

  Strings Json() {
    Strings all;
    const std::vector<Received> rows = store_->Rows().value();
    for (const Received& row : rows) all.push_back(row.json);
    return all;
  }

  Strings BlobFiles() {
    Strings names;
    for (const auto& entry : std::filesystem::directory_iterator(directory() + "/blobs")) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  std::string directory() const { return temp_.path() + "/deep/store"; }

  const datamanager::testing::TempDir temp_;
  std::unique_ptr<IngestStore> store_;
};

TEST_F(StoreTest, ViewHasEveryColumnOfAReading) {
  Upload upload = Readings("k1", {Reading(R"({"a":1})")});
  upload.metadata.set_part_id("part");
  upload.metadata.set_component_type("rdk:component:sensor");
  upload.metadata.set_method_name("Readings");
  upload.metadata.add_tags("t\"1");
  upload.metadata.add_tags("t2");
  upload.metadata.add_dataset_ids("d");
  upload.items[0].time_requested = absl::FromUnixNanos(1700000000000000001);
  upload.items[0].time_received = absl::FromUnixNanos(-1);
  Add(upload);

  const auto rows = store_->Rows().value();
  ASSERT_EQ(rows.size(), 1u);
  const Received& row = rows[0];
  EXPECT_EQ(row.kind, "reading");
  EXPECT_EQ(row.part_id, "part");
  EXPECT_EQ(row.component_type, "rdk:component:sensor");
  EXPECT_EQ(row.component_name, "cpu");
  EXPECT_EQ(row.method_name, "Readings");
  EXPECT_EQ(row.file_name, "");
  EXPECT_EQ(row.time_requested, "2023-11-14T22:13:20.000000001Z");
  EXPECT_EQ(row.time_received, "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(row.json, R"({"a":1})");
  EXPECT_EQ(row.mime_type, "");
  EXPECT_EQ(row.size, 7);
  EXPECT_EQ(row.sha256, "");
  EXPECT_EQ(row.tags, R"(["t\"1","t2"])");
  EXPECT_EQ(row.dataset_ids, R"(["d"])");
  EXPECT_EQ(row.upload_key, "k1");
  EXPECT_TRUE(std::regex_match(row.arrived_at,
                               std::regex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{9}Z")))
      << row.arrived_at;
}

TEST_F(StoreTest, BinaryIsAFileNamedByItsHash) {
  Upload upload{.items = {Binary("abc")}};
  upload.metadata.set_mime_type("image/png");
  Add(upload);

  const auto rows = store_->Rows().value();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].kind, "binary");
  EXPECT_EQ(rows[0].mime_type, "image/png");
  EXPECT_EQ(rows[0].size, 3);
  EXPECT_EQ(rows[0].sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  std::ifstream blob(store_->BlobPath(rows[0].sha256));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(blob), {}), "abc");
}

TEST_F(StoreTest, NullIsNotEmptyText) {
  Add({.items = {Reading("{}"), Binary("")}});
  auto database = Database::Open(directory() + "/ingest.db").value();
  auto select = database
                    .Prepare(
                        "SELECT time_requested, json, sha256, upload_key FROM received"
                        " ORDER BY kind")
                    .value();
  std::vector<std::vector<bool>> nulls;
  ASSERT_TRUE(select
                  .Run({},
                       [&](const Row& row) {
                         std::vector<bool>& columns = nulls.emplace_back();
                         for (int i = 0; i < 4; ++i) columns.push_back(!row.Text(i).has_value());
                       })
                  .ok());
  EXPECT_EQ(nulls,
            (std::vector<std::vector<bool>>{{true, true, false, true}, {true, false, true, true}}));
}

TEST_F(StoreTest, KnownKeyIsStoredOnce) {
  const int64_t first = Add(Readings("k1", {Reading("{}")}));
  EXPECT_EQ(Add(Readings("k1", {Reading("{}")})), first);
  EXPECT_NE(Add(Readings("k2", {Reading("{}")})), first);
  EXPECT_EQ(store_->Count("cpu", Kind::kReading).value(), 2);
}

TEST_F(StoreTest, WithoutAKeyEachIsStored) {
  Add(Readings("", {Reading("{}")}));
  Add(Readings("", {Reading("{}")}));
  EXPECT_EQ(store_->Count("cpu", Kind::kReading).value(), 2);
}

TEST_F(StoreTest, CountsByComponentAndKind) {
  Add(Readings("", {Reading("{}"), Binary("x")}));
  EXPECT_EQ(store_->Count("cpu", Kind::kReading).value(), 1);
  EXPECT_EQ(store_->Count("cpu", Kind::kBinary).value(), 1);
  EXPECT_EQ(store_->Count("cpu", Kind::kFile).value(), 0);
  EXPECT_EQ(store_->Count("gpu", Kind::kReading).value(), 0);
}

TEST_F(StoreTest, AllIsThereAfterReopening) {
  const int64_t id = Add(Readings("k1", {Reading("1"), Reading("2")}));
  Reopen();
  EXPECT_EQ(Json(), Strings({"1", "2"}));
  EXPECT_EQ(Add(Readings("k1", {Reading("1"), Reading("2")})), id);
  EXPECT_EQ(Json(), Strings({"1", "2"}));
}

TEST_F(StoreTest, KnownKeyWithOtherContentIsStoredAndTold) {
  const auto first = store_->Add(Readings("k1", {Reading("1")}));
  const auto other = store_->Add(Readings("k1", {Reading("2")}));
  ASSERT_TRUE(first.ok() && other.ok());
  EXPECT_FALSE(first->already || first->key_clashes);
  EXPECT_FALSE(other->already);
  EXPECT_TRUE(other->key_clashes);
  EXPECT_NE(first->digest, other->digest);
  EXPECT_EQ(Json(), Strings({"1", "2"}));
  // Both are known from now on.
  for (const auto* stored : {&*first, &*other}) {
    const auto again = store_->Add(Readings("k1", {Reading(stored == &*first ? "1" : "2")}));
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(again->already);
    EXPECT_EQ(again->id, stored->id);
  }
  EXPECT_EQ(Json(), Strings({"1", "2"}));
}

TEST_F(StoreTest, ContentDiffersWithEachOfItsParts) {
  const auto at = [](Item item, int64_t requested, int64_t received) {
    item.time_requested = absl::FromUnixSeconds(requested);
    item.time_received = absl::FromUnixSeconds(received);
    return item;
  };
  Item annotated = Reading("1");
  annotated.annotations = "{}";
  std::set<std::string> digests;
  for (const std::vector<Item>& items :
       std::vector<std::vector<Item>>{{Reading("1")},
                                      {Reading("12")},
                                      {Reading("1"), Reading("2")},
                                      {Reading("2"), Reading("1")},
                                      {at(Reading("1"), 1, 2)},
                                      {at(Reading("1"), 2, 1)},
                                      {annotated},
                                      {Binary("1")},
                                      {Binary("1"), Binary("2")}}) {
    EXPECT_TRUE(digests.insert(DigestOf(Readings("k", items))).second) << items.size();
  }
  EXPECT_EQ(DigestOf(Readings("k", {Binary("abc")})),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(StoreTest, KeyCountsForItsPartAndFilesApart) {
  Upload upload{.key = "k", .items = {Binary("x")}};
  upload.metadata.set_part_id("part-1");
  const int64_t first = Add(upload);
  EXPECT_EQ(Add(upload), first);
  upload.metadata.set_part_id("part-2");
  EXPECT_NE(Add(upload), first);
  upload.metadata.set_part_id("part-1");
  upload.items[0].kind = Kind::kFile;
  EXPECT_NE(Add(upload), first);
}

TEST_F(StoreTest, FindsWhatIsStored) {
  Upload upload{.key = "k", .items = {Binary("abc")}};
  upload.metadata.set_part_id("part");
  const std::string digest = DigestOf(upload);
  const auto known = [&](std::string_view part, Kind kind, std::string_view key,
                         std::string_view sha256) {
    return store_->Find(part, kind, key, sha256).value().has_value();
  };
  EXPECT_FALSE(known("part", Kind::kBinary, "k", digest));
  const int64_t id = Add(upload);
  EXPECT_EQ(store_->Find("part", Kind::kBinary, "k", digest).value()->id, id);
  EXPECT_FALSE(known("other", Kind::kBinary, "k", digest));
  EXPECT_FALSE(known("part", Kind::kFile, "k", digest));
  EXPECT_FALSE(known("part", Kind::kBinary, "other", digest));
  EXPECT_FALSE(known("part", Kind::kBinary, "k", std::string(64, '0')));
}

TEST_F(StoreTest, TakesOverAnOlderStore) {
  store_.reset();
  {
    auto database = Database::Open(directory() + "/ingest.db").value();
    // As it was made when a key counted by itself.
    ASSERT_TRUE(database
                    .Execute(R"sql(
      DROP VIEW received; DROP TABLE upload_keys; DROP TABLE uploads;
      CREATE TABLE uploads (id INTEGER PRIMARY KEY, upload_key TEXT UNIQUE, part_id TEXT NOT NULL,
        component_type TEXT NOT NULL, component_name TEXT NOT NULL, method_name TEXT NOT NULL,
        file_name TEXT NOT NULL, mime_type TEXT NOT NULL, tags TEXT NOT NULL,
        dataset_ids TEXT NOT NULL, metadata BLOB NOT NULL, arrived_at TEXT NOT NULL);
      CREATE VIEW received AS SELECT * FROM uploads;
      INSERT INTO uploads VALUES (7, 'old', 'part', '', 'cpu', '', '', '', '[]', '[]', x'', 'then');
      INSERT INTO items VALUES (1, 7, 'reading', NULL, NULL, '0', 1, NULL, NULL);
    )sql")
                    .ok());
  }
  Reopen();
  EXPECT_EQ(Json(), Strings({"0"}));
  EXPECT_EQ(store_->Rows().value()[0].upload_key, "old");
  Add(Readings("old", {Reading("1")}));
  Reopen();
  EXPECT_EQ(Json(), Strings({"0", "1"}));
}

TEST_F(StoreTest, AllOrNothing) {
  auto database = Database::Open(directory() + "/ingest.db").value();
  ASSERT_TRUE(database
                  .Execute("CREATE TRIGGER fault BEFORE INSERT ON items WHEN NEW.json = 'bad'"
                           " BEGIN SELECT RAISE(ABORT, 'an injected fault'); END")
                  .ok());
  const auto stored = store_->Add(Readings("k1", {Reading("good"), Reading("bad")}));
  EXPECT_EQ(stored.status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(std::string(stored.status().message()), "sqlite: an injected fault");
  EXPECT_EQ(Json(), Strings());

  // The key counts as unknown, and the store as healthy.
  Add(Readings("k1", {Reading("good")}));
  EXPECT_EQ(Json(), Strings({"good"}));
}

TEST_F(StoreTest, ConcurrentUploadsAreAllStoredAndSameKeysOnce) {
  constexpr int kThreads = 8;
  constexpr int kUploads = 10;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this] {
      for (int k = 0; k < kUploads; ++k) {
        Add(Readings("same-" + std::to_string(k), {Reading("{}"), Reading("{}")}));
        Add(Readings("", {Binary("x")}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store_->Count("cpu", Kind::kReading).value(), 2 * kUploads);
  EXPECT_EQ(store_->Count("cpu", Kind::kBinary).value(), kThreads * kUploads);
}

TEST_F(StoreTest, UnfinishedBlobLeavesNothing) {
  {
    auto writer = store_->NewBlob().value();
    ASSERT_TRUE(writer->Append("abc").ok());
    EXPECT_EQ(BlobFiles().size(), 1u);
  }
  EXPECT_EQ(BlobFiles(), Strings());
}

TEST_F(StoreTest, OpeningRemovesWhatACrashLeftAndNothingElse) {
  const auto under_way = store_->NewBlob().value();
  const std::string theirs = BlobFiles().at(0);
  std::ofstream(directory() + "/blobs/crash1.tmp") << "half";
  const auto other = IngestStore::Open(directory());
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(BlobFiles(), Strings({theirs}));
  EXPECT_TRUE(under_way->Finish().ok());
}

TEST_F(StoreTest, SaysWhyItCannotOpen) {
  std::ofstream(temp_.path() + "/file") << "no directory";
  const auto store = IngestStore::Open(temp_.path() + "/file/store");
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(std::string(store.status().message()),
            "create directory " + temp_.path() + "/file/store: Not a directory");

  std::filesystem::create_directories(temp_.path() + "/odd/ingest.db");
  const auto odd = IngestStore::Open(temp_.path() + "/odd");
  ASSERT_FALSE(odd.ok());
  EXPECT_EQ(std::string(odd.status().message()),
            temp_.path() + "/odd/ingest.db: sqlite: unable to open database file");
}

}  // namespace
}  // namespace ingest
