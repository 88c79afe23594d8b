// A program with a second copy of the viam.* messages, as one that also uses Viam's C++ SDK has:
// the core must not register them too, or the program aborts before main.
#include <gtest/gtest.h>

#include "datamanager/data_manager.h"
#include "google/protobuf/descriptor.h"
#include "tests/capture/captured.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"
#include "viam/app/datasync/v1/data_sync.pb.h"
#include "viam/component/arm/v1/arm.pb.h"

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

TEST(TwoCopiesTest, TheirMessagesAreCapturedToo) {
  using Joints = viam::component::arm::v1::GetJointPositionsResponse;
  const testing::TempDir dir{testing::DiskDirectory()};
  Sources sources;
  sources.AddMessage<Joints>("rdk:component:arm", "arm1", "JointPositions",
                             [](const CaptureRequest&, Joints& out) {
                               out.mutable_positions()->add_values(0.1);
                               return absl::OkStatus();
                             });
  Config config;
  config.capture_dir = dir.path();
  config.sync_disabled = true;
  config.collectors.push_back({.api = "rdk:component:arm",
                               .name = "arm1",
                               .method = "JointPositions",
                               .capture_frequency_hz = 200});
  auto manager = DataManager::Create();
  ASSERT_TRUE(manager.ok()) << manager.status();
  ASSERT_TRUE((*manager)->Reconfigure(config, sources).ok());
  EXPECT_TRUE(testing::WaitUntil([&] { return (*manager)->Stats().collectors[0].captured > 0; }))
      << (*manager)->Stats().collectors[0].reason;
  EXPECT_TRUE((*manager)->Close().ok());
  EXPECT_EQ(testing::LoadPublished(dir.path()).at(0).records.at(0).struct_().ShortDebugString(),
            "fields { key: \"positions\" value { struct_value { fields { key: \"values\" value { "
            "list_value { values { number_value: 0.1 } } } } } } }");
}

}  // namespace
}  // namespace datamanager
