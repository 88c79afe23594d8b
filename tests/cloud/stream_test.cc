#include <atomic>

#include "cloud/upload_stream.h"
#include "tests/cloud/fixture.h"
#include "tests/support/blocking_calls.h"
#include "tests/support/sanitizers.h"

namespace datamanager::cloud {
namespace {

using sync::CallResult;
using sync::UploadMethod;
using testing::OpenedStream;

constexpr size_t kChunk = 64 << 10;
// More than flow control lets a client send to a server that does not read.
constexpr int kFlood = 1000;

class StreamTest : public CloudTest {
 protected:
  // Makes the server take a whole file and answer with its size.
  void Store() {
    server_.on_file = [this](grpc::ServerContext& context, TestServer::FileReader& reader,
                             wire::FileUploadResponse& response) {
      size_t size = 0;
      wire::FileUploadRequest request;
      while (reader.Read(&request)) size += request.file_contents().data().size();
      response.set_binary_data_id(std::to_string(size));
      if (context.IsCancelled()) cancelled_.Set();
      return grpc::Status::OK;
    };
  }
  // Makes the server hang, before or after it has taken everything.
  void Hang(bool read) {
    server_.on_file = [this, read](grpc::ServerContext& context, TestServer::FileReader& reader,
                                   auto&) {
      arrived_.Set();
      wire::FileUploadRequest request;
      while (read && reader.Read(&request)) {
      }
      TestServer::Hang(context);
      return grpc::Status::OK;
    };
  }
  void End(grpc::StatusCode code, const std::string& message) {
    server_.on_file = [code, message](grpc::ServerContext&, TestServer::FileReader&, auto&) {
      return grpc::Status(code, message);
    };
  }

  std::unique_ptr<OpenedStream> Open(const sync::CallOptions& options = {}) {
    return std::make_unique<OpenedStream>(cloud_->uploader(), UploadMethod::kFileUpload, options);
  }

  static std::string Chunk() {
    wire::FileUploadRequest request;
    request.mutable_file_contents()->set_data(std::string(kChunk, 'x'));
    return request.SerializeAsString();
  }
  // How many chunks the stream took.
  static int WriteChunks(OpenedStream& stream, int count) {
    int written = 0;
    while (written < count && stream.Write(Chunk())) ++written;
    return written;
  }

  Event arrived_;
  Event cancelled_;
  const std::shared_ptr<Cloud> cloud_ = MakeConnectedCloud();
};

TEST_F(StreamTest, CarriesTenMegabytesAndTheKey) {
  Store();
  const auto stream = Open({.upload_key = "0123456789abcdef"});
  EXPECT_EQ(WriteChunks(*stream, 160), 160);
  const CallResult result = stream->Finish();
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_TRUE(result.channel_ready);
  wire::FileUploadResponse response;
  ASSERT_TRUE(response.ParseFromString(result.response));
  EXPECT_EQ(response.binary_data_id(), std::to_string(160 * kChunk));
  EXPECT_EQ(server_.keys.All(), std::vector<std::string>{"0123456789abcdef"});
}

TEST_F(StreamTest, MayBeEmpty) {
  Store();
  const CallResult result = Open()->Finish();
  ASSERT_TRUE(result.status.ok()) << result.status;
  wire::FileUploadResponse response;
  ASSERT_TRUE(response.ParseFromString(result.response));
  EXPECT_EQ(response.binary_data_id(), "0");
}

TEST_F(StreamTest, StreamsCapturedData) {
  OpenedStream stream(cloud_->uploader(), UploadMethod::kStreamingDataCaptureUpload);
  for (const char* part : {"a", "b", "c"}) {
    wire::StreamingDataCaptureUploadRequest request;
    request.set_data(part);
    EXPECT_TRUE(stream.Write(request.SerializeAsString()));
  }
  const CallResult result = stream.Finish();
  ASSERT_TRUE(result.status.ok()) << result.status;
  wire::StreamingDataCaptureUploadResponse response;
  ASSERT_TRUE(response.ParseFromString(result.response));
  EXPECT_EQ(response.binary_data_id(), "abc");
}

TEST_F(StreamTest, TellsHowLongTheServerAsksToWait) {
  server_.on_file = [](grpc::ServerContext& context, TestServer::FileReader&, auto&) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms", "2500");
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "busy");
  };
  EXPECT_EQ(Open()->Finish().pushback, 2500ms);
  const auto stream = Open();
  WriteChunks(*stream, kFlood);
  EXPECT_EQ(stream->Finish().pushback, 2500ms);
  End(grpc::StatusCode::UNAVAILABLE, "busy");
  EXPECT_EQ(Open()->Finish().pushback, std::nullopt);
  Store();
  EXPECT_EQ(Open()->Finish().pushback, std::nullopt);
}

TEST_F(StreamTest, TellsWhyTheServerEndedItEarly) {
  End(grpc::StatusCode::INVALID_ARGUMENT, "no such part");
  const auto stream = Open();
  EXPECT_LT(WriteChunks(*stream, kFlood), kFlood);
  EXPECT_FALSE(stream->Write(Chunk()));
  const CallResult result = stream->Finish();
  EXPECT_EQ(result.status, absl::InvalidArgumentError("no such part"));
  EXPECT_TRUE(result.channel_ready);
}

TEST_F(StreamTest, TellsWhyTheServerRefusedTheWhole) {
  server_.on_file = [](grpc::ServerContext&, TestServer::FileReader& reader, auto&) {
    wire::FileUploadRequest request;
    while (reader.Read(&request)) {
    }
    return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "not yours");
  };
  const auto stream = Open();
  EXPECT_EQ(WriteChunks(*stream, 3), 3);
  const CallResult result = stream->Finish();
  EXPECT_EQ(result.status, absl::PermissionDeniedError("not yours"));
}

TEST_F(StreamTest, TrustsAnEarlyOkOfAServerThatHasTheSameContent) {
  const std::string ours(64, 'a');
  for (const std::string& theirs : {ours, std::string(64, 'b')}) {
    server_.on_file = [&](grpc::ServerContext& context, TestServer::FileReader&, auto& response) {
      const auto announced = context.client_metadata().find("datamanager-content-sha256");
      EXPECT_EQ(std::string(announced->second.data(), announced->second.size()), ours);
      context.AddTrailingMetadata("datamanager-already-stored", theirs);
      response.set_binary_data_id("7");
      return grpc::Status::OK;
    };
    const auto stream = Open({.content_sha256 = ours});
    EXPECT_LT(WriteChunks(*stream, kFlood), kFlood);
    const CallResult result = stream->Finish();
    if (theirs == ours) {
      EXPECT_EQ(result.status, absl::OkStatus());
      EXPECT_FALSE(result.response.empty());
    } else {
      EXPECT_EQ(result.status.code(), absl::StatusCode::kAborted) << result.status;
    }
  }
}

TEST_F(StreamTest, DoesNotTrustAnOkThatCameTooEarly) {
  End(grpc::StatusCode::OK, "");
  const auto stream = Open();
  const int written = WriteChunks(*stream, kFlood);
  EXPECT_LT(written, kFlood);
  EXPECT_EQ(stream->Finish().status,
            absl::AbortedError("FileUpload: the server answered OK before it had taken message " +
                               std::to_string(written + 1)));
}

TEST_F(StreamTest, GivesUpOnAServerThatStopsReading) {
  Hang(/*read=*/false);
  const auto stream = Open({.timeout = 100ms});
  const int written = WriteChunks(*stream, kFlood);
  EXPECT_LT(written, kFlood);
  EXPECT_FALSE(stream->Write(Chunk()));
  const CallResult result = stream->Finish();
  EXPECT_EQ(result.status, absl::DeadlineExceededError(
                               "stalled: FileUpload waited 100ms for the server to take message " +
                               std::to_string(written + 1)));
  EXPECT_TRUE(result.channel_ready);
  EXPECT_TRUE(result.stalled);
}

TEST_F(StreamTest, GivesUpOnAServerThatNeverReplies) {
  Hang(/*read=*/true);
  const auto stream = Open({.reply_timeout = 100ms});
  EXPECT_EQ(WriteChunks(*stream, 2), 2);
  const CallResult result = stream->Finish();
  EXPECT_EQ(result.status,
            absl::DeadlineExceededError(
                "stalled: FileUpload waited 100ms for the server to reply after 2 messages"));
  EXPECT_TRUE(result.sent);
  EXPECT_TRUE(result.stalled);
}

// The limit is for a single write: a server that takes one now and then is not given up.
TEST_F(StreamTest, HasPatienceWithAServerThatReadsSlowly) {
  constexpr std::chrono::milliseconds kLimit = 500ms * testing::kSlowness;
  std::atomic<int> read{0};
  server_.on_file = [&](grpc::ServerContext&, TestServer::FileReader& reader, auto&) {
    wire::FileUploadRequest request;
    Event never;
    while (reader.Read(&request)) {
      if (++read % 8 == 0) never.Wait(kLimit / 25);
    }
    return grpc::Status::OK;
  };
  const auto begin = std::chrono::steady_clock::now();
  const auto stream = Open({.timeout = kLimit, .reply_timeout = kPatience});
  EXPECT_EQ(WriteChunks(*stream, 300), 300);
  const CallResult result = stream->Finish();
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_GT(std::chrono::steady_clock::now() - begin, kLimit);  // In all, longer than the limit.
}

TEST_F(StreamTest, EndsWhenStopped) {
  Hang(/*read=*/false);
  std::stop_source stop;
  const auto stream = Open({.stop = stop.get_token()});
  const std::jthread stopper([&] {
    EXPECT_TRUE(arrived_.Wait());
    stop.request_stop();
  });
  EXPECT_LT(WriteChunks(*stream, kFlood), kFlood);
  const CallResult result = stream->Finish();
  EXPECT_EQ(result.status, absl::CancelledError("stopped by the caller"));
  EXPECT_TRUE(result.channel_ready);
}

TEST_F(StreamTest, EndsWhenStoppedBeforeTheReply) {
  Hang(/*read=*/true);
  std::stop_source stop;
  const auto stream = Open({.stop = stop.get_token()});
  const std::jthread stopper([&] {
    EXPECT_TRUE(arrived_.Wait());
    stop.request_stop();
  });
  EXPECT_EQ(stream->Finish().status, absl::CancelledError("stopped by the caller"));
}

TEST_F(StreamTest, TellsALostConnectionFromARefusal) {
  Hang(/*read=*/false);
  const auto stream = Open();
  const std::jthread stopper([&] {
    EXPECT_TRUE(arrived_.Wait());
    server_.Stop();
  });
  EXPECT_LT(WriteChunks(*stream, kFlood), kFlood);
  const CallResult result = stream->Finish();
  EXPECT_EQ(result.status.code(), absl::StatusCode::kUnavailable) << result.status;
  EXPECT_FALSE(result.channel_ready);
}

TEST_F(StreamTest, IsCancelledByItsEnd) {
  Store();
  auto stream = Open();
  EXPECT_TRUE(stream->Write(Chunk()));
  stream.reset();
  EXPECT_TRUE(cancelled_.Wait());
}

TEST_F(StreamTest, MayEndUnused) {
  Store();
  Open().reset();
}

}  // namespace
}  // namespace datamanager::cloud
