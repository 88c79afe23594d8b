#include "config/effective_config.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/longest_span.h"
#include "base/strings.h"
#include "config/collectors.h"
#include "config/directories.h"
#include "config/findings.h"
#include "config/validate.h"

namespace datamanager::config {
namespace {

// A link with 100 ms a round trip takes several small files at a time before it is full.
constexpr int kUploadsPerWorker = 8;

class Resolver {
 public:
  Resolver(const Config& config, const Environment& environment)
      : config_(config), environment_(environment) {}

  absl::StatusOr<EffectiveConfig> Resolve() {
    for (const Remark& fault : FaultsOf(config_)) {
      faults_.push_back(Line(fault.key, fault.what, fault.got));
    }
    for (const Remark& doubt : DoubtsOf(config_)) {
      result_.warnings.push_back(Line(doubt.key, doubt.what, doubt.got));
    }
    ResolveDirectories();
    absl::Status status = FaultStatus("data manager config", faults_);
    if (!status.ok()) return status;
    if (IsForbiddenDirectory()) {
      return absl::FailedPreconditionError(
          Line("capture_dir", "changing the capture directory is prohibited in this environment",
               Describe(config_.capture_dir)));
    }
    ResolveCapture();
    ResolveSync();
    ResolveRetention();
    return std::move(result_);
  }

 private:
  void ResolveDirectories();
  bool IsForbiddenDirectory() const;
  void ResolveCapture();
  void ResolveSync();
  void ResolveRetention();
  std::chrono::milliseconds SyncInterval() const;
  int Workers() const;

  // `path` under `key` became `absolute`: faults and doubts about that.
  void JudgePath(std::string_view key, const std::string& path,
                 const absl::StatusOr<std::string>& absolute);

  void Warn(std::string_view key, std::string_view what, std::string_view got) {
    result_.warnings.push_back(Line(key, what, got));
  }

  const Config& config_;
  const Config defaults_;
  const Environment& environment_;
  std::vector<std::string> faults_;
  EffectiveConfig result_;
};

void Resolver::JudgePath(std::string_view key, const std::string& path,
                         const absl::StatusOr<std::string>& absolute) {
  if (!absolute.ok()) {
    faults_.push_back(Line(key, ToStd(absolute.status().message()), Describe(path)));
  } else if (IsRootDirectory(*absolute) && !IsRootDirectory(path)) {  // Else known by its letters.
    faults_.push_back(Line(key, "can't be the root directory", Describe(path)));
  }
}

void Resolver::ResolveDirectories() {
  const absl::StatusOr<std::string> capture = CaptureDirectory(config_.capture_dir, environment_);
  JudgePath("capture_dir", config_.capture_dir, capture);
  std::vector<std::string> further;
  for (size_t i = 0; i < config_.additional_sync_paths.size(); ++i) {
    const std::string& path = config_.additional_sync_paths[i];
    if (path.empty()) continue;  // A fault already.
    const std::string key = absl::StrCat("additional_sync_paths[", i, "]");
    const absl::StatusOr<std::string> absolute = ConfiguredDirectory(path, environment_);
    JudgePath(key, path, absolute);
    if (!absolute.ok()) continue;
    // "$HOME/x" is relative, too: variables are substituted in config files alone, before this.
    if (path[0] != '/' && path[0] != '~') {
      Warn(key, absl::StrCat("is relative, so ", *absolute, " is used"), Describe(path));
    }
    further.push_back(*absolute);
  }
  if (!faults_.empty()) return;
  if (!config_.capture_dir.empty() && config_.capture_dir[0] != '/' &&
      config_.capture_dir[0] != '~') {
    Warn("capture_dir", absl::StrCat("is relative, so ", *capture, " is used"),
         Describe(config_.capture_dir));
  }
  result_.capture.directory = *capture;
  result_.sync.capture_directory = *capture;
  result_.sync.additional_paths = FurtherRoots(std::move(further), *capture, environment_);
}

bool Resolver::IsForbiddenDirectory() const {
  if (!environment_.untrusted || config_.capture_dir.empty()) return false;
  const absl::StatusOr<std::string> standard = DefaultCaptureDirectory(environment_);
  return !standard.ok() || *standard != result_.capture.directory;
}

void Resolver::ResolveCapture() {
  result_.capture.tags = config_.tags;
  result_.capture.max_file_bytes = config_.maximum_capture_file_size_bytes != 0
                                       ? config_.maximum_capture_file_size_bytes
                                       : defaults_.maximum_capture_file_size_bytes;
  result_.capture.durability = config_.durability;
  result_.capture.durability_interval = Clamped(std::chrono::milliseconds(
      config_.durability_interval_millis != 0 ? config_.durability_interval_millis
                                              : defaults_.durability_interval_millis));
  result_.capture.collectors = ResolveCollectors(config_);
  const CaptureControlSensor& control = config_.capture_control_sensor;
  if (control.name.empty() || config_.capture_disabled) return;
  if (control.key.empty()) {
    result_.errors.push_back(Line("capture_control_sensor",
                                  "missing key for capture_control_sensor readings, so nothing is "
                                  "controlled",
                                  Describe(control.name)));
    return;
  }
  result_.capture.control = control;
}

void Resolver::ResolveSync() {
  SyncConfig& sync = result_.sync;
  sync.tags = config_.tags;
  sync.scheduled = !config_.sync_disabled;
  sync.selective_sensor = config_.selective_syncer_name;
  sync.interval = SyncInterval();
  sync.workers = Workers();
  sync.uploads_per_worker = config_.maximum_num_sync_threads == 0 ? kUploadsPerWorker : 1;
  sync.min_file_age = Clamped(std::chrono::milliseconds(config_.file_last_modified_millis != 0
                                                            ? config_.file_last_modified_millis
                                                            : defaults_.file_last_modified_millis));
}

void Resolver::ResolveRetention() {
  const auto or_default = [](auto value, auto standard) { return value != 0 ? value : standard; };
  result_.retention = {.enabled = !config_.capture_disabled,
                       .every_nth = or_default(config_.delete_every_nth_when_disk_full,
                                               defaults_.delete_every_nth_when_disk_full),
                       .disk_threshold = or_default(config_.disk_usage_deletion_threshold,
                                                    defaults_.disk_usage_deletion_threshold),
                       .capture_threshold = or_default(config_.capture_dir_deletion_threshold,
                                                       defaults_.capture_dir_deletion_threshold)};
}

std::chrono::milliseconds Resolver::SyncInterval() const {
  constexpr double kMillisPerMinute = 60'000;
  const double minutes = config_.sync_interval_mins < kMinSyncIntervalMins
                             ? defaults_.sync_interval_mins
                             : config_.sync_interval_mins;
  return Clamped(std::chrono::milliseconds(static_cast<int64_t>(minutes * kMillisPerMinute)));
}

int Resolver::Workers() const {
  const int64_t wanted = config_.maximum_num_sync_threads;
  if (wanted == 0) return std::max(1, environment_.processors / 2);
  return static_cast<int>(std::min(wanted, kMaxSyncThreads));
}

}  // namespace

absl::StatusOr<EffectiveConfig> Resolve(const Config& config, const Environment& environment) {
  return Resolver(config, environment).Resolve();
}

}  // namespace datamanager::config
