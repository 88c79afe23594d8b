// The robot and the server as programs, each of which may be ended and started again, in a
// directory of their own.
#ifndef DATAMANAGER_TESTS_SOAK_SOAK_WORLD_H_
#define DATAMANAGER_TESTS_SOAK_SOAK_WORLD_H_

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ingest_server/store.h"
#include "tests/support/process.h"
#include "tests/support/wait_until.h"

namespace datamanager::testing {

// What ends a soak.
class SoakFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One thread. Whatever does not come true throws a SoakFailure.
class SoakWorld {
 public:
  // `examples` has the programs. The machine's cloud is the server's address.
  explicit SoakWorld(std::string examples);
  // Kills what runs, and removes the directory if Keep was not called.
  ~SoakWorld();
  SoakWorld(const SoakWorld&) = delete;
  SoakWorld& operator=(const SoakWorld&) = delete;

  std::string Path(std::string_view name) const;
  std::string CaptureDir() const { return Path("capture"); }
  // Where the server listens, once it has been started.
  const std::string& address() const { return address_; }
  void Keep() { keep_ = true; }

  // The config file for the robots to come and the one that is reloaded: `components` and the
  // service's further `attributes`, each after a comma, in JSON.
  void WriteConfig(const std::string& components, const std::string& attributes);

  // On the same address and store each time. The first waits until it listens.
  void StartServer(std::vector<std::string> further = {});
  void StartRobot(std::vector<std::string> further = {});
  Process& server() { return *server_; }
  Process& robot() { return *robot_; }
  // Fails if one of them has ended by itself.
  void ExpectBothRun();
  // Ends a program by SIGTERM, which must be without an error.
  void EndServer() { End(*server_, "ingest_server"); }
  void EndRobot() { End(*robot_, "robot"); }

  void Await(std::string_view what, const std::function<bool()>& condition,
             std::chrono::nanoseconds patience = kPatience);
  // Waits until the reloaded config, which must disable capture, has emptied the capture directory,
  // then until `further` holds.
  void ReloadAndDrain(const std::function<bool()>& further = [] { return true; });

  // What arrived.
  const ingest::IngestStore& Store();
  std::vector<ingest::Received> Arrived();

 private:
  std::string NextLog(std::string_view program);
  void End(Process& process, std::string_view program);

  const std::string examples_;
  std::string directory_;
  std::string address_;
  bool keep_ = false;
  int starts_ = 0;
  std::unique_ptr<Process> server_;
  std::unique_ptr<Process> robot_;
  std::unique_ptr<ingest::IngestStore> store_;
};

// Runs `soak` with the world and a number, the program's second argument, or `number` without one;
// yields the exit status.
int RunSoak(int argc, char** argv, std::string_view usage, int number,
            const std::function<void(SoakWorld&, int number)>& soak);

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SOAK_SOAK_WORLD_H_
