// A server that lets in whom it has given a token, and what its tokens' ends cost: nothing.
#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tests/integration/world.h"
#include "tests/support/token_office.h"
#include "viam/app/datasync/v1/data_sync.grpc.pb.h"

namespace datamanager::testing {
namespace {

namespace v1 = ::viam::app::datasync::v1;

// Counts what it gets by its key. Thread-safe.
class GuardedServer final : public v1::DataSyncService::Service {
 public:
  GuardedServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(OwnLoopback(0), grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    builder.RegisterService(&office);
    server_ = builder.BuildAndStart();
  }
  ~GuardedServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  int port() const { return port_; }
  // How many uploads are stored, and how many came more than once.
  size_t stored() const {
    const std::lock_guard lock(mutex_);
    return stored_.size();
  }
  int repeats() const {
    const std::lock_guard lock(mutex_);
    return repeats_;
  }

  TokenOffice office;

 private:
  grpc::Status Store(const grpc::ServerContext& context) {
    const auto key = context.client_metadata().find("datamanager-upload-key");
    const std::lock_guard lock(mutex_);
    if (stored_[{key->second.data(), key->second.size()}]++ > 0) ++repeats_;
    return grpc::Status::OK;
  }
  template <typename Request>
  grpc::Status StoreStream(const grpc::ServerContext& context,
                           grpc::ServerReader<Request>& reader) {
    if (grpc::Status status = office.Check(context); !status.ok()) return status;
    Request request;
    while (reader.Read(&request)) {
    }
    return Store(context);
  }

  grpc::Status DataCaptureUpload(grpc::ServerContext* context,
                                 const v1::DataCaptureUploadRequest* /*request*/,
                                 v1::DataCaptureUploadResponse* /*response*/) override {
    if (grpc::Status status = office.Check(*context); !status.ok()) return status;
    return Store(*context);
  }
  grpc::Status FileUpload(grpc::ServerContext* context,
                          grpc::ServerReader<v1::FileUploadRequest>* reader,
                          v1::FileUploadResponse* /*response*/) override {
    return StoreStream(*context, *reader);
  }
  grpc::Status StreamingDataCaptureUpload(
      grpc::ServerContext* context,
      grpc::ServerReader<v1::StreamingDataCaptureUploadRequest>* reader,
      v1::StreamingDataCaptureUploadResponse* /*response*/) override {
    return StoreStream(*context, *reader);
  }

  mutable std::mutex mutex_;
  std::map<std::string, int> stored_;
  int repeats_ = 0;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

constexpr char kSecret[] = "hush-hush";

class TokenLifeTest : public World {
 protected:
  TokenLifeTest() {
    address_ = OwnLoopback(guarded_.port());
    secret_ = kSecret;
    guarded_.office.Demand("robot-secret", kPart, kSecret);
    config_.maximum_capture_file_size_bytes = 1;  // A file for each record.
    config_.additional_sync_paths = {Path("extra")};
    config_.file_last_modified_millis = 1;
    config_.maximum_num_sync_threads = 8;
    config_.durability = Durability::kProcess;  // No power cut is to come.
  }
  ~TokenLifeTest() override {
    manager_.reset();
    cloud_.reset();
    EXPECT_FALSE(log_.Has(kSecret));
    EXPECT_FALSE(log_.Has("token-"));
  }

  void DropFiles(int count) {
    for (int i = 1; i <= count; ++i) WriteFile(Path(absl::StrCat("extra/", i)), Picture(i, 100));
  }
  void StartManager() {
    config_.capture_disabled = true;
    ASSERT_NO_FATAL_FAILURE(MakeManager());
    ASSERT_TRUE(IsOk(Reconfigure()));
  }

  GuardedServer guarded_;
};

// Half of them in streams. Each token lets in twenty.
TEST_F(TokenLifeTest, AThousandUploadsOverFiftyTokensAreStoredOnceAndNoneFails) {
  constexpr int kUploads = 1000;
  constexpr int kPerToken = 20;
  AddSensor("left", 1000);
  AddSensor("right", 1000);
  CaptureOffline("left", 250);
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_LT(Returned("left") + Returned("right"), kUploads);
  DropFiles(kUploads - Returned("left") - Returned("right"));
  guarded_.office.SetCallsPerToken(kPerToken);

  config_.sync_disabled = true;
  ASSERT_NO_FATAL_FAILURE(StartManager());
  ASSERT_TRUE(IsOk(SyncAll()));
  EXPECT_EQ(guarded_.stored(), static_cast<size_t>(kUploads));
  EXPECT_EQ(guarded_.repeats(), 0);
  EXPECT_EQ(guarded_.office.let_in(), kUploads);
  EXPECT_EQ(guarded_.office.authenticates(), kUploads / kPerToken);
  EXPECT_FALSE(guarded_.office.authenticated_twice());
  EXPECT_EQ(absl::StrJoin(OnDisk(), " "), "");
  EXPECT_EQ(absl::StrJoin(FilesBelow(Path("extra")), " "), "");
  EXPECT_EQ(manager_->Stats().connection.state, ConnectionState::kHealthy);
  EXPECT_EQ(manager_->Stats().connection.last_error, "");
}

TEST_F(TokenLifeTest, WrongCredentialsCostNoFileAndAreSaidOnce) {
  guarded_.office.Demand("robot-secret", kPart, "another");
  DropFiles(50);
  ASSERT_NO_FATAL_FAILURE(StartManager());
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  ASSERT_TRUE(WaitForLog("Not syncing to cloud"));
  EXPECT_TRUE(Has(manager_->Stats().connection.last_error, "check cloud.secret"));
  EXPECT_EQ(Uploads().waiting_retries, 0U);
  ASSERT_TRUE(WaitForLog("Nothing is uploaded to app at"));
  EXPECT_EQ(log_.Count("Nothing is uploaded to app at", LogLevel::kError), 1U);
  EXPECT_LE(guarded_.office.authenticates(), 3);

  guarded_.office.Demand("robot-secret", kPart, kSecret);
  EXPECT_TRUE(WaitUntil([&] { return guarded_.stored() == 50; }));
  EXPECT_TRUE(WaitUntil([&] { return FilesBelow(Path("extra")).empty(); }));
  EXPECT_EQ(Uploads().arbitrary.retries, 0U);
}

TEST_F(TokenLifeTest, CloseWaitsForNoToken) {
  Gate asked;
  asked.Close();
  guarded_.office.on_authenticate = [&](grpc::ServerContext& context) {
    asked.Open();
    EXPECT_TRUE(WaitUntil([&] { return context.IsCancelled(); }));
    return grpc::Status::CANCELLED;
  };
  DropFiles(10);
  ASSERT_NO_FATAL_FAILURE(StartManager());
  asked.Pass();
  EXPECT_TRUE(IsOk(manager_->Close()));
  EXPECT_EQ(FilesBelow(Path("extra")).size(), 10U);
}

}  // namespace
}  // namespace datamanager::testing
