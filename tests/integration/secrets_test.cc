// A robot that says everything it can say, against everything that can go wrong with credentials
// and certificates: none of it may tell a secret.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "ingest_server/token.h"
#include "robot/report.h"
#include "tests/cloud/odd_peer.h"
#include "tests/integration/echoing_server.h"
#include "tests/integration/robot_world.h"
#include "tests/support/certificates.h"
#include "tests/support/fake_clock.h"
#include "tests/support/tcp_proxy.h"

namespace datamanager::testing {
namespace {

// With what JSON, C, shells and URLs escape.
constexpr char kKey[] = "Kq7/z+\"Wx\\4$HT 0123456789 &<Yp'=%b2";
constexpr char kSecret[] = "Sm3/c+\"Vd\\8$LR 9876543210 &<Ng'=%f6";
// As they go over the wire.
constexpr char kToken[] = "tok-Uj5.Ea9_Xo1-Zc7.Bv3-Qh8_Wl2";
// How each token of ingest_server begins, and no other text does.
constexpr char kTokenOfServer[] = "eyJhbGciOiJIUzI1NiIs";

// gRPC's own log too is to have its say, as far as it tells no headers on purpose (GRPC_TRACE).
[[maybe_unused]] const int kVerbose = setenv("GRPC_VERBOSITY", "DEBUG", 1);

// The base64 of any text that contains `secret`, whatever comes before and after it: the three ways
// in which three bytes can be grouped, without the characters that the neighbours have a part in.
std::vector<std::string> Base64Of(const std::string& secret) {
  std::vector<std::string> forms;
  for (const size_t before : {0, 1, 2}) {
    const std::string padded = std::string(before, 'x') + secret;
    std::string text;
    absl::Base64Escape(padded, &text);
    const size_t first = (before * 8 + 5) / 6;
    const size_t end = padded.size() * 8 / 6;
    forms.push_back(text.substr(first, end - first));
    forms.push_back(absl::WebSafeBase64Escape(padded).substr(first, end - first));
  }
  return forms;
}

// All that would give `secret` away: parts of it, too.
std::vector<std::string> FormsOf(const std::string& secret) {
  std::vector<std::string> forms = Base64Of(secret);
  for (const std::string& text :
       {secret, secret.substr(0, secret.size() / 2), secret.substr(secret.size() / 2)}) {
    const std::string json = ToJson(Value(text));
    forms.insert(forms.end(), {text, absl::CEscape(text), absl::CHexEscape(text),
                               json.substr(1, json.size() - 2), absl::BytesToHexString(text)});
  }
  return forms;
}

// The first line of `text`, for each secret, that gives it away.
std::vector<std::string> LinesThatTell(const std::string& text) {
  std::vector<std::string> lines;
  for (const std::string secret : {kKey, kSecret, kToken, kTokenOfServer}) {
    size_t at = std::string::npos;
    for (const std::string& form : FormsOf(secret)) at = std::min(at, text.find(form));
    if (at == std::string::npos) continue;
    const size_t begin = text.rfind('\n', at) + 1;  // npos + 1 is the start of the text.
    lines.push_back(text.substr(begin, text.find('\n', at) - begin));
  }
  return lines;
}

std::string StatsText(const ManagerStats& stats) {
  std::string text = robot::StatusLine(std::chrono::seconds(1), stats, {}) + "\n" +
                     robot::SummaryTable(std::chrono::seconds(1), stats, {}, {});
  for (const CollectorStats& collector : stats.collectors) {
    absl::StrAppend(&text, collector.reason, "\n", collector.last_error, "\n");
  }
  for (const WaitingRetry& retry : stats.sync.retries.most_tried) {
    absl::StrAppend(&text, retry.path, ": ", retry.last_error, " ", retry.advice, "\n");
  }
  for (const UploadPause& pause : stats.sync.paused) {
    absl::StrAppend(&text, pause.directory, ": ", pause.last_error, "\n");
  }
  return absl::StrCat(text, stats.sync.last_error, "\n", stats.connection.address, "\n",
                      stats.connection.last_error, "\n");
}

// What the process writes to standard error meanwhile goes to a file.
class StandardErrorCapture {
 public:
  explicit StandardErrorCapture(const std::string& path) : path_(path), original_(::dup(2)) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    ::dup2(file.get(), 2);
  }
  ~StandardErrorCapture() { ::dup2(original_.get(), 2); }

  std::string Text() const { return ReadFile(path_); }

 private:
  const std::string path_;
  const UniqueFd original_;
};

class SecretsTest : public RobotWorld {
 protected:
  SecretsTest() {
    AddSensor("cpu", 200);
    options_.connect_timeout = 20ms;
  }

  void TearDown() override {
    if (manager_ != nullptr) {
      absl::StrAppend(&said_, StatsText(manager_->Stats()), manager_->Close().ToString(), "\n");
    }
    manager_.reset();
    cloud_.reset();
    server_.reset();
    absl::StrAppend(&said_, log_.Text(), robot_ == nullptr ? "" : robot_->Output());
    for (const std::string& line : LinesThatTell(said_ + stderr_.Text())) ADD_FAILURE() << line;
  }

  // --- Servers ---

  ingest::ServerOptions ServerOptions() {
    return {.listen = address_, .store = Store(), .seed = 1, .clock = &clock_};
  }
  void StartServer(ingest::ServerOptions options) {
    auto server = ingest::IngestServer::Start(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    address_ = server_->address();
  }
  std::string CredentialsFile() const { return Path("credentials.json"); }
  // One that knows these keys, by ids.
  void StartServerWith(const std::map<std::string, std::string>& keys) {
    SetKeys(keys);
    ingest::ServerOptions options = ServerOptions();
    options.credentials = CredentialsFile();
    options.token_lifetime = 60s;
    StartServer(std::move(options));
  }
  void SetKeys(const std::map<std::string, std::string>& keys) const {
    ValueMap file;
    ValueList& list = file.Add("api_keys").SetList();
    for (const auto& [id, key] : keys) {
      ValueMap& entry = list.Add().SetMap();
      entry.Set("id", id);
      entry.Set("key", key);
    }
    WriteFile(CredentialsFile(), ToJson(file));
    std::filesystem::permissions(CredentialsFile(), std::filesystem::perms::owner_all);
  }
  void StartTlsServer(const CertificateFiles& files, const std::string& client_ca = "") {
    ingest::ServerOptions options = ServerOptions();
    options.tls = {.certificate = files.certificate, .key = files.key, .client_ca = client_ca};
    StartServer(std::move(options));
  }

  // --- The robot ---

  CloudConfig WithKey(const std::string& scheme = "http") const {
    return {.id = kPart,
            .app_address = scheme + "://" + address_,
            .api_key = {.id = "key-1", .key = kKey},
            .secret = kSecret};
  }
  CloudConfig WithSecret() const {
    CloudConfig config = WithKey();
    config.api_key = {};
    return config;
  }

  void StartRobot(const CloudConfig& config) {
    ASSERT_NO_FATAL_FAILURE(MakeManager(config));
    ASSERT_TRUE(IsOk(Reconfigure()));
  }
  void Note(const absl::Status& status) { absl::StrAppend(&said_, status.ToString(), "\n"); }
  // Waits until the robot says so somewhere, all the while asking it to upload.
  bool WaitUntilSaid(const std::string& text) {
    return WaitUntil([&] {
      Note(manager_->Sync());
      absl::StrAppend(&said_, StatsText(manager_->Stats()));
      return (said_ + log_.Text()).find(text) != std::string::npos;
    });
  }

  FakeClock clock_;  // The servers'.
  const StandardErrorCapture stderr_{Path("stderr")};
  std::string said_;
};

TEST_F(SecretsTest, RightCredentials) {
  StartServerWith({{"key-1", kKey}});
  StartRobot(WithKey());
  ASSERT_TRUE(WaitForArrived("cpu"));
  EXPECT_GE(server_->authentication_counts().granted, 1u);
}

TEST_F(SecretsTest, WrongCredentials) {
  StartServerWith({{"key-1", "another"}});
  StartRobot(WithKey());
  EXPECT_TRUE(WaitUntilSaid("invalid credentials"));
  EXPECT_GE(server_->authentication_counts().refused, 1u);
}

TEST_F(SecretsTest, WrongSecret) {
  StartServerWith({{"key-1", kKey}});
  StartRobot(WithSecret());
  EXPECT_TRUE(WaitUntilSaid("invalid credentials"));
}

TEST_F(SecretsTest, ExpiredToken) {
  StartServerWith({{"key-1", kKey}});
  StartRobot(WithKey());
  ASSERT_TRUE(WaitForArrived("cpu"));
  // The server's clock alone moves: the robot's is hours off from here on.
  clock_.Advance(2h);
  EXPECT_TRUE(WaitUntil([&] { return server_->authentication_counts().granted >= 2; }));
  EXPECT_TRUE(WaitForArrived("cpu", CountFrom("cpu") + 1));
}

TEST_F(SecretsTest, RevokedKey) {
  StartServerWith({{"key-1", kKey}});
  StartRobot(WithKey());
  ASSERT_TRUE(WaitForArrived("cpu"));
  SetKeys({});
  ASSERT_TRUE(server_->ReloadCredentials().ok());
  EXPECT_TRUE(WaitUntilSaid("invalid credentials"));
}

TEST_F(SecretsTest, ChangedCredentials) {
  StartServerWith({{"key-1", "another"}});
  StartRobot(WithKey());
  EXPECT_TRUE(WaitUntilSaid("invalid credentials"));
  CloudConfig config = WithKey();
  config.api_key.key = "another";
  Note(cloud_->Reconfigure(config));
  EXPECT_TRUE(WaitForArrived("cpu"));
}

TEST_F(SecretsTest, ServerThatTakesNoCredentials) {
  StartServer(ServerOptions());
  StartRobot(WithKey());
  EXPECT_TRUE(WaitUntilSaid("this server takes no credentials"));
}

TEST_F(SecretsTest, ServerThatRepeatsTheCredentials) {
  EchoingServer server({.refuse = true});
  address_ = server.address();
  StartRobot(WithKey());
  EXPECT_TRUE(WaitUntilSaid("you sent"));
}

// What an upload can end with, the file refused included, for each of the three kinds.
class SecretsOfUploadsTest : public SecretsTest,
                             public ::testing::WithParamInterface<grpc::StatusCode> {};
TEST_P(SecretsOfUploadsTest, ServerThatRepeatsTheToken) {
  AddCamera("cam", 50, {1100000});
  config_.additional_sync_paths = {Path("more")};
  config_.file_last_modified_millis = 1;
  WriteFile(Path("more/map.bin"), "content");
  EchoingServer server({.token = kToken, .upload_code = GetParam()});
  address_ = server.address();
  StartRobot(WithKey());
  EXPECT_TRUE(WaitUntilSaid("you sent"));
  // Whoever is not let in need not try everything.
  const bool admitted = GetParam() != grpc::StatusCode::UNAUTHENTICATED &&
                        GetParam() != grpc::StatusCode::PERMISSION_DENIED;
  EXPECT_TRUE(WaitUntil([&] { return server.kinds() >= (admitted ? 3 : 1); }));
}
INSTANTIATE_TEST_SUITE_P(Codes, SecretsOfUploadsTest,
                         ::testing::Values(grpc::StatusCode::INTERNAL,
                                           grpc::StatusCode::UNAVAILABLE,
                                           grpc::StatusCode::INVALID_ARGUMENT,
                                           grpc::StatusCode::UNAUTHENTICATED,
                                           grpc::StatusCode::PERMISSION_DENIED));

TEST_F(SecretsTest, CertificatesThatAreWrong) {
  const CertificateAuthority ca(temp_.path(), "ca");
  const CertificateAuthority other(temp_.path(), "other-ca");
  const CertificateSpec right = ForHosts({OwnLoopback()});
  for (const CertificateFiles& files :
       {ca.Issue("expired", Expired(right)), ca.Issue("early", NotYetValid(right)),
        ca.Issue("elsewhere", ForHosts({"elsewhere.example"})), other.Issue("other", right),
        SelfSigned(temp_.path(), "self", right)}) {
    ASSERT_NO_FATAL_FAILURE(StartTlsServer(files));
    CloudConfig config = WithKey("https");
    config.tls_ca_file = ca.certificate();
    ASSERT_NO_FATAL_FAILURE(StartRobot(config));
    ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy)) << files.certificate;
    EXPECT_TRUE(WaitUntilSaid("certificate")) << files.certificate;
    absl::StrAppend(&said_, manager_->Close().ToString(), "\n");
    manager_.reset();
    cloud_.reset();
    StopServer();
  }
}

TEST_F(SecretsTest, NoClientCertificate) {
  const CertificateAuthority ca(temp_.path(), "ca");
  StartTlsServer(ca.Issue("server", ForHosts({OwnLoopback()})), ca.certificate());
  CloudConfig config = WithKey("https");
  config.tls_ca_file = ca.certificate();
  StartRobot(config);
  EXPECT_TRUE(WaitUntilSaid("unhealthy"));
}

TEST_F(SecretsTest, PlaintextServer) {
  StartServerWith({{"key-1", kKey}});
  StartRobot(WithKey("https"));
  EXPECT_TRUE(WaitUntilSaid("unhealthy"));
}

TEST_F(SecretsTest, TlsServerForPlaintext) {
  const CertificateAuthority ca(temp_.path(), "ca");
  StartTlsServer(ca.Issue("server", ForHosts({OwnLoopback()})));
  StartRobot(WithKey());
  EXPECT_TRUE(WaitUntilSaid("unhealthy"));
}

TEST_F(SecretsTest, NobodyThere) {
  ReserveAddress();
  StartRobot(WithKey());
  EXPECT_TRUE(WaitUntilSaid("refused"));
}

TEST_F(SecretsTest, NameThatIsNone) {
  CloudConfig config = WithKey();
  config.app_address = "https://no-such-host.invalid:443";
  StartRobot(config);
  EXPECT_TRUE(WaitUntilSaid("unhealthy"));
}

TEST_F(SecretsTest, CaptivePortal) {
  const cloud::OddPeer portal("HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n");
  address_ = portal.address();
  for (const char* const scheme : {"http", "https"}) {
    StartRobot(WithKey(scheme));
    EXPECT_TRUE(WaitUntilSaid("unhealthy"));
    absl::StrAppend(&said_, manager_->Close().ToString(), "\n");
    manager_.reset();
    cloud_.reset();
  }
}

TEST_F(SecretsTest, ServerThatNeverAnswers) {
  StartServerWith({{"key-1", kKey}});
  TcpProxy proxy(server_->port());
  proxy.SetSilent(true);
  address_ = OwnLoopback(proxy.port());
  StartRobot(WithKey());
  EXPECT_TRUE(WaitUntilSaid("not connected to the cloud"));
}

// --- The test itself ---

TEST_F(SecretsTest, NoFormOfASecretEscapesTheTest) {
  std::string base64;
  absl::Base64Escape(absl::StrCat("key-1:", kKey), &base64);
  for (const std::string& line :
       {std::string(kKey), "x" + absl::CEscape(kSecret), ToJson(Value(kSecret)), base64,
        absl::WebSafeBase64Escape(absl::StrCat("Bearer ", kToken)),
        std::string(kToken).substr(0, 20), "authorization: Bearer " + ingest::SignToken({}, "k")}) {
    EXPECT_EQ(LinesThatTell("before\n" + line + "\nafter"), std::vector<std::string>{line});
  }
  EXPECT_EQ(LinesThatTell("nothing\n"), std::vector<std::string>{});
}

// --- Configs ---

TEST_F(SecretsTest, ConfigsThatAreWrong) {
  const std::string key = ToJson(Value(kKey));
  const std::string secret = ToJson(Value(kSecret));
  const std::vector<std::string> clouds = {
      absl::StrCat(R"({"id": "p", "app_address": "x", "api_key": {"id": 5, "key": )", key, "}}"),
      absl::StrCat(R"({"id": "p", "app_address": "x", "api_key": {"key": )", key, "}}"),
      absl::StrCat(R"({"id": "p", "app_address": "x", "api_key": )", key, "}"),
      absl::StrCat(R"({"id": "p", "app_address": "x", "api_key": {"id": "a", "key": [)", key,
                   "]}}"),
      absl::StrCat(R"({"id": "p", "app_address": "x", "api_key": {"id": "a", "kye": )", key, "}}"),
      absl::StrCat(R"({"id": "p", "app_address": "x", "secret": {"secret": )", secret, "}}"),
      absl::StrCat(R"({"id": "p", "app_address": "x", "secret": [)", secret, "]}"),
      absl::StrCat(R"({"id": "p", "app_address": "x", "secert": )", secret, "}"),
      absl::StrCat(R"({"id": "p", "app_address": "x", "secret": )", secret, " oops}"),
      absl::StrCat(R"({"id": "p", "app_address": "x", "api_key": {"id": "a", "key":)", "\n", key,
                   " oops}}"),
      absl::StrCat(R"({"id": "p", "app_address": "x", "location_secret": )", secret, "}"),
      absl::StrCat(R"({"id": "p", "app_address": "x", "location_secrets": [{"id": 1, "secret": )",
                   secret, "}]}"),
      absl::StrCat(R"({"id": "p", "app_address": "x", "tls_private_key": [)", secret, "]}"),
      key,
      absl::StrCat("[", key, "]"),
  };
  size_t faults = 0;
  for (const std::string& cloud : clouds) {
    const auto machine = ParseMachineConfig(absl::StrCat(R"({"cloud": )", cloud, "}"));
    Note(machine.status());
    if (!machine.ok()) {
      ++faults;
      continue;
    }
    absl::StrAppend(&said_, absl::StrJoin(machine->warnings, "\n"), "\n");
    if (machine->cloud) Note(Cloud::Create(*machine->cloud, log_.sink()).status());
  }
  EXPECT_GE(faults, 8u);
  EXPECT_TRUE(Has(said_, "api_key"));
}

TEST_F(SecretsTest, FilesThatAreWrong) {
  const auto create = [this](const std::function<void(CloudConfig&)>& change) {
    address_ = OwnLoopback(1);
    CloudConfig config = WithKey("https");
    change(config);
    Note(Cloud::Create(config, log_.sink()).status());
  };
  const std::string file = Path("key");
  const auto use_key_file = [&](CloudConfig& config) {
    config.api_key.key = "";
    config.api_key.key_file = file;
  };
  const auto use_secret_file = [&](CloudConfig& config) {
    config.api_key = {};
    config.secret = "";
    config.secret_file = file;
  };
  create(use_key_file);  // There is none.
  // The last: others may read it.
  for (const std::string& content :
       {std::string(), absl::StrCat("\n", kKey), absl::StrCat(kKey, "\n", kSecret),
        absl::StrCat("\xff", kKey), absl::StrCat(kKey, std::string(1 << 20, 'x')),
        std::string(kKey)}) {
    WriteFile(file, content);
    create(use_key_file);
    create(use_secret_file);
  }
  // The secret where a path belongs is beyond what anybody can tell from a path.
  WriteFile(file, absl::StrCat("-----BEGIN PRIVATE KEY-----\n", kKey));
  create([&](CloudConfig& config) {
    config.tls_client_certificate_file = file;
    config.tls_client_key_file = file;
  });
  create([&](CloudConfig& config) { config.tls_ca_file = file; });
  create([&](CloudConfig& config) { config.api_key.key_file = file; });  // Both.
  create([&](CloudConfig& config) { config.api_key.key = absl::StrCat(kKey, "\xff"); });
  create([&](CloudConfig& config) { config.api_key.key = absl::StrCat(kKey, "\n"); });
  EXPECT_TRUE(Has(said_, file));
}

TEST_F(SecretsTest, AddressWithAPassword) {
  address_ = OwnLoopback(1);
  const std::string password = absl::BytesToHexString(kKey);
  for (const std::string& address : {absl::StrCat("https://robot:", password, "@", address_),
                                     absl::StrCat("robot:", password, "@", address_),
                                     absl::StrCat("https://", address_, "/?key=", password)}) {
    CloudConfig config = WithKey();
    config.app_address = address;
    Note(Cloud::Create(config, log_.sink()).status());
  }
  EXPECT_TRUE(Has(said_, "cloud.app_address"));
}

// --- The program ---

TEST_F(SecretsTest, RobotThatLogsAllItCan) {
  StartServerWith({{"key-1", "another"}});
  setenv("ROBOT_LOG", "debug", 1);      // NOLINT(concurrency-mt-unsafe): nobody reads it here.
  setenv("SECRETS_TEST_KEY", kKey, 1);  // NOLINT(concurrency-mt-unsafe)
  const auto cloud = [this](const std::string& key) {
    return absl::StrCat(R"("cloud": {"id": "part-1", "app_address": "http://)", address_,
                        R"(", "api_key": {"id": "key-1", "key": )", key, "}},");
  };
  const auto machine = [&](const std::string& key) {
    return Machine(cloud(key), {Counter("count", 100)}, Service());
  };
  RunWith(machine(R"("${SECRETS_TEST_KEY}")"), {"--status-every", "50ms"});
  EXPECT_TRUE(WaitForOutput("invalid credentials")) << robot_->Output();
  for (const std::string& wrong :
       {machine(absl::StrCat("[", ToJson(Value(kKey)), "]")),
        machine(ToJson(Value(kKey)) + " oops"), machine(R"("${SECRETS_TEST_KEY")")}) {
    WriteFile(ConfigFile(), wrong);
    const size_t before = robot_->Output().size();
    robot_->Signal(SIGHUP);
    EXPECT_TRUE(WaitUntil([&] {
      return robot_->Output().find("SIGHUP", before) != std::string::npos ||
             robot_->Output().find("config", before) != std::string::npos;
    }));
  }
  robot_->Signal(SIGTERM);
  EXPECT_EQ(robot_->ExitCode(), 0);
  unsetenv("ROBOT_LOG");         // NOLINT(concurrency-mt-unsafe)
  unsetenv("SECRETS_TEST_KEY");  // NOLINT(concurrency-mt-unsafe)
}

}  // namespace
}  // namespace datamanager::testing
