// A robot's client, as generated from the protocol.
#ifndef DATAMANAGER_TESTS_SUPPORT_DATA_MANAGER_CLIENT_H_
#define DATAMANAGER_TESTS_SUPPORT_DATA_MANAGER_CLIENT_H_

#include <grpc/grpc.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/util/json_util.h"
#include "tests/support/wait_until.h"
#include "viam/service/datamanager/v1/data_manager.grpc.pb.h"

namespace datamanager::testing {

namespace v1 = viam::service::datamanager::v1;

// Calls block. Any thread.
class DataManagerClient {
 public:
  explicit DataManagerClient(const std::string& address)
      : stub_(v1::DataManagerService::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {
    // The last one to leave gRPC may wait 10 s for its pollers: nobody is.
    [[maybe_unused]] static const bool initialised = (grpc_init(), true);
  }

  grpc::Status Sync(const std::string& name, grpc::ClientContext& context) {
    v1::SyncRequest request;
    request.set_name(name);
    v1::SyncResponse response;
    return stub_->Sync(Ready(context), request, &response);
  }
  grpc::Status Sync(const std::string& name) {
    grpc::ClientContext context;
    return Sync(name, context);
  }

  static v1::UploadBinaryDataToDatasetsRequest UploadRequest(
      const std::string& name, const std::string& data, const std::vector<std::string>& tags = {},
      const std::vector<std::string>& dataset_ids = {}) {
    v1::UploadBinaryDataToDatasetsRequest request;
    request.set_name(name);
    request.set_binary_data(data);
    for (const std::string& tag : tags) request.add_tags(tag);
    for (const std::string& id : dataset_ids) request.add_dataset_ids(id);
    request.set_mime_type(viam::app::datasync::v1::MIME_TYPE_IMAGE_PNG);
    return request;
  }
  grpc::Status Upload(const v1::UploadBinaryDataToDatasetsRequest& request,
                      grpc::ClientContext& context) {
    v1::UploadBinaryDataToDatasetsResponse response;
    return stub_->UploadBinaryDataToDatasets(Ready(context), request, &response);
  }
  grpc::Status Upload(const v1::UploadBinaryDataToDatasetsRequest& request) {
    grpc::ClientContext context;
    return Upload(request, context);
  }

  // `command` is JSON.
  grpc::Status Do(const std::string& name, const std::string& command,
                  google::protobuf::Struct* result = nullptr) {
    grpc::ClientContext context;
    viam::common::v1::DoCommandRequest request;
    request.set_name(name);
    if (!google::protobuf::util::JsonStringToMessage(command, request.mutable_command()).ok()) {
      return {grpc::StatusCode::INTERNAL, "no JSON: " + command};
    }
    viam::common::v1::DoCommandResponse response;
    grpc::Status status = stub_->DoCommand(Ready(context), request, &response);
    if (result != nullptr) *result = response.result();
    return status;
  }

  grpc::Status GetStatus(const std::string& name, google::protobuf::Struct* result = nullptr) {
    grpc::ClientContext context;
    viam::common::v1::GetStatusRequest request;
    request.set_name(name);
    viam::common::v1::GetStatusResponse response;
    grpc::Status status = stub_->GetStatus(Ready(context), request, &response);
    if (result != nullptr) *result = response.result();
    return status;
  }

 private:
  // So that a call that hangs fails its test.
  static grpc::ClientContext* Ready(grpc::ClientContext& context) {
    if (context.deadline() == std::chrono::system_clock::time_point::max()) {
      context.set_deadline(std::chrono::system_clock::now() + kPatience);
    }
    return &context;
  }

  const std::unique_ptr<v1::DataManagerService::Stub> stub_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_DATA_MANAGER_CLIENT_H_
