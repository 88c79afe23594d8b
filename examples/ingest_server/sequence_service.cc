#include "ingest_server/sequence_service.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "ingest_server/upload_call.h"

namespace ingest {

grpc::Status SequenceService::CreateSequence(
    grpc::ServerContext* context, const viam::app::data::v1::CreateSequenceRequest* request,
    viam::app::data::v1::CreateSequenceResponse* response) {
  if (absl::Status status = CheckClient(authenticator_, *context); !status.ok()) {
    return NotStored(status);
  }
  if (absl::Status status = CheckPart(authenticator_, *context, request->part_id()); !status.ok()) {
    return NotStored(status);
  }
  std::string names;
  for (const auto& resource : request->resources()) {
    absl::StrAppend(&names, resource.resource_name(), " ");
  }
  const Faults faults = faults_.ForNextCall(names, "");
  if (faults.failure != grpc::StatusCode::OK) return {faults.failure, "an injected fault"};
  const absl::StatusOr<int64_t> id = store_.Add(*request, UploadKey(*context));
  if (!id.ok()) return NotStored(id.status());
  response->set_id(absl::StrCat(*id));
  return grpc::Status::OK;
}

}  // namespace ingest
