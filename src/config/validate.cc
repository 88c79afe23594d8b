#include "config/validate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "config/directories.h"
#include "config/findings.h"

namespace datamanager::config {
namespace {

// Spans of time are counted in nanoseconds somewhere down the road.
constexpr int64_t kMaxMillis = std::numeric_limits<int64_t>::max() / 1'000'000;
constexpr double kMaxMinutes = static_cast<double>(kMaxMillis) / 60'000;

class Checker {
 public:
  void NotNegative(std::string_view key, double value) {
    if (!std::isfinite(value)) {
      Add(key, "must be a finite number", NumberText(value));
    } else if (value < 0) {
      Add(key, Negative(key), NumberText(value));
    }
  }

  void NotNegative(std::string_view key, int64_t value) {
    if (value < 0) Add(key, Negative(key), absl::StrCat(value));
  }

  template <typename Number>
  void NotNegativeOrAbove(std::string_view key, Number value, Number limit) {
    NotNegative(key, value);
    if (std::isfinite(static_cast<double>(value)) && value > limit) {
      Add(key, "is too large", absl::StrCat(value));
    }
  }

  void Directory(std::string_view key, const std::string& path) {
    if (path.find('\0') != std::string::npos) {
      Add(key, "must not contain a zero byte", Describe(path));
    } else if (IsRootDirectory(path)) {
      Add(key, "can't be the root directory", Describe(path));
    }
  }

  // As the wire format demands.
  void Utf8(std::string_view key, const std::string& text) {
    if (!IsUtf8(text)) Add(key, "must be UTF-8", absl::StrCat(text.size(), " bytes"));
  }

  void Add(std::string_view key, std::string_view what, std::string_view got) {
    faults_.push_back({std::string(key), std::string(what), std::string(got)});
  }

  std::vector<Remark> Take() { return std::move(faults_); }

 private:
  static std::string Negative(std::string_view key) {
    return absl::StrCat(ToAbsl(key), " can't be negative");
  }

  std::vector<Remark> faults_;
};

std::string Indexed(std::string_view key, size_t index) {
  return absl::StrCat(ToAbsl(key), "[", index, "]");
}

}  // namespace

std::string DurabilityFault() {
  std::string names;
  for (const Durability durability : kDurabilities) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", "\"", ToAbsl(DurabilityName(durability)),
                    "\"");
  }
  return absl::StrCat("must be one of ", names);
}

std::vector<Remark> FaultsOf(const Config& config) {
  Checker check;
  check.NotNegativeOrAbove("sync_interval_mins", config.sync_interval_mins, kMaxMinutes);
  check.NotNegative("maximum_num_sync_threads", config.maximum_num_sync_threads);
  check.NotNegativeOrAbove("file_last_modified_millis", config.file_last_modified_millis,
                           kMaxMillis);
  check.NotNegative("maximum_capture_file_size_bytes", config.maximum_capture_file_size_bytes);
  check.NotNegative("delete_every_nth_when_disk_full", config.delete_every_nth_when_disk_full);
  check.NotNegative("disk_usage_deletion_threshold", config.disk_usage_deletion_threshold);
  check.NotNegative("capture_dir_deletion_threshold", config.capture_dir_deletion_threshold);

  check.NotNegativeOrAbove("durability_interval_millis", config.durability_interval_millis,
                           kMaxMillis);
  if (std::find(kDurabilities.begin(), kDurabilities.end(), config.durability) ==
      kDurabilities.end()) {
    check.Add("durability", DurabilityFault(), absl::StrCat(static_cast<int>(config.durability)));
  }
  check.Directory("capture_dir", config.capture_dir);
  for (size_t i = 0; i < config.additional_sync_paths.size(); ++i) {
    const std::string& path = config.additional_sync_paths[i];
    const std::string key = Indexed("additional_sync_paths", i);
    if (path.empty()) check.Add(key, "must name a directory", Describe(path));
    check.Directory(key, path);
  }
  for (size_t i = 0; i < config.tags.size(); ++i) {
    check.Utf8(Indexed("tags", i), config.tags[i]);
  }
  return check.Take();
}

std::vector<Remark> DoubtsOf(const Config& config) {
  std::vector<Remark> doubts;
  const double minutes = config.sync_interval_mins;
  if (minutes != 0 && minutes < kMinSyncIntervalMins) {
    doubts.push_back(
        {"sync_interval_mins",
         absl::StrCat("sync_interval_mins set to ", NumberText(minutes),
                      " below allowed minimum, using ", NumberText(Config().sync_interval_mins)),
         NumberText(minutes)});
  }
  if (config.maximum_num_sync_threads > kMaxSyncThreads) {
    doubts.push_back({"maximum_num_sync_threads", absl::StrCat("using ", kMaxSyncThreads),
                      absl::StrCat(config.maximum_num_sync_threads)});
  }
  for (const auto& [key, threshold] :
       {std::pair<std::string_view, double>("disk_usage_deletion_threshold",
                                            config.disk_usage_deletion_threshold),
        {"capture_dir_deletion_threshold", config.capture_dir_deletion_threshold}}) {
    if (threshold > 1) {
      doubts.push_back(
          {std::string(key), "is above 1, which no disk reaches", NumberText(threshold)});
    }
  }
  for (size_t i = 0; i < config.additional_sync_paths.size(); ++i) {
    const std::string& path = config.additional_sync_paths[i];
    const std::string key = Indexed("additional_sync_paths", i);
    if (path.find_first_of("*?[") != std::string::npos) {
      doubts.push_back({key,
                        "is one directory by exactly this name: nothing is put in for *, ? or []",
                        Describe(path)});
    }
    if (absl::StripAsciiWhitespace(path) != path) {
      doubts.push_back(
          {key, "begins or ends with a blank, which is part of the name", Describe(path)});
    }
  }
  if (config.mongo_capture_configured) {
    doubts.push_back({"mongo_capture_config",
                      "has no effect: captured data goes to disk and from there to the cloud", ""});
  }
  return doubts;
}

}  // namespace datamanager::config

namespace datamanager {

std::string_view DurabilityName(Durability durability) {
  switch (durability) {
    case Durability::kProcess:
      return "process";
    case Durability::kPublished:
      return "published";
    case Durability::kPeriodic:
      return "periodic";
  }
  return "unknown";
}

absl::Status Validate(const Config& config) {
  std::vector<std::string> lines;
  for (const config::Remark& fault : config::FaultsOf(config)) {
    lines.push_back(config::Line(fault.key, fault.what, fault.got));
  }
  return config::FaultStatus("data manager config", lines);
}

}  // namespace datamanager
