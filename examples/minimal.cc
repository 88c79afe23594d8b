// The smallest embedding: captures the load average ten times a second until Enter is pressed.
//   minimal DIRECTORY [https://HOST:PORT]
#include <fcntl.h>

#include <cstdio>
#include <cstdlib>

#include "datamanager/data_manager.h"

namespace dm = datamanager;

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "minimal: %s\n", status.ToString().c_str());
  return 1;
}

int main(int argc, char** argv) {
  for (int fd = 0; fd <= 2; ++fd) {  // No file may get a closed stream's number.
    if (fcntl(fd, F_GETFD) < 0) open("/dev/null", O_RDWR);
  }
  dm::Config config;
  config.capture_dir = argc > 1 ? argv[1] : "";  // Empty: ~/.viam/capture.
  config.collectors.push_back({.api = "rdk:component:sensor",
                               .name = "load",
                               .method = "Readings",
                               .capture_frequency_hz = 10});

  dm::Sources sources;
  sources.AddReadings("rdk:component:sensor", "load", [](const auto&, dm::Readings& out) {
    double load = 0;
    if (getloadavg(&load, 1) != 1) return absl::UnavailableError("no load average");
    out.Set("load_1m", load);
    return absl::OkStatus();
  });

  dm::DataManagerOptions options;
  if (argc > 2) {  // Without a cloud it only captures.
    auto cloud = dm::Cloud::Create({.id = "minimal", .app_address = argv[2]});
    if (!cloud.ok()) return Fail(cloud.status());
    options.cloud = *cloud;
  }
  auto manager = dm::DataManager::Create(options);
  if (!manager.ok()) return Fail(manager.status());
  auto result = (*manager)->Reconfigure(config, sources);
  if (!result.ok()) return Fail(result.status());
  if (!result->refused.empty()) return Fail(result->refused.front().status);

  std::puts("Capturing; press Enter to end. A kill loses nothing either.");
  std::getchar();
  auto status = (*manager)->Close();
  return status.ok() ? 0 : Fail(status);
}
