// The gRPC front, by a generated client: a real manager, a real cloud.
#include "datamanager/service.h"

#include <future>

#include "tests/service/served_world.h"

namespace datamanager::testing {
namespace {

::testing::AssertionResult Is(grpc::StatusCode code, std::string_view text,
                              const grpc::Status& status) {
  if (status.error_code() == code && status.error_message().find(text) != std::string::npos) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << status.error_code() << ": " << status.error_message();
}

using ServiceTest = ServedWorld;

TEST_F(ServiceTest, SyncUploadsWhatWasCaptured) {
  config_.sync_disabled = true;
  AddSensor("s", 200);
  StartAndServe();
  ASSERT_TRUE(WaitForCaptured("s", 5));
  EXPECT_TRUE(client_->Sync("data").ok());
  EXPECT_TRUE(WaitForArrived("s", 5));
}

TEST_F(ServiceTest, AnUploadIsOkOnceItIsStoredWithItsLabels) {
  StartAndServe();
  const grpc::Status status = client_->Upload(
      DataManagerClient::UploadRequest("data", Picture(1, 3000000), {"a/b", "a/b"}, {"set-1"}));
  EXPECT_TRUE(status.ok()) << status.error_message();
  // Some clients leave the name out.
  EXPECT_TRUE(client_->Upload(DataManagerClient::UploadRequest("", "x")).ok());
  const std::vector<ingest::Received> files = ArrivedFiles();
  ASSERT_EQ(files.size(), 2U);
  EXPECT_TRUE(Blob(files[0]) == Picture(1, 3000000));
  EXPECT_EQ(files[0].part_id, kPart);
  EXPECT_EQ(files[0].tags, R"(["a/b"])");
  EXPECT_EQ(files[0].dataset_ids, R"(["set-1"])");
  EXPECT_EQ(files[0].mime_type, "image/png");
  EXPECT_TRUE(files[0].file_name.ends_with(".png")) << files[0].file_name;
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
}

TEST_F(ServiceTest, AnUploadThatFailsSaysWhyAndArrivesLater) {
  StartAndServe();
  server_->FailNext(1, grpc::StatusCode::PERMISSION_DENIED);
  const auto request = DataManagerClient::UploadRequest("data", "bytes", {"t"}, {"d"});
  EXPECT_TRUE(Is(grpc::StatusCode::PERMISSION_DENIED, "it is on disk and will be uploaded",
                 client_->Upload(request)));
  EXPECT_TRUE(WaitUntil([&] { return ArrivedFiles().size() == 1; }));
  EXPECT_EQ(ArrivedFiles()[0].dataset_ids, R"(["d"])");
  ASSERT_TRUE(WaitUntil([&] { return OnDisk().empty(); }));
  server_->FailNext(1, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(
      Is(grpc::StatusCode::INVALID_ARGUMENT, "it is under failed/", client_->Upload(request)));
}

TEST_F(ServiceTest, OfflineUploadsAreOnDiskAndSurviveARestart) {
  options_.connect_timeout = 20ms;
  ServeOffline();
  EXPECT_TRUE(
      Is(grpc::StatusCode::UNAVAILABLE, "not connected to the cloud", client_->Sync("data")));
  EXPECT_TRUE(Is(grpc::StatusCode::UNAVAILABLE, "it is on disk and will be uploaded",
                 client_->Upload(DataManagerClient::UploadRequest("data", "x", {}, {"d"}))));
  EXPECT_EQ(WaitingForDatasets().size(), 1U);
  StopServing();
  ASSERT_TRUE(IsOk(manager_->Close()));
  StartServer();
  MakeManager();
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_TRUE(WaitUntil([&] { return ArrivedFiles().size() == 1; }));
  EXPECT_EQ(ArrivedFiles()[0].dataset_ids, R"(["d"])");
  EXPECT_TRUE(WaitUntil([&] { return OnDisk().empty(); }));
}

TEST_F(ServiceTest, CancelledHalfWayAnUploadGoesOnInTheBackground) {
  options_.upload_stall_timeout = 200ms;
  StartAndServe();
  server_->SetFaults({.stall = 1});
  grpc::ClientContext context;
  auto upload = std::async(std::launch::async, [&] {
    return client_->Upload(DataManagerClient::UploadRequest("data", "x", {}, {"d"}), context);
  });
  ASSERT_TRUE(WaitUntil([&] { return Uploads().uploading == 1; }));
  context.TryCancel();
  EXPECT_TRUE(Is(grpc::StatusCode::CANCELLED, "", upload.get()));
  server_->SetFaults({});
  EXPECT_TRUE(WaitUntil([&] { return ArrivedFiles().size() == 1; }));
}

// One call at a time: the next shows that the one before has ended.
TEST_F(ServiceTest, ACancelledCallEndsHereTooAndMoreThanTheMostAreRefused) {
  ServeOffline({.name = "data", .most_calls = 1});
  const auto busy = [&] {
    return Is(grpc::StatusCode::RESOURCE_EXHAUSTED, "1 calls are under way, the most there may be",
              client_->GetStatus("data"));
  };
  grpc::ClientContext context;
  auto upload = std::async(std::launch::async, [&] {
    return client_->Upload(DataManagerClient::UploadRequest("data", "x"), context);
  });
  ASSERT_TRUE(WaitUntil([&] { return WaitingForDatasets().size() == 1; }));
  EXPECT_TRUE(busy());
  context.TryCancel();
  EXPECT_TRUE(Is(grpc::StatusCode::CANCELLED, "", upload.get()));
  EXPECT_TRUE(WaitUntil([&] { return client_->GetStatus("data").ok(); }));

  // A Sync waits for the connection, until its client has had enough of it.
  grpc::ClientContext short_context;
  short_context.set_deadline(std::chrono::system_clock::now() + 200ms);
  EXPECT_TRUE(Is(grpc::StatusCode::DEADLINE_EXCEEDED, "", client_->Sync("data", short_context)));
  EXPECT_TRUE(WaitUntil([&] { return client_->GetStatus("data").ok(); }));

  std::mutex mutex;
  std::unique_ptr<grpc::ClientContext> current;
  auto sync = std::async(std::launch::async, [&] {
    grpc::Status status(grpc::StatusCode::RESOURCE_EXHAUSTED, "");
    while (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {  // By the looks below.
      grpc::ClientContext* mine = nullptr;
      {
        const std::lock_guard lock(mutex);
        current = std::make_unique<grpc::ClientContext>();
        mine = current.get();
      }
      status = client_->Sync("data", *mine);
    }
    return status;
  });
  EXPECT_TRUE(WaitUntil([&] { return static_cast<bool>(busy()); }));
  {
    const std::lock_guard lock(mutex);
    current->TryCancel();
  }
  EXPECT_TRUE(Is(grpc::StatusCode::CANCELLED, "", sync.get()));
  EXPECT_TRUE(WaitUntil([&] { return client_->GetStatus("data").ok(); }));
}

TEST_F(ServiceTest, ClosingTheManagerEndsCallsAndIsToldToLaterOnes) {
  ServeOffline();
  auto sync = std::async(std::launch::async, [&] { return client_->Sync("data"); });
  auto upload = std::async(std::launch::async, [&] {
    return client_->Upload(DataManagerClient::UploadRequest("data", "x"));
  });
  ASSERT_TRUE(WaitUntil([&] { return WaitingForDatasets().size() == 1; }));
  ASSERT_TRUE(IsOk(manager_->Close()));
  EXPECT_TRUE(Is(grpc::StatusCode::CANCELLED, "it is on disk", upload.get()));
  // It may have come too late to begin.
  const grpc::Status synced = sync.get();
  EXPECT_TRUE(synced.error_code() == grpc::StatusCode::CANCELLED ||
              synced.error_code() == grpc::StatusCode::FAILED_PRECONDITION)
      << synced.error_message();
  EXPECT_TRUE(Is(grpc::StatusCode::FAILED_PRECONDITION, "is closed", client_->Sync("data")));
  EXPECT_TRUE(Is(grpc::StatusCode::FAILED_PRECONDITION, "is closed",
                 client_->Do("data", R"({"command": "flush"})")));
  EXPECT_TRUE(client_->GetStatus("data").ok());
}

TEST_F(ServiceTest, AnEndOfTheServerEndsCalls) {
  ServeOffline();
  auto sync = std::async(std::launch::async, [&] { return client_->Sync("data"); });
  ASSERT_TRUE(WaitUntil([&] { return cloud_->Status().state != ConnectionState::kHealthy; }));
  StopServing();
  EXPECT_FALSE(sync.get().ok());
}

TEST_F(ServiceTest, AnotherNameIsNotFound) {
  StartAndServe();
  for (const std::string name : {"Data", "other", "../data", "data/", "rdk:service:data"}) {
    const std::string text = "no node found with api rdk:service:data_manager and name " + name;
    EXPECT_TRUE(Is(grpc::StatusCode::NOT_FOUND, text, client_->Sync(name)));
    EXPECT_TRUE(Is(grpc::StatusCode::NOT_FOUND, text,
                   client_->Upload(DataManagerClient::UploadRequest(name, "x"))));
    EXPECT_TRUE(
        Is(grpc::StatusCode::NOT_FOUND, text, client_->Do(name, R"({"command": "stats"})")));
    EXPECT_TRUE(Is(grpc::StatusCode::NOT_FOUND, text, client_->GetStatus(name)));
  }
  EXPECT_EQ(WaitingForDatasets(), std::vector<std::string>{});
}

TEST_F(ServiceTest, BadUploadsAreRefusedAndLeaveNothing) {
  StartAndServe();
  using Client = DataManagerClient;
  EXPECT_TRUE(Is(grpc::StatusCode::INVALID_ARGUMENT, "binary_data is empty",
                 client_->Upload(Client::UploadRequest("data", ""))));
  EXPECT_TRUE(Is(grpc::StatusCode::INVALID_ARGUMENT, "dataset_ids[1] is empty",
                 client_->Upload(Client::UploadRequest("data", "x", {}, {"d", ""}))));
  EXPECT_TRUE(Is(grpc::StatusCode::INVALID_ARGUMENT, "the limit is",
                 client_->Upload(Client::UploadRequest("data", "x", {std::string(2 << 20, 'x')}))));
  EXPECT_TRUE(Is(grpc::StatusCode::RESOURCE_EXHAUSTED, absl::StrCat(kMaxRequestBytes),
                 client_->Upload(Client::UploadRequest("data", std::string(33 << 20, 'x')))));
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  EXPECT_EQ(ArrivedFiles().size(), 0U);
  // And still serves.
  EXPECT_TRUE(client_->GetStatus("data").ok());
}

TEST_F(ServiceTest, NoLabelLeadsOutOfTheDirectory) {
  options_.connect_timeout = 20ms;
  ServeOffline();
  const std::vector<std::string> labels = {
      "../../evil", "/etc/passwd", "..", "a\nb", "tag=x", "%2e%2e", std::string("nul\0nul", 7)};
  EXPECT_TRUE(Is(grpc::StatusCode::UNAVAILABLE, "it is on disk",
                 client_->Upload(DataManagerClient::UploadRequest("data", "x", labels, labels))));
  EXPECT_EQ(OnDisk().size(), 1U);
  EXPECT_EQ(WaitingForDatasets(), OnDisk());
  StartServer();
  ASSERT_TRUE(WaitUntil([&] { return ArrivedFiles().size() == 1; }));
  EXPECT_TRUE(Has(ArrivedFiles()[0].tags, "../../evil"));
}

TEST_F(ServiceTest, WithoutACloudUploadsAreRefusedAndNothingIsWritten) {
  MakeManager(/*with_cloud=*/false);
  ASSERT_TRUE(IsOk(Reconfigure()));
  Serve();
  EXPECT_TRUE(Is(grpc::StatusCode::FAILED_PRECONDITION, "not cloud managed",
                 client_->Upload(DataManagerClient::UploadRequest("data", "x"))));
  EXPECT_TRUE(
      Is(grpc::StatusCode::UNAVAILABLE, "not connected to the cloud", client_->Sync("data")));
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
}

TEST_F(ServiceTest, CommandsDoWhatTheySay) {
  AddSensor("s", 200);
  MakeManager(/*with_cloud=*/false);
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(WaitForCaptured("s", 1));
  Serve();
  google::protobuf::Struct result;
  EXPECT_TRUE(client_->Do("data", R"({"command": "flush"})", &result).ok());
  EXPECT_GE(OnDisk(".capture").size(), 1U);
  EXPECT_EQ(result.fields_size(), 0);

  EXPECT_TRUE(client_->Do("data", R"({"command": "stats"})", &result).ok());
  EXPECT_EQ(result.fields().at("capture_dir").string_value(), config_.capture_dir);
  EXPECT_GE(result.fields().at("published_files").number_value(), 1);
  google::protobuf::Struct status;
  EXPECT_TRUE(client_->GetStatus("data", &status).ok());
  EXPECT_EQ(status.fields_size(), result.fields_size());

  WriteFile(config_.capture_dir + "/failed/notes.txt", "x");
  WriteFile(config_.capture_dir + "/failed/bad.capture", "x");
  EXPECT_TRUE(client_->Do("data", R"({"command": "retry_failed"})", &result).ok());
  EXPECT_EQ(result.fields().at("moved").number_value(), 1);
  EXPECT_EQ(result.fields().at("left").number_value(), 1);
  EXPECT_EQ(result.fields().at("errors").list_value().values_size(), 1);
  EXPECT_TRUE(Exists(config_.capture_dir + "/notes.txt"));
}

TEST_F(ServiceTest, AnyOtherCommandIsToldWhatThereIs) {
  StartAndServe();
  for (const char* unknown : {"", "Stats", "stop", "flush ", "rm -rf /", "../stats"}) {
    EXPECT_TRUE(Is(grpc::StatusCode::UNIMPLEMENTED,
                   absl::StrCat("there is no command \"", unknown,
                                "\"; there are \"stats\", \"flush\" and \"retry_failed\""),
                   client_->Do("data", absl::StrCat(R"({"command": ")", unknown, "\"}"))));
  }
  const std::string deep = std::string(30, '[') + std::string(30, ']');
  for (const std::string& bad :
       {std::string("{}"), std::string(R"({"command": 1})"), std::string(R"({"command": null})"),
        std::string(R"({"command": {"stats": true}})"), std::string(R"({"flush": true})"),
        std::string(R"({"command": "stats", "verbose": true})"),
        absl::StrCat(R"({"command": )", deep, "}"),
        absl::StrCat(R"({"x": ")", std::string(5 << 20, 'x'), "\"}")}) {
    EXPECT_TRUE(Is(grpc::StatusCode::INVALID_ARGUMENT, "a command is {\"command\": NAME}",
                   client_->Do("data", bad)))
        << bad.substr(0, 100);
  }
}

}  // namespace
}  // namespace datamanager::testing
