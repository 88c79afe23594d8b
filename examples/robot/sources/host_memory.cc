#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "robot/sources/models.h"
#include "robot/sources/numbers.h"
#include "robot/sources/pseudo_file.h"
#include "robot/sources/scan.h"

namespace robot {
namespace {

class HostMemory {
 public:
  absl::Status Read(datamanager::Readings& out) {
    const absl::StatusOr<std::string_view> text = file_.Read();
    if (!text.ok()) return text.status();

    uint64_t total = 0;
    uint64_t available = 0;
    uint64_t swap_total = 0;
    uint64_t swap_free = 0;
    uint64_t free = 0;
    uint64_t buffers = 0;
    uint64_t cached = 0;
    uint64_t dirty = 0;
    struct Field {
      std::string_view label;
      uint64_t& bytes;
    };
    const std::array<Field, 8> fields = {{{"MemTotal:", total},
                                          {"MemFree:", free},
                                          {"MemAvailable:", available},
                                          {"Buffers:", buffers},
                                          {"Cached:", cached},
                                          {"SwapTotal:", swap_total},
                                          {"SwapFree:", swap_free},
                                          {"Dirty:", dirty}}};
    std::string_view rest = *text;
    std::string_view line;
    while (NextLine(rest, line)) {
      const std::string_view label = NextField(line);
      for (const Field& field : fields) {
        if (field.label == label) field.bytes = NextNumber<uint64_t>(line) * 1024;
      }
    }
    const uint64_t used = total - available;
    out.Set("total_bytes", total);
    out.Set("available_bytes", available);
    out.Set("used_bytes", used);
    out.Set("used_percent", Percent(used, total));
    out.Set("free_bytes", free);
    out.Set("buffers_bytes", buffers);
    out.Set("cached_bytes", cached);
    out.Set("dirty_bytes", dirty);
    out.Set("swap_total_bytes", swap_total);
    out.Set("swap_used_bytes", swap_total - swap_free);
    return absl::OkStatus();
  }

 private:
  PseudoFile file_{"/proc/meminfo"};
};

}  // namespace

datamanager::SourceFunction MakeHostMemory(Attributes&) {
  return ReadingsFrom(std::make_shared<HostMemory>());
}

}  // namespace robot
