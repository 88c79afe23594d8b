// kill_soak EXAMPLES [KILLS [SEED]]: kills the robot, the server, or both with SIGKILL, again and
// again, then lets the robot drain and compares what was captured with what was stored.
//
// The robot captures a counter at 500 Hz, which journals each value before it returns it, and a
// camera whose pictures are small and large in turn, so that both kinds of calls are interrupted.
// What a kill may cost is the one record of each collector that was in flight: of the counter, the
// last value of a run that was killed. A journal line that the kill tore is such a value, too; the
// next run ends it. What is left of it is the beginning of a value: no line at all, or one that
// stands there already, since a number comes after those that its digits begin with.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "robot/sources/robot_sources.h"
#include "tests/soak/soak_world.h"
#include "tests/support/files.h"
#include "tests/support/sha256.h"

namespace datamanager::testing {
namespace {

// A line of the journal: a run's name of 16 digits, a number, and what is between and after.
constexpr uintmax_t kLineSize = 21;
constexpr uintmax_t kMaxLines = 150;
// How long a kill waits for the moment it would like best.
constexpr std::chrono::milliseconds kMomentPatience{300};

// A part of the machine config, also to make the same pictures here.
constexpr char kCamera[] =
    R"({"name": "camera", "api": "rdk:component:camera", "model": "simulated-camera",
        "attributes": {"width": 116, "height": 16, "frame_bytes": [20000, 1100000]},
        "service_configs": [{"type": "data_manager", "attributes": {"capture_methods": [
          {"method": "GetImages", "capture_frequency_hz": 20}]}}]})";

using RunSeq = std::pair<std::string, uint64_t>;

class KillSoak {
 public:
  KillSoak(SoakWorld& world, uint64_t seed) : world_(world), random_(seed) {}

  void Run(int kills) {
    const auto begin = std::chrono::steady_clock::now();
    world_.StartServer();
    WriteConfig(/*capture_disabled=*/false);
    world_.StartRobot();
    for (int i = 0; i < kills; ++i) {
      AwaitMoment();
      world_.ExpectBothRun();
      KillSome();
    }
    const size_t arrived = world_.Arrived().size();
    const uintmax_t before = JournalSize();
    const auto killed = std::chrono::steady_clock::now();
    world_.Await("the counter", [&] { return JournalSize() > before + 50 * kLineSize; });
    WriteConfig(/*capture_disabled=*/true);
    world_.ReloadAndDrain();
    world_.EndRobot();
    world_.EndServer();
    const std::chrono::duration<double> total = std::chrono::steady_clock::now() - begin;
    const std::chrono::duration<double> killing = killed - begin;
    std::printf("kills %d: robot %d, server %d, both at once %d; %.1f s, %.2f s a kill\n", kills,
                robot_kills_, server_kills_, kills - robot_kills_ - server_kills_, total.count(),
                killing.count() / kills);
    const std::vector<ingest::Received> rows = world_.Arrived();
    std::printf("arrived between the kills %zu, in the end %zu\n", arrived, rows.size());
    CompareRecords(rows);
    ComparePictures(rows);
    if (!faults_.empty()) throw SoakFailure(faults_);
  }

 private:
  std::string Journal() const { return world_.Path("journal"); }
  uintmax_t JournalSize() const {
    std::error_code error;  // There is none before the first value.
    const uintmax_t size = std::filesystem::file_size(Journal(), error);
    return error ? 0 : size;
  }

  void WriteConfig(bool capture_disabled) {
    world_.WriteConfig(
        absl::StrCat(R"({"name": "count", "api": "rdk:component:sensor", "model": "counter",)",
                     R"("attributes": {"journal": ")", Journal(), R"("},)",
                     R"("service_configs": [{"type": "data_manager", "attributes": )",
                     R"({"capture_methods": [)",
                     R"({"method": "Readings", "capture_frequency_hz": 500}]}}]},)", kCamera),
        absl::StrCat(R"(, "sync_interval_mins": 0.001, "maximum_num_sync_threads": 4)",
                     R"(, "maximum_capture_file_size_bytes": 4096, "capture_disabled": )",
                     capture_disabled ? "true" : "false"));
  }

  uint64_t Draw(uint64_t bound) { return random_() % bound; }

  // Somewhere between the start of the process and the 150th value after it; then perhaps right
  // after something was stored, when neither the answer nor the removal of the file need have
  // happened, or while a picture is on its way.
  void AwaitMoment() {
    const uintmax_t size = JournalSize() + Draw(kMaxLines + 1) * kLineSize;
    world_.Await("the counter", [&] {
      world_.ExpectBothRun();
      return JournalSize() >= size;
    });
    const auto stored = StoredAt();
    const auto partial = [&] { return !FilesBelow(world_.Path("store/blobs"), ".tmp").empty(); };
    switch (Draw(3)) {
      case 0:
        static_cast<void>(WaitUntil([&] { return StoredAt() != stored; }, kMomentPatience));
        break;
      case 1:
        static_cast<void>(WaitUntil(partial, kMomentPatience));
        break;
      default:
        break;
    }
  }
  std::filesystem::file_time_type StoredAt() const {
    std::error_code error;  // There is no log before the first commit.
    return std::filesystem::last_write_time(world_.Path("store/ingest.db-wal"), error);
  }

  void KillSome() {
    const uint64_t draw = Draw(10);
    const bool robot = draw < 6;
    const bool server = draw >= 4;
    // First both signals: neither then sees the other's end.
    if (robot) world_.robot().Signal(SIGKILL);
    if (server) world_.server().Signal(SIGKILL);
    if (robot) world_.robot().Kill();
    if (server) world_.server().Kill();
    if (server) world_.StartServer();
    if (robot) world_.StartRobot();
    robot_kills_ += robot && !server ? 1 : 0;
    server_kills_ += server && !robot ? 1 : 0;
  }

  void CompareRecords(const std::vector<ingest::Received>& rows) {
    std::set<RunSeq> journalled;
    std::map<std::string, uint64_t> last;  // Of each run.
    std::string last_run;                  // The one that was not killed.
    int torn = 0;
    for (const absl::string_view line :
         absl::StrSplit(ReadFile(Journal()), '\n', absl::SkipEmpty())) {
      const std::vector<std::string> words = absl::StrSplit(line, ' ');
      uint64_t seq = 0;
      if (words.size() != 2 || !absl::SimpleAtoi(words[1], &seq) ||
          !journalled.insert({words[0], seq}).second) {
        ++torn;
        continue;
      }
      last[words[0]] = std::max(last[words[0]], seq);
      last_run = words[0];
    }
    std::set<RunSeq> stored;
    size_t count = 0;
    size_t twice = 0;
    size_t unknown = 0;
    for (const ingest::Received& row : rows) {
      if (row.component_name != "count") continue;
      ++count;
      const RunSeq entry = ToRunSeq(row);
      if (!stored.insert(entry).second) {
        ++twice;
        Fault("stored twice: ", entry);
      } else if (!journalled.contains(entry)) {
        ++unknown;
        Fault("stored, but never captured: ", entry);
      }
    }
    size_t in_flight = 0;
    size_t lost = 0;
    for (const RunSeq& entry : journalled) {
      if (stored.contains(entry)) continue;
      if (entry.second == last[entry.first] && entry.first != last_run) {
        ++in_flight;
      } else {
        ++lost;
        Fault("lost: ", entry);
      }
    }
    std::printf(
        "records: captured %zu in %zu runs, arrived %zu, in flight at a kill %zu, "
        "lost %zu, twice %zu, unknown %zu; journal lines torn %d\n",
        journalled.size(), last.size(), count, in_flight, lost, twice, unknown, torn);
    if (journalled.empty()) faults_ += "nothing was captured\n";
  }

  RunSeq ToRunSeq(const ingest::Received& row) {
    google::protobuf::Struct json;
    if (!google::protobuf::util::JsonStringToMessage(row.json, &json).ok()) {
      throw SoakFailure("stored is no JSON: " + row.json);
    }
    const auto& readings = json.fields().at("readings").struct_value().fields();
    return {readings.at("run").string_value(),
            static_cast<uint64_t>(readings.at("seq").number_value())};
  }

  // Each run numbers its pictures from 0 on. In the order of capture a number follows the one
  // before it, or begins a run; only the last of a run can have been in flight.
  void ComparePictures(const std::vector<ingest::Received>& rows) {
    std::map<std::string, uint64_t> arrived;  // By when they were captured.
    size_t count = 0;
    size_t twice = 0;
    size_t torn = 0;
    for (const ingest::Received& row : rows) {
      if (row.component_name != "camera") continue;
      ++count;
      const int64_t number = NumberOf(row);
      if (number < 0) {
        ++torn;
        faults_ += absl::StrCat("no picture of the camera's: blob ", row.sha256, ", ", row.size,
                                " bytes, of ", row.time_requested, "\n");
      } else if (!arrived.emplace(row.time_requested, number).second) {
        ++twice;
        faults_ += absl::StrCat("picture stored twice: of ", row.time_requested, "\n");
      }
    }
    size_t lost = 0;
    int64_t before = -1;
    for (const auto& [time, number] : arrived) {
      const auto next = static_cast<int64_t>(number);
      if (next != 0 && next != before + 1) {
        ++lost;
        faults_ += absl::StrCat("picture lost: before number ", next, " of ", time, "\n");
      }
      before = next;
    }
    std::printf("pictures: arrived %zu, gaps %zu, twice %zu, torn %zu\n", count, lost, twice, torn);
    if (arrived.empty()) faults_ += "no picture arrived\n";
  }

  // -1: not one of the camera's, or not as the blob's name says.
  int64_t NumberOf(const ingest::Received& row) {
    const auto known = checked_.find(row.sha256);
    if (known != checked_.end()) return known->second;
    int64_t& number = checked_[row.sha256];
    number = -1;
    const std::string blob = ReadFile(world_.Store().BlobPath(row.sha256));
    if (Sha256(blob) != row.sha256 || static_cast<int64_t>(blob.size()) != row.size) return -1;
    // Far more than a run takes.
    while (!pictures_.contains(row.sha256) && pictures_.size() < 1000) {
      const auto next = static_cast<int64_t>(pictures_.size());
      pictures_.emplace(Sha256(NextPicture()), next);
    }
    const auto picture = pictures_.find(row.sha256);
    if (picture != pictures_.end()) number = picture->second;
    return number;
  }

  std::string NextPicture() {
    if (sources_.sources().Find("rdk:component:camera", "camera", "GetImages") == nullptr) {
      const auto config = ParseMachineConfig(absl::StrCat(R"({"components": [)", kCamera, "]}"));
      if (!config.ok() || !sources_.Update(config->components).ok()) {
        throw SoakFailure("the camera cannot be made here");
      }
    }
    const auto source = sources_.sources().Find("rdk:component:camera", "camera", "GetImages");
    Images images;
    const ValueMap extra;
    const absl::Status status = std::get<ImagesSource>(*source)(
        {.method = "GetImages", .extra = extra, .params = extra}, images);
    if (!status.ok()) throw SoakFailure(status.ToString());
    return images.begin()->data;
  }

  void Fault(const char* what, const RunSeq& entry) {
    faults_ += absl::StrCat(what, entry.first, " ", entry.second, "\n");
  }

  SoakWorld& world_;
  std::mt19937_64 random_;
  int robot_kills_ = 0;   // Without the server.
  int server_kills_ = 0;  // Without the robot.
  std::string faults_;
  std::map<std::string, int64_t> checked_;   // What NumberOf found, by hash.
  std::map<std::string, int64_t> pictures_;  // Their numbers, by hash, as far as they were made.
  robot::RobotSources sources_;
};

}  // namespace
}  // namespace datamanager::testing

int main(int argc, char** argv) {
  uint64_t seed = std::random_device()();
  if (argc > 3 && !absl::SimpleAtoi(argv[3], &seed)) argc = 1;
  return datamanager::testing::RunSoak(argc, argv, "kill_soak EXAMPLES [KILLS [SEED]]", 10,
                                       [seed](datamanager::testing::SoakWorld& world, int kills) {
                                         std::printf("seed %llu\n",
                                                     static_cast<unsigned long long>(seed));
                                         std::fflush(stdout);
                                         datamanager::testing::KillSoak(world, seed).Run(kills);
                                       });
}
