// Each state of the connection × each call, and changes of the state while calls are in flight:
// what is answered, what is logged, that capture goes on, and that everything arrives in the end.
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "tests/service/served_world.h"
#include "tests/support/tcp_proxy.h"

namespace datamanager::testing {
namespace {

using absl::StatusCode;

constexpr char kJpeg[] = "\xff\xd8\xff\xe0";

absl::Status ToAbsl(const grpc::Status& status) {
  return {static_cast<StatusCode>(status.error_code()), status.error_message()};
}

struct Answer {
  StatusCode code = StatusCode::kOk;
  std::string text;  // Is part of it.
  // Where it depends on which of two threads hears of the change first.
  std::optional<StatusCode> or_code = std::nullopt;
};

::testing::AssertionResult Is(const Answer& answer, const absl::Status& status) {
  if (status.code() != answer.code && status.code() != answer.or_code) {
    return ::testing::AssertionFailure() << "not " << answer.code << ": " << status;
  }
  return Has(status.ToString(), answer.text);
}

struct Call {
  std::string name;
  std::function<absl::Status()> make;
};

// What the calls of a kind answer; those over gRPC the same as those in C++.
struct Answers {
  Answer sync;
  Answer upload;  // To datasets.
  Answer upload_path;
  Answer local = {};  // What needs no cloud.
};

class MatrixWorld : public ServedWorld {
 protected:
  MatrixWorld() {
    AddSensor("cpu", 500);
    config_.sync_disabled = true;  // Nothing happens but by calls.
    options_.connect_timeout = 50ms;
  }

  // A manager, configured and served, whose cloud is `config`.
  void Begin(const CloudConfig& config) {
    ASSERT_NO_FATAL_FAILURE(MakeManager(config));
    ASSERT_TRUE(IsOk(Reconfigure()));
    ASSERT_NO_FATAL_FAILURE(Serve());
  }
  CloudConfig CloudAt(const std::string& address) const {
    return {.id = kPart, .app_address = "http://" + address, .secret = secret_};
  }
  // A server that demands the part's secret, which is `secret`.
  void StartServerWithSecret(const std::string& secret) {
    WriteSecret(secret);
    auto server = ingest::IngestServer::Start(
        {.listen = address_, .store = Store(), .credentials = Path("credentials.json")});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    address_ = server_->address();
  }
  void WriteSecret(const std::string& secret) const {
    WriteFile(Path("credentials.json"), absl::StrCat(R"({"robot_secrets": [{"id": ")", kPart,
                                                     R"(", "secret": ")", secret, R"("}]})"));
    ASSERT_EQ(::chmod(Path("credentials.json").c_str(), 0600), 0);
  }

  absl::Status UploadBytes(const std::string& data) {
    return manager_->UploadBinaryDataToDatasets(data, {.dataset_ids = {"d"}}, "");
  }
  // A file that is written for it, unless it is still there: the server may have it by now.
  absl::Status UploadPath(const std::string& name) {
    if (!Exists(Path("given/" + name))) WriteFile(Path("given/" + name), name);
    const UploadedFiles result = manager_->UploadDataFromPath(Path("given/" + name));
    if (result.status.ok() && result.files_failed > 0) {
      return absl::UnknownError(result.errors.front());
    }
    return result.status;
  }
  absl::Status UploadServed(const std::string& data) {
    return ToAbsl(client_->Upload(DataManagerClient::UploadRequest("data", data)));
  }

  // What was ever given to an upload has arrived, once; and every reading.
  void ExpectAllArrivedOnce(std::vector<std::string> given) {
    std::vector<std::string> arrived;
    for (const ingest::Received& file : ArrivedFiles()) arrived.push_back(Blob(file));
    std::sort(arrived.begin(), arrived.end());
    std::sort(given.begin(), given.end());
    EXPECT_EQ(arrived, given);
    ExpectArrivedOnce("cpu");
    EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  }
};

class CallMatrixTest : public MatrixWorld {
 protected:
  // Makes every call once.
  void Expect(const Answers& answers) {
    const auto expect = [this](const Answer& answer, const std::vector<Call>& calls) {
      for (const Call& call : calls) {
        EXPECT_TRUE(Is(answer, call.make())) << call.name;
        if (answer.text != kClosedText) {
          EXPECT_TRUE(WaitForMore("cpu", 1)) << call.name;
        }
      }
    };
    expect(answers.sync, {{"Sync", [this] { return manager_->Sync(); }},
                          {"Sync, until all is uploaded", [this] { return SyncAll(); }},
                          {"served Sync", [this] { return ToAbsl(client_->Sync("data")); }}});
    expect(answers.upload,
           {{"UploadBinaryDataToDatasets",
             [this] { return Given("bytes", [this](auto& data) { return UploadBytes(data); }); }},
            {"UploadImageToDatasets",
             [this] { return Given(kJpeg, [this](auto& data) { return UploadJpeg(data); }); }},
            {"served UploadBinaryDataToDatasets", [this] {
               return Given("served", [this](auto& data) { return UploadServed(data); });
             }}});
    expect(answers.upload_path,
           {{"UploadDataFromPath",
             [this] { return Given("file", [this](auto& data) { return UploadPath(data); }); }}});
    expect(answers.local,
           {{"Flush", [this] { return manager_->Flush(); }},
            {"RetryFailed", [this] { return manager_->RetryFailed().status(); }},
            {"Reconfigure", [this] { return Reconfigure(); }},
            {"served flush",
             [this] { return ToAbsl(client_->Do("data", R"({"command": "flush"})")); }},
            {"served retry_failed",
             [this] { return ToAbsl(client_->Do("data", R"({"command": "retry_failed"})")); }}});
    // These tell of any state.
    const std::string state(ConnectionStateName(manager_->Stats().connection.state));
    google::protobuf::Struct told;
    EXPECT_TRUE(client_->GetStatus("data", &told).ok());
    EXPECT_EQ(StateIn(told), state);
    EXPECT_TRUE(client_->Do("data", R"({"command": "stats"})", &told).ok());
    EXPECT_EQ(StateIn(told), state);
  }
  // Once it is healthy.
  void ExpectHealthyAnswers() {
    ASSERT_TRUE(WaitForConnection(ConnectionState::kHealthy));
    Expect({});
  }
  void ExpectAllArrived() {
    ASSERT_NO_FATAL_FAILURE(Drain());
    ExpectAllArrivedOnce(accepted_);
  }
  void ExpectSaidOnce(std::string_view text) {
    EXPECT_TRUE(WaitForLog(text)) << text;
    EXPECT_EQ(log_.Count(text), 1U) << text;
  }
  static std::string StateIn(const google::protobuf::Struct& stats) {
    return stats.fields().at("connection").struct_value().fields().at("state").string_value();
  }

  // Gives the upload data of its own, and remembers it if it is accepted.
  template <typename Upload>
  absl::Status Given(const char* what, const Upload& upload) {
    const std::string data = absl::StrCat(what, " ", ++given_);
    absl::Status status = upload(data);
    if (status.ok() || Has(status.ToString(), "it is on disk")) accepted_.push_back(data);
    return status;
  }
  absl::Status UploadJpeg(const std::string& data) {
    return manager_->UploadImageToDatasets(data, {}, "image/jpeg");
  }

  int given_ = 0;
  std::vector<std::string> accepted_;

  static constexpr char kClosedText[] = "the data manager is closed";
  static constexpr char kOnDisk[] = "; it is on disk, and the next call of Sync uploads it";
};

TEST_F(CallMatrixTest, WithoutACloud) {
  MakeManager(/*with_cloud=*/false);
  ASSERT_TRUE(IsOk(Reconfigure()));
  Serve();
  Expect({.sync = {StatusCode::kUnavailable, "not connected to the cloud: not cloud-managed"},
          .upload = {StatusCode::kFailedPrecondition, "the robot is not cloud managed"},
          .upload_path = {StatusCode::kFailedPrecondition, "the robot is not cloud managed"}});
  EXPECT_EQ(WaitingForDatasets(), std::vector<std::string>{});
  ExpectSaidOnce("datamanager can't sync as the robot is not cloud managed; it only captures");
}

TEST_F(CallMatrixTest, NotCloudManagedUntilAConfigNamesACloud) {
  StartServer();
  Begin({});
  Expect({.sync = {StatusCode::kUnavailable, "not connected to the cloud: not cloud-managed"},
          .upload = {StatusCode::kFailedPrecondition, "the robot is not cloud managed"},
          .upload_path = {StatusCode::kFailedPrecondition, "the robot is not cloud managed"}});
  EXPECT_EQ(WaitingForDatasets(), std::vector<std::string>{});
  ExpectSaidOnce("The robot is not cloud managed: it only captures");
  ASSERT_TRUE(IsOk(cloud_->Reconfigure(CloudAt(address_))));
  ExpectHealthyAnswers();
  ExpectAllArrived();
  ExpectSaidOnce(absl::StrCat("Connected to app at ", address_));
}

TEST_F(CallMatrixTest, ConnectingToWhoDoesNotAnswerYet) {
  StartServer();
  TcpProxy network(server_->port());
  network.SetSilent(true);
  Begin(CloudAt(OwnLoopback(network.port())));
  const std::string text = "not connected to the cloud: connecting for ";
  Expect({.sync = {StatusCode::kUnavailable, text},
          .upload = {StatusCode::kUnavailable, text},
          .upload_path = {StatusCode::kUnavailable, text}});
  EXPECT_EQ(WaitingForDatasets().size(), 3U);
  EXPECT_FALSE(log_.Has("onnected to app"));
  network.SetSilent(false);
  ExpectHealthyAnswers();
  ExpectAllArrived();
  ExpectSaidOnce("Connected to app at ");
}

TEST_F(CallMatrixTest, UnhealthyForNobodyListens) {
  ReserveAddress();
  Begin(CloudAt(address_));
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  ASSERT_TRUE(WaitForLog("No connection to app at "));
  const Answer upload = {StatusCode::kUnavailable, kOnDisk};
  Expect({.sync = {StatusCode::kUnavailable, "not connected to the cloud: unhealthy for "},
          .upload = upload,
          .upload_path = {StatusCode::kUnavailable, "nothing listens there"}});
  EXPECT_EQ(WaitingForDatasets().size(), 3U);
  StartServer();
  ExpectHealthyAnswers();
  ExpectAllArrived();
  ExpectSaidOnce("No connection to app at ");
  ExpectSaidOnce("Connected to app at ");
}

TEST_F(CallMatrixTest, UnhealthyForTheSecretIsWrong) {
  secret_ = "wrong";
  StartServerWithSecret("right");
  Begin(CloudAt(address_));
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  const std::string text = "invalid credentials";
  Expect({.sync = {StatusCode::kUnavailable, text},
          .upload = {StatusCode::kUnavailable, text},
          .upload_path = {StatusCode::kUnavailable, text}});
  EXPECT_EQ(WaitingForDatasets().size(), 3U);
  ExpectSaidOnce("Nothing is uploaded to app at ");
  secret_ = "right";
  ASSERT_TRUE(IsOk(cloud_->Reconfigure(CloudAt(address_))));
  ExpectHealthyAnswers();
  ExpectAllArrived();
  ExpectSaidOnce("Nothing is uploaded to app at ");
}

TEST_F(CallMatrixTest, HealthyThenLostThenRegained) {
  StartServer();
  TcpProxy network(server_->port());
  Begin(CloudAt(OwnLoopback(network.port())));
  ExpectHealthyAnswers();
  network.SetSilent(true);
  network.BreakConnections();
  // Idle, and healthy, until somebody wants something of it.
  ASSERT_TRUE(WaitUntil([&] { return !manager_->Sync().ok(); }));
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  Expect({.sync = {StatusCode::kUnavailable, "not connected to the cloud: unhealthy for "},
          .upload = {StatusCode::kUnavailable, kOnDisk},
          .upload_path = {StatusCode::kUnavailable, "unhealthy for "}});
  network.SetSilent(false);
  ExpectHealthyAnswers();
  ExpectAllArrived();
  ExpectSaidOnce("Connected to app at ");
}

TEST_F(CallMatrixTest, ClosedWhateverTheConnection) {
  StartServer();
  Begin(CloudAt(address_));
  ASSERT_TRUE(WaitForConnection(ConnectionState::kHealthy));
  ASSERT_TRUE(IsOk(manager_->Close()));
  const Answer closed = {StatusCode::kFailedPrecondition, kClosedText};
  Expect({.sync = closed, .upload = closed, .upload_path = closed, .local = closed});
  EXPECT_TRUE(IsOk(manager_->Close()));
  EXPECT_EQ(ArrivedFiles().size(), 0U);
  EXPECT_EQ(WaitingForDatasets(), std::vector<std::string>{});
}

// Everything that waits for the cloud, at once.
class CallsInFlightTest : public MatrixWorld {
 protected:
  static constexpr int kWorkers = 4;

  CallsInFlightTest() {
    config_.maximum_num_sync_threads = kWorkers;
    options_.connect_timeout = kPatience;
  }
  ~CallsInFlightTest() override {
    for (std::future<absl::Status>* future : Futures()) {
      if (future->valid()) {
        manager_->Close().IgnoreError();
        break;
      }
    }
  }

  // A server that can be reached only through `network_`.
  void BeginBehindNetwork() {
    if (server_ == nullptr) {
      ASSERT_NO_FATAL_FAILURE(StartServer());
    }
    network_ = std::make_unique<TcpProxy>(server_->port());
    ASSERT_NO_FATAL_FAILURE(Begin(CloudAt(OwnLoopback(network_->port()))));
  }
  // Offline none of them gets beyond the wait for the connection.
  void CallOffline() {
    CallUploads();
    CallSyncs();
    ASSERT_TRUE(WaitUntil([&] { return WaitingForDatasets().size() == 2; }));
    ASSERT_TRUE(WaitForMore("cpu", 5));
    ExpectInFlight(Futures());
  }
  // The network swallows what they send: a worker has a file of each, and the served Sync waits for
  // a fifth.
  void CallOnline() {
    ASSERT_TRUE(WaitForConnection(ConnectionState::kHealthy));
    network_->SetSilent(true);
    CallUploads();
    ASSERT_TRUE(WaitUntil([&] { return Uploads().uploading == 3; }));
    ASSERT_TRUE(WaitForMore("cpu", 1));
    sync_ = Start([this] { return SyncAll(); });
    ASSERT_TRUE(WaitUntil([&] { return Uploads().uploading == kWorkers; }));
    ASSERT_TRUE(WaitForMore("cpu", 1));
    served_sync_ = Start([this] { return ToAbsl(client_->Sync("data")); });
    ASSERT_TRUE(WaitUntil([&] { return OnDisk(".capture").size() >= 2; }));
    ExpectInFlight(WithAWorker());
  }
  // The served Sync has ended if the other one's pass holds its file out.
  std::vector<std::future<absl::Status>*> WithAWorker() {
    return {&upload_, &served_upload_, &upload_path_, &sync_};
  }
  static void ExpectInFlight(const std::vector<std::future<absl::Status>*>& futures) {
    for (std::future<absl::Status>* future : futures) {
      ASSERT_EQ(future->wait_for(0s), std::future_status::timeout);
    }
  }
  void Expect(const Answers& answers) {
    EXPECT_TRUE(Is(answers.upload, upload_.get())) << "upload";
    EXPECT_TRUE(Is(answers.upload, served_upload_.get())) << "served upload";
    EXPECT_TRUE(Is(answers.upload_path, upload_path_.get())) << "path";
    EXPECT_TRUE(Is(answers.sync, sync_.get())) << "sync";
    // It waits for a worker only, which it may get before the change is heard of.
    const absl::Status served_sync = served_sync_.get();
    EXPECT_TRUE(served_sync.ok() || Is(answers.sync, served_sync)) << "served sync";
  }
  void ExpectAllArrivedInTheEnd() {
    EXPECT_TRUE(WaitForMore("cpu", 1));
    ASSERT_NO_FATAL_FAILURE(Drain());
    // A file that was named stays where it is until it is named again.
    if (Exists(Path("given/file"))) {
      EXPECT_TRUE(IsOk(UploadPath("file")));
    }
    ExpectAllArrivedOnce({"bytes", "served", "file"});
  }
  // The next run finds it all.
  void ExpectTheNextRunUploadsAll() {
    StopServing();
    if (network_ != nullptr) network_->SetSilent(false);
    ASSERT_NO_FATAL_FAILURE(Start());
    ExpectAllArrivedInTheEnd();
  }

  std::unique_ptr<TcpProxy> network_;

 private:
  static std::future<absl::Status> Start(std::function<absl::Status()> call) {
    return std::async(std::launch::async, std::move(call));
  }
  using World::Start;
  void CallUploads() {
    upload_ = Start([this] { return UploadBytes("bytes"); });
    served_upload_ = Start([this] { return UploadServed("served"); });
    upload_path_ = Start([this] { return UploadPath("file"); });
  }
  void CallSyncs() {
    sync_ = Start([this] { return SyncAll(); });
    served_sync_ = Start([this] { return ToAbsl(client_->Sync("data")); });
  }
  std::vector<std::future<absl::Status>*> Futures() {
    return {&upload_, &served_upload_, &upload_path_, &sync_, &served_sync_};
  }

  std::future<absl::Status> upload_;
  std::future<absl::Status> served_upload_;
  std::future<absl::Status> upload_path_;
  std::future<absl::Status> sync_;
  std::future<absl::Status> served_sync_;
};

TEST_F(CallsInFlightTest, FromConnectingToHealthyAllAreOk) {
  StartServer();
  network_ = std::make_unique<TcpProxy>(server_->port());
  network_->SetSilent(true);
  Begin(CloudAt(OwnLoopback(network_->port())));
  CallOffline();
  EXPECT_EQ(manager_->Stats().connection.state, ConnectionState::kConnecting);
  network_->SetSilent(false);
  Expect({});
  ExpectAllArrivedInTheEnd();
}

TEST_F(CallsInFlightTest, FromUnhealthyToHealthyAllAreOk) {
  ReserveAddress();
  Begin(CloudAt(address_));
  CallOffline();
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  StartServer();
  Expect({});
  ExpectAllArrivedInTheEnd();
}

TEST_F(CallsInFlightTest, FromUnhealthyToNotManagedAllAreTold) {
  ReserveAddress();
  Begin(CloudAt(address_));
  CallOffline();
  ASSERT_TRUE(IsOk(cloud_->Reconfigure({})));
  const std::string text = "not connected to the cloud: not cloud-managed";
  Expect({.sync = {StatusCode::kUnavailable, text},
          .upload = {StatusCode::kUnavailable, text},
          .upload_path = {StatusCode::kUnavailable, text}});
  StartServer();
  ASSERT_TRUE(IsOk(cloud_->Reconfigure(CloudAt(address_))));
  ExpectAllArrivedInTheEnd();
}

TEST_F(CallsInFlightTest, FromUnhealthyToClosedAllAreCancelled) {
  ReserveAddress();
  Begin(CloudAt(address_));
  CallOffline();
  ASSERT_TRUE(IsOk(manager_->Close()));
  Expect({.sync = {StatusCode::kCancelled, ""},
          .upload = {StatusCode::kCancelled, "it is on disk"},
          .upload_path = {StatusCode::kCancelled, ""}});
  ExpectTheNextRunUploadsAll();
}

TEST_F(CallsInFlightTest, FromHealthyToLostAllAreTold) {
  options_.connect_timeout = 50ms;
  BeginBehindNetwork();
  CallOnline();
  network_->BreakConnections();
  Expect({.sync = {StatusCode::kUnavailable, "not connected to the cloud: unhealthy for "},
          .upload = {StatusCode::kUnavailable, "it is on disk, and the next call of Sync"},
          .upload_path = {StatusCode::kUnavailable, "0 files were uploaded, 1 failed"}});
  network_->SetSilent(false);
  ASSERT_TRUE(WaitForConnection(ConnectionState::kHealthy));
  ExpectAllArrivedInTheEnd();
}

TEST_F(CallsInFlightTest, OverABreakOfTheConnectionSyncGoesOnAndUploadsAreTold) {
  BeginBehindNetwork();
  CallOnline();
  network_->BreakConnections();
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  network_->SetSilent(false);
  Expect({.sync = {},
          .upload = {StatusCode::kUnavailable, "it is on disk, and the next call of Sync"},
          .upload_path = {StatusCode::kUnknown, "UNAVAILABLE"}});
  ExpectAllArrivedInTheEnd();
}

TEST_F(CallsInFlightTest, ACloudThatMovesLosesNone) {
  BeginBehindNetwork();
  CallOnline();
  ASSERT_TRUE(IsOk(cloud_->Reconfigure(CloudAt(address_))));
  ASSERT_TRUE(WaitUntil([&] {
    const ConnectionStatus now = manager_->Stats().connection;
    return now.address == address_ && now.state == ConnectionState::kHealthy;
  }));
  ExpectInFlight(WithAWorker());  // On the old connection.
  network_->SetSilent(false);
  Expect({});
  ExpectAllArrivedInTheEnd();
}

TEST_F(CallsInFlightTest, ACloudThatGoesAwayStillGetsWhatIsOnItsWay) {
  BeginBehindNetwork();
  CallOnline();
  ASSERT_TRUE(IsOk(cloud_->Reconfigure({})));
  network_->SetSilent(false);
  Expect({.sync = {StatusCode::kUnavailable, "not connected to the cloud: not cloud-managed"}});
  ASSERT_TRUE(IsOk(cloud_->Reconfigure(CloudAt(address_))));
  ExpectAllArrivedInTheEnd();
}

TEST_F(CallsInFlightTest, ASecretThatIsRevokedIsToldToAll) {
  secret_ = "right";
  StartServerWithSecret("right");
  options_.connect_timeout = 50ms;
  BeginBehindNetwork();
  CallOnline();
  WriteSecret("changed");
  ASSERT_TRUE(server_->ReloadCredentials().ok());
  network_->SetSilent(false);
  // The first to be rejected gets no other token; then nothing is ready any more.
  Expect({.sync = {StatusCode::kUnavailable, "not connected to the cloud: "},
          .upload = {StatusCode::kUnauthenticated, "it is on disk", StatusCode::kUnavailable},
          .upload_path = {StatusCode::kUnavailable, "", StatusCode::kUnknown}});
  ASSERT_TRUE(WaitUntil(
      [&] { return Has(manager_->Stats().connection.last_error, "invalid credentials"); }));
  secret_ = "changed";
  ASSERT_TRUE(IsOk(cloud_->Reconfigure(CloudAt(address_))));
  ASSERT_TRUE(WaitForConnection(ConnectionState::kHealthy));
  ExpectAllArrivedInTheEnd();
}

TEST_F(CallsInFlightTest, FromHealthyToClosedAllAreCancelled) {
  BeginBehindNetwork();
  CallOnline();
  ASSERT_TRUE(IsOk(manager_->Close()));
  Expect({.sync = {StatusCode::kCancelled, ""},
          .upload = {StatusCode::kCancelled, "it is on disk"},
          .upload_path = {StatusCode::kCancelled, ""}});
  ExpectTheNextRunUploadsAll();
}

TEST_F(CallsInFlightTest, AConfigThatChangesSyncEndsAll) {
  BeginBehindNetwork();
  CallOnline();
  config_.tags = {"other"};
  ASSERT_TRUE(IsOk(Reconfigure()));
  Expect({.sync = {StatusCode::kCancelled, "sync was stopped"},
          .upload = {StatusCode::kCancelled, "it is on disk"},
          .upload_path = {StatusCode::kCancelled, "sync was stopped"}});
  network_->SetSilent(false);
  ExpectAllArrivedInTheEnd();
}

}  // namespace
}  // namespace datamanager::testing
