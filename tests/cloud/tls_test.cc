// Connections right and wrong: what does not work says which check failed and what to do.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "cloud/connectivity.h"
#include "tests/cloud/fixture.h"
#include "tests/cloud/odd_peer.h"
#include "tests/support/blocking_calls.h"
#include "tests/support/certificates.h"
#include "tests/support/files.h"
#include "tests/support/tcp_proxy.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::cloud {
namespace {

using testing::CertificateFiles;
using testing::Expired;
using testing::ForClient;
using testing::ForHosts;
using testing::NotYetValid;
using testing::OwnLoopback;

class TlsTest : public CloudTest {
 protected:
  // Makes server_ one with this certificate, which if there are `client_cas` demands one of them.
  void Serve(const CertificateFiles& files, const std::string& client_cas = "") {
    grpc::SslServerCredentialsOptions options(
        client_cas.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                           : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    if (!client_cas.empty()) options.pem_root_certs = testing::ReadFile(client_cas);
    options.pem_key_cert_pairs.push_back(
        {testing::ReadFile(files.key), testing::ReadFile(files.certificate)});
    server_.Start(grpc::SslServerCredentials(options));
  }
  testing::CertificateSpec OwnHost() const { return ForHosts({OwnLoopback(), "robot.test"}); }
  CertificateFiles GoodServer() const { return ca_.Issue("server", OwnHost()); }

  CloudConfig Tls(const CertificateFiles& client = {}) const {
    return {.id = "part-1",
            .app_address = "https://" + server_.address(),
            .tls_ca_file = ca_.certificate(),
            .tls_client_certificate_file = client.certificate,
            .tls_client_key_file = client.key};
  }
  CloudConfig Plaintext() const {
    return {.id = "part-1", .app_address = "http://" + server_.address()};
  }

  void ExpectConnected(const CloudConfig& config) {
    const absl::StatusOr<std::shared_ptr<Cloud>> cloud = Cloud::Create(config, Sink());
    ASSERT_TRUE(cloud.ok()) << cloud.status();
    EXPECT_TRUE((*cloud)->uploader().WaitUntilReady(Patience(), {}))
        << (*cloud)->Status().last_error;
    server_.on_data_capture = [](auto&, const auto&, auto&) { return grpc::Status::OK; };
    const sync::CallResult result =
        testing::Unary((*cloud)->uploader(), sync::UploadMethod::kDataCaptureUpload, "", {});
    EXPECT_TRUE(result.status.ok()) << result.status;
  }
  // The last error of a cloud that does not get its connection.
  std::string ErrorOf(const CloudConfig& config) {
    const absl::StatusOr<std::shared_ptr<Cloud>> cloud = Cloud::Create(config, Sink());
    if (!cloud.ok()) return cloud.status().ToString();
    WaitForState(**cloud, ConnectionState::kUnhealthy);
    const std::string log = WaitForLog("info No connection to app at ");
    const ConnectionStatus status = (*cloud)->Status();
    EXPECT_NE(log.find(" yet: " + status.last_error), std::string::npos) << log;
    EXPECT_FALSE((*cloud)->uploader().Ready());
    const sync::CallResult result =
        testing::Unary((*cloud)->uploader(), sync::UploadMethod::kDataCaptureUpload, "", {});
    EXPECT_EQ(result.status.code(), absl::StatusCode::kUnavailable);
    EXPECT_FALSE(result.sent);
    EXPECT_NE(std::string(result.status.message()).find(status.last_error), std::string::npos);
    return status.last_error;
  }
  void ExpectError(const CloudConfig& config, const std::string& expected) {
    const std::string error = ErrorOf(config);
    EXPECT_NE(error.find(expected), std::string::npos) << error << "\nexpected: " << expected;
  }

  const testing::TempDir directory_;
  const testing::CertificateAuthority ca_{directory_.path(), "ca"};
};

TEST_F(TlsTest, ConnectsToTheRightServer) {
  Serve(GoodServer());
  ExpectConnected(Tls());
}

TEST_F(TlsTest, TrustsWhatTheSystemTrusts) {
  Serve(GoodServer());
  CloudConfig config = Tls();
  config.tls_ca_file.clear();
  ASSERT_EQ(::setenv("SSL_CERT_FILE", ca_.certificate().c_str(), 1), 0);
  ExpectConnected(config);
  ::unsetenv("SSL_CERT_FILE");
}

TEST_F(TlsTest, AServerOfAnUnknownIssuer) {
  Serve(GoodServer());
  CloudConfig config = Tls();
  config.tls_ca_file.clear();
  ExpectError(config,
              "the server's certificate comes from \"ca\", an issuer that this system does "
              "not trust: name a file with the CA's certificate in cloud.tls_ca_file");
}

TEST_F(TlsTest, AServerOfAnotherCaOfTheSameName) {
  const testing::TempDir elsewhere;
  Serve(testing::CertificateAuthority(elsewhere.path(), "ca").Issue("server", OwnHost()));
  ExpectError(Tls(), "the server's certificate comes from \"ca\", an issuer that is not in " +
                         ca_.certificate() +
                         " (cloud.tls_ca_file): put the CA's certificate there");
}

TEST_F(TlsTest, AnExpiredServer) {
  Serve(ca_.Issue("server", Expired(OwnHost())));
  ExpectError(Tls(), "the server's certificate has expired on 20");
}

TEST_F(TlsTest, AServerOfTheFutureOrAClockOfThePast) {
  Serve(ca_.Issue("server", NotYetValid(OwnHost())));
  const std::string error = ErrorOf(Tls());
  EXPECT_TRUE(error.starts_with("the server's certificate is valid only from 20")) << error;
  EXPECT_NE(error.find(" on: set this machine's clock, which says 20"), std::string::npos) << error;
}

TEST_F(TlsTest, AServerOfAnotherName) {
  Serve(ca_.Issue("server", ForHosts({"other.example.com", "192.0.2.7"})));
  ExpectError(Tls(), "the server's certificate is for other.example.com, 192.0.2.7, not for " +
                         OwnLoopback() + ": write a name that it is for in cloud.app_address");
}

TEST_F(TlsTest, ASelfSignedServer) {
  Serve(testing::SelfSigned(directory_.path(), "server", OwnHost()));
  ExpectError(Tls(),
              "the server's certificate is self-signed: if it is the right server, put this "
              "certificate into " +
                  ca_.certificate());
}

TEST_F(TlsTest, ASelfSignedServerThatIsTrusted) {
  const CertificateFiles server = testing::SelfSigned(directory_.path(), "server", OwnHost());
  Serve(server);
  CloudConfig config = Tls();
  config.tls_ca_file = server.certificate;
  ExpectConnected(config);
}

TEST_F(TlsTest, AServerThatShowsAClientsCertificate) {
  testing::CertificateSpec spec = OwnHost();
  spec.client = true;
  Serve(ca_.Issue("server", spec));
  ExpectError(Tls(), "the server's certificate is not one for servers");
}

TEST_F(TlsTest, AServerWithoutTls) {
  ExpectError(Tls(), server_.address() + " does not speak TLS: write http:// in cloud.app_address");
}

TEST_F(TlsTest, ACaptivePortalInPlaceOfATlsServer) {
  const OddPeer portal("HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n");
  CloudConfig config = Tls();
  config.app_address = "https://" + portal.address();
  ExpectError(config, "whether a captive portal answers in the server's place");
}

TEST_F(TlsTest, ATlsServerThatHangsUp) {
  const OddPeer peer("");
  CloudConfig config = Tls();
  config.app_address = "https://" + peer.address();
  ExpectError(config, peer.address() + " closed the connection in the TLS handshake");
}

TEST_F(TlsTest, PlaintextToATlsServer) {
  Serve(GoodServer());
  ExpectError(Plaintext(), server_.address() +
                               " closed the connection without an answer, as a "
                               "server does that expects TLS: if so, write https://");
}

TEST_F(TlsTest, PlaintextToACaptivePortal) {
  const OddPeer portal("HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n");
  ExpectError(
      {.id = "part-1", .app_address = "http://" + portal.address()},
      portal.address() + " answers with HTTP/1: no gRPC server, but perhaps a captive portal");
}

TEST_F(TlsTest, PlaintextToAnotherService) {
  const OddPeer peer("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
  ExpectError({.id = "part-1", .app_address = "http://" + peer.address()},
              peer.address() + " answers, but not with HTTP/2: no gRPC server");
}

TEST_F(TlsTest, PlaintextToNobody) {
  server_.Stop();
  ExpectError(Plaintext(),
              "Connection refused by " + server_.address() + ": nothing listens there");
}

// The attempt ends, and tells that nobody answered.
TEST_F(TlsTest, APeerThatNeverAnswers) {
  testing::TcpProxy mute(server_.port());
  mute.SetSilent(true);
  for (const bool tls : {true, false}) {
    const Address address{.name = OwnLoopback(mute.port()),
                          .target = "dns:///" + OwnLoopback(mute.port()),
                          .host = OwnLoopback(),
                          .tls = tls};
    const auto logger = Logger::Create(Sink());
    const auto connectivity =
        Connectivity::Create({.address = address, .tls = {.ca = ca_.certificate()}}, *logger,
                             std::make_shared<ReadyListener>(), {.attempt = 100ms});
    ASSERT_TRUE(connectivity.ok()) << connectivity.status();
    (*connectivity)->Begin();
    EXPECT_TRUE(testing::WaitUntil([&] { return (*connectivity)->Status().last_error != ""; }));
    const std::string error = (*connectivity)->Status().last_error;
    // Where the machine is busy, the time may be up before the connection is made.
    EXPECT_TRUE(error.starts_with(address.name + " accepts the connection, but does not answer") ||
                error.starts_with(address.name + " does not answer"))
        << error;
  }
}

TEST_F(TlsTest, AProxyThatRefuses) {
  const OddPeer proxy("HTTP/1.1 403 Forbidden\r\n\r\n");
  ASSERT_EQ(::setenv("https_proxy", ("http://" + proxy.address()).c_str(), 1), 0);
  CloudConfig config = Tls();
  config.app_address = "https://app.example.com:443";
  ExpectError(config,
              "the proxy at " + proxy.address() +
                  " does not let the connection through (HTTP proxy returned response code 403): "
                  "have it allow CONNECT to app.example.com:443, or list app.example.com in the "
                  "environment variable no_proxy (https_proxy names a proxy)");
  ::unsetenv("https_proxy");
}

TEST_F(TlsTest, WarnsOfWhatHasNoEffect) {
  ASSERT_EQ(::setenv("SOCKS_PROXY", "127.0.0.1:1080", 1), 0);
  CloudConfig config = Plaintext();
  config.tls_ca_file = ca_.certificate();
  ExpectConnected(config);
  EXPECT_NE(WaitForLog("warning SOCKS_PROXY is set, but SOCKS proxies are not supported"), "");
  EXPECT_NE(WaitForLog("warning cloud.app_address: certificates are without effect, since " +
                       config.app_address + " is plaintext"),
            "");
  ::unsetenv("SOCKS_PROXY");
}

class MutualTlsTest : public TlsTest {
 protected:
  MutualTlsTest() { Serve(GoodServer(), ca_.certificate()); }
};

TEST_F(MutualTlsTest, ConnectsWithTheRightCertificate) {
  ExpectConnected(Tls(ca_.Issue("client", ForClient())));
}

// gRPC's thread that looks after the files ends, too.
TEST_F(MutualTlsTest, GoesQuickly) {
  auto cloud = Cloud::Create(Tls(ca_.Issue("client", ForClient())), Sink());
  ASSERT_TRUE(cloud.ok()) << cloud.status();
  EXPECT_TRUE((*cloud)->uploader().WaitUntilReady(Patience(), {}));
  const MonotonicTime start = Clock::System().MonotonicNow();
  cloud->reset();
  EXPECT_LT(Clock::System().MonotonicNow() - start, 900ms);
}

TEST_F(MutualTlsTest, WithoutACertificate) {
  ExpectError(Tls(),
              "the server ended the connection after the TLS handshake, as one does that "
              "demands a client's certificate: name one in "
              "cloud.tls_client_certificate_file");
}

TEST_F(MutualTlsTest, WithAnExpiredCertificate) {
  const CertificateFiles client = ca_.Issue("client", Expired(ForClient()));
  ExpectError(Tls(client),
              "as one does that does not accept the client's certificate " + client.certificate);
  EXPECT_NE(WaitForLog("warning cloud.tls_client_certificate_file: " + client.certificate +
                       " has expired on 20"),
            "");
}

TEST_F(MutualTlsTest, WithACertificateOfAnotherCa) {
  const testing::CertificateAuthority other(directory_.path(), "other");
  const CertificateFiles client = other.Issue("client", ForClient());
  ExpectError(Tls(client),
              "as one does that does not accept the client's certificate " + client.certificate);
}

TEST_F(MutualTlsTest, WithASelfSignedCertificate) {
  const CertificateFiles client = testing::SelfSigned(directory_.path(), "client", ForClient());
  ExpectError(Tls(client),
              "as one does that does not accept the client's certificate " + client.certificate);
}

TEST_F(MutualTlsTest, WithAServersCertificate) {
  const CertificateFiles client = ca_.Issue("client", OwnHost());
  ExpectError(Tls(client),
              "as one does that does not accept the client's certificate " + client.certificate);
}

TEST_F(MutualTlsTest, WithTheKeyOfAnother) {
  CertificateFiles client = ca_.Issue("client", ForClient());
  client.key = ca_.Issue("stranger", ForClient()).key;
  EXPECT_EQ(Cloud::Create(Tls(client)).status(),
            absl::InvalidArgumentError(
                "cloud.tls_client_key_file: the key in " + client.key +
                " does not belong to the certificate in " + client.certificate +
                "; name the key with which that certificate was requested, and put the client's "
                "own certificate first"));
}

// The server is the same, and so are the paths: what lies there is read again.
TEST_F(MutualTlsTest, PicksUpCertificatesThatChangeWhileItRuns) {
  const testing::TempDir elsewhere;
  const testing::CertificateAuthority next(elsewhere.path(), "next");
  const CertificateFiles client = ca_.Issue("client", ForClient());
  const auto logger = Logger::Create(Sink());
  const auto address = ParseAppAddress(Tls().app_address);
  const auto connectivity =
      Connectivity::Create({.address = *address,
                            .tls = {.ca = ca_.certificate(),
                                    .client_certificate = client.certificate,
                                    .client_key = client.key}},
                           *logger, std::make_shared<ReadyListener>(), {.certificate_refresh = 1s});
  ASSERT_TRUE(connectivity.ok()) << connectivity.status();
  (*connectivity)->Begin();
  EXPECT_TRUE((*connectivity)->WaitUntilReady(Patience(), {}));

  Serve(next.Issue("server", OwnHost()), next.certificate());
  EXPECT_TRUE(testing::WaitUntil([&] {
    (*connectivity)->RequestConnect();
    return (*connectivity)->Status().last_error.find("an issuer that is not in") !=
           std::string::npos;
  })) << (*connectivity)->Status().last_error;

  const CertificateFiles renewed = next.Issue("client", ForClient());
  std::filesystem::rename(renewed.key, client.key);
  std::filesystem::rename(renewed.certificate, client.certificate);
  std::filesystem::copy_file(next.certificate(), ca_.certificate(),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE((*connectivity)->WaitUntilReady(Patience(), {}))
      << (*connectivity)->Status().last_error;
}

}  // namespace
}  // namespace datamanager::cloud
