// Captures a sensor and an encoder into the directory named on the command line, and says what was
// captured.
#include <chrono>
#include <cstdio>
#include <thread>

#include "datamanager/data_manager.h"
#include "datamanager/wire/viam/component/encoder/v1/encoder.pb.h"

using Ticks = datamanager::wire::viam::component::encoder::v1::GetPositionResponse;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto manager = datamanager::DataManager::Create();
  if (!manager.ok()) return 1;
  datamanager::Sources sources;
  sources.AddReadings("rdk:component:sensor", "probe", [](const auto&, auto& out) {
    out.Set("value", 42);
    return absl::OkStatus();
  });
  sources.AddMessage<Ticks>("rdk:component:encoder", "wheel", "TicksCount",
                            [](const auto&, Ticks& out) {
                              out.set_value(42);
                              return absl::OkStatus();
                            });
  datamanager::Config config;
  config.capture_dir = argv[1];
  config.collectors.push_back({.api = "rdk:component:sensor",
                               .name = "probe",
                               .method = "Readings",
                               .capture_frequency_hz = 200});
  config.collectors.push_back({.api = "rdk:component:encoder",
                               .name = "wheel",
                               .method = "TicksCount",
                               .capture_frequency_hz = 200});
  const auto result = (*manager)->Reconfigure(config, sources);
  if (!result.ok() || !result->refused.empty()) {
    std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
    return 1;
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto captured = [&](size_t i) { return (*manager)->Stats().collectors[i].captured; };
  while (captured(0) < 3 || captured(1) < 3) {
    if (std::chrono::steady_clock::now() > deadline) return 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const absl::Status status = (*manager)->Close();
  std::printf("captured at least 3 records of each: %s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
