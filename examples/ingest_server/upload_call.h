// What the calls of all services that store something have in common.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_UPLOAD_CALL_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_UPLOAD_CALL_H_

#include <grpcpp/server_context.h>

#include <string>

#include "absl/status/status.h"
#include "ingest_server/authenticator.h"

namespace ingest {

// Request metadata that names an upload. A repeat with the same one is acknowledged, not stored.
inline constexpr char kUploadKey[] = "datamanager-upload-key";

// UNAUTHENTICATED unless the client may upload. Without an authenticator everybody may.
absl::Status CheckClient(Authenticator* authenticator, const grpc::ServerContext& context);

// Empty if there is none.
std::string UploadKey(const grpc::ServerContext& context);

// The answer to an upload that failed; tells the operator, too.
grpc::Status NotStored(const absl::Status& status);

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_UPLOAD_CALL_H_
