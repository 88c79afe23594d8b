// What a server proves itself with, and what it demands of clients.
#ifndef DATAMANAGER_EXAMPLES_INGEST_SERVER_TLS_H_
#define DATAMANAGER_EXAMPLES_INGEST_SERVER_TLS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace ingest {

// Paths of PEM files.
struct TlsFiles {
  std::string certificate;  // The server's own, then what leads to a root. Empty: plaintext.
  std::string key;
  std::string client_ca;  // If not empty, clients must have a certificate that one of these signed.
};

// TLS 1.2 or later. Reads the files, and tells which one is wrong, and how: gRPC itself would only
// fail each handshake.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsFiles& files);

}  // namespace ingest

#endif  // DATAMANAGER_EXAMPLES_INGEST_SERVER_TLS_H_
