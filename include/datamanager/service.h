// The gRPC front of a data manager, to be mounted on the application's own server. In the target
// datamanager::service.
//
//   std::unique_ptr<grpc::Service> service = datamanager::MakeDataManagerService(*manager);
//   grpc::ServerBuilder builder;
//   builder.SetMaxReceiveMessageSize(datamanager::kMaxRequestBytes);
//   builder.RegisterService(service.get());
//
// It registers the messages viam.* with Protobuf: a program that links another copy of them, as one
// with Viam's C++ SDK does, cannot link this target, and calls DataManager from a service of its
// own instead.
#ifndef DATAMANAGER_SERVICE_H_
#define DATAMANAGER_SERVICE_H_

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <string>

#include "datamanager/data_manager.h"

namespace datamanager {

// What a server should accept of one request, so that UploadBinaryDataToDatasets takes what it does
// elsewhere. gRPC itself refuses more, with RESOURCE_EXHAUSTED and both figures; where the server
// sets nothing, from 4 MiB on.
inline constexpr int kMaxRequestBytes = 32 << 20;

struct DataManagerServiceOptions {
  // The resource's short name, as the machine config has it.
  std::string name = "builtin";
  // Calls under way at a time, each a thread; beyond, RESOURCE_EXHAUSTED.
  int most_calls = 16;
};

// viam.service.datamanager.v1.DataManagerService, thin over `manager`: errors are the manager's,
// code and text. A request for another name gets NOT_FOUND; one without a name is for this manager.
//
//   Sync                        DataManager::Sync with kHandedOver; `extra` is ignored.
//   UploadBinaryDataToDatasets  the same of DataManager; `extra` is ignored.
//   GetStatus                   DataManager::Stats: its fields by their names, durations in
//                               milliseconds with the suffix _ms, times as text in UTC.
//   DoCommand                   {"command": NAME} and nothing else, or INVALID_ARGUMENT. NAME is
//                               "stats", as GetStatus; "flush", DataManager::Flush; "retry_failed",
//                               DataManager::RetryFailed, which answers with `moved`, `left` and
//                               `errors`. UNIMPLEMENTED, with these names, for any other.
//
// A call ends when its client cancels it, and when the manager is closed. `manager` must outlive
// the service, and the service the server. Closing the manager first is fine: calls then get
// FAILED_PRECONDITION.
std::unique_ptr<grpc::Service> MakeDataManagerService(DataManager& manager,
                                                      DataManagerServiceOptions options = {});

}  // namespace datamanager

#endif  // DATAMANAGER_SERVICE_H_
