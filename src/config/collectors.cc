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

std::string DisabledDueTo(std::string_view why) {
  return absl::StrCat("collector disabled due to ", ToAbsl(why));
}

Judgement Judge(const Config& config, const CollectorConfig& collector, const std::string& fault) {
  for (const auto& [set, key] :
       {std::pair<bool, const char*>(config.capture_disabled, "config `capture_disabled`"),
        {collector.disabled, "config `disabled`"}}) {
    if (set) return {CollectorState::kDisabled, DisabledDueTo(absl::StrCat(key, " being true"))};
  }
  if (!fault.empty()) return {CollectorState::kRefused, fault};
  const float hz = collector.capture_frequency_hz;
  if (IntervalOf(hz) == std::chrono::nanoseconds::zero()) {
    return {CollectorState::kDisabled, NoFrequency(hz)};
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

std::string NoFrequency(float hz) {
  return DisabledDueTo(absl::StrCat("capture_frequency_hz ", hz,
                                    hz > 1 ? " being too high for a clock of nanoseconds"
                                           : " being too close to or less than zero"));
}

std::string FaultOf(const CollectorConfig& collector) {
  for (const auto& [key, text] :
       {std::pair<std::string_view, std::string_view>("api", collector.api),
        {"name", collector.name},
        {"method", collector.method}}) {
    std::string fault = DirectoryNameFault(key, text);
    if (!fault.empty()) return fault;
  }
  if (!std::isfinite(collector.capture_frequency_hz)) {
    return absl::StrCat("capture_frequency_hz must be a finite number, current value: ",
                        collector.capture_frequency_hz);
  }
  for (const auto& [key, size] :
       {std::pair<std::string_view, int64_t>("capture_queue_size", collector.capture_queue_size),
        {"capture_buffer_size", collector.capture_buffer_size}}) {
    if (size < 0) {
      return absl::StrCat(ToAbsl(key), " can't be less than 0, current value: ", size);
    }
  }
  return "";
}

std::vector<ConfiguredCollector> ResolveCollectors(const Config& config) {
  std::vector<ConfiguredCollector> result;
  for (const CollectorConfig& collector : config.collectors) {
    std::string fault = FaultOf(collector);
    Judgement judgement = Judge(config, collector, fault);
    result.push_back(
        {.settings = {collector.api, collector.name, collector.method,
                      IntervalOf(collector.capture_frequency_hz), collector.additional_params},
         .state = judgement.state,
         .reason = std::move(judgement.reason),
         .fault = std::move(fault)});
  }
  RefuseRepeated(result);
  return result;
}

void RefuseRepeated(std::vector<ConfiguredCollector>& collectors) {
  for (auto entry = collectors.begin(); entry != collectors.end(); ++entry) {
    const auto is_same = [&](const ConfiguredCollector& earlier) {
      return earlier.state == CollectorState::kRunning &&
             IsSameTarget(earlier.settings, entry->settings);
    };
    if (entry->state != CollectorState::kRunning ||
        std::none_of(collectors.begin(), entry, is_same)) {
      continue;
    }
    entry->state = CollectorState::kRefused;
    entry->reason =
        "an earlier entry has the same resource, method and additional_params, and stays";
  }
}

}  // namespace datamanager::config
