// `robot --listen`, by a generated client: every method, every answer.
#include <grpcpp/generic/generic_stub.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <future>

#include "base/unique_fd.h"
#include "tests/integration/robot_world.h"
#include "tests/support/data_manager_client.h"

namespace datamanager::testing {
namespace {

using grpc::StatusCode;

constexpr char kService[] = "viam.service.datamanager.v1.DataManagerService";

::testing::AssertionResult Is(StatusCode code, std::string_view text, const grpc::Status& status) {
  if (status.error_code() == code && status.error_message().find(text) != std::string::npos) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << status.error_code() << ": " << status.error_message();
}

class RobotServeTest : public RobotWorld {
 protected:
  void RunServing(const std::string& config, const std::string& listen,
                  std::vector<std::string> further = {}) {
    further.insert(further.end(), {"--listen", listen});
    RunWith(config, std::move(further));
    ASSERT_TRUE(WaitForOutput("robot: serving on ")) << robot_->Output();
    ASSERT_TRUE(WaitForJournal("count", 1)) << robot_->Output();
    const std::string output = robot_->Output();
    const size_t begin = output.find("serving on ") + std::strlen("serving on ");
    client_ = std::make_unique<DataManagerClient>(
        serving_on_ = output.substr(begin, output.find('\n', begin) - begin));
  }
  std::string Config(const std::string& cloud) const {
    return Machine(cloud, {Counter("count", 100)}, Service(R"(, "sync_disabled": true)"));
  }
  void ExpectCleanEnd() {
    robot_->Signal(SIGTERM);
    EXPECT_EQ(robot_->ExitCode(), 0) << robot_->Output();
  }
  // What grpc.health.v1.Health/Check says of a service: 1 is SERVING.
  static int Health(const std::string& address, const std::string& service) {
    grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    grpc::CompletionQueue queue;
    // HealthCheckRequest {service 1: string}; HealthCheckResponse {status 1: enum}.
    const std::string request = std::string("\x0a") + static_cast<char>(service.size()) + service;
    grpc::Slice slice(request);
    auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check",
                                      grpc::ByteBuffer(&slice, 1), &queue);
    call->StartCall();
    grpc::ByteBuffer reply;
    grpc::Status status;
    call->Finish(&reply, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    std::vector<grpc::Slice> slices;
    if (!status.ok() || !reply.Dump(&slices).ok() || slices.empty()) return -1;
    return slices[0].size() == 2 ? slices[0].begin()[1] : 0;
  }

  std::unique_ptr<DataManagerClient> client_;
  std::string serving_on_;
};

TEST_F(RobotServeTest, EveryMethodAndEveryAnswer) {
  StartServer();
  RunServing(Config(CloudOf(address_)), OwnLoopback(0));
  ASSERT_TRUE(WaitForJournal("count", 5));

  EXPECT_TRUE(client_->Sync("data").ok());
  EXPECT_TRUE(WaitForArrived("count", 5));
  EXPECT_TRUE(
      client_->Upload(DataManagerClient::UploadRequest("data", "picture", {"t"}, {"set"})).ok());
  EXPECT_TRUE(client_->Upload(DataManagerClient::UploadRequest("", "another")).ok());
  ASSERT_EQ(ArrivedFiles().size(), 2U);
  EXPECT_EQ(Blob(ArrivedFiles()[0]), "picture");
  EXPECT_EQ(ArrivedFiles()[0].tags, R"(["t"])");
  EXPECT_EQ(ArrivedFiles()[0].dataset_ids, R"(["set"])");

  google::protobuf::Struct status;
  EXPECT_TRUE(client_->GetStatus("data", &status).ok());
  EXPECT_EQ(status.fields().at("capture_dir").string_value(), config_.capture_dir);
  EXPECT_EQ(status.fields().at("connection").struct_value().fields().at("state").string_value(),
            "healthy");
  google::protobuf::Struct result;
  EXPECT_TRUE(client_->Do("data", R"({"command": "stats"})", &result).ok());
  EXPECT_EQ(result.fields_size(), status.fields_size());
  EXPECT_TRUE(client_->Do("data", R"({"command": "flush"})").ok());
  EXPECT_TRUE(client_->Do("data", R"({"command": "retry_failed"})", &result).ok());
  EXPECT_EQ(result.fields().at("moved").number_value(), 0);

  EXPECT_TRUE(Is(StatusCode::UNIMPLEMENTED, "retry_failed",
                 client_->Do("data", R"({"command": "reboot"})")));
  EXPECT_TRUE(
      Is(StatusCode::INVALID_ARGUMENT, "a command is", client_->Do("data", R"({"stats": 1})")));
  EXPECT_TRUE(Is(StatusCode::INVALID_ARGUMENT, "binary_data is empty",
                 client_->Upload(DataManagerClient::UploadRequest("data", ""))));
  EXPECT_TRUE(
      Is(StatusCode::RESOURCE_EXHAUSTED, "33554432",
         client_->Upload(DataManagerClient::UploadRequest("data", std::string(33 << 20, 'x')))));
  const char* const unknown = "no node found with api rdk:service:data_manager and name other";
  EXPECT_TRUE(Is(StatusCode::NOT_FOUND, unknown, client_->Sync("other")));
  EXPECT_TRUE(Is(StatusCode::NOT_FOUND, unknown, client_->GetStatus("other")));
  EXPECT_TRUE(Is(StatusCode::NOT_FOUND, unknown, client_->Do("other", "{}")));
  EXPECT_TRUE(Is(StatusCode::NOT_FOUND, unknown,
                 client_->Upload(DataManagerClient::UploadRequest("other", "x"))));

  server_->FailNext(1, StatusCode::INTERNAL);
  EXPECT_TRUE(Is(StatusCode::INTERNAL, "the next call of Sync uploads it",
                 client_->Upload(DataManagerClient::UploadRequest("data", "third"))));
  EXPECT_EQ(Health(serving_on_, kService), 1);
  EXPECT_EQ(Health(serving_on_, ""), 1);
  EXPECT_EQ(Health(serving_on_, "other"), -1);
  EXPECT_FALSE(robot_->Said("there is no authentication"));
  ExpectCleanEnd();
}

TEST_F(RobotServeTest, OfflineItSaysSoAndACancelledSyncEnds) {
  // A port that the system gives to nobody.
  RunServing(Config(CloudOf("127.0.0.1:1")), "unix:" + Path("robot.sock"));
  grpc::ClientContext context;
  auto sync = std::async(std::launch::async, [&] { return client_->Sync("data", context); });
  // It waits for the connection, for 5 s.
  const auto upload = std::async(std::launch::async, [&] {
    return client_->Upload(DataManagerClient::UploadRequest("data", "x"));
  });
  ASSERT_TRUE(WaitUntil([&] { return FilesBelow(Path("capture/datasetUpload")).size() == 1; }));
  context.TryCancel();
  EXPECT_TRUE(Is(StatusCode::CANCELLED, "", sync.get()));
  EXPECT_TRUE(client_->GetStatus("data").ok());
  // The end of the robot ends what is under way.
  ExpectCleanEnd();
  EXPECT_FALSE(Exists(Path("robot.sock")));
}

TEST_F(RobotServeTest, AWrongAddressIsExitCode2AndNothingIsCaptured) {
  WriteFile(Path("file"), "precious");
  const UniqueFd taken(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, Path("taken.sock").c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(taken.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(taken.get(), 5), 0);
  struct Case {
    std::string address;
    std::string said;
  };
  for (const Case& wrong : {Case{"8080", "--listen: \"8080\" is neither HOST:PORT nor unix:PATH"},
                            Case{"127.0.0.1:99999", "is neither HOST:PORT nor unix:PATH"},
                            Case{"unix:", "is neither HOST:PORT nor unix:PATH"},
                            Case{"no-such-host.invalid:80", "listen on no-such-host.invalid:80"},
                            Case{"203.0.113.1:8080", "Cannot assign requested address"},
                            Case{"unix:" + Path("file"), "something is there that is no socket"},
                            Case{"unix:" + Path("taken.sock"), "another process listens there"},
                            Case{"unix:" + Path("no/such/directory"), "No such file or directory"},
                            Case{"unix:/tmp/" + std::string(200, 'x'), "File name too long"}}) {
    RunWith(Config(""), {"--listen", wrong.address});
    EXPECT_EQ(robot_->ExitCode(), 2) << wrong.address;
    EXPECT_TRUE(Has(robot_->Output(), wrong.said));
  }
  EXPECT_EQ(ReadFile(Path("file")), "precious");
  EXPECT_TRUE(Exists(Path("taken.sock")));
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
}

TEST_F(RobotServeTest, ASocketThatADeadRobotLeftIsReplaced) {
  const std::string listen = "unix:" + Path("robot.sock");
  RunServing(Config(""), listen);
  robot_->Kill();
  ASSERT_TRUE(Exists(Path("robot.sock")));
  RunServing(Config(""), listen);
  EXPECT_TRUE(client_->GetStatus("data").ok());
  EXPECT_TRUE(Is(StatusCode::FAILED_PRECONDITION, "not cloud managed",
                 client_->Upload(DataManagerClient::UploadRequest("data", "x"))));
  ExpectCleanEnd();
}

}  // namespace
}  // namespace datamanager::testing
