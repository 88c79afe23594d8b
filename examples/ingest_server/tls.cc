#include "ingest_server/tls.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ingest_server/input_file.h"

namespace ingest {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

Owned<BIO> Reader(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// In place of OpenSSL's own, which would ask on the terminal.
int NoPassword(char* /*buffer*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

// The first of `pem`.
absl::StatusOr<Owned<X509>> ParseCertificate(const std::string& path, const std::string& pem) {
  bool asked = false;
  Owned<X509> certificate(PEM_read_bio_X509(Reader(pem).get(), nullptr, NoPassword, &asked));
  ERR_clear_error();
  if (certificate == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has no certificate in PEM format"));
  }
  return certificate;
}

absl::StatusOr<Owned<EVP_PKEY>> ParseKey(const std::string& path, const std::string& pem) {
  bool asked = false;
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(Reader(pem).get(), nullptr, NoPassword, &asked));
  ERR_clear_error();
  if (asked) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is encrypted: a server takes a key without a password"));
  }
  if (key == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(path, " has no private key in PEM format"));
  }
  return key;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsFiles& files) {
  if (files.certificate.empty()) return grpc::InsecureServerCredentials();
  // gRPC's threads may still use OpenSSL while the process ends, so it keeps its memory until then.
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);

  absl::StatusOr<std::string> certificate_pem = ReadFile(files.certificate);
  if (!certificate_pem.ok()) return certificate_pem.status();
  absl::StatusOr<std::string> key_pem = ReadSecretFile(files.key);
  if (!key_pem.ok()) return key_pem.status();
  const auto certificate = ParseCertificate(files.certificate, *certificate_pem);
  if (!certificate.ok()) return certificate.status();
  const auto key = ParseKey(files.key, *key_pem);
  if (!key.ok()) return key.status();
  const bool fits = X509_check_private_key(certificate->get(), key->get()) == 1;
  ERR_clear_error();
  if (!fits) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.key, " is not the key of ", files.certificate));
  }

  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({*std::move(key_pem), *std::move(certificate_pem)});
  if (!files.client_ca.empty()) {
    absl::StatusOr<std::string> roots = ReadFile(files.client_ca);
    if (!roots.ok()) return roots.status();
    if (const auto first = ParseCertificate(files.client_ca, *roots); !first.ok()) {
      return first.status();
    }
    options.pem_root_certs = *std::move(roots);
    options.client_certificate_request = GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  }
  return grpc::SslServerCredentials(options);
}

}  // namespace ingest
