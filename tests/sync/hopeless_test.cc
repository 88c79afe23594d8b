#include "sync/hopeless.h"

#include <gtest/gtest.h>

#include <string>

namespace datamanager::sync {
namespace {

std::string Advice(const absl::Status& status, const char* call = "FileUpload") {
  return AdviceFor({.status = status, .sent = true}, call, "app.example:443");
}

TEST(HopelessTest, TheSameBytes_GetTheSameAnswer) {
  const auto hopeless = [](const absl::Status& status) { return IsHopeless({.status = status}); };
  EXPECT_TRUE(hopeless(absl::UnimplementedError("")));
  EXPECT_TRUE(hopeless(absl::OutOfRangeError("x")));
  EXPECT_TRUE(hopeless(absl::DataLossError("x")));
  EXPECT_TRUE(hopeless(
      absl::ResourceExhaustedError("Received message larger than max (5000000 vs. 4194304)")));
  EXPECT_FALSE(hopeless(absl::ResourceExhaustedError("quota exceeded")));
  EXPECT_FALSE(hopeless(absl::InternalError("x")));
  EXPECT_FALSE(hopeless(absl::UnavailableError("x")));
  EXPECT_FALSE(hopeless(absl::InvalidArgumentError("x")));  // That one is refused.
  EXPECT_FALSE(hopeless(absl::OkStatus()));
}

TEST(HopelessTest, AnErrorOfTheFileOrTheConnection_IsNoAnswer) {
  EXPECT_FALSE(IsHopeless({.status = absl::DataLossError("x"), .origin = ErrorOrigin::kFile}));
  EXPECT_FALSE(IsHopeless({.status = absl::UnimplementedError(""), .channel_ready = false}));
}

TEST(HopelessTest, SaysWhatToDo) {
  EXPECT_EQ(Advice(absl::ResourceExhaustedError(
                "Received message larger than max (5000000 vs. 4194304)")),
            "the server takes messages of at most 4 MiB: raise its limit, or capture less in one "
            "record");
  EXPECT_EQ(Advice(absl::ResourceExhaustedError("Received message larger than max (5000 vs. 1500)"))
                .substr(0, 52),
            "the server takes messages of at most 1.465 KiB: rais");
  EXPECT_EQ(Advice(absl::UnimplementedError("")),
            "no DataSyncService at app.example:443: check cloud.app_address");
  EXPECT_EQ(Advice(absl::UnimplementedError("unknown service viam.app.datasync.v1")),
            "no DataSyncService at app.example:443: check cloud.app_address");
  EXPECT_EQ(Advice(absl::UnimplementedError("Received http2 header with status: 404")),
            "no DataSyncService at app.example:443: check cloud.app_address");
  EXPECT_EQ(Advice(absl::UnimplementedError(""), "CreateSequence"),
            "no DataService at app.example:443: check cloud.app_address");
  EXPECT_EQ(
      Advice(absl::UnimplementedError("not yet")),
      "the server at app.example:443 does not take FileUpload: update it, or remove the file");
  EXPECT_EQ(Advice(absl::DataLossError("x")),
            "the server does not take these bytes: look into its log, and remove or change the "
            "file");
  EXPECT_EQ(Advice(absl::InternalError("x")), "");
}

}  // namespace
}  // namespace datamanager::sync
