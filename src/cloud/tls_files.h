// The PEM files of a TLS connection.
#ifndef DATAMANAGER_SRC_CLOUD_TLS_FILES_H_
#define DATAMANAGER_SRC_CLOUD_TLS_FILES_H_

#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace datamanager::cloud {

// Paths; empty ones are not used. See CloudConfig.
struct TlsFiles {
  std::string ca;
  std::string client_certificate;
  std::string client_key;
};

struct FreeX509 {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, FreeX509>;

// Keeps what OpenSSL notes meanwhile out of the thread's queue of errors, where gRPC would find it.
class OpenSslErrors {
 public:
  OpenSslErrors();
  ~OpenSslErrors();
  OpenSslErrors(const OpenSslErrors&) = delete;
  OpenSslErrors& operator=(const OpenSslErrors&) = delete;
};

// Every certificate in `pem` up to the first that is damaged.
std::vector<Certificate> ParseCertificates(std::string_view pem);
// The certificates of a file, at least one. The error says what to put there instead.
absl::StatusOr<std::vector<Certificate>> ReadCertificates(const std::string& path);

// Until when, or from when on, a certificate is valid: "2026-01-31 12:00:00 UTC".
std::string FormatTime(const ASN1_TIME* time);

// What keeps the files from being used, a line each that names the field, and what looks wrong.
struct TlsFindings {
  std::vector<std::string> faults;
  std::vector<std::string> warnings;
};
TlsFindings Check(const TlsFiles& files);

}  // namespace datamanager::cloud

#endif  // DATAMANAGER_SRC_CLOUD_TLS_FILES_H_
