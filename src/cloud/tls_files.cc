#include "cloud/tls_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/read_file.h"
#include "base/strings.h"
#include "cloud/secret_file.h"

namespace datamanager::cloud {
namespace {

// Far more than all the CAs of a system.
constexpr size_t kEnoughBytes = 8 << 20;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Memory = std::unique_ptr<BIO, FreeBio>;
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

Memory ToBio(std::string_view text) {
  return Memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Otherwise OpenSSL asks on the terminal.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*unused*/) { return -1; }

struct PrivateKey {
  Key key;
  bool others_may_read = false;
};

absl::StatusOr<PrivateKey> ReadKey(const std::string& path) {
  const absl::StatusOr<RegularFile> pem = ReadRegularFile(path, kEnoughBytes);
  if (!pem.ok()) return pem.status();
  Key key(PEM_read_bio_PrivateKey(ToBio(pem->text).get(), nullptr, NoPassphrase, nullptr));
  if (key != nullptr) return PrivateKey{std::move(key), pem->others_may_read};
  if (pem->text.find("ENCRYPTED") != std::string::npos) {
    return absl::InvalidArgumentError(path + " is encrypted with a passphrase");
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, " holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)"));
}

class Checker {
 public:
  TlsFindings Run(const TlsFiles& files) && {
    if (!files.ca.empty()) Note("tls_ca_file", ReadCertificates(files.ca).status());
    if (files.client_certificate.empty() != files.client_key.empty()) {
      const bool key = files.client_key.empty();
      Fault(key ? "tls_client_key_file" : "tls_client_certificate_file",
            absl::StrCat("it is missing; ",
                         key ? "tls_client_certificate_file" : "tls_client_key_file",
                         " is of no use alone"));
    } else if (!files.client_key.empty()) {
      CheckClient(files);
    }
    return std::move(findings_);
  }

 private:
  void CheckClient(const TlsFiles& files) {
    const auto chain = ReadCertificates(files.client_certificate);
    const auto key = ReadKey(files.client_key);
    Note("tls_client_certificate_file", chain.status());
    Note("tls_client_key_file", key.status());
    if (!chain.ok() || !key.ok()) return;
    X509* const own = chain->front().get();
    if (X509_check_private_key(own, key->key.get()) != 1) {
      Fault("tls_client_key_file",
            absl::StrCat("the key in ", files.client_key, " does not belong to the certificate in ",
                         files.client_certificate,
                         "; name the key with which that certificate was requested, and put the "
                         "client's own certificate first"));
    }
    if (X509_cmp_current_time(X509_get0_notAfter(own)) < 0) {
      Warn("tls_client_certificate_file",
           absl::StrCat(files.client_certificate, " has expired on ",
                        FormatTime(X509_get0_notAfter(own)), "; renew it"));
    }
    if (key->others_may_read) Warn("tls_client_key_file", OthersMayRead(files.client_key));
  }

  void Note(std::string_view field, const absl::Status& status) {
    if (!status.ok()) {
      Fault(field, absl::StrCat(status.message(), "; name a PEM file that this process can read"));
    }
  }
  void Fault(std::string_view field, std::string_view what) {
    findings_.faults.push_back(absl::StrCat("cloud.", ToAbsl(field), ": ", ToAbsl(what)));
  }
  void Warn(std::string_view field, std::string_view what) {
    findings_.warnings.push_back(absl::StrCat("cloud.", ToAbsl(field), ": ", ToAbsl(what)));
  }

  TlsFindings findings_;
};

}  // namespace

OpenSslErrors::OpenSslErrors() { ERR_set_mark(); }
OpenSslErrors::~OpenSslErrors() { ERR_pop_to_mark(); }

std::vector<Certificate> ParseCertificates(std::string_view pem) {
  const Memory bio = ToBio(pem);
  std::vector<Certificate> certificates;
  while (X509* const next = PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr)) {
    certificates.emplace_back(next);
  }
  return certificates;
}

absl::StatusOr<std::vector<Certificate>> ReadCertificates(const std::string& path) {
  const absl::StatusOr<RegularFile> pem = ReadRegularFile(path, kEnoughBytes);
  if (!pem.ok()) return pem.status();
  std::vector<Certificate> certificates = ParseCertificates(pem->text);
  if (certificates.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"));
  }
  return certificates;
}

std::string FormatTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown day";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromTM(parts, absl::UTCTimeZone()),
                          absl::UTCTimeZone());
}

TlsFindings Check(const TlsFiles& files) {
  const OpenSslErrors errors;
  return Checker().Run(files);
}

}  // namespace datamanager::cloud
