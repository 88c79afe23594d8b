#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "robot/sources/models.h"
#include "robot/sources/numbers.h"
#include "robot/sources/pseudo_file.h"
#include "robot/sources/scan.h"

namespace robot {
namespace {

using datamanager::ValueMap;

struct Interface {
  std::string name;
  Rate received;
  Rate sent;
};

class HostNetwork {
 public:
  absl::Status Read(datamanager::Readings& out) {
    const absl::StatusOr<std::string_view> text = file_.Read();
    if (!text.ok()) return text.status();
    const auto now = std::chrono::steady_clock::now();

    ValueMap& interfaces = out.Add("interfaces").SetMap();
    std::string_view rest = *text;
    std::string_view line;
    for (size_t index = 0; NextLine(rest, line);) {
      const size_t colon = line.find(':');
      if (colon == std::string_view::npos) continue;  // One of the two lines of titles.
      std::string_view name = line.substr(0, colon);
      name = NextField(name);
      line.remove_prefix(colon + 1);
      Report(Find(index++, name), line, now, interfaces.Add(name).SetMap());
    }
    return absl::OkStatus();
  }

 private:
  // Interfaces keep their order, so the one at `index` is nearly always it. One that is replaced
  // begins anew.
  Interface& Find(size_t index, std::string_view name) {
    if (index == interfaces_.size()) interfaces_.emplace_back();
    Interface& interface = interfaces_[index];
    if (interface.name != name) interface = Interface{.name = std::string(name)};
    return interface;
  }

  static void Report(Interface& interface, std::string_view line,
                     std::chrono::steady_clock::time_point now, ValueMap& out) {
    const auto received = NextNumber<uint64_t>(line);
    out.Set("rx_bytes", received);
    for (const char* key : {"rx_packets", "rx_errors", "rx_dropped"}) {
      out.Set(key, NextNumber<uint64_t>(line));
    }
    SkipFields(line, 4);  // fifo, frame, compressed, multicast.
    const auto sent = NextNumber<uint64_t>(line);
    out.Set("tx_bytes", sent);
    for (const char* key : {"tx_packets", "tx_errors", "tx_dropped"}) {
      out.Set(key, NextNumber<uint64_t>(line));
    }
    interface.received.Report(received, now, out.Add("rx_bytes_per_s"));
    interface.sent.Report(sent, now, out.Add("tx_bytes_per_s"));
  }

  PseudoFile file_{"/proc/net/dev"};
  std::vector<Interface> interfaces_;
};

}  // namespace

datamanager::SourceFunction MakeHostNetwork(Attributes&) {
  return ReadingsFrom(std::make_shared<HostNetwork>());
}

}  // namespace robot
