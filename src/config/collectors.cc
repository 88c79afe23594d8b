#include "config/collectors.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "config/findings.h"
#include "datamanager/value.h"

namespace datamanager::config {
namespace {

struct Judgement {
  CollectorState state = CollectorState::kRunning;
  std::string reason;
};

// Why `text` cannot name a directory below the capture directory; empty if it can.
std::string DirectoryNameFault(std::string_view key, std::string_view text) {
  constexpr size_t kMaxBytes = 255;  // NAME_MAX of Linux's file systems.
  if (text.empty()) return absl::StrCat(ToAbsl(key), " is missing");
  if (!IsUtf8(text)) return absl::StrCat(ToAbsl(key), " is not UTF-8");
  if (text.size() > kMaxBytes) {
    return absl::StrCat(ToAbsl(key), " is longer than ", kMaxBytes, " bytes");
  }
  if (text == "." || text == ".." || text.find('/') != std::string_view::npos ||
      text.find('\0') != std::string_view::npos) {
    return absl::StrCat(ToAbsl(key), " ", ToJson(Value(text)), " can't be a directory's name");
  }
  return "";
}

Judgement Disabled(std::string_view why) {
  return {CollectorState::kDisabled, absl::StrCat("collector disabled due to ", ToAbsl(why))};
}

Judgement Judge(const Config& config, const CollectorConfig& collector) {
  if (config.capture_disabled) return Disabled("config `capture_disabled` being true");
  if (collector.disabled) return Disabled("config `disabled` being true");

  for (const auto& [key, text] :
       {std::pair<std::string_view, std::string_view>("api", collector.api),
        {"name", collector.name},
        {"method", collector.method}}) {
    std::string fault = DirectoryNameFault(key, text);
    if (!fault.empty()) return {CollectorState::kRefused, std::move(fault)};
  }

  const float hz = collector.capture_frequency_hz;
  if (!std::isfinite(hz)) {
    return {CollectorState::kRefused,
            absl::StrCat("capture_frequency_hz must be a finite number, current value: ", hz)};
  }
  if (IntervalOf(hz) == std::chrono::nanoseconds::zero()) {
    return Disabled(absl::StrCat("capture_frequency_hz ", hz,
                                 hz > 1 ? " being too high for a clock of nanoseconds"
                                        : " being too close to or less than zero"));
  }
  for (const auto& [key, size] :
       {std::pair<std::string_view, int64_t>("capture_queue_size", collector.capture_queue_size),
        {"capture_buffer_size", collector.capture_buffer_size}}) {
    if (size < 0) {
      return {CollectorState::kRefused,
              absl::StrCat(ToAbsl(key), " can't be less than 0, current value: ", size)};
    }
  }
  return {};
}

bool IsSameTarget(const CollectorSettings& a, const CollectorSettings& b) {
  return a.api == b.api && a.name == b.name && a.method == b.method &&
         a.additional_params == b.additional_params;
}

}  // namespace

std::chrono::nanoseconds IntervalOf(float hz) {
  constexpr float kLowest = 1e-6F;
  constexpr float kNanosPerSecond = 1e9F;
  if (!(hz >= kLowest)) return std::chrono::nanoseconds::zero();  // NaN too.
  return std::chrono::nanoseconds(static_cast<int64_t>(kNanosPerSecond / hz));
}

std::vector<ConfiguredCollector> ResolveCollectors(const Config& config) {
  std::vector<ConfiguredCollector> result;
  for (const CollectorConfig& collector : config.collectors) {
    Judgement judgement = Judge(config, collector);
    ConfiguredCollector entry{
        {collector.api, collector.name, collector.method,
         IntervalOf(collector.capture_frequency_hz), collector.additional_params},
        judgement.state,
        std::move(judgement.reason)};
    const auto is_first = [&entry](const ConfiguredCollector& other) {
      return other.state == CollectorState::kRunning &&
             IsSameTarget(other.settings, entry.settings);
    };
    if (entry.state == CollectorState::kRunning &&
        std::any_of(result.begin(), result.end(), is_first)) {
      entry.state = CollectorState::kRefused;
      entry.reason =
          "an earlier entry has the same resource, method and additional_params, and stays";
    }
    result.push_back(std::move(entry));
  }
  return result;
}

}  // namespace datamanager::config
