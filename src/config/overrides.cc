#include "config/overrides.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "config/collectors.h"
#include "config/resource_name.h"

namespace datamanager::config {
namespace {

std::string FrequencyText(std::chrono::nanoseconds interval) {
  if (interval == interval.zero()) return "none";
  return absl::StrCat(1e9 / static_cast<double>(interval.count()), " Hz");
}

// For people; a sensor may say anything.
std::string NameOf(const OverrideKey& key) {
  constexpr size_t kLongest = 100;
  const auto shortened = [](const std::string& name) {
    return name.size() <= kLongest ? name : name.substr(0, kLongest) + "...";
  };
  return absl::StrCat(shortened(key.first), " ", shortened(key.second));
}

void SetFrequency(float hz, ConfiguredCollector& collector) {
  const std::chrono::nanoseconds interval = IntervalOf(hz);
  const std::chrono::nanoseconds before = collector.settings.interval;
  const bool ran = collector.state == CollectorState::kRunning;
  collector.settings.interval = interval;
  if (interval == interval.zero()) {
    collector.state = CollectorState::kDisabled;
    collector.reason = absl::StrCat("capture control: ", NoFrequency(hz));
    return;
  }
  collector.state = CollectorState::kRunning;
  if (!ran) {
    collector.reason =
        absl::StrCat("capture control: enabled at ", FrequencyText(interval),
                     collector.reason.empty() ? "" : absl::StrCat(", though ", collector.reason));
  } else if (interval != before) {
    collector.reason = absl::StrCat("capture control: ", FrequencyText(interval), " in place of ",
                                    FrequencyText(before));
  }
}

void Apply(const Override& change, ConfiguredCollector& collector) {
  if (change.hz.has_value()) SetFrequency(*change.hz, collector);
  if (!change.tags.has_value()) return;
  collector.tags = change.tags;
  if (collector.state != CollectorState::kRunning) return;
  absl::StrAppend(&collector.reason, collector.reason.empty() ? "capture control: " : "; ",
                  "tags [", absl::StrJoin(*change.tags, ", "), "]");
}

class Overrider {
 public:
  Overrider(CaptureConfig config, const Overrides& overrides, const ApisOf& apis_of,
            std::vector<std::string>& complaints)
      : config_(std::move(config)),
        overrides_(overrides),
        apis_of_(apis_of),
        complaints_(complaints),
        mentioned_(config_.collectors.size(), false) {}

  CaptureConfig Run() {
    // Exact names first, so that a short one leaves alone what has an override of its own.
    for (const bool exact : {true, false}) {
      for (const auto& [key, change] : overrides_) {
        const std::optional<FullName> full = ParseFullName(key.first);
        if (full.has_value() == exact) Change(key, full, change);
      }
    }
    RefuseRepeated(config_.collectors);
    return std::move(config_);
  }

 private:
  void Change(const OverrideKey& key, const std::optional<FullName>& full, const Override& change) {
    const std::string& name = full.has_value() ? full->name : key.first;
    bool known = false;
    for (size_t i = 0; i < mentioned_.size(); ++i) {
      ConfiguredCollector& collector = config_.collectors[i];
      const CollectorSettings& settings = collector.settings;
      if (settings.name != name || settings.method != key.second ||
          (full.has_value() && settings.api != full->api)) {
        continue;
      }
      known = true;
      if (mentioned_[i]) continue;
      mentioned_[i] = true;
      if (!collector.fault.empty()) {
        complaints_.push_back(absl::StrCat(NameOf(key), ": ", collector.fault));
      } else if (collector.state != CollectorState::kRefused) {
        Apply(change, collector);
      }
    }
    if (known || !change.hz.has_value() || IntervalOf(*change.hz).count() == 0) return;
    if (absl::Status added = Add(key, full, name, change); !added.ok()) {
      complaints_.push_back(absl::StrCat(NameOf(key), ": ", added.message()));
    }
  }

  absl::Status Add(const OverrideKey& key, const std::optional<FullName>& full,
                   const std::string& name, const Override& change) {
    std::vector<std::string> apis = apis_of_(name, key.second);
    if (full.has_value()) {
      std::erase_if(apis, [&](const std::string& api) { return api != full->api; });
    }
    if (apis.empty()) return absl::NotFoundError("no resource of this name has such a method");
    if (apis.size() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("resources of several APIs have this name: write ",
                       absl::StrJoin(apis, absl::StrCat("/", name, " or ")), "/", name));
    }
    const CollectorConfig collector{.api = apis.front(), .name = name, .method = key.second};
    std::string fault = FaultOf(collector);
    if (!fault.empty()) return absl::InvalidArgumentError(fault);
    ConfiguredCollector added{.settings = {.api = apis.front(), .name = name, .method = key.second},
                              .state = CollectorState::kDisabled};
    Apply(change, added);
    config_.collectors.push_back(std::move(added));
    mentioned_.push_back(true);
    return absl::OkStatus();
  }

  CaptureConfig config_;
  const Overrides& overrides_;
  const ApisOf& apis_of_;
  std::vector<std::string>& complaints_;
  std::vector<bool> mentioned_;  // Of the collectors.
};

}  // namespace

CaptureConfig WithOverrides(CaptureConfig config, const Overrides& overrides, const ApisOf& apis_of,
                            std::vector<std::string>& complaints) {
  if (overrides.empty()) return config;
  return Overrider(std::move(config), overrides, apis_of, complaints).Run();
}

}  // namespace datamanager::config
