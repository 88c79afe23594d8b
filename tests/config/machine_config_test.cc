#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "datamanager/config.h"
#include "tests/config/text.h"

namespace datamanager {
namespace {

MachineConfig MustParse(const std::string& json) {
  auto machine = ParseMachineConfig(json);
  EXPECT_TRUE(machine.ok()) << machine.status();
  return machine.ok() ? *machine : MachineConfig{};
}

std::string ErrorOf(const std::string& json) {
  const auto machine = ParseMachineConfig(json, "robot.json");
  EXPECT_EQ(machine.status().code(), absl::StatusCode::kInvalidArgument) << json;
  return std::string(machine.status().message());
}

// A machine with these attributes of the data manager.
std::string WithAttributes(const std::string& attributes) {
  return R"({"services": [{"api": "rdk:service:data_manager", "attributes": )" + attributes + "}]}";
}

// A machine with a data manager and these capture methods of a sensor.
std::string WithMethods(const std::string& methods) {
  return R"({"services": [{"api": "rdk:service:data_manager"}],
    "components": [{"name": "tank", "api": "rdk:component:sensor", "service_configs": [
      {"type": "data_manager", "attributes": {"capture_methods": )" +
         methods + "}}]}]}";
}

std::string WithCloud(const std::string& cloud) { return R"({"cloud": )" + cloud + "}"; }

std::string OneFault(const std::string& line) { return "robot.json: 1 fault\n" + line; }

// --- What is read ---

TEST(MachineConfigTest, KeysOfTheAppAreKnown) {
  EXPECT_EQ(MustParse(WithAttributes(R"({"delete_data_on_part_deletion": true})")).warnings,
            Lines());
  EXPECT_EQ(MustParse(WithMethods(R"([{"method": "Readings", "capture_frequency_hz": 1,
                "retention_policy": {"days": 5}, "recent_data_store": {"stored_hours": 24},
                "cache_size_kb": 10}])"))
                .warnings,
            Lines());
}

TEST(MachineConfigTest, PathsThatLookLikePatternsOrEndWithABlankAreTold) {
  const std::vector<std::string> warnings =
      MustParse(
          WithAttributes(
              R"({"additional_sync_paths": ["/data/logs", "/data/*.log", "/data/logs ", "/a b"]})"))
          .warnings;
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_TRUE(Has(warnings[0],
                  "additional_sync_paths[1]: is one directory by exactly this name: "
                  "nothing is put in for *, ? or [] (got \"/data/*.log\")"))
      << warnings[0];
  EXPECT_TRUE(Has(warnings[1],
                  "additional_sync_paths[2]: begins or ends with a blank, which is part "
                  "of the name (got \"/data/logs \")"))
      << warnings[1];
}

TEST(MachineConfigTest, AnEmptyObjectDeclaresNothing) {
  const MachineConfig machine = MustParse("{}");
  EXPECT_FALSE(machine.cloud.has_value());
  EXPECT_FALSE(machine.data_manager.has_value());
  EXPECT_TRUE(machine.components.empty());
  EXPECT_EQ(machine.warnings, Lines());
}

TEST(MachineConfigTest, EveryAttribute) {
  const MachineConfig machine = MustParse(WithAttributes(R"({
    "capture_dir": "~/capture", "tags": ["a", "b"], "capture_disabled": true,
    "maximum_capture_file_size_bytes": 1000, "durability": "published",
    "durability_interval_millis": 70, "sync_disabled": true, "sync_interval_mins": 0.5,
    "maximum_num_sync_threads": 2, "additional_sync_paths": ["/var/log"],
    "file_last_modified_millis": 50, "selective_syncer_name": "uplink",
    "delete_every_nth_when_disk_full": 3, "disk_usage_deletion_threshold": 0.8,
    "capture_dir_deletion_threshold": 0.4,
    "capture_control_sensor": {"name": "control", "key": "overrides"},
    "mongo_capture_config": {"uri": "mongodb://x", "database": "d", "collection": "c"}})"));
  ASSERT_TRUE(machine.data_manager.has_value());
  const Config& config = *machine.data_manager;
  EXPECT_EQ(config.capture_dir, "~/capture");
  EXPECT_EQ(config.tags, Lines({"a", "b"}));
  EXPECT_TRUE(config.capture_disabled);
  EXPECT_EQ(config.maximum_capture_file_size_bytes, 1000);
  EXPECT_EQ(config.durability, Durability::kPublished);
  EXPECT_EQ(config.durability_interval_millis, 70);
  EXPECT_TRUE(config.sync_disabled);
  EXPECT_EQ(config.sync_interval_mins, 0.5);
  EXPECT_EQ(config.maximum_num_sync_threads, 2);
  EXPECT_EQ(config.additional_sync_paths, Lines({"/var/log"}));
  EXPECT_EQ(config.file_last_modified_millis, 50);
  EXPECT_EQ(config.selective_syncer_name, "uplink");
  EXPECT_EQ(config.delete_every_nth_when_disk_full, 3);
  EXPECT_EQ(config.disk_usage_deletion_threshold, 0.8);
  EXPECT_EQ(config.capture_dir_deletion_threshold, 0.4);
  EXPECT_EQ(config.capture_control_sensor,
            (CaptureControlSensor{.name = "control", .key = "overrides"}));
  EXPECT_TRUE(config.mongo_capture_configured);
}

void ExpectDefaults(const Config& config) {
  const Config defaults;
  EXPECT_EQ(config.capture_dir, "");
  EXPECT_EQ(config.tags, Lines());
  EXPECT_FALSE(config.capture_disabled);
  EXPECT_EQ(config.maximum_capture_file_size_bytes, defaults.maximum_capture_file_size_bytes);
  EXPECT_EQ(config.durability, Durability::kPeriodic);
  EXPECT_EQ(config.durability_interval_millis, defaults.durability_interval_millis);
  EXPECT_FALSE(config.sync_disabled);
  EXPECT_EQ(config.sync_interval_mins, defaults.sync_interval_mins);
  EXPECT_EQ(config.maximum_num_sync_threads, 0);
  EXPECT_EQ(config.additional_sync_paths, Lines());
  EXPECT_EQ(config.file_last_modified_millis, defaults.file_last_modified_millis);
  EXPECT_EQ(config.selective_syncer_name, "");
  EXPECT_EQ(config.delete_every_nth_when_disk_full, defaults.delete_every_nth_when_disk_full);
  EXPECT_EQ(config.disk_usage_deletion_threshold, defaults.disk_usage_deletion_threshold);
  EXPECT_EQ(config.capture_dir_deletion_threshold, defaults.capture_dir_deletion_threshold);
  EXPECT_EQ(config.capture_control_sensor, CaptureControlSensor{});
  EXPECT_FALSE(config.mongo_capture_configured);
}

TEST(MachineConfigTest, AbsenceNullAndZeroMeanTheDefault) {
  for (const std::string attributes :
       {"{}", "null",
        R"({"capture_dir": null, "tags": null, "capture_disabled": null,
            "maximum_capture_file_size_bytes": null, "durability": null,
            "durability_interval_millis": null, "sync_disabled": null,
            "sync_interval_mins": null, "maximum_num_sync_threads": null,
            "additional_sync_paths": null, "file_last_modified_millis": null,
            "selective_syncer_name": null, "delete_every_nth_when_disk_full": null,
            "disk_usage_deletion_threshold": null, "capture_dir_deletion_threshold": null,
            "capture_control_sensor": null, "mongo_capture_config": null})",
        R"({"capture_dir": "", "tags": [], "capture_disabled": false,
            "maximum_capture_file_size_bytes": 0, "durability": "",
            "durability_interval_millis": 0, "sync_disabled": false,
            "sync_interval_mins": 0, "maximum_num_sync_threads": 0,
            "additional_sync_paths": [], "file_last_modified_millis": 0,
            "selective_syncer_name": "", "delete_every_nth_when_disk_full": 0,
            "disk_usage_deletion_threshold": 0, "capture_dir_deletion_threshold": 0,
            "capture_control_sensor": {}, "mongo_capture_config": {"uri": ""}})"}) {
    const MachineConfig machine = MustParse(WithAttributes(attributes));
    ASSERT_TRUE(machine.data_manager.has_value());
    ExpectDefaults(*machine.data_manager);
    EXPECT_EQ(machine.warnings, Lines());
  }
  EXPECT_TRUE(
      MustParse(R"({"services": [{"api": "rdk:service:data_manager"}]})").data_manager.has_value());
}

TEST(MachineConfigTest, NamesMatchInAnyCase) {
  const MachineConfig machine = MustParse(
      R"({"Services": [{"API": "rdk:service:data_manager", "Attributes": {"Sync_Disabled": true}}]})");
  ASSERT_TRUE(machine.data_manager.has_value());
  EXPECT_TRUE(machine.data_manager->sync_disabled);
  EXPECT_EQ(machine.warnings, Lines());
}

TEST(MachineConfigTest, FractionsAreCutForTheServiceAndRefusedForAMethod) {
  const MachineConfig machine = MustParse(
      WithAttributes(R"({"file_last_modified_millis": 12.9, "maximum_num_sync_threads": 0.5})"));
  EXPECT_EQ(machine.data_manager->file_last_modified_millis, 12);
  EXPECT_EQ(machine.data_manager->maximum_num_sync_threads, 0);
  EXPECT_EQ(ErrorOf(WithMethods(R"([{"method": "Readings", "capture_queue_size": 2.5}])")),
            OneFault("components[0].service_configs[0].attributes.capture_methods[0]."
                     "capture_queue_size: must be a whole number (got 2.5)"));
}

TEST(MachineConfigTest, ACaptureMethod) {
  const MachineConfig machine = MustParse(WithMethods(R"([
    {"method": "Readings", "capture_frequency_hz": 2.5, "capture_queue_size": 10,
     "capture_buffer_size": 20, "additional_params": {"a": {"b": [1]}}, "disabled": true,
     "tags": ["t"], "capture_directory": "/x", "name": "rdk:component:sensor/other"},
    {"Method": "Position"}])"));
  ASSERT_EQ(machine.data_manager->collectors.size(), 2U);
  const CollectorConfig& full = machine.data_manager->collectors[0];
  EXPECT_EQ(full.api, "rdk:component:sensor");
  EXPECT_EQ(full.name, "tank");
  EXPECT_EQ(full.method, "Readings");
  EXPECT_EQ(full.capture_frequency_hz, 2.5F);
  EXPECT_EQ(full.capture_queue_size, 10);
  EXPECT_EQ(full.capture_buffer_size, 20);
  EXPECT_EQ(ToJson(full.additional_params), R"({"a":{"b":[1]}})");
  EXPECT_TRUE(full.disabled);
  EXPECT_EQ(full.tags, Lines({"t"}));
  EXPECT_EQ(full.capture_directory, "/x");
  const CollectorConfig& bare = machine.data_manager->collectors[1];
  EXPECT_EQ(bare.method, "Position");
  EXPECT_EQ(bare.capture_frequency_hz, 0);
  EXPECT_EQ(bare.capture_queue_size, 250);
  EXPECT_EQ(bare.capture_buffer_size, 4096);
  EXPECT_FALSE(bare.disabled);
  EXPECT_EQ(machine.warnings, Lines());
}

TEST(MachineConfigTest, FaultsOfOneMethodDoNotVoidTheRest) {
  const MachineConfig machine = MustParse(WithMethods(
      R"([{"capture_queue_size": -1, "capture_frequency_hz": -1}, {"method": "Readings"}])"));
  EXPECT_EQ(machine.data_manager->collectors.size(), 2U);
  EXPECT_EQ(machine.data_manager->collectors[0].capture_queue_size, -1);
}

TEST(MachineConfigTest, BothFormsOfADeclaration) {
  const MachineConfig machine = MustParse(R"({
    "components": [
      {"name": "a", "api": "rdk:component:arm", "model": "acme:demo:arm", "attributes": {"x": 1}},
      {"name": "b", "api": {"namespace": "acme", "type": "component", "subtype": "gizmo"},
       "model": {"namespace": "rdk", "model_family": "builtin", "name": "fake"}},
      {"name": "c", "type": "sensor", "model": "fake"},
      {"name": "d", "type": "gizmo", "namespace": "acme"}],
    "services": [
      {"type": "vision", "name": "eyes"},
      {"type": "data_manager", "model": "builtin", "attributes": {"sync_disabled": true}}]})");
  ASSERT_EQ(machine.components.size(), 4U);
  EXPECT_EQ(machine.components[0].api, "rdk:component:arm");
  EXPECT_EQ(machine.components[0].model, "acme:demo:arm");
  EXPECT_EQ(ToJson(machine.components[0].attributes), R"({"x":1})");
  EXPECT_EQ(machine.components[1].api, "acme:component:gizmo");
  EXPECT_EQ(machine.components[1].model, "rdk:builtin:fake");
  EXPECT_EQ(machine.components[2].api, "rdk:component:sensor");
  EXPECT_EQ(machine.components[2].name, "c");
  EXPECT_EQ(machine.components[3].api, "acme:component:gizmo");
  EXPECT_EQ(machine.components[3].model, "");
  ASSERT_TRUE(machine.data_manager.has_value());
  EXPECT_TRUE(machine.data_manager->sync_disabled);
  EXPECT_EQ(machine.warnings, Lines());
}

TEST(MachineConfigTest, ServicesAndRemotesCaptureToo) {
  const MachineConfig machine = MustParse(R"({
    "services": [
      {"type": "data_manager"},
      {"type": "vision", "service_configs": [
        {"type": "rdk:service:data_manager", "attributes": {"capture_methods": [{"method": "A"}]}}]}],
    "remotes": [{"name": "press", "address": "10.0.0.9:8080", "service_configs": [
      {"type": "shell", "attributes": {"capture_methods": "not ours"}},
      {"type": "data_manager", "attributes": {"capture_methods": [
        {"name": "rdk:component:arm/lifter", "method": "B"},
        {"name": "rdk:component:arm/press:lifter", "method": "C"},
        {"method": "D"}]}}]}]})");
  std::vector<std::string> collectors;
  for (const CollectorConfig& collector : machine.data_manager->collectors) {
    collectors.push_back(collector.api + "/" + collector.name + "/" + collector.method);
  }
  EXPECT_EQ(collectors, Lines({"rdk:service:vision/builtin/A", "rdk:component:arm/press:lifter/B",
                               "rdk:component:arm/press:lifter/C", "//D"}));
  EXPECT_EQ(machine.warnings, Lines());
}

TEST(MachineConfigTest, Cloud) {
  const MachineConfig machine =
      MustParse(WithCloud(R"({"id": "part", "app_address": "https://app.viam.com:443"})"));
  ASSERT_TRUE(machine.cloud.has_value());
  EXPECT_EQ(machine.cloud->id, "part");
  EXPECT_EQ(machine.cloud->app_address, "https://app.viam.com:443");
  EXPECT_EQ(MustParse(WithCloud(R"({"id": "part"})")).cloud->app_address, "");
  EXPECT_FALSE(MustParse(WithCloud("null")).cloud.has_value());
}

TEST(MachineConfigTest, EveryCloudKeyIsKnown) {
  const MachineConfig machine = MustParse(WithCloud(R"({
    "id": "part", "app_address": "", "refresh_interval": "10s", "location_secret": "x",
    "location_secrets": [{"id": "i", "secret": "s"}], "location_id": "x", "primary_org_id": "x",
    "machine_id": "x", "managed_by": "x", "fqdn": "x", "local_fqdn": "x", "signaling_address": "x",
    "signaling_insecure": false, "tls_certificate": "x", "tls_private_key": "x", "secret": null,
    "api_key": {}})"));
  EXPECT_EQ(machine.warnings, Lines());
}

TEST(MachineConfigTest, Credentials) {
  const MachineConfig machine = MustParse(WithCloud(
      R"({"id": "part", "secret": "hush", "api_key": {"id": "key-1", "key": "whisper"}})"));
  EXPECT_EQ(machine.cloud->secret, "hush");
  EXPECT_EQ(machine.cloud->api_key, (ApiKey{.id = "key-1", .key = "whisper"}));
  EXPECT_EQ(machine.warnings, Lines());
}

TEST(MachineConfigTest, CredentialsMayStandInFiles) {
  const MachineConfig machine = MustParse(WithCloud(
      R"({"id": "part", "secret_file": "/s", "api_key": {"id": "key-1", "key_file": "/k"}})"));
  EXPECT_EQ(machine.cloud->secret_file, "/s");
  EXPECT_EQ(machine.cloud->api_key, (ApiKey{.id = "key-1", .key_file = "/k"}));
  EXPECT_EQ(machine.warnings, Lines());
}

TEST(MachineConfigTest, FaultyCredentialsAreNeverShown) {
  for (const std::string cloud :
       {R"({"id": "part", "secret": ["hush"]})", R"({"id": "part", "secret": 4711})",
        R"({"id": "part", "api_key": "hush"})", R"({"id": "part", "api_key": {"id": 4711}})",
        R"({"id": "part", "api_key": {"key": "hush"}})",
        R"({"id": "part", "api_key": {"id": "i", "key": 4711}})",
        R"({"secret": "hush", "api_key": 4711})"}) {
    const std::string message = ErrorOf(WithCloud(cloud));
    EXPECT_FALSE(Has(message, "hush")) << message;
    EXPECT_FALSE(Has(message, "4711")) << message;
  }
}

// --- What is warned about ---

TEST(MachineConfigTest, UnknownAttributesAreWarnedAbout) {
  EXPECT_EQ(MustParse(WithAttributes(R"({"sync_intervall_mins": 1, "colour": "red"})")).warnings,
            Lines({"services[0].attributes.colour: unknown attribute, ignored",
                   "services[0].attributes.sync_intervall_mins: unknown attribute, did you "
                   "mean sync_interval_mins?"}));
  EXPECT_EQ(
      MustParse(WithMethods(R"([{"method": "Readings", "capture_freqency_hz": 1}])")).warnings,
      Lines({"components[0].service_configs[0].attributes.capture_methods[0]."
             "capture_freqency_hz: unknown attribute, did you mean "
             "capture_frequency_hz?"}));
  EXPECT_EQ(MustParse(WithCloud(R"({"id": "x", "app_adress": "y", "moon": 1})")).warnings,
            Lines({"cloud.app_adress: unknown attribute, did you mean app_address?",
                   "cloud.moon: unknown attribute, ignored"}));
}

TEST(MachineConfigTest, MisspeltSectionsAreWarnedAboutAndForeignOnesAreNot) {
  EXPECT_EQ(MustParse(R"({"component": [], "service": [], "remote": [], "clouds": {}})").warnings,
            Lines({"clouds: unknown attribute, did you mean cloud?",
                   "component: unknown attribute, did you mean components?",
                   "remote: unknown attribute, did you mean remotes?",
                   "service: unknown attribute, did you mean services?"}));
  EXPECT_EQ(MustParse(R"({"modules": [], "processes": [], "packages": [], "network": {},
                            "auth": {}, "log": [], "debug": true, "jobs": [], "fragments": [],
                            "agent": {}, "maintenance": {}, "revision": "",
                            "enable_web_profile": true, "disable_partial_start": true})")
                .warnings,
            Lines());
  EXPECT_EQ(MustParse(R"({"components": [{"name": "a", "type": "arm", "service_config": [],
                            "ui_folder": {"name": "x"}, "notes": ""}]})")
                .warnings,
            Lines({"components[0].service_config: unknown attribute, did you mean "
                   "service_configs?"}));
  EXPECT_EQ(MustParse(R"({"components": [{"name": "a", "type": "arm",
                            "service_configs": [{"type": "data_manger"}, {"type": "shell"}]}]})")
                .warnings,
            Lines({"components[0].service_configs[0].type: skipped, did you mean "
                   "data_manager? (got \"data_manger\")"}));
}

TEST(MachineConfigTest, ThresholdsAboveOneAndWhatHasNoEffectAreWarnedAbout) {
  EXPECT_EQ(
      MustParse(WithAttributes(R"({"disk_usage_deletion_threshold": 90,
                                   "mongo_capture_config": {"uri": "mongodb://there"}})"))
          .warnings,
      Lines({"services[0].attributes.disk_usage_deletion_threshold: is above 1, which no disk "
             "reaches (got 90)",
             "services[0].attributes.mongo_capture_config: has no effect: captured data goes to "
             "disk and from there to the cloud"}));
}

TEST(MachineConfigTest, CaptureWithoutADataManagerIsWarnedAbout) {
  const MachineConfig machine = MustParse(R"({"components": [{"name": "a", "type": "arm",
    "service_configs": [{"type": "data_manager",
                         "attributes": {"capture_methods": [{"method": "EndPosition"}]}}]}]})");
  EXPECT_FALSE(machine.data_manager.has_value());
  EXPECT_EQ(machine.warnings,
            Lines({"services: nothing is captured because no data manager service is "
                   "declared"}));
}

TEST(MachineConfigTest, AnotherModelIsWarnedAbout) {
  EXPECT_EQ(MustParse(R"({"services": [{"type": "data_manager", "model": "acme:x:y"}]})").warnings,
            Lines({"services[0].model: taken for rdk:builtin:builtin (got \"acme:x:y\")"}));
}

// --- What is refused ---

TEST(MachineConfigTest, DurabilityByItsNames) {
  for (const Durability durability :
       {Durability::kProcess, Durability::kPublished, Durability::kPeriodic}) {
    const std::string name(DurabilityName(durability));
    EXPECT_EQ(
        MustParse(WithAttributes("{\"durability\": \"" + name + "\"}")).data_manager->durability,
        durability);
  }
  EXPECT_EQ(ErrorOf(WithAttributes(R"({"durability": "always"})")),
            OneFault("services[0].attributes.durability: must be one of \"process\", "
                     "\"published\", \"periodic\" (got \"always\")"));
  EXPECT_EQ(ErrorOf(WithAttributes(R"({"durability": 3})")),
            OneFault("services[0].attributes.durability: must be a string (got 3)"));
}

TEST(MachineConfigTest, TenWrongConfigs) {
  const struct {
    std::string json;
    std::string fault;
  } kCases[] = {
      {WithAttributes(R"({"sync_interval_mins": -1})"),
       "services[0].attributes.sync_interval_mins: sync_interval_mins can't be negative (got -1)"},
      {WithAttributes(R"({"capture_disabled": "yes"})"),
       "services[0].attributes.capture_disabled: must be true or false (got \"yes\")"},
      {WithAttributes(R"({"capture_dir": 5})"),
       "services[0].attributes.capture_dir: must be a string (got 5)"},
      {WithAttributes(R"({"tags": ["a", 7]})"),
       "services[0].attributes.tags[1]: must be a string (got 7)"},
      {WithAttributes(R"({"additional_sync_paths": "/"})"),
       "services[0].attributes.additional_sync_paths: must be a list of strings (got \"/\")"},
      {WithAttributes(R"({"additional_sync_paths": ["/a", "/"]})"),
       "services[0].attributes.additional_sync_paths[1]: can't be the root directory (got \"/\")"},
      {WithAttributes(R"({"maximum_capture_file_size_bytes": 9007199254740993})"),
       "services[0].attributes.maximum_capture_file_size_bytes: is too large to be exact "
       "(got 9007199254740992)"},
      {WithMethods(R"([{"method": "Readings", "capture_frequency_hz": "ten"}])"),
       "components[0].service_configs[0].attributes.capture_methods[0].capture_frequency_hz: "
       "must be a number (got \"ten\")"},
      {WithCloud(R"({"app_address": "http://127.0.0.1:1"})"),
       "cloud.id: Error validating, missing required field. Path: \"cloud\" Field: \"id\""},
      {R"({"services": [{"type": "data_manager"}, {"api": "rdk:service:data_manager"}]})",
       "services[1]: max instance number reached for resource type: rdk:service:data_manager"},
  };
  for (const auto& test : kCases) EXPECT_EQ(ErrorOf(test.json), OneFault(test.fault));
}

TEST(MachineConfigTest, EveryOtherKindOfFault) {
  const std::string method = "components[0].service_configs[0].attributes.capture_methods[0]";
  const struct {
    std::string json;
    std::string fault;
  } kCases[] = {
      {WithAttributes("[]"), "services[0].attributes: must be an object (got a list)"},
      {WithAttributes(R"({"sync_interval_mins": "NaN"})"),
       "services[0].attributes.sync_interval_mins: must be a number (got \"NaN\")"},
      {WithAttributes(R"({"sync_interval_mins": true})"),
       "services[0].attributes.sync_interval_mins: must be a number (got true)"},
      {WithAttributes(R"({"sync_interval_mins": 1e308})"),
       "services[0].attributes.sync_interval_mins: is too large (got 1e+308)"},
      {WithAttributes(R"({"delete_every_nth_when_disk_full": -99999999999999999999})"),
       "services[0].attributes.delete_every_nth_when_disk_full: is too large to be exact "
       "(got -1e+20)"},
      {WithAttributes(R"({"sync_disabled": 1})"),
       "services[0].attributes.sync_disabled: must be true or false (got 1)"},
      {WithAttributes(R"({"mongo_capture_config": {"uri": 1}})"),
       "services[0].attributes.mongo_capture_config.uri: must be a string (got 1)"},
      {WithAttributes(R"({"mongo_capture_config": "mongodb://x"})"),
       "services[0].attributes.mongo_capture_config: must be an object (got a string)"},
      {WithAttributes(R"({"capture_control_sensor": {"key": []}})"),
       "services[0].attributes.capture_control_sensor.key: must be a string (got a list)"},
      {WithMethods("{}"),
       "components[0].service_configs[0].attributes.capture_methods: must be a list of objects "
       "(got an object)"},
      {WithMethods("[1]"), method + ": must be an object (got a number)"},
      {WithMethods(R"([{"method": 1}])"), method + ".method: must be a string (got 1)"},
      {WithMethods(R"([{"disabled": "false"}])"),
       method + ".disabled: must be true or false (got \"false\")"},
      {WithMethods(R"([{"capture_frequency_hz": 1e39}])"),
       method + ".capture_frequency_hz: is too large for a number of single precision (got 1e+39)"},
      {WithMethods(R"([{"additional_params": []}])"),
       method + ".additional_params: must be an object (got a list)"},
      {WithMethods(R"([{"name": "tank"}])"),
       method + ".name: string \"tank\" is not a fully qualified resource name"},
      {WithCloud("[]"), "cloud: must be an object (got a list)"},
      {WithCloud(R"({"id": 5})"), "cloud.id: must be a string (got 5)"},
      {WithCloud(R"({"id": "x", "api_key": {"id": "y"}})"),
       "cloud.api_key.key: Error validating, missing required field. Path: \"cloud\" Field: "
       "\"api_key\""},
      {WithCloud(R"({"id": "x", "api_key": {"key": "y"}})"),
       "cloud.api_key.id: Error validating, missing required field. Path: \"cloud\" Field: "
       "\"api_key\""},
      {R"({"components": {}})", "components: must be a list of objects (got an object)"},
      {R"({"components": [null]})", "components[0]: must be an object (got null)"},
      {R"({"components": [{"type": "arm"}]})", "components[0].name: is missing"},
      {R"({"components": [{"name": "-a", "type": "arm"}]})",
       "components[0].name: must start with a letter or digit and have only letters, digits, '-' "
       "and '_', at most 60 (got \"-a\")"},
      {R"({"services": [{"name": "a/b", "type": "data_manager"}]})",
       "services[0].name: must start with a letter or digit and have only letters, digits, '-' and "
       "'_', at most 60 (got \"a/b\")"},
      {R"({"components": [{"name": "a"}]})", "components[0].api: is missing"},
      {R"({"components": [{"name": "a", "api": "arm"}]})",
       "components[0].api: must make a triplet such as rdk:component:sensor (got \"arm\")"},
      {R"({"components": [{"name": "a", "api": 3}]})",
       "components[0].api: must be a string (got 3)"},
      {R"({"components": [{"name": "a", "api": {"type": "component"}}]})",
       "components[0].api: must make a triplet such as rdk:component:sensor (got \":component:\")"},
      {R"({"components": [{"name": "a", "type": "b/c"}]})",
       "components[0].type: must make a triplet such as rdk:component:sensor (got "
       "\"rdk:component:b/c\")"},
      {R"({"components": [{"name": "a", "type": "arm", "attributes": 1}]})",
       "components[0].attributes: must be an object (got a number)"},
      {R"({"remotes": [{}]})", "remotes[0].name: is missing"},
  };
  for (const auto& test : kCases) EXPECT_EQ(ErrorOf(test.json), OneFault(test.fault));
}

TEST(MachineConfigTest, EveryFaultIsListed) {
  EXPECT_EQ(ErrorOf(R"({
    "cloud": {},
    "components": [{"name": "a", "type": "arm", "service_configs": [{"type": "data_manager",
      "attributes": {"capture_methods": [{"disabled": 0}, {"capture_frequency_hz": "1"}]}}]}],
    "services": [{"type": "data_manager",
      "attributes": {"tags": "x", "maximum_num_sync_threads": -1, "sync_interval_mins": -2}}]})"),
            "robot.json: 6 faults\n"
            "cloud.id: Error validating, missing required field. Path: \"cloud\" Field: \"id\"\n"
            "components[0].service_configs[0].attributes.capture_methods[0].disabled: must be true "
            "or false (got 0)\n"
            "components[0].service_configs[0].attributes.capture_methods[1].capture_frequency_hz: "
            "must be a number (got \"1\")\n"
            "services[0].attributes.tags: must be a list of strings (got \"x\")\n"
            "services[0].attributes.sync_interval_mins: sync_interval_mins can't be negative "
            "(got -2)\n"
            "services[0].attributes.maximum_num_sync_threads: maximum_num_sync_threads can't be "
            "negative (got -1)");
}

TEST(MachineConfigTest, LongValuesAreShortened) {
  const std::string message =
      ErrorOf(WithAttributes(R"({"sync_disabled": ")" + std::string(1000, 'z') + "\"}"));
  EXPECT_LT(message.size(), 250U);
  EXPECT_TRUE(Has(message, "zzz...)")) << message;
}

TEST(MachineConfigTest, EveryTruncationIsRefused) {
  const std::string text = WithMethods(R"([{"method": "Readings", "capture_frequency_hz": 10}])");
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ParseMachineConfig(text.substr(0, size)).ok()) << size;
  }
}

}  // namespace
}  // namespace datamanager
