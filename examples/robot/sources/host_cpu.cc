#include <algorithm>
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

using datamanager::Readings;
using datamanager::ValueMap;

// In ticks of the kernel's clock, 10 ms each, since boot.
struct Times {
  uint64_t user = 0;  // With niced processes and guests.
  uint64_t system = 0;
  uint64_t iowait = 0;
  uint64_t other = 0;  // Interrupts, and time stolen by the hypervisor.
  uint64_t idle = 0;

  uint64_t total() const { return user + system + iowait + other + idle; }
  uint64_t busy() const { return user + system + other; }
};

Times ParseTimes(std::string_view line) {
  Times times;
  times.user = NextNumber<uint64_t>(line);
  times.user += NextNumber<uint64_t>(line);
  times.system = NextNumber<uint64_t>(line);
  times.idle = NextNumber<uint64_t>(line);
  times.iowait = NextNumber<uint64_t>(line);
  times.other = NextNumber<uint64_t>(line);
  times.other += NextNumber<uint64_t>(line);
  times.other += NextNumber<uint64_t>(line);
  return times;
}

// The kernel may count a little back, notably iowait.
uint64_t Growth(uint64_t now, uint64_t before) { return now > before ? now - before : 0; }

Times operator-(const Times& now, const Times& before) {
  return {Growth(now.user, before.user), Growth(now.system, before.system),
          Growth(now.iowait, before.iowait), Growth(now.other, before.other),
          Growth(now.idle, before.idle)};
}

// One "cpu" line of /proc/stat: all processors, or one.
struct Row {
  // A shorter window would say more about the grain of the kernel's clock than about the processor.
  static constexpr uint64_t kMinTicks = 5;

  std::string name;
  Times seen;
  Times window;  // The last one that was long enough.

  void Update(std::string_view row_name, const Times& now) {
    // Rows move up when a processor goes offline.
    if (name != row_name) *this = Row{.name = std::string(row_name)};
    const Times growth = now - seen;
    if (growth.total() < kMinTicks) return;
    window = growth;
    seen = now;
  }
};

class HostCpu {
 public:
  absl::Status Read(Readings& out) {
    const absl::StatusOr<std::string_view> stat = stat_.Read();
    if (!stat.ok()) return stat.status();
    UpdateRows(*stat);
    const absl::StatusOr<std::string_view> load = load_.Read();
    if (!load.ok()) return load.status();

    const Times& all = rows_.front().window;
    out.Set("usage_percent", Percent(all.busy(), all.total()));
    out.Set("user_percent", Percent(all.user, all.total()));
    out.Set("system_percent", Percent(all.system, all.total()));
    out.Set("iowait_percent", Percent(all.iowait, all.total()));
    ValueMap& cores = out.Add("core_usage_percent").SetMap();
    for (size_t i = 1; i < rows_.size(); ++i) {
      cores.Set(rows_[i].name, Percent(rows_[i].window.busy(), rows_[i].window.total()));
    }
    std::string_view line = *load;
    for (const char* key : {"load_1m", "load_5m", "load_15m"}) {
      out.Set(key, NextNumber<double>(line));
    }
    return absl::OkStatus();
  }

 private:
  void UpdateRows(std::string_view text) {
    size_t count = 0;
    std::string_view line;
    while (NextLine(text, line) && line.starts_with("cpu")) {
      const std::string_view name = NextField(line);
      if (count == rows_.size()) rows_.emplace_back();
      rows_[count++].Update(name, ParseTimes(line));
    }
    rows_.resize(std::max<size_t>(count, 1));
  }

  PseudoFile stat_{"/proc/stat"};
  PseudoFile load_{"/proc/loadavg"};
  std::vector<Row> rows_;  // All processors, then each that is online.
};

}  // namespace

datamanager::SourceFunction MakeHostCpu(Attributes&) {
  return ReadingsFrom(std::make_shared<HostCpu>());
}

}  // namespace robot
