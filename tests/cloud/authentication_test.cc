#include "cloud/authentication.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <utility>

#include "base/logger.h"
#include "cloud/connectivity.h"
#include "cloud/unary_call.h"
#include "cloud/upload_stream.h"
#include "tests/cloud/fixture.h"
#include "tests/support/blocking_calls.h"
#include "tests/support/fake_clock.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::cloud {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using sync::CallOptions;
using sync::CallResult;
using sync::UploadMethod;

constexpr char kSecret[] = "hush-hush";

std::string RequestFor(const std::string& part_id) {
  wire::DataCaptureUploadRequest request;
  request.mutable_metadata()->set_part_id(part_id);
  return request.SerializeAsString();
}

// A server that demands the secret kSecret of part-1, and takes whatever is let in. However a test
// ends, the secret and the tokens stand in no line of the log.
class AuthenticationTest : public CloudTest {
 protected:
  AuthenticationTest() {
    server_.office.Demand("robot-secret", "part-1", kSecret);
    server_.on_data_capture = [this](grpc::ServerContext& context, const auto& request, auto&) {
      headers_.Add(testing::TokenOffice::HeaderOf(context));
      if (request.metadata().part_id() == "not-ours") {
        return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "not your part");
      }
      return grpc::Status::OK;
    };
    server_.on_file = [](grpc::ServerContext&, TestServer::FileReader& reader, auto&) {
      wire::FileUploadRequest request;
      while (reader.Read(&request)) {
      }
      return grpc::Status::OK;
    };
  }
  void TearDown() override {
    cloud_.reset();
    CloudTest::TearDown();
    for (const std::string& line : log_.All()) ExpectNoSecret(line);
    EXPECT_FALSE(server_.office.authenticated_twice());
  }
  static void ExpectNoSecret(std::string_view text) {
    EXPECT_EQ(text.find(kSecret), std::string_view::npos) << text;
    EXPECT_EQ(text.find("token-"), std::string_view::npos) << text;
  }

  CloudConfig Config() const {
    return {.id = "part-1", .app_address = "http://" + server_.address(), .secret = kSecret};
  }
  // With a token.
  void Connect(const CloudConfig& config) {
    cloud_ = MakeCloud(config);
    EXPECT_TRUE(cloud_->uploader().WaitUntilReady(Patience(), {}));
  }
  void Connect() { Connect(Config()); }
  // Has authentication fail, and returns what is said of it.
  std::string ConnectInVain(const CloudConfig& config) {
    cloud_ = MakeCloud(config);
    EXPECT_TRUE(WaitForState(*cloud_, ConnectionState::kUnhealthy));
    ExpectNoSecret(cloud_->Status().last_error);
    return cloud_->Status().last_error;
  }
  CallResult Upload(const CallOptions& options = {}, const std::string& part_id = "part-1") {
    CallResult result = testing::Unary(cloud_->uploader(), UploadMethod::kDataCaptureUpload,
                                       RequestFor(part_id), options);
    ExpectNoSecret(result.status.ToString());
    return result;
  }
  CallResult Stream(const CallOptions& options = {}) {
    testing::OpenedStream stream(cloud_->uploader(), UploadMethod::kFileUpload, options);
    wire::FileUploadRequest request;
    request.mutable_file_contents()->set_data("x");
    for (int i = 0; i < 3 && stream.Write(request.SerializeAsString()); ++i) {
    }
    return stream.Finish();
  }
  // Has Authenticate hang, and tell of it.
  void Hang() {
    server_.office.on_authenticate = [this](grpc::ServerContext& context) {
      arrived_.Add(true);
      TestServer::Hang(context);
      return grpc::Status::CANCELLED;
    };
  }

  Record<std::string> headers_;  // Of the unary calls.
  Record<bool> arrived_;
  std::shared_ptr<Cloud> cloud_;
};

TEST_F(AuthenticationTest, EveryCallCarriesTheTokenOfTheSecret) {
  Connect();
  EXPECT_TRUE(Upload().status.ok());
  EXPECT_TRUE(Upload().status.ok());
  EXPECT_TRUE(Stream().status.ok());
  EXPECT_EQ(headers_.All(), (std::vector<std::string>{"Bearer token-1", "Bearer token-1"}));
  EXPECT_EQ(server_.office.authenticates(), 1);
  EXPECT_EQ(cloud_->Status().state, ConnectionState::kHealthy);
  EXPECT_EQ(cloud_->Status().last_error, "");
}

TEST_F(AuthenticationTest, AnApiKeyWinsOverTheSecret) {
  server_.office.Demand("api-key", "key-1", "whisper");
  CloudConfig config = Config();
  config.api_key = {.id = "key-1", .key = "whisper"};
  Connect(config);
  EXPECT_TRUE(Upload().status.ok());
}

TEST_F(AuthenticationTest, WithoutCredentialsThereIsNone) {
  Connect({.id = "part-1", .app_address = "http://" + server_.address()});
  EXPECT_EQ(Upload().status, absl::UnauthenticatedError("unauthenticated: token expired"));
  EXPECT_EQ(server_.office.authenticates(), 0);
}

TEST_F(AuthenticationTest, WrongCredentialsAreToldOnceAndUploadsRest) {
  CloudConfig config = Config();
  config.secret = "hush-hush-hush";
  const std::string error =
      "authenticating with the cloud as robot-secret \"part-1\": UNAUTHENTICATED: invalid "
      "credentials; check cloud.secret";
  EXPECT_EQ(ConnectInVain(config), error);
  EXPECT_EQ(WaitForLog("error"),
            "error Nothing is uploaded to app at " + server_.address() + ": " + error);
  EXPECT_FALSE(cloud_->uploader().Ready());
  const CallResult result = Upload();
  EXPECT_EQ(result.status,
            absl::UnavailableError("not connected to " + server_.address() + ": " + error));
  EXPECT_FALSE(result.channel_ready);
  EXPECT_FALSE(result.sent);
  EXPECT_EQ(Stream().status, result.status);
}

TEST_F(AuthenticationTest, GoesOnByItselfWhenTheCredentialsAreTaken) {
  server_.office.Demand("robot-secret", "part-1", "another");
  Record<bool> ready;
  ConnectInVain(Config());
  cloud_->uploader().SetReadyListener([&](bool now) { ready.Add(now); });
  const WallTime unhealthy_since = cloud_->Status().since;
  server_.office.Demand("robot-secret", "part-1", kSecret);
  EXPECT_TRUE(cloud_->uploader().WaitUntilReady(Patience(), {}));
  EXPECT_TRUE(Upload().status.ok());
  EXPECT_TRUE(ready.WaitForCount(1));
  cloud_->uploader().SetReadyListener(nullptr);
  EXPECT_EQ(ready.All(), std::vector<bool>{true});
  EXPECT_EQ(cloud_->Status().state, ConnectionState::kHealthy);
  EXPECT_GT(cloud_->Status().since, unhealthy_since);
  EXPECT_NE(WaitForLog("info Connected to app"), "");
}

// Whatever the handshake fails with, it is never taken for the server's word on a file.
TEST_F(AuthenticationTest, NoFailureOfTheHandshakeIsAboutAFile) {
  const std::pair<grpc::StatusCode, std::string> cases[] = {
      {grpc::StatusCode::INVALID_ARGUMENT, "INVALID_ARGUMENT: no; check cloud.secret"},
      {grpc::StatusCode::PERMISSION_DENIED, "PERMISSION_DENIED: no; check cloud.secret"},
      {grpc::StatusCode::UNIMPLEMENTED,
       "UNIMPLEMENTED: no; that server takes no credentials: check cloud.app_address, or take "
       "cloud.secret out"},
      {grpc::StatusCode::UNAVAILABLE, "UNAVAILABLE: no; it is tried again"},
      {grpc::StatusCode::INTERNAL, "INTERNAL: no; it is tried again"},
      {grpc::StatusCode::CANCELLED, "CANCELLED: no; it is tried again"},
  };
  for (const auto& [code, text] : cases) {
    server_.office.on_authenticate = [code = code](grpc::ServerContext&) {
      return grpc::Status(code, "no");
    };
    EXPECT_EQ(ConnectInVain(Config()),
              "authenticating with the cloud as robot-secret \"part-1\": " + text);
    EXPECT_EQ(Upload().status.code(), absl::StatusCode::kUnavailable);
  }
}

TEST_F(AuthenticationTest, WhatTheServerRepeatsOfTheSecretIsTakenOut) {
  server_.office.on_authenticate = [](grpc::ServerContext&) {
    return grpc::Status(grpc::StatusCode::UNAUTHENTICATED,
                        std::string("no ") + kSecret + " here: " + kSecret);
  };
  EXPECT_EQ(ConnectInVain(Config()),
            "authenticating with the cloud as robot-secret \"part-1\": UNAUTHENTICATED: no "
            "[secret] here: [secret]; check cloud.secret");
}

TEST_F(AuthenticationTest, WhatTheServerRepeatsOfTheTokenIsTakenOut) {
  server_.on_data_capture = [](grpc::ServerContext& context, const auto&, auto&) {
    return grpc::Status(grpc::StatusCode::INTERNAL,
                        std::string(kSecret) + " " + testing::TokenOffice::HeaderOf(context));
  };
  Connect();
  EXPECT_EQ(Upload().status, absl::InternalError("[secret] Bearer [secret]"));
  server_.office.SetRejection({grpc::StatusCode::UNAUTHENTICATED, "token-1 is over"});
  server_.office.Expire();
  EXPECT_EQ(Upload().status, absl::UnauthenticatedError("[secret] is over"));
}

// gRPC would end the process over it.
TEST_F(AuthenticationTest, ATokenThatFitsNoHeaderIsNotUsed) {
  for (const std::string& token :
       {std::string(), std::string("a\nb"), std::string("a b"), std::string("t\xc3\xa9"),
        std::string("a\0b", 3), std::string(70000, 'x')}) {
    server_.office.make_token = [&token](int) { return token; };
    EXPECT_EQ(
        ConnectInVain(Config()),
        std::string("authenticating with the cloud as robot-secret \"part-1\": INTERNAL: the ") +
            (token.empty() ? "answer has no token"
                           : "token in the answer does not fit into a header") +
            "; it is tried again");
  }
}

TEST_F(AuthenticationTest, AUnaryCallWhoseTokenIsOverIsRepeatedWithAnother) {
  for (const auto code : {grpc::StatusCode::UNAUTHENTICATED, grpc::StatusCode::PERMISSION_DENIED}) {
    server_.office.SetRejection({code, "over"});
    Connect();
    EXPECT_TRUE(Upload().status.ok());
    const int before = server_.office.authenticates();
    server_.office.Expire();
    const CallResult result = Upload();
    EXPECT_TRUE(result.status.ok()) << result.status;
    EXPECT_FALSE(result.renewed);
    EXPECT_EQ(server_.office.authenticates(), before + 1);
  }
}

TEST_F(AuthenticationTest, AStreamWhoseTokenIsOverIsToBeRepeatedWithAnother) {
  for (const auto code : {grpc::StatusCode::UNAUTHENTICATED, grpc::StatusCode::PERMISSION_DENIED}) {
    server_.office.SetRejection({code, "over"});
    Connect();
    EXPECT_TRUE(Stream().status.ok());
    const int before = server_.office.authenticates();
    server_.office.Expire();
    const CallResult rejected = Stream();
    EXPECT_EQ(rejected.status, absl::Status(static_cast<absl::StatusCode>(code), "over"));
    EXPECT_TRUE(rejected.renewed);
    const CallResult result = Stream({.is_repeat = true});
    EXPECT_TRUE(result.status.ok()) << result.status;
    EXPECT_EQ(server_.office.authenticates(), before + 1);
    // A renewal is no loss of the connection.
    EXPECT_EQ(cloud_->Status().last_error, "");
  }
}

TEST_F(AuthenticationTest, ARepeatThatIsRejectedIsNotRepeated) {
  Connect();
  EXPECT_TRUE(Stream().status.ok());
  server_.office.Expire();
  EXPECT_TRUE(Stream().renewed);
  EXPECT_TRUE(Upload().status.ok());  // With the new token, so that it is there.
  server_.office.Expire();
  const CallResult result = Stream({.is_repeat = true});
  EXPECT_EQ(result.status, absl::UnauthenticatedError("unauthenticated: token expired"));
  EXPECT_FALSE(result.renewed);
}

TEST_F(AuthenticationTest, AServerThatDoesNotTakeItsOwnTokensIsToldAndLeftAlone) {
  server_.office.GiveUselessTokens();
  Connect();
  const CallResult result = Upload();
  EXPECT_EQ(result.status, absl::UnauthenticatedError("unauthenticated: token expired"));
  EXPECT_TRUE(WaitForState(*cloud_, ConnectionState::kUnhealthy));
  EXPECT_EQ(cloud_->Status().last_error,
            "authenticating with the cloud as robot-secret \"part-1\": UNAUTHENTICATED: the server "
            "does not take the token that it gave: unauthenticated: token expired; check "
            "cloud.secret");
  EXPECT_FALSE(cloud_->uploader().Ready());
  EXPECT_EQ(server_.office.authenticates(), 1);
}

TEST_F(AuthenticationTest, AFileWithoutPermissionRenewsTheTokenOnce) {
  Connect();
  EXPECT_TRUE(Upload().status.ok());
  for (int i = 0; i < 5; ++i) {
    const CallResult result = Upload({}, "not-ours");
    EXPECT_EQ(result.status, absl::PermissionDeniedError("not your part"));
    EXPECT_TRUE(result.channel_ready);
    EXPECT_TRUE(Upload().status.ok());
  }
  EXPECT_EQ(server_.office.authenticates(), 2);
  EXPECT_EQ(cloud_->Status().state, ConnectionState::kHealthy);
}

TEST_F(AuthenticationTest, AChangedSecretFileCountsFromTheNextReconfiguration) {
  const testing::TempDir directory;
  CloudConfig config = Config();
  config.secret = "";
  config.secret_file = directory.path() + "/secret";
  testing::WriteFile(config.secret_file, std::string(kSecret) + "\n");
  std::filesystem::permissions(
      config.secret_file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  Connect(config);
  EXPECT_TRUE(cloud_->Reconfigure(config).ok());
  EXPECT_EQ(server_.office.authenticates(), 1);

  testing::WriteFile(config.secret_file, "another\n");
  server_.office.Demand("robot-secret", "part-1", "another");
  server_.office.Expire();
  EXPECT_TRUE(cloud_->Reconfigure(config).ok());
  EXPECT_TRUE(cloud_->uploader().WaitUntilReady(Patience(), {}));
  EXPECT_TRUE(Upload().status.ok());
  EXPECT_EQ(server_.office.authenticates(), 2);

  // A file that is gone changes nothing.
  std::filesystem::remove(config.secret_file);
  EXPECT_EQ(cloud_->Reconfigure(config).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Upload().status.ok());
}

TEST_F(AuthenticationTest, FaultyCredentialsAreFaultsOfTheConfig) {
  EXPECT_EQ(Cloud::Create({.id = "part-1", .app_address = "nowhere", .api_key = {.id = "key-1"}})
                .status()
                .message(),
            "cloud.app_address: \"nowhere\" has no scheme; write https://nowhere, or http:// for a "
            "server without TLS\n"
            "cloud.api_key.key: it is missing; write the key, or as key_file the name of a file "
            "that has it");
}

TEST_F(AuthenticationTest, CredentialsInPlaintextDrawAWarningUnlessTheyStayOnTheMachine) {
  MakeCloud({.id = "part-1", .app_address = "http://192.0.2.1:80", .secret = kSecret});
  EXPECT_EQ(WaitForLog("warning"),
            "warning cloud.app_address: cloud.secret travels to http://192.0.2.1:80 in plaintext, "
            "where anybody on the way can read it; write https://");
  for (const std::string address : {"127.9.9.9", "[::1]", "localhost"}) {
    MakeCloud({.id = "part-1", .app_address = "http://" + address + ":1", .secret = kSecret});
  }
  cloud_.reset();
  const std::vector<std::string> log = log_.All();
  EXPECT_EQ(std::count_if(log.begin(), log.end(),
                          [](const std::string& line) { return line.starts_with("warning"); }),
            1);
}

// --- Servers that never answer. Their tests end fast only if nothing waits for them.

TEST_F(AuthenticationTest, GivesUpOnAServerThatNeverAnswers) {
  Hang();
  absl::StatusOr<std::shared_ptr<Logger>> logger = Logger::Create(Sink());
  ASSERT_TRUE(logger.ok());
  Endpoint endpoint{
      .address = *ParseAppAddress("http://" + server_.address()),
      .credentials = Credentials{.type = "robot-secret", .entity = "part-1", .payload = kSecret}};
  const auto connectivity = Connectivity::Create(
      endpoint, *logger, std::make_shared<ReadyListener>(), {.authenticate = 50ms});
  ASSERT_TRUE(connectivity.ok());
  (*connectivity)->Begin();
  EXPECT_TRUE(testing::WaitUntil(
      [&] { return (*connectivity)->Status().state == ConnectionState::kUnhealthy; }));
  EXPECT_EQ((*connectivity)->Status().last_error,
            "authenticating with the cloud as robot-secret \"part-1\": DEADLINE_EXCEEDED: no "
            "answer within 50ms; it is tried again");
}

TEST_F(AuthenticationTest, TheEndWaitsForNoAnswer) {
  Hang();
  cloud_ = MakeCloud(Config());
  EXPECT_TRUE(arrived_.WaitForCount(1));
  const MonotonicTime start = Clock::System().MonotonicNow();
  cloud_.reset();
  EXPECT_LT(Clock::System().MonotonicNow() - start, 900ms);
}

TEST_F(AuthenticationTest, ACallThatWaitsForATokenEndsWhenStopped) {
  Connect();
  EXPECT_TRUE(Upload().status.ok());
  Hang();
  server_.office.Expire();
  std::stop_source stop;
  std::vector<std::jthread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&, i] {
      const CallOptions options{.stop = stop.get_token()};
      // The stream has already been told that there will be another token.
      const CallResult result =
          i % 2 == 0 ? Upload(options)
                     : (Stream(options), Stream({.stop = options.stop, .is_repeat = true}));
      EXPECT_EQ(result.status, absl::CancelledError("stopped by the caller"));
    });
  }
  EXPECT_TRUE(arrived_.WaitForCount(1));
  stop.request_stop();
  callers.clear();
  EXPECT_EQ(arrived_.All().size(), 1U);
}

TEST_F(AuthenticationTest, ACallThatWaitsForATokenEndsWhenTheConnectionIsLost) {
  Connect();
  EXPECT_TRUE(Upload().status.ok());
  Hang();
  server_.office.Expire();
  const std::jthread stopper([&] {
    EXPECT_TRUE(arrived_.WaitForCount(1));
    server_.Stop();
  });
  const CallResult result = Upload();
  EXPECT_EQ(result.status.code(), absl::StatusCode::kUnavailable) << result.status;
  EXPECT_FALSE(result.channel_ready);
}

// --- How it renews ahead, on a clock of the test's.

class RenewalTest : public AuthenticationTest {
 protected:
  RenewalTest() {
    // Tokens of an hour, by the server's own clock.
    server_.office.make_token = [](int n) {
      return testing::UnsignedJwt(R"({"iat":1700000000,"exp":1700003600,"n":)" + std::to_string(n) +
                                  "}");
    };
  }
  void Start() {
    absl::StatusOr<std::shared_ptr<Logger>> logger = Logger::Create(Sink());
    ASSERT_TRUE(logger.ok());
    authentication_.emplace(Credentials{.type = "robot-secret",
                                        .entity = "part-1",
                                        .payload = kSecret,
                                        .field = "cloud.secret"},
                            channel_, *std::move(logger), Authentication::Options{.clock = &clock_},
                            [] {});
    thread_ = std::jthread([this](const std::stop_token& stop) { authentication_->Run(stop); });
    authentication_->SetChannelReady(true);
    EXPECT_TRUE(testing::WaitUntil([&] { return authentication_->Current() != nullptr; }));
  }
  // It looks at the clock.
  void LookAgain() { authentication_->SetChannelReady(true); }
  testing::FakeClock clock_;
  const std::shared_ptr<grpc::Channel> channel_ =
      grpc::CreateChannel(server_.address(), grpc::InsecureChannelCredentials());
  std::optional<Authentication> authentication_;
  std::jthread thread_;  // Ends before what it runs.
};

// Whatever our own wall clock says.
TEST_F(RenewalTest, AJwtIsRenewedAheadOfItsEnd) {
  for (const auto off : {0h, -10h, 10h}) {
    clock_.StopWall(WallTime(std::chrono::seconds(1700000000)) + off);
    const int before = server_.office.tokens();
    Start();
    const Token first = authentication_->Current();
    clock_.Advance(47min);
    LookAgain();
    EXPECT_EQ(authentication_->Current(), first);
    // At 80 to 90 % of its hour.
    clock_.Advance(8min);
    LookAgain();
    EXPECT_TRUE(testing::WaitUntil([&] { return authentication_->Current() != first; }));
    thread_ = {};
    EXPECT_EQ(server_.office.tokens(), before + 2);
  }
}

TEST_F(RenewalTest, ATokenIsUsedAsLongAsItIsGoodIfItCannotBeRenewed) {
  Start();
  const Token first = authentication_->Current();
  server_.office.on_authenticate = [this](grpc::ServerContext&) {
    arrived_.Add(true);
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "overloaded");
  };
  clock_.Advance(56min);
  LookAgain();
  EXPECT_TRUE(arrived_.WaitForCount(1));
  clock_.Advance(5min);
  EXPECT_TRUE(testing::WaitUntil([&] {
    LookAgain();
    clock_.Advance(1min);
    return arrived_.All().size() >= 3;
  }));
  EXPECT_EQ(authentication_->Current(), first);
  EXPECT_TRUE(authentication_->Admitted());
  EXPECT_EQ(WaitForLog("warning"),
            "warning The token is used as long as it is good, but not renewed: authenticating with "
            "the cloud as robot-secret \"part-1\": UNAVAILABLE: overloaded; it is tried again");
}

TEST_F(RenewalTest, NothingIsAskedForWhileTheChannelIsNotReady) {
  Start();
  authentication_->SetChannelReady(false);
  const Token first = authentication_->Current();
  clock_.Advance(2h);
  authentication_->SetChannelReady(false);
  EXPECT_EQ(authentication_->Current(), first);
  LookAgain();
  EXPECT_TRUE(testing::WaitUntil([&] { return authentication_->Current() != first; }));
  EXPECT_EQ(server_.office.authenticates(), 2);
}

// --- Many calls at once.

using TokenRaceTest = AuthenticationTest;

// Each token lets in 20 calls.
TEST_F(TokenRaceTest, AThousandCallsNeedFiftyTokensAndNoneFails) {
  constexpr int kThreads = 8;
  constexpr int kCalls = 1000;
  constexpr int kCallsPerToken = 20;
  server_.office.SetCallsPerToken(kCallsPerToken);
  Connect();
  std::atomic<int> next = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      while (next++ < kCalls) {
        // What its owner does with a file.
        CallResult result;
        do {
          const bool is_repeat = result.renewed;
          result =
              next % 2 == 0 ? Upload({.is_repeat = is_repeat}) : Stream({.is_repeat = is_repeat});
        } while (IsRejection(result.status));
        EXPECT_TRUE(result.status.ok()) << result.status;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(server_.office.let_in(), kCalls);
  EXPECT_EQ(server_.office.authenticates(), kCalls / kCallsPerToken);
  EXPECT_EQ(cloud_->Status().last_error, "");
}

TEST_F(TokenRaceTest, HoweverManyNoticeTheEndThereIsOneNewToken) {
  Connect();
  EXPECT_TRUE(Upload().status.ok());
  for (int round = 1; round <= 20; ++round) {
    server_.office.Expire();
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] { EXPECT_TRUE(Upload().status.ok()); });
    }
    threads.clear();
    EXPECT_EQ(server_.office.authenticates(), 1 + round);
  }
}

}  // namespace
}  // namespace datamanager::cloud
