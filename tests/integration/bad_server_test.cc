// Servers and networks that fail in every way, and what arrives all the same: everything, once.
#include "tests/integration/bad_server.h"

#include <algorithm>
#include <future>

#include "tests/integration/world.h"
#include "tests/support/sanitizers.h"
#include "tests/support/tcp_proxy.h"

namespace datamanager::testing {
namespace {

constexpr int kReadings = 150;
constexpr int kFiles = 60;

class BadServerTest : public World {
 protected:
  BadServerTest() {
    config_.sync_disabled = true;
    config_.maximum_capture_file_size_bytes = 1;  // A file for each record.
    config_.additional_sync_paths = {Path("extra")};
    config_.file_last_modified_millis = 1;
    config_.maximum_num_sync_threads = 8;
  }
  ~BadServerTest() override {
    manager_.reset();
    cloud_.reset();
  }

  void DropFiles(int count, size_t size) {
    for (int i = 1; i <= count; ++i) {
      WriteFile(Path(absl::StrCat("extra/", i, ".bin")), Picture(i, size));
    }
  }
  void StartBadServer(Policy policy) {
    bad_server_ = std::make_unique<BadServer>(OwnLoopback(0), Store(), std::move(policy));
    address_ = OwnLoopback(bad_server_->port());
  }
  void StartManager() {
    config_.capture_disabled = true;
    ASSERT_NO_FATAL_FAILURE(MakeManager());
    ASSERT_TRUE(IsOk(Reconfigure()));
  }
  // Each of the files that DropFiles made is stored once and whole.
  void ExpectFilesArrivedOnce(int count, size_t size) {
    std::vector<std::string> names;
    for (const ingest::Received& file : ArrivedFiles()) {
      names.push_back(file.file_name);
      EXPECT_EQ(file.size, static_cast<int64_t>(size)) << file.file_name;
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end()) << "stored twice";
    EXPECT_EQ(names.size(), static_cast<size_t>(count));
  }
  uint64_t Refused() const {
    const SyncStats uploads = Uploads();
    return uploads.tabular.refused + uploads.binary.refused + uploads.arbitrary.refused;
  }

  std::unique_ptr<BadServer> bad_server_;
};

// One file in ten meets a fault: each status code twice, servers that never answer, and servers
// that answer too late.
TEST_F(BadServerTest, EveryCodeAndStallsOnOneFileInTenCostsTheHealthyNothing) {
  AddSensor("cpu", 500);
  AddCamera("eye", 200, {100, 1000001, 100, 100});
  CaptureOffline("cpu", kReadings);
  ASSERT_FALSE(HasFatalFailure());
  DropFiles(kFiles, 1000);
  const int total = Returned("cpu") + Returned("eye") + kFiles;
  ASSERT_GE(total, 200);

  // The watchdogs run side by side: the first requests meet the stalls.
  constexpr int kStalls = 4;
  constexpr int kLate = 2;
  StartBadServer([](int request, int tries) -> Misdeed {
    if (tries > 0) return {};
    if (request < kStalls) return {.fault = Fault::kStall};
    if (request < kStalls + kLate) return {.fault = Fault::kLateAnswer};
    if (request % 10 != 0) return {};
    const int code = 1 + request / 10 % 16;
    return {.fault = Fault::kCode, .code = static_cast<grpc::StatusCode>(code)};
  });
  options_.upload_stall_timeout = 1500ms * testing::kSlowness;
  StartManager();
  const absl::Status synced = SyncAll();

  const int refused = bad_server_->CountOf(grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_GT(refused, 0);
  EXPECT_TRUE(HasCode(absl::StatusCode::kInvalidArgument, synced));
  EXPECT_TRUE(Has(synced.ToString(), absl::StrCat("refused ", refused, " files")));
  EXPECT_EQ(Refused(), static_cast<uint64_t>(refused));
  // Everything else is there, once.
  const std::vector<ingest::Received> rows = Arrived();
  EXPECT_EQ(rows.size(), static_cast<size_t>(total - refused));
  std::set<std::string> keys;
  for (const ingest::Received& row : rows) keys.insert(row.upload_key);
  EXPECT_EQ(keys.size(), rows.size());
  for (const char* name : {"cpu", "eye"}) {
    const std::vector<int> numbers = ReceivedBy(name);
    EXPECT_EQ(std::adjacent_find(numbers.begin(), numbers.end()), numbers.end()) << name;
  }
  // Each stall cost one watchdog, and no worker was lost to anything else.
  EXPECT_EQ(bad_server_->Count(Fault::kStall), kStalls);
  EXPECT_EQ(bad_server_->Count(Fault::kLateAnswer), kLate);
  const SyncStats uploads = Uploads();
  EXPECT_EQ(uploads.stalled, static_cast<uint64_t>(kStalls + kLate));
  EXPECT_EQ(uploads.resent, static_cast<uint64_t>(bad_server_->repeated()));
  EXPECT_EQ(uploads.resent,
            uploads.stalled + static_cast<uint64_t>(bad_server_->Count(Fault::kCode) - refused));
  EXPECT_EQ(uploads.waiting_retries, 0U);
  EXPECT_EQ(OnDisk(".capture").size() + FilesBelow(Path("extra"), ".bin").size(),
            static_cast<size_t>(refused));
}

TEST_F(BadServerTest, ConnectionsThatBreakBeforeOrAfterTheStoreRepeatNothing) {
  AddSensor("cpu", 500);
  CaptureOffline("cpu", kReadings);
  ASSERT_FALSE(HasFatalFailure());
  DropFiles(kFiles, 1000);
  StartBadServer([](int request, int tries) -> Misdeed {
    if (tries > 0 || request % 20 != 0) return {};
    return {.fault = request % 40 == 0 ? Fault::kReset : Fault::kDropAfterStore};
  });
  StartManager();
  ASSERT_TRUE(IsOk(SyncAll()));
  ExpectArrivedOnce("cpu");
  ExpectFilesArrivedOnce(kFiles, 1000);
  EXPECT_GE(bad_server_->Count(Fault::kReset), 3);
  EXPECT_GE(bad_server_->Count(Fault::kDropAfterStore), 3);
  EXPECT_GT(Uploads().offline_pauses, 0U);
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
}

// Every request of every kind is stored, and the connection breaks before the answer.
TEST_F(BadServerTest, EveryLostAnswerIsARepeatWithTheSameKey) {
  const std::string text(1500000, 'x');
  AddSensor("big", 100, [&](const CaptureRequest&, Readings& out) {
    out.Set("seq", SourceOf("big").Next());
    out.Set("text", text);
    return absl::OkStatus();
  });
  config_.maximum_capture_file_size_bytes = 100 << 20;  // All in one, of several requests.
  AddCamera("eye", 50, {100, 1500000});
  CaptureOffline("big", 4);
  ASSERT_FALSE(HasFatalFailure());
  DropFiles(1, 300000);
  StartBadServer([](int, int tries) -> Misdeed {
    return {.fault = tries == 0 ? Fault::kDropAfterStore : Fault::kNone};
  });
  config_.maximum_num_sync_threads = 2;
  StartManager();
  ASSERT_TRUE(IsOk(SyncAll()));

  EXPECT_EQ(ArrivedFrom("big").size(), static_cast<size_t>(Returned("big")));
  ExpectArrivedOnce("eye");
  ExpectFilesArrivedOnce(1, 300000);
  std::set<std::string> requests;
  for (const ingest::Received& row : ArrivedFrom("big")) requests.insert(row.upload_key);
  EXPECT_GE(requests.size(), 2U);
  EXPECT_EQ(bad_server_->Count(Fault::kDropAfterStore),
            static_cast<int>(requests.size()) + Returned("eye") + 1);
}

// Stored after the client has given up, under the same key as its next try.
TEST_F(BadServerTest, AnAnswerThatComesTooLateIsHarmless) {
  DropFiles(3, 100000);
  StartBadServer([](int, int tries) -> Misdeed {
    return {.fault = tries < 2 ? Fault::kLateAnswer : Fault::kNone};
  });
  options_.upload_stall_timeout = 100ms;
  StartManager();
  ASSERT_TRUE(IsOk(SyncAll()));
  ExpectFilesArrivedOnce(3, 100000);
  EXPECT_GE(Uploads().stalled, 6U);
  // The first time 100 ms, but a busy machine may have spent those before the last message.
  EXPECT_TRUE(WaitForLog("ms for the server to reply after "));
}

// Cut off in mid-stream: nothing of it may be seen until it is whole.
TEST_F(BadServerTest, NothingOfAPartialStreamIsEverStored) {
  constexpr size_t kSize = 30000000;
  AddCamera("eye", 5, {kSize});
  CaptureOffline("eye", 1);
  ASSERT_FALSE(HasFatalFailure());
  StartServer();
  TcpProxy proxy(server_->port());
  address_ = OwnLoopback(proxy.port());
  proxy.FallSilentAfter(kSize / 2);
  DropFiles(1, kSize);
  config_.maximum_num_sync_threads = 2;
  StartManager();
  // A slow machine captures more than one picture. The call returns only when workers have all of
  // them, which may be after the break.
  std::future<absl::Status> handed_over =
      std::async(std::launch::async, [&] { return manager_->Sync(); });
  ASSERT_TRUE(WaitUntil([&] { return proxy.bytes_from_clients() > kSize / 2; }));
  proxy.BreakConnections();
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  handed_over.get().IgnoreError();
  ASSERT_TRUE(WaitUntil([&] { return Uploads().uploading == 0; }));
  EXPECT_TRUE(Arrived().empty());
  EXPECT_EQ(Uploads().retries.offline, Uploads().waiting_retries);
  proxy.SetSilent(false);
  ASSERT_TRUE(IsOk(SyncAll()));
  ExpectFilesArrivedOnce(1, kSize);
  ExpectArrivedOnce("eye");
}

TEST_F(BadServerTest, AServerThatRefusesEverythingKeepsTheBacklogWhereItIs) {
  AddSensor("cpu", 500);
  CaptureOffline("cpu", 60);
  ASSERT_FALSE(HasFatalFailure());
  DropFiles(60, 100);
  config_.sync_disabled = false;
  StartServer({.failures = {{grpc::StatusCode::INVALID_ARGUMENT, 1}}});
  StartManager();
  ASSERT_TRUE(WaitForLog("error: the server refused "));
  ASSERT_TRUE(WaitUntil([&] {
    const std::vector<UploadPause> paused = Uploads().paused;
    return !paused.empty() && paused[0].directory.empty() && Uploads().uploading == 0;
  }));
  // 20 of the first directory, 1 of the next, and what was under way.
  EXPECT_LE(Refused(), 20U + 1 + 2 * 8);
  server_->SetFaults({});
  ASSERT_TRUE(IsOk(SyncAll()));
  EXPECT_EQ(Arrived().size() + Refused(), static_cast<size_t>(Returned("cpu")) + 60);
}

}  // namespace
}  // namespace datamanager::testing
