#include "cloud/unary_call.h"
#include "tests/cloud/fixture.h"
#include "tests/support/blocking_calls.h"

namespace datamanager::cloud {
namespace {

using sync::CallResult;
using sync::UploadMethod;

class UnaryTest : public CloudTest {
 protected:
  UnaryTest() {
    server_.on_data_capture = [](grpc::ServerContext&, const auto& request, auto& response) {
      response.set_binary_data_id(request.metadata().part_id());
      return grpc::Status::OK;
    };
  }

  // Makes the server tell of each call and then hang.
  void Hang() {
    server_.on_data_capture = [this](grpc::ServerContext& context, const auto&, auto&) {
      arrived_.Set();
      TestServer::Hang(context);
      return grpc::Status::OK;
    };
  }

  static std::string Request(const std::string& part_id = "part-1") {
    wire::DataCaptureUploadRequest request;
    request.mutable_metadata()->set_part_id(part_id);
    return request.SerializeAsString();
  }

  Event arrived_;
};

TEST_F(UnaryTest, BringsTheReply) {
  const auto cloud = MakeConnectedCloud();
  const CallResult result =
      testing::Unary(cloud->uploader(), UploadMethod::kDataCaptureUpload, Request(), {});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_TRUE(result.channel_ready);
  wire::DataCaptureUploadResponse response;
  ASSERT_TRUE(response.ParseFromString(result.response));
  EXPECT_EQ(response.binary_data_id(), "part-1");
}

TEST_F(UnaryTest, CarriesTheKey) {
  const auto cloud = MakeConnectedCloud();
  for (const char* key : {"0123456789abcdef", ""}) {
    const CallResult result = testing::Unary(cloud->uploader(), UploadMethod::kDataCaptureUpload,
                                             Request(), {.upload_key = key});
    EXPECT_TRUE(result.status.ok()) << result.status;
  }
  EXPECT_EQ(server_.keys.All(), (std::vector<std::string>{"0123456789abcdef", "none"}));
}

TEST_F(UnaryTest, CarriesMegabytes) {
  const auto cloud = MakeConnectedCloud();
  const std::string part_id(3 << 20, 'x');
  const CallResult result =
      testing::Unary(cloud->uploader(), UploadMethod::kDataCaptureUpload, Request(part_id), {});
  ASSERT_TRUE(result.status.ok()) << result.status;
  wire::DataCaptureUploadResponse response;
  ASSERT_TRUE(response.ParseFromString(result.response));
  EXPECT_EQ(response.binary_data_id(), part_id);
}

TEST_F(UnaryTest, KeepsCodeAndMessageOfTheServer) {
  const auto cloud = MakeConnectedCloud();
  for (int code = 1; code <= 16; ++code) {
    server_.on_data_capture = [code](grpc::ServerContext&, const auto&, auto&) {
      return grpc::Status(static_cast<grpc::StatusCode>(code), "as the server says");
    };
    const CallResult result =
        testing::Unary(cloud->uploader(), UploadMethod::kDataCaptureUpload, Request(), {});
    EXPECT_EQ(result.status,
              absl::Status(static_cast<absl::StatusCode>(code), "as the server says"));
    EXPECT_TRUE(result.channel_ready) << result.status;
    EXPECT_TRUE(result.sent);
    EXPECT_FALSE(result.stalled) << result.status;
  }
}

TEST_F(UnaryTest, EndsAtItsDeadline) {
  Hang();
  const auto cloud = MakeConnectedCloud();
  const CallResult result = testing::Unary(cloud->uploader(), UploadMethod::kDataCaptureUpload,
                                           Request(), {.timeout = 50ms});
  EXPECT_EQ(result.status,
            absl::DeadlineExceededError("stalled: no reply to DataCaptureUpload within 50ms"));
  EXPECT_TRUE(result.channel_ready);
  EXPECT_TRUE(result.sent);
  EXPECT_TRUE(result.stalled);
}

TEST_F(UnaryTest, EndsWhenStopped) {
  Hang();
  const auto cloud = MakeConnectedCloud();
  std::stop_source stop;
  const std::jthread stopper([&] {
    EXPECT_TRUE(arrived_.Wait());
    stop.request_stop();
  });
  const CallResult result = testing::Unary(cloud->uploader(), UploadMethod::kDataCaptureUpload,
                                           Request(), {.stop = stop.get_token()});
  EXPECT_EQ(result.status, absl::CancelledError("stopped by the caller"));
  EXPECT_TRUE(result.channel_ready);
}

TEST_F(UnaryTest, DoesNotBeginWhenStopped) {
  const auto cloud = MakeConnectedCloud();
  std::stop_source stop;
  stop.request_stop();
  const CallResult result = testing::Unary(cloud->uploader(), UploadMethod::kDataCaptureUpload,
                                           Request(), {.stop = stop.get_token()});
  EXPECT_EQ(result.status, absl::CancelledError("stopped by the caller"));
}

TEST_F(UnaryTest, TellsHowLongTheServerAsksToWait) {
  const auto cloud = MakeConnectedCloud();
  const struct {
    const char* value;
    std::optional<std::chrono::milliseconds> wait;
  } kCases[] = {{"1500", 1500ms},       {"0", 0ms},         {"-1", std::nullopt},
                {"soon", std::nullopt}, {"", std::nullopt}, {"1.5", std::nullopt}};
  for (const auto& test : kCases) {
    server_.on_data_capture = [&](grpc::ServerContext& context, const auto&, auto&) {
      context.AddTrailingMetadata("grpc-retry-pushback-ms", test.value);
      return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "busy");
    };
    const CallResult result =
        testing::Unary(cloud->uploader(), UploadMethod::kDataCaptureUpload, Request(), {});
    EXPECT_TRUE(absl::IsResourceExhausted(result.status)) << result.status;
    EXPECT_EQ(result.pushback, test.wait) << test.value;
  }
}

TEST_F(UnaryTest, TellsALostConnectionFromARefusal) {
  Hang();
  const auto cloud = MakeConnectedCloud();
  const std::jthread stopper([&] {
    EXPECT_TRUE(arrived_.Wait());
    server_.Stop();
  });
  const CallResult result =
      testing::Unary(cloud->uploader(), UploadMethod::kDataCaptureUpload, Request(), {});
  EXPECT_EQ(result.status.code(), absl::StatusCode::kUnavailable) << result.status;
  EXPECT_FALSE(result.channel_ready);
  EXPECT_EQ(cloud->Status().last_error, result.status.message());
}

TEST_F(UnaryTest, FailsAtOnceWithoutAConnection) {
  const auto cloud = MakeConnectedCloud();
  Record<bool> ready;
  cloud->uploader().SetReadyListener([&](bool now) { ready.Add(now); });
  server_.Stop();
  ASSERT_TRUE(ready.WaitForCount(1));
  const CallResult result =
      testing::Unary(cloud->uploader(), UploadMethod::kDataCaptureUpload, Request(), {});
  EXPECT_EQ(result.status, absl::UnavailableError("not connected to " + server_.address()));
  EXPECT_FALSE(result.channel_ready);
  EXPECT_FALSE(result.sent);
  cloud->uploader().SetReadyListener(nullptr);
}

TEST_F(UnaryTest, ServesManyThreadsAtOnce) {
  const auto cloud = MakeConnectedCloud();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 50; ++j) {
        const CallResult result =
            testing::Unary(cloud->uploader(), UploadMethod::kDataCaptureUpload, Request(), {});
        EXPECT_TRUE(result.status.ok()) << result.status;
      }
    });
  }
}

}  // namespace
}  // namespace datamanager::cloud
