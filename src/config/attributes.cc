#include "config/attributes.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "config/validate.h"

namespace datamanager::config {
namespace {

CaptureControlSensor ReadControlSensor(ObjectReader& object) {
  CaptureControlSensor sensor;
  object.Read("name", sensor.name);
  object.Read("key", sensor.key);
  object.WarnAboutUnknown();
  return sensor;
}

void ReadDurability(ObjectReader& object, Durability& durability) {
  std::string name;
  object.Read("durability", name);
  if (name.empty()) return;
  for (const Durability candidate : kDurabilities) {
    if (name == DurabilityName(candidate)) {
      durability = candidate;
      return;
    }
  }
  object.findings().Fault(object.PathOf("durability"), DurabilityFault(), Value(name));
}

// Whether a server is named. Database and collection are only checked.
bool ReadMongo(ObjectReader& object) {
  std::string uri;
  std::string unused;
  object.Read("uri", uri);
  object.Read("database", unused);
  object.Read("collection", unused);
  object.WarnAboutUnknown();
  return !uri.empty();
}

}  // namespace

Config ReadServiceAttributes(ObjectReader& attributes) {
  Config config;
  attributes.Read("capture_dir", config.capture_dir);
  attributes.Read("tags", config.tags);
  attributes.Read("capture_disabled", config.capture_disabled);
  attributes.Read("maximum_capture_file_size_bytes", config.maximum_capture_file_size_bytes);
  ReadDurability(attributes, config.durability);
  attributes.Read("durability_interval_millis", config.durability_interval_millis);
  attributes.Read("sync_disabled", config.sync_disabled);
  attributes.Read("sync_interval_mins", config.sync_interval_mins);
  attributes.Read("maximum_num_sync_threads", config.maximum_num_sync_threads);
  attributes.Read("additional_sync_paths", config.additional_sync_paths);
  attributes.Read("file_last_modified_millis", config.file_last_modified_millis);
  attributes.Read("selective_syncer_name", config.selective_syncer_name);
  attributes.Read("delete_every_nth_when_disk_full", config.delete_every_nth_when_disk_full);
  attributes.Read("disk_usage_deletion_threshold", config.disk_usage_deletion_threshold);
  attributes.Read("capture_dir_deletion_threshold", config.capture_dir_deletion_threshold);
  if (std::optional<ObjectReader> sensor = attributes.Object("capture_control_sensor")) {
    config.capture_control_sensor = ReadControlSensor(*sensor);
  }
  if (std::optional<ObjectReader> mongo = attributes.Object("mongo_capture_config")) {
    config.mongo_capture_configured = ReadMongo(*mongo);
  }
  // The app's own, for what lies in the cloud.
  attributes.Ignore({"delete_data_on_part_deletion"});
  attributes.WarnAboutUnknown();

  Findings& findings = attributes.findings();
  for (const Remark& fault : FaultsOf(config)) {
    findings.faults.push_back(Line(attributes.PathOf(fault.key), fault.what, fault.got));
  }
  for (const Remark& doubt : DoubtsOf(config)) {
    findings.warnings.push_back(Line(attributes.PathOf(doubt.key), doubt.what, doubt.got));
  }
  return config;
}

CollectorConfig ReadCaptureMethod(ObjectReader& entry) {
  CollectorConfig collector;
  entry.Read("name", collector.name);
  entry.Read("method", collector.method);
  entry.Read("capture_frequency_hz", collector.capture_frequency_hz);
  entry.Read("capture_queue_size", collector.capture_queue_size);
  entry.Read("capture_buffer_size", collector.capture_buffer_size);
  entry.Read("additional_params", collector.additional_params);
  entry.Read("disabled", collector.disabled);
  entry.Read("tags", collector.tags);
  entry.Read("capture_directory", collector.capture_directory);
  // The app's own, for what lies in the cloud.
  entry.Ignore({"retention_policy", "recent_data_store", "cache_size_kb"});
  entry.WarnAboutUnknown();
  return collector;
}

}  // namespace datamanager::config
