// A program with a second copy of the viam.* messages, as one that also uses Viam's C++ SDK has:
// the core must not register them too, or the program aborts before main.
#include <gtest/gtest.h>

#include "datamanager/data_manager.h"
#include "google/protobuf/descriptor.h"
#include "viam/app/datasync/v1/data_sync.pb.h"

namespace datamanager {
namespace {

TEST(TwoCopiesTest, TheCoreLivesBesideAnotherCopyOfTheMessages) {
  viam::app::datasync::v1::UploadMetadata theirs;
  theirs.set_part_id("part-1");
  EXPECT_NE(google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
                "viam.app.datasync.v1.UploadMetadata"),
            nullptr);
  EXPECT_NE(google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
                "datamanager.wire.viam.app.datasync.v1.UploadMetadata"),
            nullptr);

  auto manager = DataManager::Create();
  ASSERT_TRUE(manager.ok()) << manager.status();
  EXPECT_TRUE((*manager)->Close().ok());
}

}  // namespace
}  // namespace datamanager
