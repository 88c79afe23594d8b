// Settings of datamanager: as a struct, or read from Viam's machine-config JSON.
//
// Every default stands here, once, with its unit. For each number, and for the texts that have a
// default, zero, null and absence in JSON mean the default, and so does zero in the struct.
#ifndef DATAMANAGER_CONFIG_H_
#define DATAMANAGER_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "datamanager/value.h"

namespace datamanager {

// One captured method of one resource. In JSON an entry of `capture_methods` in the resource's
// `service_configs`.
struct CollectorConfig {
  std::string api;     // Triplet, such as "rdk:component:sensor".
  std::string name;    // The resource's short name.
  std::string method;  // Such as "Readings".
  // Ticks per second. Below 1e-6, and so by default, the collector is off.
  float capture_frequency_hz = 0;
  // Accepted for compatibility and without effect: nothing is queued between a source and the disk.
  // Negative values disable the collector.
  int64_t capture_queue_size = 250;
  int64_t capture_buffer_size = 4096;
  // Handed to the source, and stored with the data as method_parameters.
  ValueMap additional_params;
  bool disabled = false;
  // Accepted for compatibility and without effect: the service's tags and directory count.
  std::vector<std::string> tags;
  std::string capture_directory;
};

// Names a sensor whose readings change capture at run time. It is asked ten times a second.
//
// Under `key` stands a list of {"resource_name", "method", "capture_frequency_hz"?, "tags"?}. A
// frequency replaces the config's: zero or less switches off, a positive one also switches on what
// the config has off, or does not mention. Tags replace the service's. A resource is a short name,
// or exact: "rdk:component:arm/lifter". Of entries for the same the last counts.
//
// Under "sequences" stands a list of {"sequence_tags"?, "resources": [{"resource_name",
// "method"}]}: each is a sequence from when it is first there until it is there no longer, and is
// uploaded after its data.
//
// What it said last holds until it says something else; while it says nothing that makes sense, for
// 10 s, and then the config's own is back and sequences end.
struct CaptureControlSensor {
  std::string name;  // Empty: no control.
  std::string key;   // Empty: an error, and no control.

  friend bool operator==(const CaptureControlSensor&, const CaptureControlSensor&) = default;
};

// What captured data survives. A process that is killed never loses a record whose source has
// returned, whatever stands here; the difference is what a power cut, or a crash of the kernel, may
// take, and what its prevention costs.
enum class Durability : uint8_t {
  // "process": nothing is flushed to the medium. A power cut may take what the kernel has not
  // written back, which is mostly that of the last 30 s, published files included, and may leave
  // holes in them.
  kProcess,
  // "published": a finished file is flushed before it gets its final name. A power cut may take the
  // records of files still in progress: up to maximum_capture_file_size_bytes a collector, or while
  // sync runs those since its last pass. One flush and one of the directory a file.
  kPublished,
  // "periodic": files in progress are flushed too, every durability_interval_millis. A power cut
  // takes no more than the records of that time, and what the flush itself takes.
  kPeriodic,
};

// "process", "published" or "periodic".
std::string_view DurabilityName(Durability durability);

// Attributes of the data manager service.
struct Config {
  // Where captured data waits. A leading "~" is the home directory. Empty: $VIAM_HOME/capture, else
  // $HOME/.viam/capture. When it changes, what waits in the former one is still uploaded from
  // there, as long as the process lives.
  std::string capture_dir;
  // Stored with captured data and with arbitrary files.
  std::vector<std::string> tags;
  // Stops all collectors.
  bool capture_disabled = false;
  // Bytes after which a tabular file is finished and a new one begun: checked before each record.
  int64_t maximum_capture_file_size_bytes = 262144;
  // What a power cut may take. In JSON one of the names above. A change restarts no collector.
  Durability durability = Durability::kPeriodic;
  // Milliseconds between two flushes of the files in progress, with `periodic`. Each flush writes a
  // page of each file that has grown, so a shorter interval wears out the medium sooner.
  int64_t durability_interval_millis = 10000;

  // Stops scheduled sync. DataManager::Sync works all the same.
  bool sync_disabled = false;
  // Minutes between two scheduled passes; less than 0.0001 means the default.
  double sync_interval_mins = 0.1;
  // Upload workers, and uploads at a time; at most 1024. 0 means half the processors, at least one,
  // each with up to 8 uploads under way.
  int64_t maximum_num_sync_threads = 0;
  // Further directories whose files are uploaded and then removed. "~" is not expanded, as in the
  // reference. "/" is refused; of overlapping ones each file is met once.
  std::vector<std::string> additional_sync_paths;
  // Milliseconds for which an arbitrary file must have been left alone before it is uploaded.
  int64_t file_last_modified_millis = 10000;
  // Name of a sensor that is asked before each scheduled pass whether it may begin: its reading
  // "should_sync", a bool. An error, a missing or another value is a no, and so is no answer within
  // 1 s. If there is no such sensor, scheduled sync stays off. DataManager::Sync does not ask it.
  std::string selective_syncer_name;

  // When the disk is full, so that capture goes on: looked at every 30 s while capture is enabled.
  // From `disk_usage_deletion_threshold` on, the fraction of capture_dir's volume that is in use,
  // if what capture_dir holds takes at least `capture_dir_deletion_threshold` of that volume, files
  // are evicted until either is no longer so: what is under failed/ first, then every n-th of the
  // published files that wait to be uploaded, from the oldest to the newest.
  int64_t delete_every_nth_when_disk_full = 5;
  double disk_usage_deletion_threshold = 0.9;
  double capture_dir_deletion_threshold = 0.5;

  // Without effect while capture is disabled.
  CaptureControlSensor capture_control_sensor;
  // Whether mongo_capture_config names a server. Captured data goes to disk and from there to the
  // cloud, never to MongoDB; a warning says so.
  bool mongo_capture_configured = false;

  // What is captured; in JSON it stands with the resources.
  std::vector<CollectorConfig> collectors;
};

// Who a key belongs to, and the key: itself, or as the first line of a file.
struct ApiKey {
  std::string id;
  std::string key;
  std::string key_file;

  friend bool operator==(const ApiKey&, const ApiKey&) = default;
};

// The `cloud` section of a machine config.
struct CloudConfig {
  std::string id;  // The robot part that uploads are filed under.
  // https://HOST:PORT, or http://HOST:PORT, which is plaintext, or unix:PATH. Empty: the robot is
  // not cloud-managed, and only captures.
  std::string app_address;
  // What to authenticate with: a whole API key wins over a secret; with neither there is no
  // authentication. Files are read at each (re)configuration of the cloud; one that others than its
  // owner can read draws a warning.
  ApiKey api_key;
  std::string secret;       // The robot part's.
  std::string secret_file;  // Its first line is the secret, in place of `secret`.

  // For https. PEM files, which the reference does not know. They are read again for each new
  // connection: a changed one counts from the next on, one of the client's within a minute.
  std::string tls_ca_file;  // Who may vouch for the server. Empty: whom the system trusts.
  // What the client shows a server that asks for a certificate, first its own, then the chain to
  // the CA; and its private key, without a passphrase. Both or neither.
  std::string tls_client_certificate_file;
  std::string tls_client_key_file;

  friend bool operator==(const CloudConfig&, const CloudConfig&) = default;
};

// A component or service as the machine config declares it, for whoever builds the sources.
struct ComponentConfig {
  std::string name;
  std::string api;    // Triplet.
  std::string model;  // As written; empty if absent.
  ValueMap attributes;
};

struct MachineConfig {
  std::optional<CloudConfig> cloud;  // Absent: the machine only captures.
  std::vector<ComponentConfig> components;
  std::vector<ComponentConfig> services;  // Without the data manager.
  // What the data manager's service entry and all `service_configs` say. Absent if no data manager
  // is declared.
  std::optional<Config> data_manager;
  // The short name of its service entry.
  std::string data_manager_name;
  // What was accepted though it looks wrong, a line each: unknown attributes with the nearest known
  // name, thresholds above 1, attributes without effect. Reconfigure logs the last two by itself,
  // since a Config need not come from here.
  std::vector<std::string> warnings;
};

// Reads a machine config. On error, INVALID_ARGUMENT (or the file's own error) with every fault
// listed, a line each: its path in the JSON, what is wrong, and the value, unless it may be a
// secret. Thread-safe, as long as nobody sets environment variables; blocks on the file only.
//
// In the strings of cloud, components, services and remotes, environment variables are replaced by
// their values: $NAME, ${NAME}, and ${NAME:-TEXT} with TEXT for one that is unset or empty. $$ is a
// dollar sign. Otherwise a variable that is not set is a fault. A value may hold any characters: it
// is filled in after the JSON is parsed.
absl::StatusOr<MachineConfig> LoadMachineConfig(const std::string& path);
// The same from text, in which nothing is replaced. `origin` names it in errors.
absl::StatusOr<MachineConfig> ParseMachineConfig(std::string_view json,
                                                 std::string_view origin = "machine config");

// Checks the service's own attributes as Reconfigure does: OK, or INVALID_ARGUMENT that lists every
// fault. Faults of one collector are not among them: they disable that collector, and stand in
// ManagerStats. Thread-safe.
absl::Status Validate(const Config& config);

}  // namespace datamanager

#endif  // DATAMANAGER_CONFIG_H_
