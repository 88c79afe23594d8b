// Whether a TLS server is who it should be.
//
// gRPC leaves it at "certificate verify failed" whatever the reason, and looks for the system's
// CAs where not every distribution has them. So the check is made here, by libcrypto's verifier:
// trusted CAs, validity, purpose and name, at the security level of 112 bits. That the server holds
// the certificate's key is proved to gRPC in the handshake.
#ifndef DATAMANAGER_SRC_CLOUD_SERVER_CERTIFICATE_H_
#define DATAMANAGER_SRC_CLOUD_SERVER_CERTIFICATE_H_

#include <grpcpp/security/tls_certificate_verifier.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace datamanager::cloud {

// OK if `leaf` is a server's certificate for `host` (a name or an address) that a CA in `ca_file`
// vouches for, if need be by way of those in `chain`; PEM both. Without a `ca_file`, the system's
// CAs count: those of OpenSSL, which the environment variables SSL_CERT_FILE and SSL_CERT_DIR
// replace. Otherwise UNAUTHENTICATED: which check failed, and what to do. Reads the files anew.
absl::Status CheckServerCertificate(std::string_view leaf, std::string_view chain,
                                    const std::string& host, const std::string& ca_file);

// For gRPC: makes that check at the end of each handshake, and sets `accepted` to its result.
std::shared_ptr<grpc::experimental::CertificateVerifier> ServerCertificateVerifier(
    std::string host, std::string ca_file, std::shared_ptr<std::atomic<bool>> accepted);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_SERVER_CERTIFICATE_H_
