// The service as a client sees it, over a real channel.
#include "ingest_server/service.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <thread>

#include "ingest_server/server.h"
#include "ingest_server/upload_call.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace ingest {
namespace {

using namespace viam::app::datasync::v1;

DataCaptureUploadRequest Tabular(double value) {
  DataCaptureUploadRequest request;
  request.mutable_metadata()->set_component_name("cpu");
  request.mutable_metadata()->set_type(DATA_TYPE_TABULAR_SENSOR);
  SensorData& record = *request.add_sensor_contents();
  record.mutable_metadata()->mutable_time_requested()->set_seconds(1700000000);
  (*record.mutable_struct_()->mutable_fields())["x"].set_number_value(value);
  return request;
}

DataCaptureUploadRequest Binary(std::string bytes) {
  DataCaptureUploadRequest request;
  request.mutable_metadata()->set_component_name("cam");
  request.mutable_metadata()->set_type(DATA_TYPE_BINARY_SENSOR);
  request.add_sensor_contents()->set_binary(std::move(bytes));
  return request;
}

FileUploadRequest FileMetadata() {
  FileUploadRequest message;
  message.mutable_metadata()->set_type(DATA_TYPE_FILE);
  message.mutable_metadata()->set_file_name("/home/robot/map.bin");
  return message;
}

FileUploadRequest FilePiece(std::string bytes) {
  FileUploadRequest message;
  message.mutable_file_contents()->set_data(std::move(bytes));
  return message;
}

StreamingDataCaptureUploadRequest StreamMetadata() {
  StreamingDataCaptureUploadRequest message;
  auto& metadata = *message.mutable_metadata();
  metadata.mutable_upload_metadata()->set_type(DATA_TYPE_BINARY_SENSOR);
  metadata.mutable_upload_metadata()->set_component_name("cam");
  metadata.mutable_sensor_metadata()->mutable_time_received()->set_seconds(1);
  return message;
}

StreamingDataCaptureUploadRequest StreamPiece(std::string bytes) {
  StreamingDataCaptureUploadRequest message;
  message.set_data(std::move(bytes));
  return message;
}

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() {
    auto server = IngestServer::Start({.listen = "127.0.0.1:0", .store = temp_.path()});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    stub_ = DataSyncService::NewStub(channel_);
  }

  grpc::Status Upload(const DataCaptureUploadRequest& request, const std::string& key = "") {
    grpc::ClientContext context;
    if (!key.empty()) context.AddMetadata(kUploadKey, key);
    return stub_->DataCaptureUpload(&context, request, &response_);
  }

  grpc::Status UploadFile(const std::vector<FileUploadRequest>& messages,
                          const std::string& key = "") {
    grpc::ClientContext context;
    if (!key.empty()) context.AddMetadata(kUploadKey, key);
    FileUploadResponse response;
    auto writer = stub_->FileUpload(&context, &response);
    for (const auto& message : messages) writer->Write(message);
    writer->WritesDone();
    return writer->Finish();
  }

  grpc::Status UploadStream(const std::vector<StreamingDataCaptureUploadRequest>& messages) {
    grpc::ClientContext context;
    StreamingDataCaptureUploadResponse response;
    auto writer = stub_->StreamingDataCaptureUpload(&context, &response);
    for (const auto& message : messages) writer->Write(message);
    writer->WritesDone();
    return writer->Finish();
  }

  void ExpectRefused(const grpc::Status& status, const std::string& text) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_PRED_FORMAT2(::testing::IsSubstring, text, status.error_message());
    EXPECT_TRUE(Rows().empty());
  }

  bool StallsReach(uint64_t count) {
    return datamanager::testing::WaitUntil([&] { return server_->fault_counts().stalls >= count; });
  }

  // Neither a row nor a byte of content.
  void ExpectNothingKept() {
    EXPECT_TRUE(Rows().empty());
    EXPECT_EQ(datamanager::testing::FilesBelow(temp_.path() + "/blobs"),
              std::vector<std::string>{});
  }

  std::vector<Received> Rows() { return server_->store().Rows().value(); }

  std::string Content(const Received& row) {
    std::ifstream file(server_->store().BlobPath(row.sha256));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const datamanager::testing::TempDir temp_;
  std::unique_ptr<IngestServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<DataSyncService::Stub> stub_;
  DataCaptureUploadResponse response_;
};

TEST_F(ServiceTest, StoresReadings) {
  DataCaptureUploadRequest request = Tabular(1);
  *request.add_sensor_contents() =
      Tabular(std::numeric_limits<double>::quiet_NaN()).sensor_contents(0);
  ASSERT_TRUE(Upload(request, "k1").ok());
  EXPECT_NE(response_.binary_data_id(), "");

  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].json, R"({"x":1})");
  EXPECT_EQ(rows[1].json, R"({"x":"NaN"})");
  EXPECT_EQ(rows[0].upload_key, "k1");
  EXPECT_EQ(rows[0].time_requested, "2023-11-14T22:13:20.000000000Z");
}

TEST_F(ServiceTest, StoresBinary) {
  DataCaptureUploadRequest request = Binary("pixels");
  request.mutable_sensor_contents(0)
      ->mutable_metadata()
      ->mutable_annotations()
      ->add_classifications()
      ->set_label("cat");
  ASSERT_TRUE(Upload(request).ok());
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].kind, "binary");
  EXPECT_EQ(Content(rows[0]), "pixels");

  auto database = Database::Open(temp_.path() + "/ingest.db").value();
  std::string annotations;
  ASSERT_TRUE(database.Prepare("SELECT annotations FROM items")
                  .value()
                  .Run({}, [&](const Row& row) { annotations = row.Text(0).value(); })
                  .ok());
  EXPECT_EQ(annotations, R"({"classifications":[{"label":"cat"}]})");
}

TEST_F(ServiceTest, StoresFiles) {
  ASSERT_TRUE(
      UploadFile({FileMetadata(), FilePiece("one "), FilePiece(""), FilePiece("two")}).ok());
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].kind, "file");
  EXPECT_EQ(rows[0].file_name, "/home/robot/map.bin");
  EXPECT_EQ(rows[0].size, 7);
  EXPECT_EQ(Content(rows[0]), "one two");
}

TEST_F(ServiceTest, StoresStreamedBinary) {
  ASSERT_TRUE(UploadStream({StreamMetadata(), StreamPiece("one "), StreamPiece("two")}).ok());
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].kind, "binary");
  EXPECT_EQ(rows[0].component_name, "cam");
  EXPECT_EQ(rows[0].time_received, "1970-01-01T00:00:01.000000000Z");
  EXPECT_EQ(Content(rows[0]), "one two");
}

TEST_F(ServiceTest, RepeatWithTheSameKeyIsAcknowledgedNotStored) {
  ASSERT_TRUE(Upload(Tabular(1), "k1").ok());
  const std::string id = response_.binary_data_id();
  ASSERT_TRUE(Upload(Tabular(1), "k1").ok());
  EXPECT_EQ(response_.binary_data_id(), id);
  ASSERT_TRUE(UploadFile({FileMetadata(), FilePiece("x")}, "k2").ok());
  ASSERT_TRUE(UploadFile({FileMetadata(), FilePiece("x")}, "k2").ok());
  EXPECT_EQ(Rows().size(), 2u);
}

TEST_F(ServiceTest, AnAnnouncedRepeatIsAcknowledgedBeforeItsContent) {
  const std::vector<FileUploadRequest> messages = {FileMetadata(), FilePiece("abc")};
  ASSERT_TRUE(UploadFile(messages, "k").ok());
  const std::string digest = Rows().at(0).sha256;
  const auto repeat = [&](const std::string& key, const std::string& announced) {
    grpc::ClientContext context;
    context.AddMetadata(kUploadKey, key);
    context.AddMetadata(kContentSha256, announced);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    FileUploadResponse response;
    auto writer = stub_->FileUpload(&context, &response);
    writer->Write(messages[0]);
    // Of what is not known the server waits for the content.
    if (announced != digest || key != "k") {
      writer->Write(messages[1]);
      writer->WritesDone();
    }
    EXPECT_TRUE(writer->Finish().ok());
    const auto& metadata = context.GetServerTrailingMetadata();
    const auto found = metadata.find(kAlreadyStored);
    return found == metadata.end() ? std::string()
                                   : std::string(found->second.data(), found->second.size());
  };
  EXPECT_EQ(repeat("k", digest), digest);
  EXPECT_EQ(Rows().size(), 1u);
  // By what it holds it is a repeat all the same.
  EXPECT_EQ(repeat("k", std::string(64, '0')), digest);
  EXPECT_EQ(Rows().size(), 1u);
  EXPECT_EQ(repeat("other", digest), "");
  EXPECT_EQ(Rows().size(), 2u);
}

TEST_F(ServiceTest, KnownKeyWithOtherContentIsStoredAsWell) {
  ASSERT_TRUE(UploadFile({FileMetadata(), FilePiece("abc")}, "k").ok());
  ASSERT_TRUE(UploadFile({FileMetadata(), FilePiece("abd")}, "k").ok());
  ASSERT_TRUE(Upload(Tabular(1), "k").ok());
  ASSERT_TRUE(Upload(Tabular(2), "k").ok());
  EXPECT_EQ(Rows().size(), 4u);
}

TEST_F(ServiceTest, SameKeyAtTheSameTimeIsStoredOnce) {
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([this] {
      grpc::ClientContext context;
      context.AddMetadata(kUploadKey, "k1");
      DataCaptureUploadResponse response;
      EXPECT_TRUE(stub_->DataCaptureUpload(&context, Tabular(1), &response).ok());
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(Rows().size(), 1u);
}

TEST_F(ServiceTest, RefusesBadCaptures) {
  DataCaptureUploadRequest request = Tabular(1);
  request.clear_metadata();
  ExpectRefused(Upload(request), "metadata is missing");

  request = Tabular(1);
  request.clear_sensor_contents();
  ExpectRefused(Upload(request), "sensor_contents is empty");

  for (const DataType type : {DATA_TYPE_UNSPECIFIED, DATA_TYPE_FILE}) {
    request = Tabular(1);
    request.mutable_metadata()->set_type(type);
    ExpectRefused(Upload(request), "must be tabular or binary here, not " + DataType_Name(type));
  }

  request = Tabular(1);
  request.add_sensor_contents()->set_binary("x");
  ExpectRefused(Upload(request), "sensor_contents[1]: tabular data must have `struct`");

  request = Binary("x");
  request.add_sensor_contents();
  ExpectRefused(Upload(request), "sensor_contents[1]: binary data must have `binary`");

  request = Tabular(1);
  request.mutable_sensor_contents(0)->mutable_metadata()->mutable_time_received()->set_nanos(-1);
  ExpectRefused(Upload(request), "sensor_contents[0]: time_received is not a valid timestamp");
}

TEST_F(ServiceTest, RefusesBadStreams) {
  const std::string first = "the first message of the stream must be its metadata";
  ExpectRefused(UploadFile({}), first);
  ExpectRefused(UploadFile({FilePiece("x")}), first);
  ExpectRefused(UploadFile({FileUploadRequest()}), first);
  ExpectRefused(UploadStream({}), first);
  ExpectRefused(UploadStream({StreamPiece("x")}), first);

  const std::string rest = "each message after the first must have content";
  ExpectRefused(UploadFile({FileMetadata(), FileMetadata()}), rest);
  ExpectRefused(UploadStream({StreamMetadata(), StreamingDataCaptureUploadRequest()}), rest);

  FileUploadRequest file = FileMetadata();
  file.mutable_metadata()->set_type(DATA_TYPE_BINARY_SENSOR);
  ExpectRefused(UploadFile({file}), "must be DATA_TYPE_FILE here, not DATA_TYPE_BINARY_SENSOR");
  StreamingDataCaptureUploadRequest stream = StreamMetadata();
  stream.mutable_metadata()->mutable_upload_metadata()->set_type(DATA_TYPE_TABULAR_SENSOR);
  ExpectRefused(UploadStream({stream}), "must be DATA_TYPE_BINARY_SENSOR here");
  stream.mutable_metadata()->clear_upload_metadata();
  ExpectRefused(UploadStream({stream}), "metadata.upload_metadata is missing");
}

TEST_F(ServiceTest, CancelledStreamIsNotStored) {
  for (int i = 0; i < 50; ++i) {
    grpc::ClientContext context;
    FileUploadResponse response;
    auto writer = stub_->FileUpload(&context, &response);
    writer->Write(FileMetadata());
    writer->Write(FilePiece("half"));
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  server_->Shutdown();  // Waits for the calls, which may outlast the client's part.
  ExpectNothingKept();
}

TEST_F(ServiceTest, MessageOverTheLimitIsNotStored) {
  const std::string huge((1 << 25) + 1, 'x');
  EXPECT_EQ(Upload(Binary(huge)).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(UploadFile({FileMetadata(), FilePiece("x"), FilePiece(huge)}).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  server_->Shutdown();
  EXPECT_TRUE(Rows().empty());
}

TEST_F(ServiceTest, StreamWithAMessageThatDoesNotParseIsNotStored) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto call =
      stub.PrepareCall(&context, "/viam.app.datasync.v1.DataSyncService/FileUpload", &queue);
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  ASSERT_TRUE(wait());
  for (const std::string& bytes :
       {FileMetadata().SerializeAsString(), FilePiece("whole").SerializeAsString(),
        FilePiece("cut short").SerializeAsString().substr(0, 5)}) {
    const grpc::Slice slice(bytes);
    call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    ASSERT_TRUE(wait());
  }
  call->WritesDone(nullptr);
  ASSERT_TRUE(wait());
  grpc::Status status;
  call->Finish(&status, nullptr);
  ASSERT_TRUE(wait());
  ExpectRefused(status, "a message of the stream does not parse");
}

TEST_F(ServiceTest, FailNextStoresNothing) {
  server_->FailNext(2, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Upload(Tabular(1)).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(UploadFile({FileMetadata()}).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Rows().empty());
  EXPECT_TRUE(Upload(Tabular(1)).ok());
  EXPECT_EQ(Rows().size(), 1u);
}

TEST_F(ServiceTest, DropAfterStoreLosesTheAnswerOnly) {
  server_->SetFaults({.drop_after_store = 1});
  EXPECT_EQ(Upload(Tabular(1), "k1").error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Rows().size(), 1u);

  server_->SetFaults({});
  // A call right after it may still be sent into the broken connection.
  EXPECT_TRUE(datamanager::testing::WaitUntil([&] {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.AddMetadata(kUploadKey, "k1");
    return stub_->DataCaptureUpload(&context, Tabular(1), &response_).ok();
  }));
  EXPECT_EQ(Rows().size(), 1u);
}

TEST_F(ServiceTest, AStalledCallEndsWithItsClient) {
  server_->SetFaults({.stall = 1, .match = "cpu"});
  grpc::ClientContext context;
  std::thread client([&] {
    EXPECT_EQ(stub_->DataCaptureUpload(&context, Tabular(1), &response_).error_code(),
              grpc::StatusCode::CANCELLED);
  });
  ASSERT_TRUE(StallsReach(1));
  // Others are served meanwhile.
  EXPECT_TRUE(UploadFile({FileMetadata(), FilePiece("x")}).ok());
  context.TryCancel();
  client.join();
  server_->SetFaults({});
  EXPECT_TRUE(Upload(Tabular(1)).ok());
  EXPECT_EQ(Rows().size(), 2u);  // The file, and what was not stalled.
}

TEST_F(ServiceTest, AStalledCallEndsWithItsConnection) {
  server_->SetFaults({.stall = 1, .match = "cpu"});
  std::thread client(
      [&] { EXPECT_EQ(Upload(Tabular(1)).error_code(), grpc::StatusCode::UNAVAILABLE); });
  ASSERT_TRUE(StallsReach(1));
  server_->SetFaults({.drop_after_store = 1});
  EXPECT_EQ(Upload(Binary("x")).error_code(), grpc::StatusCode::UNAVAILABLE);
  client.join();
  server_->Shutdown();
  EXPECT_EQ(Rows().size(), 1u);
}

TEST_F(ServiceTest, ShutdownEndsStalls) {
  server_->SetFaults({.stall = 1});
  std::vector<std::thread> clients;
  clients.emplace_back([this] { EXPECT_FALSE(Upload(Tabular(1)).ok()); });
  clients.emplace_back([this] { EXPECT_FALSE(UploadFile({FileMetadata(), FilePiece("x")}).ok()); });
  clients.emplace_back([this] {
    EXPECT_FALSE(UploadStream({StreamMetadata(), StreamPiece("x")}).ok());
  });
  EXPECT_TRUE(StallsReach(3));
  server_->Shutdown();
  for (std::thread& client : clients) client.join();
  ExpectNothingKept();
}

TEST_F(ServiceTest, AStreamThatStallsInTheMiddleLeavesNothing) {
  // So many that all moments to stall at come up; and short, so that flow control never holds up
  // the client.
  server_->SetFaults({.stall = 1});
  std::vector<FileUploadRequest> messages(4, FilePiece("piece"));
  messages.front() = FileMetadata();
  constexpr uint64_t kStreams = 50;
  for (uint64_t i = 0; i < kStreams; ++i) {
    grpc::ClientContext context;
    FileUploadResponse response;
    auto writer = stub_->FileUpload(&context, &response);
    for (const auto& message : messages) writer->Write(message);
    writer->WritesDone();
    ASSERT_TRUE(StallsReach(i + 1));
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  server_->Shutdown();
  ExpectNothingKept();
}

TEST_F(ServiceTest, AStreamThatFailsInTheMiddleLeavesNothing) {
  server_->SetFaults({.failures = {{grpc::StatusCode::INTERNAL, 1}}});
  std::vector<StreamingDataCaptureUploadRequest> messages(6, StreamPiece(std::string(65000, 'x')));
  messages.front() = StreamMetadata();
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(UploadStream(messages).error_code(), grpc::StatusCode::INTERNAL);
  }
  EXPECT_EQ(server_->fault_counts().failures, 50u);
  ExpectNothingKept();
  server_->SetFaults({});
  EXPECT_TRUE(UploadStream(messages).ok());
  EXPECT_EQ(Rows().size(), 1u);
}

TEST_F(ServiceTest, MatchHitsOnlyWhatItNames) {
  server_->SetFaults({.failures = {{grpc::StatusCode::ABORTED, 1}}, .match = "map.bin"});
  EXPECT_EQ(UploadFile({FileMetadata()}).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_TRUE(Upload(Tabular(1)).ok());
  EXPECT_TRUE(UploadStream({StreamMetadata()}).ok());
  server_->SetFaults({.failures = {{grpc::StatusCode::ABORTED, 1}}, .match = "cam"});
  EXPECT_EQ(Upload(Binary("x")).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(UploadStream({StreamMetadata()}).error_code(), grpc::StatusCode::ABORTED);
  EXPECT_TRUE(UploadFile({FileMetadata()}).ok());
}

TEST_F(ServiceTest, ShutdownEndsADelay) {
  server_->SetFaults({.delay_min = std::chrono::hours(1), .delay_max = std::chrono::hours(1)});
  // Which error depends on how far the call has come. What counts is that there is one: the server
  // does not go before its handlers have ended.
  std::thread client([this] { EXPECT_FALSE(Upload(Tabular(1)).ok()); });
  server_->Shutdown();
  client.join();
}

}  // namespace
}  // namespace ingest
