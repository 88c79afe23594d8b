// A robot, its server, and what must be true of them whatever happens to the disk.
#ifndef DATAMANAGER_TESTS_SIMULATION_SCENARIO_H_
#define DATAMANAGER_TESTS_SIMULATION_SCENARIO_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/logger.h"
#include "tests/simulation/records.h"
#include "tests/simulation/robot_process.h"
#include "tests/simulation/simulated_disk.h"
#include "tests/support/fake_uploader.h"

namespace datamanager::simulation {

// The directories of a robot, below one that lies in memory.
struct Places {
  explicit Places(const std::string& base) : captured(base + "/captured"), files(base + "/files") {}
  std::string captured;
  std::string files;
  std::vector<std::string> collectors{"a", "b", "cam", "old"};

  std::string CollectorDirectory(const std::string& collector) const;
};

// Every record that there ever was, and which of them capture took.
class Ledger {
 public:
  // Remembers it under its bytes.
  void Add(const Record& record) { ids_.emplace(record.message, record.id); }
  // Its Append returned OK.
  void Acknowledge(const std::string& id) { acknowledged_.insert(id); }
  // "" if there is no record of these bytes.
  std::string IdOf(const std::string& message) const;
  const std::set<std::string>& acknowledged() const { return acknowledged_; }

 private:
  std::unordered_map<std::string, std::string> ids_;
  std::set<std::string> acknowledged_;
};

// What the records in a file are, and whether it is nothing but whole records.
struct FileContents {
  std::string bytes;
  std::vector<std::string> messages;
  bool whole = false;
};
FileContents ReadCaptureFile(const std::string& path);

// What a server holds and what was set aside: how often each record is there.
struct Tally {
  std::map<std::string, int> stored;
  std::map<std::string, int> failed;
  size_t altered = 0;              // Records of no known bytes.
  size_t unreadable = 0;           // What no server could parse.
  std::vector<std::string> files;  // Contents of the arbitrary files stored.
};
Tally Count(const Ledger& ledger, const std::vector<testing::UploadCall>& stored,
            const std::vector<std::string>& set_aside);

// Files where collectors and users put them; all are to be uploaded, or to be recovered.
std::vector<std::string> Waiting(const Places& places);

// One run. Sensors "a" and "b" and a camera "cam" capture; sensor "old" has left files in progress,
// and one that is damaged; a file of somebody's lies in the additional path, and grows while it is
// uploaded. The server loses its first reply to a/1, is once too busy for a/3, and refuses cam/2.
class Scenario {
 public:
  Scenario(const std::string& base, std::shared_ptr<Logger> logger);

  const Places& places() const { return places_; }
  SimulatedDisk& disk() { return disk_; }
  const Ledger& ledger() const { return ledger_; }
  testing::FakeUploader& server() { return *server_; }
  // In place of the server; for tests of the tests.
  void UseUploader(std::shared_ptr<sync::Uploader> uploader) { uploader_ = std::move(uploader); }
  // Called when the keeper rests.
  void OnRest(std::function<void()> look) { look_ = std::move(look); }
  // Called with each upload that the server is about to store.
  void OnStored(std::function<void(const testing::UploadCall&)> look) { stored_ = std::move(look); }

  // Has the files in progress flushed now and then; each time, `flushed` is called. Meanwhile the
  // disk has these flaws.
  void FlushLive(std::function<void()> flushed, Flaws flaws) {
    flushed_ = std::move(flushed);
    flaws_of_live_flushes_ = flaws;
  }
  // How long Drain may take: where something stays on purpose, all of it.
  void SetDrainTime(std::chrono::milliseconds time) { drain_time_ = time; }

  // A new process, instead of the one before.
  void Start();
  // It ends in good order. After an outage that is not over: as if it were killed.
  void End() { process_ = nullptr; }
  RobotProcess& process() { return *process_; }

  // Everything that a process does, `rounds` times; it stays alive.
  void Run(int rounds);
  // Each of `collectors` sensors has one record, and another after a flush of the files in
  // progress; then, after one more flush, all their files are published in one batch.
  void RunBatch(int collectors);
  // Uploads what there is, in as few passes as it takes; false if something stays.
  bool Drain();

  // Every rule that is broken once a run is over and drained.
  std::vector<std::string> BrokenRules() const;

 private:
  // Published files of ours must consist of whole records.
  void LookForTornFiles(const std::vector<std::string>& waiting);
  void Append(const Record& record, bool binary = false);
  void FlushLive();
  absl::Status Answer(const testing::UploadCall& call);
  void Rest() const {
    if (look_) look_();
  }

  Places places_;
  const std::shared_ptr<Logger> logger_;
  SimulatedDisk disk_;
  SimulatedClock clock_;
  Ledger ledger_;
  const std::shared_ptr<testing::FakeUploader> server_ = std::make_shared<testing::FakeUploader>();
  std::shared_ptr<sync::Uploader> uploader_ = server_;
  std::function<void()> look_;
  std::function<void(const testing::UploadCall&)> stored_;
  std::function<void()> flushed_;
  Flaws flaws_of_live_flushes_;
  std::chrono::milliseconds drain_time_{3000};
  bool lost_a_reply_ = false;
  bool was_busy_ = false;
  bool grew_ = false;
  std::vector<std::string> torn_;
  std::unique_ptr<RobotProcess> process_;
};

// For thousands of runs, whose messages nobody reads.
std::shared_ptr<Logger> ClosedLogger();

// A server that refuses what it always refuses, and stores the rest.
std::shared_ptr<testing::FakeUploader> PlainServer();

}  // namespace datamanager::simulation

#endif  // DATAMANAGER_TESTS_SIMULATION_SCENARIO_H_
