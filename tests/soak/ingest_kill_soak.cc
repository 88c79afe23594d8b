// ingest_kill_soak EXAMPLES [KILLS [SEED]]: kills ingest_server with SIGKILL again and again while
// clients upload, starts it on the same store, and compares what was acknowledged with what is
// stored.
//
// Each upload has a key and content of its own, now and then content that others have too, and is
// repeated with its key until it is acknowledged. Some are given up at the first failure: these may
// be stored or not, but wholly. What the kernel has yet to write survives a kill: what does not
// survive a power cut is not seen here.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "tests/ingest_server/client.h"
#include "tests/soak/soak_world.h"
#include "tests/support/files.h"
#include "tests/support/sha256.h"

namespace datamanager::testing {
namespace {

constexpr int kClients = 6;
// How many acknowledgements at most lie between two kills.
constexpr uint64_t kMaxAcknowledged = 12;
// How long a kill waits for the moment it would like best.
constexpr std::chrono::milliseconds kMomentPatience{300};
// As datamanager sends them.
constexpr size_t kPieceBytes = 65000;

enum class Kind : uint8_t { kReadings, kBinary, kStream, kFile };

struct Upload {
  Kind kind = Kind::kReadings;
  std::vector<std::string> rows;  // The JSON of each reading, or the hash of the content.
  int64_t size = 0;               // Of the content.
  bool acknowledged = false;
  std::string last_attempt;  // When it began, as the server writes times.
};

// What all clients have sent, by key. Thread-safe.
class Ledger {
 public:
  void Add(const std::string& key, Upload upload) DM_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (upload.acknowledged) ++acknowledged_;
    uploads_.emplace(key, std::move(upload));
  }
  void Fault(const std::string& text) DM_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    absl::StrAppend(&faults_, text, "\n");
  }
  uint64_t acknowledged() const { return acknowledged_; }
  std::map<std::string, Upload> uploads() DM_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return uploads_;
  }
  std::string faults() DM_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return faults_;
  }

 private:
  std::atomic<uint64_t> acknowledged_ = 0;
  Mutex mutex_;
  std::map<std::string, Upload> uploads_ DM_GUARDED_BY(mutex_);
  std::string faults_ DM_GUARDED_BY(mutex_);
};

// Uploads one thing after the other until it is asked to stop, then ends with what it is at.
class Uploading {
 public:
  Uploading(int number, uint64_t seed, const std::string& address, Ledger& ledger)
      : number_(number),
        random_(seed + static_cast<uint64_t>(number)),
        client_(address),
        ledger_(ledger) {
    client_.set_wait_for_ready(true);
  }

  void Run(const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i) UploadOne(i);
  }

 private:
  uint64_t Draw(uint64_t bound) { return random_() % bound; }

  void UploadOne(int i) {
    const std::string key = absl::StrCat("client ", number_, " upload ", i);
    Upload upload{.kind = static_cast<Kind>(Draw(4))};
    std::vector<int> numbers;
    std::vector<std::string> pieces;
    if (upload.kind == Kind::kReadings) {
      for (uint64_t count = 1 + Draw(5); numbers.size() < count;) {
        numbers.push_back(static_cast<int>(Draw(1000000)));
        upload.rows.push_back(absl::StrCat("{\"x\":", numbers.back(), "}"));
      }
    } else {
      const std::string content = Content(upload.kind);
      upload.rows = {Sha256(content)};
      upload.size = static_cast<int64_t>(content.size());
      const size_t piece = upload.kind == Kind::kBinary ? content.size() : kPieceBytes;
      for (size_t at = 0; at < content.size(); at += piece) {
        pieces.push_back(content.substr(at, piece));
      }
    }
    const bool persistent = Draw(10) != 0;
    const MonotonicTime end = PatienceEnds();
    do {
      upload.last_attempt =
          absl::FormatTime("%E4Y-%m-%dT%H:%M:%E9SZ", absl::Now(), absl::UTCTimeZone());
      const grpc::Status status = Send(upload.kind, numbers, pieces, key);
      upload.acknowledged = status.ok();
      if (!status.ok() && status.error_code() != grpc::StatusCode::UNAVAILABLE) {
        ledger_.Fault(absl::StrCat(key, ": ", status.error_code(), " ", status.error_message()));
      }
    } while (!upload.acknowledged && persistent && std::chrono::steady_clock::now() < end);
    if (persistent && !upload.acknowledged) ledger_.Fault(key + ": never acknowledged");
    ledger_.Add(key, std::move(upload));
  }

  grpc::Status Send(Kind kind, const std::vector<int>& numbers,
                    const std::vector<std::string>& pieces, const std::string& key) const {
    switch (kind) {
      case Kind::kReadings:
        return client_.UploadReadings(numbers, key);
      case Kind::kBinary:
        return client_.UploadBinary(pieces.front(), key);
      case Kind::kStream:
        return client_.UploadStream(pieces, key);
      case Kind::kFile:
        return client_.UploadFile(pieces, key);
    }
    return {};
  }

  std::string Content(Kind kind) {
    // Some have the content of others: there is one blob, and a row for each.
    if (Draw(5) == 0) return std::string(1000, static_cast<char>('a' + Draw(3)));
    std::string content(1 + Draw(kind == Kind::kBinary ? 50000 : 600000), '\0');
    // One block, again and again, is as good as any content; what begins it makes it unique.
    uint64_t block[8];
    for (uint64_t& word : block) word = random_();
    const auto* bytes = reinterpret_cast<const char*>(block);
    for (size_t at = 0; at < content.size(); at += sizeof(block)) {
      content.replace(at, std::min(sizeof(block), content.size() - at), bytes,
                      std::min(sizeof(block), content.size() - at));
    }
    return content;
  }

  const int number_;
  std::mt19937_64 random_;
  ingest::Client client_;
  Ledger& ledger_;
};

class IngestKillSoak {
 public:
  IngestKillSoak(SoakWorld& world, uint64_t seed) : world_(world), seed_(seed), random_(seed) {}

  void Run(int kills) {
    world_.StartServer();
    {
      std::vector<std::jthread> clients;
      for (int i = 0; i < kClients; ++i) {
        clients.emplace_back([this, i](const std::stop_token& stop) {
          Uploading(i, seed_, world_.address(), ledger_).Run(stop);
        });
      }
      for (int i = 0; i < kills; ++i) {
        AwaitMoment();
        ExpectServerRuns();
        world_.server().Kill();
        world_.StartServer();
      }
      AwaitAcknowledged(ledger_.acknowledged() + 1);
      for (std::jthread& client : clients) client.request_stop();
    }
    world_.EndServer();
    std::printf("kills %d\n", kills);
    Compare();
    CompareBlobs();
    faults_ += ledger_.faults();
    if (!faults_.empty()) throw SoakFailure(faults_);
  }

 private:
  uint64_t Draw(uint64_t bound) { return random_() % bound; }

  void ExpectServerRuns() {
    if (world_.server().Running()) return;
    throw SoakFailure("the server ended by itself:\n" + world_.server().Output());
  }
  void AwaitAcknowledged(uint64_t count) {
    world_.Await("acknowledgements", [&] {
      ExpectServerRuns();
      return ledger_.acknowledged() >= count;
    });
  }

  // Now and then right at the start; else after some uploads, then perhaps right after something
  // was stored, when it need not have been acknowledged, or while content is on its way.
  void AwaitMoment() {
    const uint64_t draw = Draw(8);
    if (draw == 0) return;
    AwaitAcknowledged(ledger_.acknowledged() + 1 + Draw(kMaxAcknowledged));
    const auto stored = StoredAt();
    if (draw < 4)
      static_cast<void>(WaitUntil([&] { return StoredAt() != stored; }, kMomentPatience));
    if (draw == 4 || draw == 5) {
      static_cast<void>(
          WaitUntil([&] { return !FilesBelow(world_.Path("store/blobs"), ".tmp").empty(); },
                    kMomentPatience));
    }
  }
  std::filesystem::file_time_type StoredAt() const {
    std::error_code error;  // There is no log before the first commit.
    return std::filesystem::last_write_time(world_.Path("store/ingest.db-wal"), error);
  }

  void Compare() {
    std::map<std::string, std::vector<ingest::Received>> stored;
    for (ingest::Received& row : world_.Arrived()) {
      stored[row.upload_key].push_back(std::move(row));
    }
    size_t acknowledged = 0, repeats = 0, given_up = 0, given_up_stored = 0;
    for (const auto& [key, upload] : ledger_.uploads()) {
      const auto found = stored.find(key);
      acknowledged += upload.acknowledged ? 1 : 0;
      given_up += upload.acknowledged ? 0 : 1;
      if (found == stored.end()) {
        if (upload.acknowledged) faults_ += absl::StrCat("acknowledged, but lost: ", key, "\n");
        continue;
      }
      given_up_stored += upload.acknowledged ? 0 : 1;
      if (upload.acknowledged && found->second.front().arrived_at < upload.last_attempt) ++repeats;
      CompareRows(key, upload, found->second);
      stored.erase(found);
    }
    for (const auto& [key, rows] : stored) faults_ += absl::StrCat("never sent: ", key, "\n");
    std::printf(
        "uploads acknowledged %zu, of which by an attempt after the one that stored it %zu; given "
        "up %zu, of which stored %zu\n",
        acknowledged, repeats, given_up, given_up_stored);
    if (acknowledged == 0) faults_ += "nothing was acknowledged\n";
  }

  // Exactly once, and wholly.
  void CompareRows(const std::string& key, const Upload& upload,
                   const std::vector<ingest::Received>& rows) {
    static constexpr const char* kNames[] = {"reading", "binary", "binary", "file"};
    std::vector<std::string> found;
    for (const ingest::Received& row : rows) {
      found.push_back(upload.kind == Kind::kReadings ? row.json : row.sha256);
      if (row.kind != kNames[static_cast<size_t>(upload.kind)] ||
          (upload.kind != Kind::kReadings && row.size != upload.size)) {
        faults_ += absl::StrCat(key, ": stored as ", row.kind, " of ", row.size, " bytes\n");
      }
      if (!row.sha256.empty()) wanted_blobs_.insert(row.sha256);
    }
    if (found.size() > upload.rows.size()) faults_ += key + ": more than once\n";
    if (found != upload.rows) {
      faults_ += absl::StrCat(key, ": ", found.size(), " rows, not the ", upload.rows.size(),
                              " that were sent\n");
    }
  }

  // Every blob is what its name says, whether a row refers to it or not, and none is half-written.
  void CompareBlobs() {
    size_t count = 0;
    size_t without_row = 0;
    for (const std::string& path : FilesBelow(world_.Path("store/blobs"))) {
      ++count;
      const std::string name = std::filesystem::path(path).filename().string();
      if (Sha256(ReadFile(path)) != name) faults_ += absl::StrCat("torn blob: ", name, "\n");
      if (wanted_blobs_.erase(name) == 0) ++without_row;
    }
    for (const std::string& name : wanted_blobs_) {
      faults_ += absl::StrCat("blob lost: ", name, "\n");
    }
    std::printf("blobs %zu, of which left by an upload that was not stored %zu\n", count,
                without_row);
  }

  SoakWorld& world_;
  const uint64_t seed_;
  std::mt19937_64 random_;
  Ledger ledger_;
  std::set<std::string> wanted_blobs_;
  std::string faults_;
};

}  // namespace
}  // namespace datamanager::testing

int main(int argc, char** argv) {
  uint64_t seed = std::random_device()();
  if (argc > 3 && !absl::SimpleAtoi(argv[3], &seed)) argc = 1;
  return datamanager::testing::RunSoak(
      argc, argv, "ingest_kill_soak EXAMPLES [KILLS [SEED]]", 10,
      [seed](datamanager::testing::SoakWorld& world, int kills) {
        std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
        std::fflush(stdout);
        datamanager::testing::IngestKillSoak(world, seed).Run(kills);
      });
}
