#include "tests/soak/soak_world.h"

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "tests/support/files.h"
#include "tests/support/own_loopback.h"

namespace datamanager::testing {
namespace {

// The backlog of a soak, one file after the other, on a slow disk.
constexpr std::chrono::minutes kDrainPatience{5};

}  // namespace

SoakWorld::SoakWorld(std::string examples)
    : examples_(std::move(examples)),
      directory_((std::filesystem::temp_directory_path() / "datamanager-soak-XXXXXX").string()),
      address_(OwnLoopback(0)) {
  if (::mkdtemp(directory_.data()) == nullptr) throw SoakFailure("mkdtemp " + directory_);
  // Nothing of the user's is ever walked.
  setenv("HOME", directory_.c_str(), 1);  // NOLINT(concurrency-mt-unsafe): no thread yet.
  unsetenv("VIAM_HOME");                  // NOLINT(concurrency-mt-unsafe)
}

SoakWorld::~SoakWorld() {
  robot_.reset();
  server_.reset();
  if (keep_) {
    std::fprintf(stderr, "kept %s\n", directory_.c_str());
  } else {
    std::error_code ignored;  // It is in the system's directory for temporary files.
    std::filesystem::remove_all(directory_, ignored);
  }
}

std::string SoakWorld::Path(std::string_view name) const {
  return absl::StrCat(directory_, "/", ToAbsl(name));
}

void SoakWorld::WriteConfig(const std::string& components, const std::string& attributes) {
  WriteFile(Path("robot.json"),
            absl::StrCat(R"({"cloud": {"id": "part-1", "app_address": "http://)", address_,
                         R"("}, "components": [)", components,
                         R"(], "services": [{"name": "data", "api": "rdk:service:data_manager", )",
                         R"("model": "rdk:builtin:builtin", "attributes": {"capture_dir": ")",
                         CaptureDir(), "\"", attributes, "}}]}"));
}

void SoakWorld::StartServer(std::vector<std::string> further) {
  const bool first = server_ == nullptr;
  std::vector<std::string> command = {examples_ + "/ingest_server", "--listen", address_, "--store",
                                      Path("store")};
  command.insert(command.end(), further.begin(), further.end());
  server_ = std::make_unique<Process>(std::move(command), NextLog("server"));
  if (!first) return;
  const std::string listening = "listening on ";
  Await("the server to listen", [&] { return server_->Said(listening); });
  const std::string said = server_->Output();
  const size_t begin = said.find(listening) + listening.size();
  address_ = said.substr(begin, said.find(',', begin) - begin);
}

void SoakWorld::StartRobot(std::vector<std::string> further) {
  std::vector<std::string> command = {examples_ + "/robot", "--config", Path("robot.json")};
  command.insert(command.end(), further.begin(), further.end());
  robot_ = std::make_unique<Process>(std::move(command), NextLog("robot"));
}

std::string SoakWorld::NextLog(std::string_view program) {
  std::filesystem::create_directories(Path("logs"));
  return Path(absl::StrFormat("logs/%05d.%s", ++starts_, std::string(program)));
}

void SoakWorld::ExpectBothRun() {
  if (!robot_->Running()) throw SoakFailure("the robot ended by itself:\n" + robot_->Output());
  if (!server_->Running()) throw SoakFailure("the server ended by itself:\n" + server_->Output());
}

void SoakWorld::End(Process& process, std::string_view program) {
  process.Signal(SIGTERM);
  const int code = process.ExitCode();
  if (code != 0) {
    throw SoakFailure(absl::StrCat(ToAbsl(program), " ended with ", code, ":\n", process.Output()));
  }
}

void SoakWorld::Await(std::string_view what, const std::function<bool()>& condition,
                      std::chrono::nanoseconds patience) {
  if (WaitUntil(condition, patience)) return;
  throw SoakFailure(absl::StrCat("gave up waiting for ", ToAbsl(what)));
}

void SoakWorld::ReloadAndDrain(const std::function<bool()>& further) {
  robot_->Signal(SIGHUP);
  Await("the robot to reload its config",
        [&] { return robot_->Said("robot: config reloaded") || !robot_->Running(); });
  Await(
      "the capture directory to empty",
      [&] { return (FilesBelow(CaptureDir()).empty() && further()) || !robot_->Running(); },
      kDrainPatience);
  ExpectBothRun();
}

const ingest::IngestStore& SoakWorld::Store() {
  if (store_ == nullptr) {
    auto store = ingest::IngestStore::Open(Path("store"));
    if (!store.ok()) throw SoakFailure(store.status().ToString());
    store_ = *std::move(store);
  }
  return *store_;
}

std::vector<ingest::Received> SoakWorld::Arrived() {
  auto rows = Store().Rows();
  if (!rows.ok()) throw SoakFailure(rows.status().ToString());
  return *std::move(rows);
}

int RunSoak(int argc, char** argv, std::string_view usage, int number,
            const std::function<void(SoakWorld&, int)>& soak) {
  if (argc < 2 || (argc > 2 && (!absl::SimpleAtoi(argv[2], &number) || number < 1))) {
    std::fprintf(stderr, "Usage: %s\n", std::string(usage).c_str());
    return 2;
  }
  SoakWorld world(argv[1]);
  try {
    soak(world, number);
  } catch (const SoakFailure& failure) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s: %s\n", argv[0], failure.what());
    world.Keep();
    return 1;
  }
  return 0;
}

}  // namespace datamanager::testing
