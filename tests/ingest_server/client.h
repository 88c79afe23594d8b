// A client of ingest_server, as plain as can be.
#ifndef DATAMANAGER_TESTS_INGEST_SERVER_CLIENT_H_
#define DATAMANAGER_TESTS_INGEST_SERVER_CLIENT_H_

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ingest_server/upload_call.h"
#include "proto/rpc/v1/auth.grpc.pb.h"
#include "tests/support/wait_until.h"
#include "viam/app/data/v1/data.grpc.pb.h"
#include "viam/app/datasync/v1/data_sync.grpc.pb.h"

namespace ingest {

// Each call is one attempt, and waits for the answer as long as `kPatience`. Thread-safe, but for
// what sets something.
class Client {
 public:
  explicit Client(
      const std::string& address,
      std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials())
      : channel_(grpc::CreateChannel(address, credentials)),
        uploads_(viam::app::datasync::v1::DataSyncService::NewStub(channel_)),
        sequences_(viam::app::data::v1::DataService::NewStub(channel_)),
        auth_(proto::rpc::v1::AuthService::NewStub(channel_)) {}

  // What the calls from here on bring as `authorization`: nothing if it is empty.
  void set_authorization(std::string text) { authorization_ = std::move(text); }
  void set_token(const std::string& token) { authorization_ = "Bearer " + token; }

  // What the uploads from here on are filed under.
  void set_part(std::string part_id) { part_id_ = std::move(part_id); }

  // Whether calls wait for a server rather than fail while there is none.
  void set_wait_for_ready(bool wait) { wait_for_ready_ = wait; }

  // Into `token`.
  grpc::Status Authenticate(const std::string& type, const std::string& entity,
                            const std::string& secret, std::string& token) const {
    proto::rpc::v1::AuthenticateRequest request;
    request.set_entity(entity);
    request.mutable_credentials()->set_type(type);
    request.mutable_credentials()->set_payload(secret);
    return Authenticate(request, token);
  }
  grpc::Status Authenticate(const proto::rpc::v1::AuthenticateRequest& request,
                            std::string& token) const {
    const auto context = NewContext("");
    proto::rpc::v1::AuthenticateResponse response;
    const grpc::Status status = auth_->Authenticate(context.get(), request, &response);
    token = response.access_token();
    return status;
  }

  // Readings of "cpu", {"x": number}, in one request.
  grpc::Status UploadReadings(const std::vector<int>& numbers, const std::string& key = "") const {
    viam::app::datasync::v1::DataCaptureUploadRequest request;
    request.mutable_metadata()->set_type(viam::app::datasync::v1::DATA_TYPE_TABULAR_SENSOR);
    request.mutable_metadata()->set_component_name("cpu");
    request.mutable_metadata()->set_part_id(part_id_);
    for (const int number : numbers) {
      auto& fields = *request.add_sensor_contents()->mutable_struct_()->mutable_fields();
      fields["x"].set_number_value(number);
    }
    return Upload(request, key);
  }
  // A picture of "cam", in one request.
  grpc::Status UploadBinary(const std::string& bytes, const std::string& key = "") const {
    viam::app::datasync::v1::DataCaptureUploadRequest request;
    request.mutable_metadata()->set_type(viam::app::datasync::v1::DATA_TYPE_BINARY_SENSOR);
    request.mutable_metadata()->set_component_name("cam");
    request.mutable_metadata()->set_part_id(part_id_);
    request.add_sensor_contents()->set_binary(bytes);
    return Upload(request, key);
  }
  // The same in pieces.
  grpc::Status UploadStream(const std::vector<std::string>& pieces,
                            const std::string& key = "") const {
    std::vector<viam::app::datasync::v1::StreamingDataCaptureUploadRequest> messages(1);
    auto& metadata = *messages.front().mutable_metadata()->mutable_upload_metadata();
    metadata.set_type(viam::app::datasync::v1::DATA_TYPE_BINARY_SENSOR);
    metadata.set_component_name("cam");
    metadata.set_part_id(part_id_);
    for (const std::string& piece : pieces) messages.emplace_back().set_data(piece);
    const auto context = NewContext(key);
    viam::app::datasync::v1::StreamingDataCaptureUploadResponse response;
    return Stream(*uploads_->StreamingDataCaptureUpload(context.get(), &response), messages);
  }
  grpc::Status UploadFile(const std::vector<std::string>& pieces,
                          const std::string& key = "") const {
    std::vector<viam::app::datasync::v1::FileUploadRequest> messages(1);
    messages.front().mutable_metadata()->set_type(viam::app::datasync::v1::DATA_TYPE_FILE);
    messages.front().mutable_metadata()->set_file_name("/home/robot/map.bin");
    messages.front().mutable_metadata()->set_part_id(part_id_);
    for (const std::string& piece : pieces) {
      messages.emplace_back().mutable_file_contents()->set_data(piece);
    }
    const auto context = NewContext(key);
    viam::app::datasync::v1::FileUploadResponse response;
    return Stream(*uploads_->FileUpload(context.get(), &response), messages);
  }
  // Of a minute of the readings of "cpu".
  grpc::Status CreateSequence(const std::string& key = "") const {
    viam::app::data::v1::CreateSequenceRequest request;
    request.set_part_id(part_id_);
    auto& resource = *request.add_resources();
    resource.set_resource_name("cpu");
    resource.set_method_name("Readings");
    request.mutable_start_time()->set_seconds(1000000000);
    request.mutable_end_time()->set_seconds(1000000060);
    const auto context = NewContext(key);
    viam::app::data::v1::CreateSequenceResponse response;
    return sequences_->CreateSequence(context.get(), request, &response);
  }

 private:
  // Connects again soon.
  static grpc::ChannelArguments Arguments() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 10);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
    return arguments;
  }

  std::unique_ptr<grpc::ClientContext> NewContext(const std::string& key) const {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + datamanager::testing::kPatience);
    context->set_wait_for_ready(wait_for_ready_);
    if (!key.empty()) context->AddMetadata(kUploadKey, key);
    if (!authorization_.empty()) context->AddMetadata("authorization", authorization_);
    return context;
  }

  grpc::Status Upload(const viam::app::datasync::v1::DataCaptureUploadRequest& request,
                      const std::string& key) const {
    const auto context = NewContext(key);
    viam::app::datasync::v1::DataCaptureUploadResponse response;
    return uploads_->DataCaptureUpload(context.get(), request, &response);
  }

  template <typename Writer, typename Message>
  static grpc::Status Stream(Writer& writer, const std::vector<Message>& messages) {
    for (const Message& message : messages) {
      if (!writer.Write(message)) break;  // The server has ended the call: Finish says why.
    }
    writer.WritesDone();
    return writer.Finish();
  }

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<viam::app::datasync::v1::DataSyncService::Stub> uploads_;
  const std::unique_ptr<viam::app::data::v1::DataService::Stub> sequences_;
  const std::unique_ptr<proto::rpc::v1::AuthService::Stub> auth_;
  std::string authorization_;
  std::string part_id_ = "part-1";
  bool wait_for_ready_ = false;
};

}  // namespace ingest

#endif  // DATAMANAGER_TESTS_INGEST_SERVER_CLIENT_H_
