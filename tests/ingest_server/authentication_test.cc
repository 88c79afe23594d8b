// Who may upload, as a client sees it.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "ingest_server/server.h"
#include "tests/ingest_server/client.h"
#include "tests/support/fake_clock.h"
#include "tests/support/files.h"
#include "tests/support/own_loopback.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace ingest {
namespace {

using datamanager::testing::OwnLoopback;
using datamanager::testing::WaitUntil;
using grpc::StatusCode;
using std::chrono_literals::operator""s;

constexpr char kOneKey[] = R"({"api_keys": [{"id": "k1", "key": "sesame"}]})";
constexpr char kAll[] =
    R"({"api_keys": [{"id": "k1", "key": "sesame"}, {"id": "k2", "key": "mellon"}],
        "robot_secrets": [{"id": "part-1", "secret": "xyzzy"}]})";

testing::AssertionResult Is(StatusCode code, const std::string& text, const grpc::Status& status) {
  if (status.error_code() == code && status.error_message() == text) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << status.error_code() << ": " << status.error_message();
}
testing::AssertionResult IsOk(const grpc::Status& status) { return Is(StatusCode::OK, "", status); }

class IngestAuthTest : public ::testing::Test {
 protected:
  IngestAuthTest() {
    SetFile(kAll);
    Start(OwnLoopback(0));
  }

  std::string File() const { return temp_.path() + "/credentials.json"; }
  void SetFile(const std::string& json) const {
    datamanager::testing::WriteFile(File(), json);
    std::filesystem::permissions(File(), std::filesystem::perms::owner_read);
  }

  void Start(const std::string& listen) {
    auto server = IngestServer::Start({.listen = listen,
                                       .store = temp_.path() + "/store",
                                       .credentials = File(),
                                       .token_lifetime = 60s,
                                       .clock = &clock_});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = std::make_unique<Client>(server_->address());
  }

  // A token that is good at first.
  std::string Token(const std::string& type, const std::string& entity, const std::string& secret) {
    std::string token;
    EXPECT_TRUE(IsOk(Client(server_->address()).Authenticate(type, entity, secret, token)));
    client_->set_token(token);
    EXPECT_TRUE(IsOk(client_->UploadBinary("x")));
    return token;
  }

  // All uploads, whatever their kind, end so, and nothing is stored.
  void ExpectNoUpload(const std::string& text) {
    const size_t before = Rows();
    EXPECT_TRUE(Is(StatusCode::UNAUTHENTICATED, text, client_->UploadBinary("x")));
    EXPECT_TRUE(Is(StatusCode::UNAUTHENTICATED, text, client_->UploadStream({"x", "y"})));
    EXPECT_TRUE(Is(StatusCode::UNAUTHENTICATED, text, client_->UploadFile({"x", "y"})));
    EXPECT_TRUE(Is(StatusCode::UNAUTHENTICATED, text, client_->CreateSequence()));
    EXPECT_EQ(Rows(), before);
  }
  size_t Rows() {
    return server_->store().Rows().value().size() + server_->sequences().Rows().value().size();
  }

  const datamanager::testing::TempDir temp_;
  datamanager::testing::FakeClock clock_;
  std::unique_ptr<IngestServer> server_;
  std::unique_ptr<Client> client_;
};

constexpr char kNoToken[] = "authentication required";
constexpr char kExpired[] = "unauthenticated: the token has expired";
constexpr char kForeign[] =
    "unauthenticated: the token is not of this server's, or its credentials were revoked";

TEST_F(IngestAuthTest, RightCredentialsGiveATokenForAllUploads) {
  Token("api-key", "k1", "sesame");
  Token("api-key", "k2", "mellon");
  Token("robot-secret", "part-1", "xyzzy");
  EXPECT_TRUE(IsOk(client_->UploadStream({"x", "y"})));
  EXPECT_TRUE(IsOk(client_->UploadFile({"x", "y"})));
  EXPECT_TRUE(IsOk(client_->CreateSequence()));
  EXPECT_EQ(Rows(), 6u);
  EXPECT_EQ(server_->authentication_counts().granted, 3u);
  EXPECT_EQ(server_->authentication_counts().refused, 0u);
}

TEST_F(IngestAuthTest, ATokenIsForThePartsOfItsCredentials) {
  SetFile(R"({"api_keys": [{"id": "k1", "key": "sesame", "part_ids": ["part-1", "part-2"]},
                           {"id": "k2", "key": "mellon"}],
              "robot_secrets": [{"id": "part-1", "secret": "xyzzy"}]})");
  ASSERT_TRUE(server_->ReloadCredentials().ok());
  struct Case {
    const char *type, *entity, *secret, *part;
    bool allowed;
  };
  for (const Case& test :
       {Case{"api-key", "k1", "sesame", "part-2", true},
        Case{"api-key", "k1", "sesame", "part-3", false},
        Case{"api-key", "k1", "sesame", "", false}, Case{"api-key", "k2", "mellon", "part-3", true},
        Case{"robot-secret", "part-1", "xyzzy", "part-1", true},
        Case{"robot-secret", "part-1", "xyzzy", "part-2", false}}) {
    client_->set_part("part-1");
    Token(test.type, test.entity, test.secret);
    client_->set_part(test.part);
    const size_t before = Rows();
    const std::string text = std::string(test.type) + " \"" + test.entity +
                             "\" may not upload for part \"" + test.part + "\"";
    for (const grpc::Status& status :
         {client_->UploadReadings({1}), client_->UploadBinary("x"), client_->UploadStream({"x"}),
          client_->UploadFile({"x"}), client_->CreateSequence()}) {
      EXPECT_TRUE(test.allowed ? IsOk(status) : Is(StatusCode::PERMISSION_DENIED, text, status))
          << test.part;
    }
    EXPECT_EQ(Rows() - before, test.allowed ? 5u : 0u);
  }
}

TEST_F(IngestAuthTest, WrongCredentialsGiveNone) {
  for (const auto& [type, entity, secret] :
       std::vector<std::tuple<const char*, const char*, const char*>>{
           {"api-key", "k1", "wrong"},
           {"api-key", "k1", ""},
           {"api-key", "k1", "mellon"},
           {"api-key", "nobody", "sesame"},
           {"api-key", "part-1", "xyzzy"},
           {"robot-secret", "k1", "sesame"}}) {
    std::string token;
    EXPECT_TRUE(Is(StatusCode::UNAUTHENTICATED, "invalid credentials",
                   client_->Authenticate(type, entity, secret, token)));
    EXPECT_EQ(token, "");
  }
  EXPECT_EQ(server_->authentication_counts().refused, 6u);
}

TEST_F(IngestAuthTest, WhatIsNoRequestOfThisKindIsRefused) {
  std::string token;
  EXPECT_TRUE(
      Is(StatusCode::INVALID_ARGUMENT, "credentials required", client_->Authenticate({}, token)));
  EXPECT_TRUE(Is(StatusCode::INVALID_ARGUMENT,
                 "do not know how to handle credential type \"external\"",
                 client_->Authenticate("external", "k1", "sesame", token)));
  EXPECT_TRUE(Is(StatusCode::INVALID_ARGUMENT,
                 "do not know how to handle credential type \"" + std::string(32, 'x') + "\"",
                 client_->Authenticate(std::string(1000, 'x'), "k1", "sesame", token)));

  Token("api-key", "k1", "sesame");
  EXPECT_TRUE(Is(StatusCode::INVALID_ARGUMENT, "already authenticated; cannot re-authenticate",
                 client_->Authenticate("api-key", "k1", "sesame", token)));
  EXPECT_EQ(token, "");
}

TEST_F(IngestAuthTest, NothingIsUploadedWithoutAToken) {
  ExpectNoUpload(kNoToken);
  client_->set_authorization("Basic azE6c2VzYW1l");
  ExpectNoUpload("unauthenticated: expected authorization: Bearer TOKEN");
  for (const char* token : {"", "sesame", "a.b.c"}) {
    client_->set_token(token);
    ExpectNoUpload(kForeign);
  }
}

TEST_F(IngestAuthTest, ATokenEndsWithItsLifetime) {
  Token("api-key", "k1", "sesame");
  clock_.Advance(59s);
  EXPECT_TRUE(IsOk(client_->UploadBinary("x")));
  clock_.Advance(2s);
  ExpectNoUpload(kExpired);

  Token("api-key", "k1", "sesame");
}

TEST_F(IngestAuthTest, AStreamUnderWayOutlivesItsToken) {
  using namespace viam::app::datasync::v1;
  const std::string token = Token("api-key", "k1", "sesame");
  const auto stub = DataSyncService::NewStub(
      grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + token);
  FileUploadResponse response;
  const auto writer = stub->FileUpload(&context, &response);
  FileUploadRequest metadata;
  metadata.mutable_metadata()->set_type(DATA_TYPE_FILE);
  ASSERT_TRUE(writer->Write(metadata));
  ASSERT_TRUE(WaitUntil(
      [&] { return !datamanager::testing::FilesBelow(temp_.path() + "/store", ".tmp").empty(); }));
  clock_.Advance(61s);
  FileUploadRequest piece;
  piece.mutable_file_contents()->set_data("x");
  EXPECT_TRUE(writer->Write(piece));
  EXPECT_TRUE(writer->WritesDone());
  EXPECT_TRUE(IsOk(writer->Finish()));
  ExpectNoUpload(kExpired);
}

TEST_F(IngestAuthTest, ARevokedKeyAndItsTokensAreWorthNothing) {
  const std::string revoked = Token("api-key", "k2", "mellon");
  const std::string kept = Token("api-key", "k1", "sesame");
  SetFile(kOneKey);
  EXPECT_EQ(server_->ReloadCredentials().value(), 1u);

  EXPECT_TRUE(IsOk(client_->UploadBinary("x")));
  client_->set_token(revoked);
  ExpectNoUpload(kForeign);
  std::string token;
  EXPECT_TRUE(Is(StatusCode::UNAUTHENTICATED, "invalid credentials",
                 Client(server_->address()).Authenticate("api-key", "k2", "mellon", token)));
}

TEST_F(IngestAuthTest, AReplacedSecretEndsTheTokensOfTheFormerOne) {
  Token("api-key", "k1", "sesame");
  SetFile(R"({"api_keys": [{"id": "k1", "key": "new"}]})");
  EXPECT_TRUE(server_->ReloadCredentials().ok());
  ExpectNoUpload(kForeign);
  Token("api-key", "k1", "new");
}

TEST_F(IngestAuthTest, AWrongFileChangesNothing) {
  Token("api-key", "k1", "sesame");
  SetFile("{");
  const auto count = server_->ReloadCredentials();
  EXPECT_EQ(std::string(count.status().message()), File() + ": not valid JSON at line 1, column 2");
  EXPECT_TRUE(IsOk(client_->UploadBinary("x")));
  Token("api-key", "k2", "mellon");
}

TEST_F(IngestAuthTest, NoTokenOutlivesTheServer) {
  const std::string token = Token("api-key", "k1", "sesame");
  const std::string address = server_->address();
  server_.reset();
  Start(address);
  client_->set_token(token);
  ExpectNoUpload(kForeign);
}

TEST_F(IngestAuthTest, WithoutAFileEverybodyMayUpload) {
  const auto server =
      IngestServer::Start({.listen = OwnLoopback(0), .store = temp_.path() + "/other"});
  ASSERT_TRUE(server.ok()) << server.status();
  Client client((*server)->address());
  EXPECT_TRUE(IsOk(client.UploadBinary("x")));
  client.set_token("of another server");
  EXPECT_TRUE(IsOk(client.UploadBinary("x")));
  std::string token;
  EXPECT_TRUE(Is(StatusCode::UNIMPLEMENTED, "this server takes no credentials",
                 client.Authenticate("api-key", "k1", "sesame", token)));
  EXPECT_FALSE((*server)->ReloadCredentials().ok());
}

TEST_F(IngestAuthTest, ItDoesNotStartWithAWrongFile) {
  SetFile("nothing");
  const auto server = IngestServer::Start(
      {.listen = OwnLoopback(0), .store = temp_.path() + "/other", .credentials = File()});
  EXPECT_EQ(std::string(server.status().message()),
            File() + ": not valid JSON at line 1, column 1");
}

}  // namespace
}  // namespace ingest
