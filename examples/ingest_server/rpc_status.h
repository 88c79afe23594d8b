// Errors, on their way to a client.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_RPC_STATUS_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace ingest {

// The codes of absl are those of gRPC.
inline grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_RPC_STATUS_H_
