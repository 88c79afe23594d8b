#include "tests/support/certificates.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <utility>

namespace datamanager::testing {
namespace {

struct Free {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

// OpenSSL's calls yield a null pointer or 0 when they fail.
template <typename T>
T Check(T result, const char* what) {
  if (!result) {
    throw std::runtime_error(std::string(what) + ": " + ERR_error_string(ERR_get_error(), nullptr));
  }
  return result;
}

// Its owner's alone, and complete from the moment on that the name is there.
void WriteInOneStep(const std::string& path, BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  const std::string temporary = path + ".new";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool written = fd >= 0 && ::write(fd, data, static_cast<size_t>(size)) == size;
  if (fd >= 0) ::close(fd);
  if (!written || std::rename(temporary.c_str(), path.c_str()) != 0) {
    throw std::runtime_error("write " + path);
  }
}

void WritePem(const std::string& path, X509* certificate) {
  const Owned<BIO> bio(Check(BIO_new(BIO_s_mem()), "BIO_new"));
  Check(PEM_write_bio_X509(bio.get(), certificate), "PEM_write_bio_X509");
  WriteInOneStep(path, bio.get());
}

void WritePem(const std::string& path, EVP_PKEY* key) {
  const Owned<BIO> bio(Check(BIO_new(BIO_s_mem()), "BIO_new"));
  Check(PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr),
        "PEM_write_bio_PrivateKey");
  WriteInOneStep(path, bio.get());
}

bool IsIpAddress(const std::string& host) {
  unsigned char buffer[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), buffer) == 1 ||
         inet_pton(AF_INET6, host.c_str(), buffer) == 1;
}

// As OpenSSL's configuration has it: "DNS:localhost,IP:127.0.0.1".
std::string AlternativeNames(const std::vector<std::string>& hosts) {
  std::string names;
  for (const std::string& host : hosts) {
    if (!names.empty()) names += ',';
    names += (IsIpAddress(host) ? "IP:" : "DNS:") + host;
  }
  return names;
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> extension(
      Check(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), value.c_str()));
  Check(X509_add_ext(certificate, extension.get(), -1), "X509_add_ext");
}

Owned<EVP_PKEY> NewKey() {
  // Tests end while gRPC's threads may use OpenSSL. This comes before any other use of it.
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
  return Owned<EVP_PKEY>(Check(EVP_EC_gen("P-256"), "EVP_EC_gen"));
}

// A certificate for `key` that has all but its issuer, its extensions and its signature.
Owned<X509> NewCertificate(const std::string& name, EVP_PKEY* key, std::chrono::seconds begin,
                           std::chrono::seconds end) {
  Owned<X509> certificate(Check(X509_new(), "X509_new"));
  Check(X509_set_version(certificate.get(), X509_VERSION_3), "X509_set_version");
  const Owned<BIGNUM> serial(Check(BN_new(), "BN_new"));
  Check(BN_rand(serial.get(), 64, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY), "BN_rand");
  Check(BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate.get())), "the serial");
  std::time_t now = std::time(nullptr);
  Check(X509_time_adj_ex(X509_getm_notBefore(certificate.get()), 0, begin.count(), &now), "begin");
  Check(X509_time_adj_ex(X509_getm_notAfter(certificate.get()), 0, end.count(), &now), "end");
  Check(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0),
        "X509_NAME_add_entry_by_txt");
  Check(X509_set_pubkey(certificate.get(), key), "X509_set_pubkey");
  return certificate;
}

void Sign(X509* certificate, X509* issuer, EVP_PKEY* issuer_key) {
  Check(X509_set_issuer_name(certificate, X509_get_subject_name(issuer)), "X509_set_issuer_name");
  AddExtension(certificate, issuer, NID_subject_key_identifier, "hash");
  AddExtension(certificate, issuer, NID_authority_key_identifier, "keyid:always");
  Check(X509_sign(certificate, issuer_key, EVP_sha256()), "X509_sign");
}

// Signed by its own key if there is no issuer.
CertificateFiles WriteLeaf(const std::string& directory, const std::string& name,
                           const CertificateSpec& spec, X509* issuer, EVP_PKEY* issuer_key) {
  const Owned<EVP_PKEY> key = NewKey();
  const Owned<X509> certificate = NewCertificate(name, key.get(), spec.begin, spec.end);
  if (issuer == nullptr) {
    issuer = certificate.get();
    issuer_key = key.get();
  }
  AddExtension(certificate.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
  AddExtension(certificate.get(), issuer, NID_ext_key_usage,
               spec.client ? "clientAuth" : "serverAuth");
  if (!spec.hosts.empty()) {
    AddExtension(certificate.get(), issuer, NID_subject_alt_name, AlternativeNames(spec.hosts));
  }
  Sign(certificate.get(), issuer, issuer_key);

  CertificateFiles files{.certificate = directory + "/" + name + ".pem",
                         .key = directory + "/" + name + ".key"};
  WritePem(files.key, key.get());
  WritePem(files.certificate, certificate.get());
  return files;
}

}  // namespace

struct CertificateAuthority::Identity {
  Owned<EVP_PKEY> key;
  Owned<X509> certificate;
};

CertificateAuthority::CertificateAuthority(std::string directory, const std::string& name)
    : directory_(std::move(directory)),
      certificate_(directory_ + "/" + name + ".pem"),
      identity_(std::make_unique<Identity>()) {
  constexpr std::chrono::hours kYear{24 * 365};
  identity_->key = NewKey();
  identity_->certificate = NewCertificate(name, identity_->key.get(), -kYear, kYear);
  X509* const certificate = identity_->certificate.get();
  AddExtension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  Sign(certificate, certificate, identity_->key.get());
  WritePem(certificate_, certificate);
}

CertificateAuthority::~CertificateAuthority() = default;

CertificateFiles CertificateAuthority::Issue(const std::string& name,
                                             const CertificateSpec& spec) const {
  return WriteLeaf(directory_, name, spec, identity_->certificate.get(), identity_->key.get());
}

CertificateFiles SelfSigned(const std::string& directory, const std::string& name,
                            const CertificateSpec& spec) {
  return WriteLeaf(directory, name, spec, nullptr, nullptr);
}

}  // namespace datamanager::testing
