// A process that the idle benches look at from outside.
//   bench_process channel ADDRESS       a channel that is READY, and nothing else
//   bench_process manager ADDRESS DIR   a data manager on DIR
// Says "ready"; ends at the end of its standard input. The second obeys lines: "sync all" uploads
// everything, "sync N" stops after N capture files; either is answered by "done".
#include <grpcpp/channel.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cloud/channel.h"
#include "datamanager/data_manager.h"
#include "tests/support/wait_until.h"

namespace datamanager::bench {
namespace {

void Say(const char* word) {
  std::puts(word);
  std::fflush(stdout);
}

int HoldChannel(const std::string& address) {
  const auto channel =
      cloud::MakeChannel({.address = *cloud::ParseAppAddress("http://" + address)}, {}, nullptr);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(20))) {
    return 1;
  }
  Say("ready");
  for (std::string line; std::getline(std::cin, line);) {
  }
  return 0;
}

// Whether it came to what it should.
bool SyncSome(DataManager& manager, const std::string& how_much) {
  if (how_much == "all") return manager.Sync({.wait_for = SyncWait::kUploaded}).ok();
  const uint64_t target = std::strtoull(how_much.c_str(), nullptr, 10);
  const auto reached = [&] { return manager.Stats().sync.tabular.files >= target; };
  std::stop_source stop;
  std::atomic<bool> ended{false};
  std::jthread sync([&] {
    manager.Sync({.wait_for = SyncWait::kUploaded, .stop = stop.get_token()}).IgnoreError();
    ended = true;
  });
  const bool over = testing::WaitUntil([&] { return reached() || ended; }, std::chrono::minutes(5));
  stop.request_stop();
  return over && reached();
}

int RunManager(const std::string& address, const std::string& directory) {
  const LogSink silent = [](const LogEntry&) {};
  auto cloud =
      Cloud::Create({.id = "part", .app_address = absl::StrCat("http://", address)}, silent);
  if (!cloud.ok()) return 1;
  auto manager = DataManager::Create({.cloud = *cloud, .logger = silent});
  if (!manager.ok()) return 1;
  Config config;
  config.capture_dir = directory + "/capture";
  config.additional_sync_paths = {directory + "/files"};
  std::filesystem::create_directories(config.capture_dir);
  if (!(*manager)->Reconfigure(config, {}).ok()) return 1;
  if (!testing::WaitUntil([&] { return (*cloud)->Status().state == ConnectionState::kHealthy; })) {
    return 1;
  }
  Say("ready");
  for (std::string line; std::getline(std::cin, line);) {
    if (line.starts_with("sync ") && !SyncSome(**manager, line.substr(5))) return 1;
    Say("done");
  }
  return 0;
}

}  // namespace
}  // namespace datamanager::bench

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "channel" && argc == 3) return datamanager::bench::HoldChannel(argv[2]);
  if (what == "manager" && argc == 4) return datamanager::bench::RunManager(argv[2], argv[3]);
  std::fputs("usage: bench_process channel ADDRESS | manager ADDRESS DIR\n", stderr);
  return 2;
}
