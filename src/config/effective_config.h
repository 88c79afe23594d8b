// The config as the rest of the library sees it: checked, with defaults in place, every question
// about it answered, and split into the halves that capture and sync each get.
#ifndef DATAMANAGER_SRC_CONFIG_EFFECTIVE_CONFIG_H_
#define DATAMANAGER_SRC_CONFIG_EFFECTIVE_CONFIG_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "datamanager/config.h"
#include "datamanager/stats.h"
#include "datamanager/value.h"

namespace datamanager::config {

// What the defaults depend on.
struct Environment {
  std::string home;       // $HOME, else the user database's.
  std::string viam_home;  // $VIAM_HOME; may be empty.
  int processors = 1;
  bool untrusted = false;

  static Environment OfProcess(bool untrusted);
};

// What one collector runs with. Equal settings: the collector need not be restarted.
struct CollectorSettings {
  std::string api;
  std::string name;
  std::string method;
  std::chrono::nanoseconds interval{0};
  ValueMap additional_params;

  friend bool operator==(const CollectorSettings&, const CollectorSettings&) = default;
};

// An entry of the config, wanted or not. Of those that are to run, no two have the same API, name,
// method and parameters: the first one stays, later ones are refused.
struct ConfiguredCollector {
  CollectorSettings settings;
  CollectorState state = CollectorState::kRunning;  // Else kDisabled or kRefused.
  std::string reason;  // Why it is not to run; or what capture control has changed.
  // Why it could not run if capture control enabled it; empty if it could.
  std::string fault;
  std::optional<std::vector<std::string>> tags;  // Of capture control, in place of the service's.

  friend bool operator==(const ConfiguredCollector&, const ConfiguredCollector&) = default;
};

struct CaptureConfig {
  std::string directory;  // Absolute and normal.
  std::vector<std::string> tags;
  int64_t max_file_bytes = 0;
  Durability durability = Durability::kPublished;
  std::chrono::milliseconds durability_interval{0};  // Between two flushes of files in progress.
  std::vector<ConfiguredCollector> collectors;       // All entries, in the config's order.
  // What may change them while they run. Without a name: nothing, and while capture is disabled.
  CaptureControlSensor control;

  friend bool operator==(const CaptureConfig&, const CaptureConfig&) = default;
};

// What makes room when the disk is full.
struct RetentionConfig {
  bool enabled = false;  // While anything may be captured.
  int64_t every_nth = 5;
  double disk_threshold = 0.9;     // Fraction of the volume that is in use.
  double capture_threshold = 0.5;  // Fraction of the volume that the capture directory takes.

  friend bool operator==(const RetentionConfig&, const RetentionConfig&) = default;
};

// Equal: sync need not be restarted.
struct SyncConfig {
  std::string capture_directory;  // Walked first.
  // Walked after it, in this order: the config's, then $HOME/.viam/capture if the default
  // has moved from there and is in use.
  // Absolute, normal, none inside another nor inside the capture directory. One may lie around the
  // capture directory: its walk leaves that out, so that each file is met once.
  std::vector<std::string> additional_paths;
  std::vector<std::string> tags;
  bool scheduled = false;        // Whether passes happen without a call of Sync.
  std::string selective_sensor;  // Which is asked before each of these; may be empty.
  std::chrono::milliseconds interval{0};
  int workers = 1;
  // Of each worker, at a time; one where the config says how many threads upload, so that this
  // bounds the uploads as well.
  int uploads_per_worker = 1;
  std::chrono::milliseconds min_file_age{0};  // Of arbitrary files.

  friend bool operator==(const SyncConfig&, const SyncConfig&) = default;
};

struct EffectiveConfig {
  CaptureConfig capture;
  SyncConfig sync;
  RetentionConfig retention;
  // What is accepted though it looks wrong, a line each, to be logged.
  std::vector<std::string> warnings;
  std::vector<std::string> errors;  // The same, where someone must act.
};

// INVALID_ARGUMENT lists every fault of the service's own attributes, a line each;
// FAILED_PRECONDITION, a capture directory that this environment forbids. Faults of single
// collectors stand in their entries. Relative directories are taken from the working directory,
// with a warning. Looks at the disk only to see whether $HOME/.viam/capture exists.
absl::StatusOr<EffectiveConfig> Resolve(const Config& config, const Environment& environment);

// 1 s / hz in single precision, as the reference computes it; 0 for what is off.
std::chrono::nanoseconds IntervalOf(float hz);

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_EFFECTIVE_CONFIG_H_
