// Certificates, right ones and wrong ones, for tests of TLS: PEM files, made in a few milliseconds.
#ifndef DATAMANAGER_TESTS_SUPPORT_CERTIFICATES_H_
#define DATAMANAGER_TESTS_SUPPORT_CERTIFICATES_H_

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace datamanager::testing {

// Paths of PEM files. Only the owner may read the key.
struct CertificateFiles {
  std::string certificate;
  std::string key;
};

struct CertificateSpec {
  // Names and IPv4 or IPv6 addresses, such as OwnLoopback(): the subject alternative names.
  std::vector<std::string> hosts = {"localhost", "127.0.0.1", "::1"};
  // Validity, from now on.
  std::chrono::seconds begin = -std::chrono::hours(1);
  std::chrono::seconds end = std::chrono::hours(24);
  bool client = false;  // May identify a client, and no server.
};

inline CertificateSpec ForHosts(std::vector<std::string> hosts) {
  return {.hosts = std::move(hosts)};
}
// Since an hour.
inline CertificateSpec Expired(CertificateSpec spec) {
  spec.begin = -std::chrono::hours(48);
  spec.end = -std::chrono::hours(1);
  return spec;
}
// For another hour.
inline CertificateSpec NotYetValid(CertificateSpec spec) {
  spec.begin = std::chrono::hours(1);
  return spec;
}
inline CertificateSpec ForClient() { return {.hosts = {}, .client = true}; }

// A CA of a test's own. Two of one name are still two: neither verifies what the other has signed.
// Whatever fails throws. One thread.
class CertificateAuthority {
 public:
  // Writes its certificate to `directory`/`name`.pem.
  CertificateAuthority(std::string directory, const std::string& name);
  ~CertificateAuthority();
  CertificateAuthority(const CertificateAuthority&) = delete;
  CertificateAuthority& operator=(const CertificateAuthority&) = delete;

  // What clients, or servers with --client-ca, are given as roots.
  const std::string& certificate() const { return certificate_; }

  // Writes `name`.pem and `name`.key to the directory, each in one step, in place of what is there.
  CertificateFiles Issue(const std::string& name, const CertificateSpec& spec) const;

 private:
  struct Identity;

  const std::string directory_;
  const std::string certificate_;
  const std::unique_ptr<Identity> identity_;
};

// Writes `name`.pem and `name`.key to `directory`: a certificate that its own key has signed.
CertificateFiles SelfSigned(const std::string& directory, const std::string& name,
                            const CertificateSpec& spec);

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_CERTIFICATES_H_
