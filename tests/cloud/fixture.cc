#include "tests/cloud/fixture.h"

#include <cstdlib>
#include <utility>

namespace datamanager::cloud {
namespace {

// A proxy in the environment is not for the servers of tests.
const int no_proxy = ::setenv("no_grpc_proxy", testing::OwnLoopback().c_str(), /*overwrite=*/1);

}  // namespace

void TestServer::Start() {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(address(), credentials_, &port);
  builder.RegisterService(this);
  builder.RegisterService(&office);
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr);
  port_ = port;
}

void TestServer::Start(std::shared_ptr<grpc::ServerCredentials> credentials) {
  Stop();
  credentials_ = std::move(credentials);
  Start();
}

void TestServer::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void TestServer::Hang(grpc::ServerContext& context) {
  Event never;
  while (!context.IsCancelled()) never.Wait(2ms);
}

grpc::Status TestServer::Admit(const grpc::ServerContext& context) {
  if (grpc::Status status = office.Check(context); !status.ok()) return status;
  const auto key = context.client_metadata().find("datamanager-upload-key");
  const bool found = key != context.client_metadata().end();
  keys.Add(found ? std::string(key->second.data(), key->second.size()) : "none");
  return grpc::Status::OK;
}

grpc::Status TestServer::DataCaptureUpload(grpc::ServerContext* context,
                                           const wire::DataCaptureUploadRequest* request,
                                           wire::DataCaptureUploadResponse* response) {
  if (grpc::Status status = Admit(*context); !status.ok()) return status;
  return on_data_capture(*context, *request, *response);
}

grpc::Status TestServer::FileUpload(grpc::ServerContext* context, FileReader* reader,
                                    wire::FileUploadResponse* response) {
  if (grpc::Status status = Admit(*context); !status.ok()) return status;
  return on_file(*context, *reader, *response);
}

grpc::Status TestServer::StreamingDataCaptureUpload(
    grpc::ServerContext* context,
    grpc::ServerReader<wire::StreamingDataCaptureUploadRequest>* reader,
    wire::StreamingDataCaptureUploadResponse* response) {
  if (grpc::Status status = Admit(*context); !status.ok()) return status;
  wire::StreamingDataCaptureUploadRequest request;
  while (reader->Read(&request)) response->mutable_binary_data_id()->append(request.data());
  return grpc::Status::OK;
}

LogSink CloudTest::Sink() {
  return [this](const LogEntry& entry) {
    log_.Add(std::string(LogLevelName(entry.level)) + " " + entry.message);
  };
}

std::shared_ptr<Cloud> CloudTest::MakeCloud(const CloudConfig& config) {
  absl::StatusOr<std::shared_ptr<Cloud>> cloud = Cloud::Create(config, Sink());
  EXPECT_TRUE(cloud.ok()) << cloud.status();
  return *std::move(cloud);
}

std::shared_ptr<Cloud> CloudTest::MakeCloud(const std::string& address) {
  return MakeCloud(CloudConfig{.id = "part-1", .app_address = "http://" + address});
}

std::shared_ptr<Cloud> CloudTest::MakeConnectedCloud() {
  std::shared_ptr<Cloud> cloud = MakeCloud(server_.address());
  EXPECT_TRUE(cloud->uploader().WaitUntilReady(Patience(), {}));
  // Comes last: a listener that is set from here on hears of the next change only.
  EXPECT_NE(WaitForLog("info Connected"), "");
  return cloud;
}

bool CloudTest::WaitForState(const Cloud& cloud, ConnectionState state) {
  const MonotonicTime deadline = Patience();
  Event never;
  while (cloud.Status().state != state) {
    if (Clock::System().MonotonicNow() > deadline) return false;
    never.Wait(2ms);
  }
  return true;
}

std::string CloudTest::WaitForLog(std::string_view beginning) {
  for (size_t seen = 0; log_.WaitForCount(seen + 1); ++seen) {
    std::string line = log_.All()[seen];
    if (line.starts_with(beginning)) return line;
  }
  return {};
}

}  // namespace datamanager::cloud
