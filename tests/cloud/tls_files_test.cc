#include "cloud/tls_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "cloud/server_certificate.h"
#include "tests/support/certificates.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

namespace datamanager::cloud {
namespace {

using testing::CertificateFiles;

const std::string kAdvice = "; name a PEM file that this process can read";

class TlsFilesTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string Write(const std::string& name, const std::string& text) const {
    testing::WriteFile(Path(name), text);
    return Path(name);
  }
  // What is said of exactly one fault.
  static std::string Fault(const TlsFiles& files) {
    const TlsFindings findings = Check(files);
    EXPECT_EQ(findings.faults.size(), 1U);
    return findings.faults.empty() ? "" : findings.faults[0];
  }

  const testing::TempDir directory_;
  const testing::CertificateAuthority ca_{directory_.path(), "ca"};
  const CertificateFiles client_ = ca_.Issue("client", testing::ForClient());
};

TEST_F(TlsFilesTest, AcceptsWhatIsRight) {
  for (const TlsFiles& files :
       {TlsFiles{}, TlsFiles{.ca = ca_.certificate()},
        TlsFiles{.client_certificate = client_.certificate, .client_key = client_.key}}) {
    const TlsFindings findings = Check(files);
    EXPECT_EQ(findings.faults, std::vector<std::string>{});
    EXPECT_EQ(findings.warnings, std::vector<std::string>{});
  }
}

TEST_F(TlsFilesTest, NamesTheFieldThePathAndTheFault) {
  EXPECT_EQ(Fault({.ca = Path("none")}),
            "cloud.tls_ca_file: open " + Path("none") + ": No such file or directory" + kAdvice);
  EXPECT_EQ(Fault({.ca = Write("text", "hello")}),
            "cloud.tls_ca_file: " + Path("text") +
                " holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)" + kAdvice);
  EXPECT_EQ(Fault({.ca = directory_.path()}),
            "cloud.tls_ca_file: " + directory_.path() + " is no regular file" + kAdvice);
  EXPECT_EQ(Fault({.client_certificate = client_.certificate}),
            "cloud.tls_client_key_file: it is missing; tls_client_certificate_file is of no use "
            "alone");
  EXPECT_EQ(Fault({.client_key = client_.key}),
            "cloud.tls_client_certificate_file: it is missing; tls_client_key_file is of no use "
            "alone");
  EXPECT_EQ(Fault({.client_certificate = client_.key, .client_key = client_.key}),
            "cloud.tls_client_certificate_file: " + client_.key +
                " holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)" + kAdvice);
  EXPECT_EQ(Fault({.client_certificate = client_.certificate, .client_key = client_.certificate}),
            "cloud.tls_client_key_file: " + client_.certificate +
                " holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)" + kAdvice);
  const std::string encrypted =
      Write("encrypted",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
  EXPECT_EQ(
      Fault({.client_certificate = client_.certificate, .client_key = encrypted}),
      "cloud.tls_client_key_file: " + encrypted + " is encrypted with a passphrase" + kAdvice);
}

TEST_F(TlsFilesTest, WaitsForNoFifo) {
  ASSERT_EQ(::mkfifo(Path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(Fault({.ca = Path("fifo")}),
            "cloud.tls_ca_file: " + Path("fifo") + " is no regular file" + kAdvice);
}

TEST_F(TlsFilesTest, ListsAllFaults) {
  EXPECT_EQ(Check({.ca = Path("a"), .client_certificate = Path("b"), .client_key = Path("c")})
                .faults.size(),
            3U);
}

TEST_F(TlsFilesTest, WarnsOfAKeyThatOthersMayRead) {
  ASSERT_EQ(::chmod(client_.key.c_str(), 0640), 0);
  EXPECT_EQ(Check({.client_certificate = client_.certificate, .client_key = client_.key}).warnings,
            std::vector<std::string>{"cloud.tls_client_key_file: others may read " + client_.key +
                                     "; chmod 600 it"});
}

class ServerCertificateTest : public TlsFilesTest {
 protected:
  absl::Status CheckFor(const std::string& host, const CertificateFiles& server) const {
    const std::string pem = testing::ReadFile(server.certificate);
    return CheckServerCertificate(pem, pem, host, ca_.certificate());
  }
  // For these names and addresses.
  CertificateFiles Server(std::vector<std::string> hosts) const {
    return ca_.Issue("server", testing::ForHosts(std::move(hosts)));
  }
};

TEST_F(ServerCertificateTest, MustBeForTheHost) {
  const CertificateFiles server =
      Server({"app.example.com", "*.cell.example.com", "192.0.2.1", "2001:db8::1"});
  for (const char* const host : {"app.example.com", "APP.example.com", "a.cell.example.com",
                                 "192.0.2.1", "2001:db8::1", "2001:db8:0::1"}) {
    EXPECT_TRUE(CheckFor(host, server).ok()) << host << ": " << CheckFor(host, server);
  }
  for (const char* const host :
       {"example.com", "x.app.example.com", "a.b.cell.example.com", "cell.example.com", "192.0.2.2",
        "2001:db8::2", "app.example.com.evil", ""}) {
    EXPECT_EQ(CheckFor(host, server).code(), absl::StatusCode::kUnauthenticated) << host;
  }
}

TEST_F(ServerCertificateTest, MustBeOne) {
  for (const std::string pem : {"", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n"}) {
    EXPECT_EQ(CheckServerCertificate(pem, pem, "h", ca_.certificate()).code(),
              absl::StatusCode::kUnauthenticated);
  }
}

TEST_F(ServerCertificateTest, IsRefusedWhenTheCaFileIsGone) {
  const CertificateFiles server = Server({"h"});
  EXPECT_TRUE(CheckFor("h", server).ok());
  ASSERT_EQ(::unlink(ca_.certificate().c_str()), 0);
  EXPECT_EQ(CheckFor("h", server),
            absl::UnauthenticatedError("cloud.tls_ca_file: open " + ca_.certificate() +
                                       ": No such file or directory"));
}

}  // namespace
}  // namespace datamanager::cloud
