// A robot with sources that can be told apart, a data manager, and a server: all real.
#ifndef DATAMANAGER_TESTS_INTEGRATION_WORLD_H_
#define DATAMANAGER_TESTS_INTEGRATION_WORLD_H_

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "datamanager/data_manager.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "ingest_server/server.h"
#include "src/create_data_manager.h"
#include "tests/support/files.h"
#include "tests/support/gate.h"
#include "tests/support/log_capture.h"
#include "tests/support/own_loopback.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace datamanager::testing {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

inline constexpr char kSensor[] = "rdk:component:sensor";
inline constexpr char kCamera[] = "rdk:component:camera";
inline constexpr char kPart[] = "part-1";
// 6 ms: a pass comes soon after whatever a test waits for.
inline constexpr double kShortIntervalMins = 0.0001;

inline ::testing::AssertionResult IsOk(const absl::Status& status) {
  if (status.ok()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << status.ToString();
}

inline ::testing::AssertionResult HasCode(absl::StatusCode code, const absl::Status& status) {
  if (status.code() == code) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << status.ToString();
}

inline ::testing::AssertionResult Has(std::string_view text, std::string_view part) {
  if (text.find(part) != std::string_view::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "no \"" << part << "\" in \"" << text << "\"";
}

// A source that numbers what it returns, and remembers who called it.
class Numbered {
 public:
  // The next number, from 1 on.
  int Next() {
    const std::lock_guard lock(mutex_);
    threads_.insert(gettid());
    return ++count_;
  }
  // How many it has returned.
  int count() const {
    const std::lock_guard lock(mutex_);
    return count_;
  }
  // How many threads have ever asked.
  size_t threads() const {
    const std::lock_guard lock(mutex_);
    return threads_.size();
  }

 private:
  mutable std::mutex mutex_;
  int count_ = 0;
  std::set<pid_t> threads_;  // The system's ids: pthread's are used again at once.
};

// What sensor number `seq` says: a value of every kind.
inline void FillReadings(int seq, Readings& out) {
  out.Set("seq", seq);
  out.Set("half", seq / 2.0);
  out.Set("even", seq % 2 == 0);
  out.Set("text", absl::StrCat("reading \"", seq, "\" \xc3\xa9"));
  out.Set("nothing", nullptr);
  ValueMap& nested = out.Add("nested").SetMap();
  ValueList& list = nested.Add("list").SetList();
  list.Append(seq);
  list.Append("x");
}

// A picture of `size` bytes that says its number.
inline std::string Picture(int seq, size_t size) {
  std::string bytes = absl::StrCat("picture ", seq, "\n");
  std::string block;
  for (int i = 0; i < 256; ++i) block += static_cast<char>(i * 31 + seq * 7);
  bytes.reserve(size + block.size());
  while (bytes.size() < size) bytes += block;
  bytes.resize(size);
  return bytes;
}

inline google::protobuf::Struct ParseStruct(const std::string& json) {
  google::protobuf::Struct result;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &result);
  EXPECT_TRUE(status.ok()) << json;
  return result;
}

// 1, 2, ... count
inline std::vector<int> UpTo(int count) {
  std::vector<int> numbers;
  for (int i = 1; i <= count; ++i) numbers.push_back(i);
  return numbers;
}

class World : public ::testing::Test {
 protected:
  World() {
    // Nothing of the user's is ever walked.
    setenv("HOME", temp_.path().c_str(), 1);  // NOLINT(concurrency-mt-unsafe): no thread yet.
    unsetenv("VIAM_HOME");                    // NOLINT(concurrency-mt-unsafe)
    config_.capture_dir = temp_.path() + "/capture";
    config_.sync_interval_mins = kShortIntervalMins;
    config_.maximum_num_sync_threads = 2;
    options_.logger = log_.sink();
    options_.connect_timeout = kPatience;
  }
  ~World() override {
    gate_->Open();
    manager_.reset();
    cloud_.reset();
    server_.reset();
    if (HasFailure()) std::fprintf(stderr, "the log:\n%s", log_.Text().c_str());
  }

  // --- The server ---

  // On the same address and store each time.
  void StartServer(ingest::FaultSpec faults = {}) {
    auto server = ingest::IngestServer::Start(
        {.listen = address_, .store = Store(), .faults = std::move(faults), .seed = 1});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    address_ = server_->address();
  }
  void StopServer() {
    server_->Shutdown(0ms);
    server_.reset();
  }
  std::string Store() const { return temp_.path() + "/store"; }
  // An address at which nobody listens.
  void ReserveAddress() {
    StartServer();
    StopServer();
  }

  // What arrived, also while there is no server.
  std::vector<ingest::Received> Arrived() const {
    auto rows = StoreOf()->Rows();
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *std::move(rows) : std::vector<ingest::Received>{};
  }
  std::vector<ingest::Received> ArrivedFrom(std::string_view name) const {
    std::vector<ingest::Received> rows = Arrived();
    std::erase_if(rows, [&](const ingest::Received& row) { return row.component_name != name; });
    return rows;
  }
  int64_t CountFrom(const std::string& name, ingest::Kind kind = ingest::Kind::kReading) const {
    auto count = StoreOf()->Count(name, kind);
    EXPECT_TRUE(count.ok()) << count.status();
    return count.value_or(-1);
  }
  std::vector<ingest::Received> ArrivedFiles() const {
    std::vector<ingest::Received> rows = Arrived();
    std::erase_if(rows, [&](const ingest::Received& row) { return row.kind != "file"; });
    return rows;
  }
  std::string Blob(const ingest::Received& row) const {
    return ReadFile(StoreOf()->BlobPath(row.sha256));
  }

  // The numbers that arrived from a sensor or camera, sorted; twice what was stored twice. Each
  // must have arrived as it was captured.
  std::vector<int> ReceivedBy(const std::string& name) const {
    std::vector<int> numbers;
    for (const ingest::Received& row : ArrivedFrom(name)) {
      numbers.push_back(row.kind == "binary" ? PictureNumber(row) : ReadingNumber(row));
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }

  // --- What is captured ---

  // Any thread, the sources' too.
  Numbered& SourceOf(const std::string& name) {
    const std::lock_guard lock(numbered_mutex_);
    return numbered_[name];
  }

  void AddCollector(const std::string& name, float hz, const char* api = kSensor,
                    const char* method = "Readings") {
    config_.collectors.push_back(
        {.api = api, .name = name, .method = method, .capture_frequency_hz = hz});
  }
  // A sensor that works.
  void AddSensor(const std::string& name, float hz) {
    sources_.AddReadings(kSensor, name, NumberedReadings(name));
    AddCollector(name, hz);
  }
  ReadingsSource NumberedReadings(const std::string& name) {
    return [numbered = &SourceOf(name)](const CaptureRequest&, Readings& out) {
      FillReadings(numbered->Next(), out);
      return absl::OkStatus();
    };
  }
  // A source that waits at gate_, and takes no notice of being told to stop.
  ReadingsSource Hanging(const std::string& name) {
    return [gate = gate_, works = NumberedReadings(name)](const CaptureRequest& request,
                                                          Readings& out) {
      gate->Pass();
      return request.stop.stop_requested() ? absl::CancelledError("too late") : works(request, out);
    };
  }
  // A camera with pictures of these sizes in turn.
  void AddCamera(const std::string& name, float hz, std::vector<size_t> sizes) {
    Numbered* const numbered = &SourceOf(name);
    sources_.AddImages(name, [numbered, sizes](const CaptureRequest&, Images& out) {
      const int seq = numbered->Next();
      Image& image = out.Add();
      image.mime_type = "image/png";
      image.source_name = "left";
      image.data = Picture(seq, sizes[static_cast<size_t>(seq) % sizes.size()]);
      return absl::OkStatus();
    });
    AddCollector(name, hz, kCamera, "GetImages");
  }
  // A sensor with a source of the test's own.
  void AddSensor(const std::string& name, float hz, ReadingsSource source) {
    sources_.AddReadings(kSensor, name, std::move(source));
    AddCollector(name, hz);
  }
  CollectorConfig& ConfigOf(const std::string& name) {
    for (CollectorConfig& collector : config_.collectors) {
      if (collector.name == name) return collector;
    }
    ADD_FAILURE() << name;
    return config_.collectors.front();
  }

  // --- The data manager ---

  void MakeManager(bool with_cloud = true) {
    if (with_cloud) {
      MakeManager(CloudConfig{.id = kPart, .app_address = "http://" + address_, .secret = secret_});
    } else {
      MakeManager(std::nullopt);
    }
  }
  void MakeManager(const std::optional<CloudConfig>& config) {
    manager_.reset();
    cloud_.reset();
    if (config.has_value()) {
      auto cloud = Cloud::Create(*config, log_.sink());
      ASSERT_TRUE(cloud.ok()) << cloud.status();
      cloud_ = *std::move(cloud);
    }
    options_.cloud = cloud_;
    auto manager = CreateDataManager(options_, *ops_);
    ASSERT_TRUE(manager.ok()) << manager.status();
    manager_ = *std::move(manager);
  }
  absl::Status Reconfigure() {
    absl::StatusOr<ReconfigureResult> result = manager_->Reconfigure(config_, sources_);
    result_ = result.ok() ? *std::move(result) : ReconfigureResult{};
    return result.status();
  }
  // Server, manager and config.
  void Start() {
    if (server_ == nullptr) {
      ASSERT_NO_FATAL_FAILURE(StartServer());
    }
    ASSERT_NO_FATAL_FAILURE(MakeManager());
    ASSERT_TRUE(IsOk(Reconfigure()));
  }
  // Again if the machine's disk is too slow for the flush that begins it.
  absl::Status SyncAll(std::stop_token stop = {}) {
    absl::Status status;
    EXPECT_TRUE(WaitUntil([&] {
      status = manager_->Sync({.wait_for = SyncWait::kUploaded, .stop = stop});
      return status.message().find("the disk is slow") == absl::string_view::npos;
    }));
    return status;
  }
  void StopCapture() {
    config_.capture_disabled = true;
    ASSERT_TRUE(IsOk(Reconfigure()));
  }
  // Stops capture and uploads everything.
  void Drain() {
    ASSERT_NO_FATAL_FAILURE(StopCapture());
    ASSERT_TRUE(IsOk(SyncAll()));
  }
  // Captures so much with no server in reach, and closes: what a robot brings home.
  void CaptureOffline(const std::string& name, uint64_t records) {
    ASSERT_NO_FATAL_FAILURE(MakeManager(/*with_cloud=*/false));
    ASSERT_TRUE(IsOk(Reconfigure()));
    ASSERT_TRUE(WaitForCaptured(name, records));
    ASSERT_TRUE(IsOk(manager_->Close()));
    manager_.reset();
  }

  CollectorStats StatsOf(const std::string& name) const {
    for (const CollectorStats& stats : manager_->Stats().collectors) {
      if (stats.name == name) return stats;
    }
    return {};
  }
  SyncStats Uploads() const { return manager_->Stats().sync; }
  bool WaitForCaptured(const std::string& name, uint64_t records) const {
    return WaitUntil([&] { return StatsOf(name).captured >= records; });
  }
  // So that "nothing happens meanwhile" means something.
  bool WaitForMore(const std::string& name, uint64_t records) const {
    return WaitForCaptured(name, StatsOf(name).captured + records);
  }
  bool WaitForArrived(const std::string& name, int64_t count = 1,
                      ingest::Kind kind = ingest::Kind::kReading) const {
    return WaitUntil([&] { return CountFrom(name, kind) >= count; });
  }
  bool WaitForConnection(ConnectionState state) const {
    return WaitUntil([&] { return manager_->Stats().connection.state == state; });
  }
  // The log comes after what it tells of.
  bool WaitForLog(std::string_view text) const {
    return WaitUntil([&] { return log_.Has(text); });
  }
  int Returned(const std::string& name) { return SourceOf(name).count(); }

  // Everything that the source has ever returned is stored, once.
  void ExpectArrivedOnce(const std::string& name) {
    EXPECT_EQ(absl::StrJoin(ReceivedBy(name), " "), absl::StrJoin(UpTo(Returned(name)), " "))
        << name;
  }

  // --- The disk ---

  std::string Path(const std::string& name) const { return temp_.path() + "/" + name; }
  std::string DirectoryOf(const std::string& name) const {
    return config_.capture_dir + "/rdk_component_sensor/" + name + "/Readings";
  }
  std::vector<std::string> OnDisk(std::string_view suffix = "") const {
    return FilesBelow(config_.capture_dir, suffix);
  }

  const TempDir temp_;
  const LogCapture log_;
  // Where sources of Hanging() wait while it is closed; open at the end. Outlives the test.
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  FileOps* ops_ = &FileOps::System();
  std::string address_ = testing::OwnLoopback(0);
  std::string secret_;  // The part's; empty: no authentication.
  std::unique_ptr<ingest::IngestServer> server_;
  DataManagerOptions options_;
  std::shared_ptr<Cloud> cloud_;
  Sources sources_;
  Config config_;
  std::unique_ptr<DataManager> manager_;
  ReconfigureResult result_;  // The result of the last Reconfigure.

 private:
  const ingest::IngestStore* StoreOf() const {
    if (server_ != nullptr) return &server_->store();
    if (store_ == nullptr) {
      auto store = ingest::IngestStore::Open(Store());
      EXPECT_TRUE(store.ok()) << store.status();
      store_ = *std::move(store);
    }
    return store_.get();
  }
  static int ReadingNumber(const ingest::Received& row) {
    const google::protobuf::Struct arrived = ParseStruct(row.json);
    const auto readings = arrived.fields().find("readings");
    if (readings == arrived.fields().end()) return -1;
    const auto& fields = readings->second.struct_value().fields();
    const auto seq = fields.find("seq");
    const int number = seq == fields.end() ? -1 : static_cast<int>(seq->second.number_value());
    ValueMap captured;
    FillReadings(number, captured);
    ValueMap wrapped;
    wrapped.Set("readings", captured);
    EXPECT_TRUE(
        google::protobuf::util::MessageDifferencer::Equals(ParseStruct(ToJson(wrapped)), arrived))
        << row.json;
    return number;
  }
  int PictureNumber(const ingest::Received& row) const {
    const std::string bytes = Blob(row);
    int number = -1;
    EXPECT_EQ(std::sscanf(bytes.c_str(), "picture %d\n", &number), 1);
    EXPECT_TRUE(bytes == Picture(number, bytes.size())) << "picture " << number;
    EXPECT_EQ(row.size, static_cast<int64_t>(bytes.size()));
    return number;
  }

  mutable std::unique_ptr<ingest::IngestStore> store_;
  std::mutex numbered_mutex_;
  std::map<std::string, Numbered> numbered_;  // By the source's name.
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_INTEGRATION_WORLD_H_
