#include "ingest_server/sequence_service.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "ingest_server/service.h"

namespace ingest {

grpc::Status SequenceService::CreateSequence(
    grpc::ServerContext* context, const viam::app::data::v1::CreateSequenceRequest* request,
    viam::app::data::v1::CreateSequenceResponse* response) {
  std::string names;
  for (const auto& resource : request->resources()) {
    absl::StrAppend(&names, resource.resource_name(), " ");
  }
  const Faults faults = faults_.ForNextCall(names, "");
  if (faults.failure != grpc::StatusCode::OK) return {faults.failure, "an injected fault"};
  const auto& metadata = context->client_metadata();
  const auto key = metadata.find(kUploadKey);
  const absl::StatusOr<int64_t> id = store_.Add(
      *request, key == metadata.end() ? std::string_view()
                                      : std::string_view(key->second.data(), key->second.size()));
  // The codes of absl are those of gRPC.
  if (!id.ok()) {
    return {static_cast<grpc::StatusCode>(id.status().code()), std::string(id.status().message())};
  }
  response->set_id(absl::StrCat(*id));
  return grpc::Status::OK;
}

}  // namespace ingest
