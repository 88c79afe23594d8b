// What is captured arrives: once, whole, and as it was.
#include "absl/strings/escaping.h"
#include "ingest_server/database.h"
#include "tests/integration/world.h"
#include "viam/app/datasync/v1/data_sync.pb.h"

namespace datamanager::testing {
namespace {

class CaptureAndSyncTest : public World {};

// The reference's TestSync, tabular and ready.
TEST_F(CaptureAndSyncTest, TwentySensorsArriveOnceAndAsCaptured) {
  config_.maximum_capture_file_size_bytes = 2000;  // Many files.
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) {
    names.push_back(absl::StrCat("sensor-", i));
    AddSensor(names.back(), 50);
  }
  Start();
  for (const std::string& name : names) ASSERT_TRUE(WaitForCaptured(name, 20));
  Drain();
  for (const std::string& name : names) {
    ExpectArrivedOnce(name);
    EXPECT_EQ(StatsOf(name).captured, static_cast<uint64_t>(Returned(name)));
    EXPECT_EQ(StatsOf(name).failed, 0U);
  }
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  const SyncStats uploads = Uploads();
  EXPECT_EQ(uploads.tabular.files, manager_->Stats().published_files);
  EXPECT_GT(uploads.tabular.bytes, 0U);
  EXPECT_EQ(uploads.tabular.retries + uploads.tabular.refused, 0U);
}

TEST_F(CaptureAndSyncTest, RecordsOfASensorLieInOrderInItsFiles) {
  config_.maximum_num_sync_threads = 1;
  AddSensor("cpu", 200);
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 50));
  Drain();
  std::map<std::string, int> last;  // By the request.
  for (const ingest::Received& row : ArrivedFrom("cpu")) {
    const auto arrived = ParseStruct(row.json);
    const int seq = static_cast<int>(
        arrived.fields().at("readings").struct_value().fields().at("seq").number_value());
    int& before = last[row.upload_key];
    EXPECT_TRUE(before == 0 || seq == before + 1) << seq << " after " << before;
    before = seq;
    EXPECT_LE(row.time_requested, row.time_received);
    EXPECT_LE(row.time_received, row.arrived_at);
  }
}

// The reference's TestSync, binary, and TestStreamingDCUpload: from 1,000,001 bytes on a picture is
// streamed.
TEST_F(CaptureAndSyncTest, PicturesUnderAndOverAMegabyteArriveOnceAndAsCaptured) {
  AddCamera("eye", 20, {30, 1000000, 1000001, 2500000});
  Start();
  ASSERT_TRUE(WaitForCaptured("eye", 8));
  Drain();
  ExpectArrivedOnce("eye");
  std::set<int64_t> sizes;
  for (const ingest::Received& row : ArrivedFrom("eye")) {
    sizes.insert(row.size);
    EXPECT_EQ(row.mime_type, "image/png");
    EXPECT_EQ(row.method_name, "GetImages");
    EXPECT_EQ(row.component_type, kCamera);
  }
  EXPECT_EQ(sizes, (std::set<int64_t>{30, 1000000, 1000001, 2500000}));
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  EXPECT_EQ(Uploads().binary.files, static_cast<uint64_t>(Returned("eye")));
}

TEST_F(CaptureAndSyncTest, TagsMetadataAndMethodParametersArrive) {
  config_.tags = {"demo", "lab 2"};
  AddSensor("cpu", 50);
  ConfigOf("cpu").additional_params.Set("depth", 3);
  ConfigOf("cpu").additional_params.Set("who", "me");
  ConfigOf("cpu").tags = {"ignored"};
  AddCamera("eye", 50, {10});
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 3));
  ASSERT_TRUE(WaitForCaptured("eye", 3));
  Drain();

  const ingest::Received row = ArrivedFrom("cpu").at(0);
  EXPECT_EQ(row.part_id, kPart);
  EXPECT_EQ(row.component_type, kSensor);
  EXPECT_EQ(row.method_name, "Readings");
  EXPECT_EQ(row.tags, R"(["demo","lab 2"])");
  EXPECT_EQ(row.dataset_ids, "[]");
  EXPECT_EQ(row.upload_key.size(), 32U);

  auto database = ingest::Database::Open(Store() + "/ingest.db");
  ASSERT_TRUE(database.ok()) << database.status();
  auto select = database->Prepare(
      "SELECT component_name, hex(metadata) FROM uploads GROUP BY component_name");
  ASSERT_TRUE(select.ok()) << select.status();
  std::map<std::string, viam::app::datasync::v1::UploadMetadata> uploads;
  ASSERT_TRUE(IsOk(select->Run({}, [&](const ingest::Row& upload) {
    const std::string bytes = absl::HexStringToBytes(upload.Text(1).value());
    EXPECT_TRUE(uploads[upload.Text(0).value()].ParseFromString(bytes));
  })));
  const auto& cpu = uploads["cpu"];
  EXPECT_EQ(cpu.type(), viam::app::datasync::v1::DATA_TYPE_TABULAR_SENSOR);
  EXPECT_EQ(cpu.file_extension(), ".dat");
  ASSERT_EQ(cpu.method_parameters().size(), 2U);
  google::protobuf::Value depth;
  ASSERT_TRUE(cpu.method_parameters().at("depth").UnpackTo(&depth));
  EXPECT_EQ(depth.number_value(), 3);
  const auto& eye = uploads["eye"];
  EXPECT_EQ(eye.type(), viam::app::datasync::v1::DATA_TYPE_BINARY_SENSOR);
  EXPECT_EQ(eye.file_extension(), ".png");
  EXPECT_EQ(eye.mime_type(), "image/png");
}

TEST_F(CaptureAndSyncTest, WhileTheServerIsAwayCaptureGoesOnAndAllArrivesWhenItIsBack) {
  AddSensor("cpu", 100);
  AddCamera("eye", 20, {1000, 1200000});
  Start();
  ASSERT_TRUE(WaitForArrived("cpu"));
  ASSERT_TRUE(WaitForArrived("eye", 2, ingest::Kind::kBinary));

  StopServer();
  ASSERT_TRUE(WaitForConnection(ConnectionState::kUnhealthy));
  ASSERT_TRUE(WaitForMore("cpu", 30));
  ASSERT_TRUE(WaitForMore("eye", 4));
  EXPECT_TRUE(WaitForLog("Lost connection to app"));
  EXPECT_FALSE(log_.Has("Regained connection to app"));

  StartServer();
  ASSERT_TRUE(WaitForConnection(ConnectionState::kHealthy));
  Drain();
  ExpectArrivedOnce("cpu");
  ExpectArrivedOnce("eye");
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  EXPECT_TRUE(WaitForLog("Regained connection to app"));
  EXPECT_EQ(log_.Count("Lost connection to app"), 1U);
  EXPECT_EQ(log_.Count("Regained connection to app"), 1U);
  EXPECT_EQ(SourceOf("cpu").threads(), 1U);
}

// Temporary failures, also after the server has stored: the reference's "each file fails once".
TEST_F(CaptureAndSyncTest, ThroughAnUnreliableServerAllArrivesOnce) {
  config_.maximum_capture_file_size_bytes = 1000;
  AddSensor("cpu", 100);
  AddCamera("eye", 10, {1000, 1000500});
  StartServer(
      {.failures = {{grpc::StatusCode::UNAVAILABLE, 0.3}, {grpc::StatusCode::INTERNAL, 0.1}},
       .delay_min = 1ms,
       .delay_max = 10ms,
       .drop_after_store = 0.2});
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 100));
  ASSERT_TRUE(WaitUntil([&] {
    const SyncStats stats = Uploads();
    return stats.tabular.retries >= 3 && stats.tabular.files >= 3 && stats.binary.files >= 1;
  }));
  ASSERT_NO_FATAL_FAILURE(StopCapture());
  // What went wrong before may come back after a long wait; not what we want to wait for.
  server_->SetFaults({});
  ASSERT_TRUE(IsOk(SyncAll()));
  ExpectArrivedOnce("cpu");
  ExpectArrivedOnce("eye");
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
  EXPECT_TRUE(WaitForLog("an injected fault; connectivity: online"));
}

TEST_F(CaptureAndSyncTest, ALostReplyAndANewProcessStoreOnce) {
  AddSensor("cpu", 100);
  CaptureOffline("cpu", 10);
  config_.capture_disabled = true;
  config_.sync_disabled = true;
  StartServer({.drop_after_store = 1});
  Start();
  std::stop_source stop;
  std::jthread sync([&] { SyncAll(stop.get_token()).IgnoreError(); });
  ASSERT_TRUE(WaitForArrived("cpu", 10));
  ASSERT_TRUE(WaitUntil([&] { return Uploads().tabular.retries >= 1; }));
  stop.request_stop();
  sync.join();
  ASSERT_EQ(OnDisk().size(), 1U);  // It does not know that it was stored.

  server_->SetFaults({});
  MakeManager();
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(IsOk(SyncAll()));
  ExpectArrivedOnce("cpu");
  EXPECT_EQ(OnDisk(), std::vector<std::string>{});
}

TEST_F(CaptureAndSyncTest, ARefusedFileIsSetAsideAndTheOthersFlow) {
  config_.sync_disabled = true;
  AddSensor("cpu", 50);
  Start();
  ASSERT_TRUE(WaitForCaptured("cpu", 3));
  server_->FailNext(1, grpc::StatusCode::INVALID_ARGUMENT);
  const absl::Status refused = SyncAll();
  EXPECT_TRUE(HasCode(absl::StatusCode::kInvalidArgument, refused));
  EXPECT_TRUE(Has(refused.ToString(), "failed/"));

  const std::vector<std::string> failed = OnDisk(".capture");
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_TRUE(
      failed[0].starts_with(config_.capture_dir + "/failed/rdk_component_sensor/cpu/Readings/2"))
      << failed[0];
  EXPECT_EQ(Uploads().tabular.refused, 1U);
  EXPECT_TRUE(Has(Uploads().last_error, "an injected fault"));
  EXPECT_TRUE(WaitUntil([&] {
    return log_.Count("moving file that data manager failed to sync due to err",
                      LogLevel::kWarning) == 1;
  }));

  ASSERT_TRUE(WaitForMore("cpu", 3));
  Drain();
  const std::vector<int> received = ReceivedBy("cpu");
  ASSERT_FALSE(received.empty());
  EXPECT_GT(received.front(), 3);
  EXPECT_EQ(received.back(), Returned("cpu"));
  EXPECT_EQ(OnDisk(), failed);
}

// The reference's TestDataCaptureEnabled: the service's switch and the collector's.
TEST_F(CaptureAndSyncTest, DataCaptureEnabled) {
  config_.sync_disabled = true;
  AddSensor("on", 100);
  AddSensor("off", 100);
  ConfigOf("off").disabled = true;
  Start();
  ASSERT_TRUE(WaitForCaptured("on", 5));
  EXPECT_EQ(StatsOf("off").state, CollectorState::kDisabled);
  EXPECT_FALSE(Exists(DirectoryOf("off")));
  EXPECT_FALSE(FilesBelow(DirectoryOf("on"), ".prog").empty());

  // Swapped.
  ConfigOf("on").disabled = true;
  ConfigOf("off").disabled = false;
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(WaitForCaptured("off", 5));
  const int stopped_at = Returned("on");
  ASSERT_TRUE(WaitForMore("off", 10));
  EXPECT_EQ(Returned("on"), stopped_at);
  EXPECT_TRUE(Has(StatsOf("on").reason, "collector disabled due to config `disabled` being true"));

  // The whole service off and on.
  config_.capture_disabled = true;
  ASSERT_TRUE(IsOk(Reconfigure()));
  EXPECT_EQ(StatsOf("off").state, CollectorState::kDisabled);
  EXPECT_TRUE(Has(StatsOf("off").reason, "capture_disabled"));
  EXPECT_TRUE(WaitUntil([&] { return OnDisk(".prog").empty(); }));
  const int all_stopped_at = Returned("off");
  config_.capture_disabled = false;
  ASSERT_TRUE(IsOk(Reconfigure()));
  ASSERT_TRUE(WaitUntil([&] { return Returned("off") > all_stopped_at + 3; }));
  Drain();
  ExpectArrivedOnce("on");
  ExpectArrivedOnce("off");
}

// Due = captured + missed + failed, at 1 kHz too, and nothing drifts.
TEST_F(CaptureAndSyncTest, EveryTickOfTwentyCollectorsIsAccountedFor) {
  std::vector<std::string> slow;
  for (int i = 0; i < 17; ++i) {
    slow.push_back(absl::StrCat("slow-", i));
    AddSensor(slow.back(), 20);
  }
  const std::vector<std::string> fast = {"fast-0", "fast-1", "fast-2"};
  for (const std::string& name : fast) AddSensor(name, 1000);
  config_.sync_interval_mins = 0.005;
  StartServer();
  MakeManager();
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(IsOk(Reconfigure()));
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(WaitUntil([&] { return StatsOf("slow-0").ticks_due >= 60; }));  // 3 s.
  const auto end = std::chrono::steady_clock::now();
  ASSERT_NO_FATAL_FAILURE(StopCapture());
  const auto ended = std::chrono::steady_clock::now();
  ASSERT_TRUE(IsOk(SyncAll()));

  const auto seconds = [](auto time) { return std::chrono::duration<double>(time).count(); };
  for (const std::vector<std::string>& names : {slow, fast}) {
    const double hz = names == slow ? 20 : 1000;
    for (const std::string& name : names) {
      const CollectorStats stats = StatsOf(name);
      EXPECT_EQ(stats.ticks_due, stats.captured + stats.missed + stats.failed) << name;
      EXPECT_EQ(stats.failed, 0U) << name << ": " << stats.last_error;
      const auto due = static_cast<double>(stats.ticks_due);
      // The last tick may still be late.
      EXPECT_GE(due, 0.9 * hz * seconds(end - begun) - 2) << name;
      EXPECT_LE(due, hz * seconds(ended - begin) + 1) << name;
      EXPECT_EQ(stats.captured, static_cast<uint64_t>(Returned(name))) << name;
      EXPECT_EQ(CountFrom(name), Returned(name)) << name;
    }
  }
}

}  // namespace
}  // namespace datamanager::testing
