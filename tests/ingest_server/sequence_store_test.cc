#include "ingest_server/sequence_store.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "tests/support/temp_dir.h"

namespace ingest {
namespace {

using viam::app::data::v1::CreateSequenceRequest;

CreateSequenceRequest Example() {
  CreateSequenceRequest request;
  request.set_part_id("part-1");
  auto& resource = *request.add_resources();
  resource.set_resource_name("arm");
  resource.set_method_name("EndPosition");
  request.add_sequence_tags("pick");
  request.mutable_start_time()->set_seconds(1700000000);
  request.mutable_end_time()->set_seconds(1700000060);
  request.mutable_end_time()->set_nanos(5);
  return request;
}

class SequenceStoreTest : public ::testing::Test {
 protected:
  SequenceStoreTest() { Open(); }
  void Open() {
    store_.reset();
    auto store = SequenceStore::Open(directory_.path());
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  datamanager::testing::TempDir directory_;
  std::unique_ptr<SequenceStore> store_;
};

TEST_F(SequenceStoreTest, KeepsEachKeyOnce) {
  const auto first = store_->Add(Example(), "key");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(*store_->Add(Example(), "key"), *first);
  Open();
  EXPECT_EQ(*store_->Add(Example(), "key"), *first);
  EXPECT_NE(*store_->Add(Example(), "other"), *first);
  EXPECT_TRUE(store_->Add(Example(), "").ok());
  EXPECT_TRUE(store_->Add(Example(), "").ok());
  const auto rows = store_->Rows();
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 4U);
  const ReceivedSequence& row = rows->front();
  EXPECT_EQ(row.part_id, "part-1");
  EXPECT_EQ(row.start_time, "2023-11-14T22:13:20.000000000Z");
  EXPECT_EQ(row.end_time, "2023-11-14T22:14:20.000000005Z");
  EXPECT_EQ(row.tags, R"(["pick"])");
  EXPECT_EQ(row.resources, R"(["arm EndPosition"])");
  EXPECT_EQ(row.upload_key, "key");
  EXPECT_NE(row.arrived_at, "");
}

TEST_F(SequenceStoreTest, RefusesWhatIsNone) {
  const std::function<void(CreateSequenceRequest&)> kFaults[] = {
      [](auto& request) { request.clear_part_id(); },
      [](auto& request) { request.clear_resources(); },
      [](auto& request) { request.clear_start_time(); },
      [](auto& request) { request.clear_end_time(); },
      [](auto& request) { request.mutable_end_time()->set_seconds(1); },
  };
  for (const auto& fault : kFaults) {
    CreateSequenceRequest request = Example();
    fault(request);
    EXPECT_TRUE(absl::IsInvalidArgument(store_->Add(request, "key").status()))
        << request.DebugString();
  }
  EXPECT_TRUE(store_->Rows()->empty());
}

}  // namespace
}  // namespace ingest
