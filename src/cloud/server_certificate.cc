#include "cloud/server_certificate.h"

#include <arpa/inet.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "cloud/tls_files.h"

namespace datamanager::cloud {
namespace {

// OpenSSL's level of 112 bits, Debian's own for TLS: RSA from 2048 bits on, no SHA-1.
constexpr int kSecurityLevel = 2;

struct FreeVerification {
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
  void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
  // The certificates in it are others'.
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
using Store = std::unique_ptr<X509_STORE, FreeVerification>;
using Context = std::unique_ptr<X509_STORE_CTX, FreeVerification>;
using Stack = std::unique_ptr<STACK_OF(X509), FreeVerification>;
using Names = std::unique_ptr<GENERAL_NAMES, FreeVerification>;

absl::StatusOr<Store> TrustedCas(const std::string& ca_file) {
  Store store(X509_STORE_new());
  if (ca_file.empty()) {
    // Fails for want of memory only: files that are missing are CAs that are missing.
    X509_STORE_set_default_paths(store.get());
    return store;
  }
  const auto trusted = ReadCertificates(ca_file);
  if (!trusted.ok()) return Wrap(trusted.status(), "cloud.tls_ca_file");
  for (const Certificate& certificate : *trusted) {
    X509_STORE_add_cert(store.get(), certificate.get());
  }
  // Whatever stands in the file is trusted, be it a CA under another one.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  return store;
}

std::string CommonName(const X509_NAME* name) {
  char text[256];
  const int size = X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof(text));
  return size > 0 ? std::string(text, static_cast<size_t>(size)) : "an unnamed CA";
}

// The names and addresses that a certificate is for.
std::string HostsOf(X509* certificate) {
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::vector<std::string> hosts;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const auto* const value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    const unsigned char* const data = ASN1_STRING_get0_data(value);
    const auto size = static_cast<size_t>(ASN1_STRING_length(value));
    if (type == GEN_DNS) hosts.emplace_back(reinterpret_cast<const char*>(data), size);
    char text[INET6_ADDRSTRLEN];
    if (type == GEN_IPADD && (size == 4 || size == 16) &&
        ::inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text, sizeof(text)) != nullptr) {
      hosts.emplace_back(text);
    }
  }
  return hosts.empty() ? CommonName(X509_get_subject_name(certificate))
                       : absl::StrJoin(hosts, ", ");
}

// Which check failed, and what to do.
std::string Explain(X509_STORE_CTX* context, const std::string& host, const std::string& ca_file) {
  const int error = X509_STORE_CTX_get_error(context);
  X509* const current = X509_STORE_CTX_get_current_cert(context);
  X509* const culprit = current != nullptr ? current : X509_STORE_CTX_get0_cert(context);
  const bool own = X509_STORE_CTX_get_error_depth(context) == 0;
  const std::string whose =
      own ? "the server's certificate"
          : absl::StrCat("the CA certificate \"", CommonName(X509_get_subject_name(culprit)),
                         "\" behind the server's");
  const auto clock = [] {
    return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::Now(), absl::UTCTimeZone());
  };
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return absl::StrCat(whose, " has expired on ", FormatTime(X509_get0_notAfter(culprit)),
                          ": renew it on the server, or set this machine's clock, which says ",
                          clock());
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return absl::StrCat(whose, " is valid only from ", FormatTime(X509_get0_notBefore(culprit)),
                          " on: set this machine's clock, which says ", clock());
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return absl::StrCat(whose, " is for ", HostsOf(culprit), ", not for ", host,
                          ": write a name that it is for in cloud.app_address, or give the server "
                          "a certificate for ",
                          host);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return absl::StrCat(whose,
                          " is self-signed: if it is the right server, put this certificate into ",
                          ca_file.empty() ? "a file and name that in cloud.tls_ca_file" : ca_file);
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: {
      const std::string issuer = CommonName(X509_get_issuer_name(culprit));
      return ca_file.empty()
                 ? absl::StrCat("the server's certificate comes from \"", issuer,
                                "\", an issuer that this system does not trust: name a file with "
                                "the CA's certificate in cloud.tls_ca_file, or install the package "
                                "ca-certificates if it is a public one")
                 : absl::StrCat("the server's certificate comes from \"", issuer,
                                "\", an issuer that is not in ", ca_file,
                                " (cloud.tls_ca_file): put the CA's certificate there");
    }
    case X509_V_ERR_INVALID_PURPOSE:
      return absl::StrCat(whose,
                          " is not one for servers: give it one for \"TLS Web Server "
                          "Authentication\"");
    default:
      return absl::StrCat(whose, " was not accepted: ", X509_verify_cert_error_string(error),
                          " (OpenSSL error ", error, "): give the server another one");
  }
}

bool IsIpAddress(const std::string& host) {
  in6_addr ignored;
  return ::inet_pton(AF_INET, host.c_str(), &ignored) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

class Verifier final : public grpc::experimental::ExternalCertificateVerifier {
 public:
  Verifier(std::string host, std::string ca_file, std::shared_ptr<std::atomic<bool>> accepted)
      : host_(std::move(host)), ca_file_(std::move(ca_file)), accepted_(std::move(accepted)) {}

  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)> /*callback*/, grpc::Status* sync_status) override {
    const grpc::string_ref leaf = request->peer_cert();
    const grpc::string_ref chain = request->peer_cert_full_chain();
    const absl::Status status = CheckServerCertificate(
        {leaf.data(), leaf.size()}, {chain.data(), chain.size()}, host_, ca_file_);
    *accepted_ = status.ok();
    if (!status.ok()) {
      *sync_status =
          grpc::Status(grpc::StatusCode::UNAUTHENTICATED, std::string(ToStd(status.message())));
    }
    return true;  // It is done.
  }
  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest* /*request*/) override {}

 private:
  const std::string host_;
  const std::string ca_file_;
  const std::shared_ptr<std::atomic<bool>> accepted_;
};

}  // namespace

absl::Status CheckServerCertificate(std::string_view leaf, std::string_view chain,
                                    const std::string& host, const std::string& ca_file) {
  const OpenSslErrors errors;
  const absl::StatusOr<Store> trusted = TrustedCas(ca_file);
  if (!trusted.ok()) return absl::UnauthenticatedError(trusted.status().message());
  const std::vector<Certificate> own = ParseCertificates(leaf);
  if (own.empty()) return absl::UnauthenticatedError("the server has shown no certificate");
  const std::vector<Certificate> others = ParseCertificates(chain);
  const Stack untrusted(sk_X509_new_null());
  for (const Certificate& certificate : others) sk_X509_push(untrusted.get(), certificate.get());

  const Context context(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(context.get(), trusted->get(), own.front().get(), untrusted.get()) != 1 ||
      X509_STORE_CTX_set_default(context.get(), "ssl_server") != 1) {
    return absl::UnauthenticatedError("OpenSSL could not begin to verify the server's certificate");
  }
  X509_VERIFY_PARAM* const wanted = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_auth_level(wanted, kSecurityLevel);
  X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool named = IsIpAddress(host)
                         ? X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) == 1
                         : X509_VERIFY_PARAM_set1_host(wanted, host.data(), host.size()) == 1;
  // Without a name that it must be for, any certificate would do.
  if (!named || host.empty()) return absl::UnauthenticatedError("the server has no name to verify");
  if (X509_verify_cert(context.get()) == 1) return absl::OkStatus();
  return absl::UnauthenticatedError(Explain(context.get(), host, ca_file));
}

std::shared_ptr<grpc::experimental::CertificateVerifier> ServerCertificateVerifier(
    std::string host, std::string ca_file, std::shared_ptr<std::atomic<bool>> accepted) {
  return grpc::experimental::ExternalCertificateVerifier::Create<Verifier>(
      std::move(host), std::move(ca_file), std::move(accepted));
}

}  // namespace datamanager::cloud
