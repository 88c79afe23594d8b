#include "ingest_server/tls.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cstdio>
#include <memory>
#include <string>

#include "ingest_server/server.h"
#include "tests/ingest_server/client.h"
#include "tests/support/certificates.h"
#include "tests/support/files.h"
#include "tests/support/own_loopback.h"
#include "tests/support/temp_dir.h"

namespace ingest {
namespace {

using datamanager::testing::CertificateAuthority;
using datamanager::testing::CertificateFiles;
using datamanager::testing::Expired;
using datamanager::testing::ForClient;
using datamanager::testing::ForHosts;
using datamanager::testing::NotYetValid;
using datamanager::testing::OwnLoopback;
using datamanager::testing::SelfSigned;
using datamanager::testing::WriteFile;
using grpc::StatusCode;

std::string Content(const std::string& path) { return datamanager::testing::ReadFile(path); }

class IngestTlsTest : public ::testing::Test {
 protected:
  void Start(const CertificateFiles& own, const std::string& client_ca = "") {
    auto server = IngestServer::Start(
        {.listen = OwnLoopback(0),
         .store = temp_.path() + "/store",
         .tls = {.certificate = own.certificate, .key = own.key, .client_ca = client_ca}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // With the roots of `ca_`, if `own` is not empty with a certificate.
  StatusCode Upload(const CertificateFiles& own = {}, const std::string& bytes = "x") {
    grpc::SslCredentialsOptions options{.pem_root_certs = Content(ca_.certificate())};
    if (!own.key.empty()) {
      options.pem_private_key = Content(own.key);
      options.pem_cert_chain = Content(own.certificate);
    }
    Client client(server_->address(), grpc::SslCredentials(options));
    return client.UploadBinary(bytes).error_code();
  }

  std::string ErrorOf(const TlsFiles& files) {
    const auto credentials = MakeServerCredentials(files);
    return credentials.ok() ? "no error" : std::string(credentials.status().message());
  }

  std::string Path(const std::string& name) const { return temp_.path() + "/" + name; }

  const datamanager::testing::TempDir temp_;
  const CertificateAuthority ca_{temp_.path(), "ca"};
  const CertificateAuthority other_ca_{temp_.path(), "other-ca"};
  const CertificateFiles server_files_ = ca_.Issue("server", ForHosts({OwnLoopback()}));
  std::unique_ptr<IngestServer> server_;
};

TEST_F(IngestTlsTest, ServesThoseWhoTrustItsCertificate) {
  Start(server_files_);
  EXPECT_EQ(Upload(), StatusCode::OK);
  // A certificate that nobody asked for is no fault.
  EXPECT_EQ(Upload(ca_.Issue("client", ForClient())), StatusCode::OK);
  EXPECT_EQ(server_->store().Rows().value().size(), 2u);
}

TEST_F(IngestTlsTest, PlaintextFindsNothing) {
  Start(server_files_);
  EXPECT_EQ(Client(server_->address()).UploadBinary("x").error_code(), StatusCode::UNAVAILABLE);
}

TEST_F(IngestTlsTest, ClientsTrustNoWrongCertificate) {
  const auto right = ForHosts({OwnLoopback()});
  for (const CertificateFiles& files :
       {ca_.Issue("expired", Expired(right)), ca_.Issue("early", NotYetValid(right)),
        ca_.Issue("elsewhere", ForHosts({"localhost", "127.0.0.9"})),
        other_ca_.Issue("of-another-ca", right), SelfSigned(temp_.path(), "self-signed", right),
        ca_.Issue("for-clients", {.hosts = right.hosts, .client = true})}) {
    Start(files);
    EXPECT_EQ(Upload(), StatusCode::UNAVAILABLE) << files.certificate;
  }
}

TEST_F(IngestTlsTest, DemandsClientCertificates) {
  Start(server_files_, ca_.certificate());
  EXPECT_EQ(Upload(ca_.Issue("client", ForClient())), StatusCode::OK);

  EXPECT_EQ(Upload(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(Upload(ca_.Issue("expired", Expired(ForClient()))), StatusCode::UNAVAILABLE);
  EXPECT_EQ(Upload(ca_.Issue("early", NotYetValid(ForClient()))), StatusCode::UNAVAILABLE);
  EXPECT_EQ(Upload(other_ca_.Issue("other", ForClient())), StatusCode::UNAVAILABLE);
  EXPECT_EQ(Upload(SelfSigned(temp_.path(), "self-signed", ForClient())), StatusCode::UNAVAILABLE);
  EXPECT_EQ(Upload(server_files_), StatusCode::UNAVAILABLE);  // For servers only.
  EXPECT_EQ(server_->store().Rows().value().size(), 1u);
}

TEST_F(IngestTlsTest, TakesMessagesOf32MiBAndNotMore) {
  Start(server_files_);
  constexpr size_t kLimit = 32 << 20;
  // Besides the picture, a request has its metadata and the lengths.
  std::string picture(kLimit, 'x');
  EXPECT_EQ(Upload({}, picture), StatusCode::RESOURCE_EXHAUSTED);
  picture.resize(kLimit - 100);
  EXPECT_EQ(Upload({}, picture), StatusCode::OK);
  const auto rows = server_->store().Rows().value();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].size, static_cast<int64_t>(picture.size()));
}

TEST_F(IngestTlsTest, SaysWhichFileIsWrong) {
  EXPECT_EQ(ErrorOf({}), "no error");
  const std::string& certificate = server_files_.certificate;
  const std::string& key = server_files_.key;
  EXPECT_EQ(ErrorOf({.certificate = certificate, .key = key, .client_ca = ca_.certificate()}),
            "no error");

  const std::string none = Path("none");
  const std::string missing = "open " + none + ": No such file or directory";
  EXPECT_EQ(ErrorOf({.certificate = none, .key = key}), missing);
  EXPECT_EQ(ErrorOf({.certificate = certificate, .key = none}), missing);
  EXPECT_EQ(ErrorOf({.certificate = certificate, .key = key, .client_ca = none}), missing);

  EXPECT_EQ(ErrorOf({.certificate = key, .key = key}), key + " has no certificate in PEM format");
  EXPECT_EQ(ErrorOf({.certificate = certificate, .key = certificate}),
            certificate + " has no private key in PEM format");
  EXPECT_EQ(ErrorOf({.certificate = certificate, .key = key, .client_ca = key}),
            key + " has no certificate in PEM format");

  const CertificateFiles other = ca_.Issue("other", ForHosts({OwnLoopback()}));
  EXPECT_EQ(ErrorOf({.certificate = certificate, .key = other.key}),
            other.key + " is not the key of " + certificate);
}

TEST_F(IngestTlsTest, AnEncryptedKeyIsRefusedRatherThanAskedFor) {
  const std::string path = Path("encrypted.key");
  FILE* file = std::fopen(path.c_str(), "w");
  EVP_PKEY* key = EVP_EC_gen("P-256");
  EXPECT_EQ(
      PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(),
                           reinterpret_cast<const unsigned char*>("pass"), 4, nullptr, nullptr),
      1);
  EVP_PKEY_free(key);
  std::fclose(file);
  EXPECT_EQ(ErrorOf({.certificate = server_files_.certificate, .key = path}),
            path + " is encrypted: a server takes a key without a password");
}

}  // namespace
}  // namespace ingest
