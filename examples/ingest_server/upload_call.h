// What the calls of all services that store something have in common.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_UPLOAD_CALL_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_UPLOAD_CALL_H_

#include <grpcpp/server_context.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "ingest_server/authenticator.h"

namespace ingest {

// Request metadata that names an upload. A repeat with the same one, of the same content, is
// acknowledged and not stored.
inline constexpr char kUploadKey[] = "datamanager-upload-key";
// Request metadata of a stream: the SHA-256 of the bytes that it carries, in hexadecimal. With it a
// repeat is acknowledged before its content is sent.
inline constexpr char kContentSha256[] = "datamanager-content-sha256";
// Trailing metadata of the answer to a repeat: the digest of what is stored.
inline constexpr char kAlreadyStored[] = "datamanager-already-stored";

// UNAUTHENTICATED unless the client may upload. Without an authenticator everybody may.
absl::Status CheckClient(Authenticator* authenticator, const grpc::ServerContext& context);

// PERMISSION_DENIED if the client's credentials are not for this part.
absl::Status CheckPart(Authenticator* authenticator, const grpc::ServerContext& context,
                       std::string_view part_id);

// Empty if there is none.
std::string UploadKey(const grpc::ServerContext& context);
std::string ContentSha256(const grpc::ServerContext& context);

// The answer to an upload that failed; tells the operator, too.
grpc::Status NotStored(const absl::Status& status);

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_UPLOAD_CALL_H_
