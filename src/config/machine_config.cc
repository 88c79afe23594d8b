// Walks a machine config: what it declares, and what of it is to be captured.
#include "config/machine_config.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/strings.h"
#include "config/attributes.h"
#include "config/findings.h"
#include "config/json.h"
#include "config/object_reader.h"
#include "config/resource_name.h"
#include "config/substitution.h"
#include "datamanager/config.h"

namespace datamanager {
namespace {

using config::Findings;
using config::ObjectReader;

// Who stands behind the entries of a `service_configs`.
struct Owner {
  std::string api;
  std::string name;
  bool is_remote = false;
};

class MachineConfigReader {
 public:
  // Both must outlive it.
  MachineConfigReader(const ValueMap& document, Findings& findings)
      : findings_(findings), top_(document, "", findings_) {}

  absl::StatusOr<MachineConfig> Read(std::string_view origin) {
    if (auto cloud = top_.Object("cloud")) ReadCloud(*cloud);
    top_.ForEachObject("components", [this](ObjectReader& entry) { ReadComponent(entry); });
    top_.ForEachObject("services", [this](ObjectReader& entry) { ReadService(entry); });
    top_.ForEachObject("remotes", [this](ObjectReader& entry) { ReadRemote(entry); });
    // Machine configs have many sections that are none of our business.
    top_.WarnAboutMisspelt();

    if (machine_.data_manager.has_value()) {
      machine_.data_manager->collectors = std::move(collectors_);
    } else if (!collectors_.empty()) {
      findings_.Warn("services", "nothing is captured because no data manager service is declared");
    }
    absl::Status status = config::FaultStatus(origin, findings_.faults);
    if (!status.ok()) return status;
    machine_.warnings = std::move(findings_.warnings);
    return std::move(machine_);
  }

 private:
  void ReadCloud(ObjectReader& cloud);
  void ReadCredentials(ObjectReader& cloud, CloudConfig& result);
  void ReadComponent(ObjectReader& entry);
  void ReadService(ObjectReader& entry);
  void ReadRemote(ObjectReader& entry);
  // `kind` is "component" or "service". A fault leaves the API empty.
  std::string ReadApi(ObjectReader& entry, std::string_view kind);
  std::string ReadModel(ObjectReader& entry);
  void ReadName(ObjectReader& entry, std::string_view if_missing, std::string& name);
  void ReadServiceConfigs(ObjectReader& entry, const Owner& owner);
  void ReadCaptureMethod(ObjectReader& entry, const Owner& owner);

  Findings& findings_;
  ObjectReader top_;
  MachineConfig machine_;
  std::vector<CollectorConfig> collectors_;
};

// `path` leads to what is missing; `field` is the reference's name for it.
void MissingCloudField(ObjectReader& cloud, std::string_view field, std::string_view path) {
  cloud.findings().Fault(
      path, absl::StrCat("Error validating, missing required field. Path: \"cloud\" Field: \"",
                         ToAbsl(field), "\""));
}

void MachineConfigReader::ReadCloud(ObjectReader& cloud) {
  const size_t faults = findings_.faults.size();
  CloudConfig& result = machine_.cloud.emplace();
  cloud.Read("id", result.id);
  if (result.id.empty() && findings_.faults.size() == faults) {
    MissingCloudField(cloud, "id", cloud.PathOf("id"));
  }
  cloud.Read("app_address", result.app_address);
  cloud.Read("tls_ca_file", result.tls_ca_file);
  cloud.Read("tls_client_certificate_file", result.tls_client_certificate_file);
  cloud.Read("tls_client_key_file", result.tls_client_key_file);
  ReadCredentials(cloud, result);
  cloud.Ignore({"refresh_interval", "location_secret", "location_secrets", "location_id",
                "primary_org_id", "machine_id", "managed_by", "fqdn", "local_fqdn",
                "signaling_address", "signaling_insecure", "tls_certificate", "tls_private_key"});
  cloud.WarnAboutUnknown();
}

// Reads what may be a secret: its value goes into no message.
void ReadCredential(ObjectReader& object, std::string_view name, std::string& out) {
  const Value* value = object.Take(name);
  if (value == nullptr) return;
  if (value->kind() == Value::Kind::kString) {
    out = value->AsString();
  } else {
    object.findings().FaultUnseen(object.PathOf(name), "must be a string", *value);
  }
}

void MachineConfigReader::ReadCredentials(ObjectReader& cloud, CloudConfig& result) {
  ReadCredential(cloud, "secret", result.secret);
  ReadCredential(cloud, "secret_file", result.secret_file);
  std::optional<ObjectReader> api_key = cloud.Object("api_key");
  if (!api_key.has_value()) return;
  const size_t faults = findings_.faults.size();
  ReadCredential(*api_key, "id", result.api_key.id);
  ReadCredential(*api_key, "key", result.api_key.key);
  ReadCredential(*api_key, "key_file", result.api_key.key_file);
  const bool has_id = !result.api_key.id.empty();
  const bool has_key = !result.api_key.key.empty() || !result.api_key.key_file.empty();
  if (has_id != has_key && findings_.faults.size() == faults) {
    MissingCloudField(cloud, "api_key", api_key->PathOf(has_id ? "key" : "id"));
  }
  api_key->WarnAboutUnknown();
}

void MachineConfigReader::ReadComponent(ObjectReader& entry) {
  ComponentConfig component;
  ReadName(entry, "", component.name);
  component.api = ReadApi(entry, "component");
  component.model = ReadModel(entry);
  entry.Read("attributes", component.attributes);
  ReadServiceConfigs(entry, {component.api, component.name});
  entry.Ignore({"depends_on", "frame", "log_configuration"});
  entry.WarnAboutMisspelt();
  machine_.components.push_back(std::move(component));
}

void MachineConfigReader::ReadService(ObjectReader& entry) {
  std::string name;
  ReadName(entry, "builtin", name);
  const std::string api = ReadApi(entry, "service");
  const std::string model = ReadModel(entry);
  if (api != config::kDataManagerApi) {
    ComponentConfig service{.name = name, .api = api, .model = model};
    entry.Read("attributes", service.attributes);
    machine_.services.push_back(std::move(service));
  } else if (machine_.data_manager.has_value()) {
    entry.Ignore({"attributes"});
    findings_.Fault(entry.path(), absl::StrCat("max instance number reached for resource type: ",
                                               ToAbsl(config::kDataManagerApi)));
  } else {
    machine_.data_manager.emplace();
    machine_.data_manager_name = name;
    if (auto attributes = entry.Object("attributes", config::Fractions::kCut)) {
      machine_.data_manager = config::ReadServiceAttributes(*attributes);
    }
    if (!model.empty() && model != "builtin" && model != "rdk:builtin:builtin") {
      findings_.Warn(entry.PathOf("model"), absl::StrCat("taken for rdk:builtin:builtin (got ",
                                                         config::Describe(model), ")"));
    }
  }
  ReadServiceConfigs(entry, {api, name});
  entry.Ignore({"depends_on", "frame", "log_configuration"});
  entry.WarnAboutMisspelt();
}

void MachineConfigReader::ReadRemote(ObjectReader& entry) {
  Owner remote{.is_remote = true};
  ReadName(entry, "", remote.name);
  ReadServiceConfigs(entry, remote);
  entry.WarnAboutMisspelt();
}

void MachineConfigReader::ReadName(ObjectReader& entry, std::string_view if_missing,
                                   std::string& name) {
  const size_t faults = findings_.faults.size();
  entry.Read("name", name);
  if (findings_.faults.size() > faults) return;
  if (name.empty()) name = if_missing;
  if (name.empty()) {
    findings_.Fault(entry.PathOf("name"), "is missing");
  } else if (!config::IsShortName(name)) {
    findings_.Fault(entry.PathOf("name"),
                    "must start with a letter or digit and have only letters, digits, '-' and "
                    "'_', at most 60",
                    name);
  }
}

std::string MachineConfigReader::ReadApi(ObjectReader& entry, std::string_view kind) {
  const size_t faults = findings_.faults.size();
  std::string path = entry.PathOf("api");
  std::string api;
  const Value* value = entry.Take("api");
  if (value != nullptr && value->kind() == Value::Kind::kMap) {
    ObjectReader object(value->AsMap(), path, findings_);
    std::string name_space;
    std::string type;
    std::string subtype;
    object.Read("namespace", name_space);
    object.Read("type", type);
    object.Read("subtype", subtype);
    api = absl::StrJoin({name_space, type, subtype}, ":");
    entry.Ignore({"type", "namespace"});
  } else if (value != nullptr) {
    entry.Read("api", api);
    entry.Ignore({"type", "namespace"});
  } else {
    // The legacy form.
    std::string name_space = "rdk";
    std::string type;
    entry.Read("namespace", name_space);
    entry.Read("type", type);
    if (type.empty()) {
      if (findings_.faults.size() == faults) findings_.Fault(path, "is missing");
      return "";
    }
    path = entry.PathOf("type");
    api = absl::StrCat(name_space, ":", ToAbsl(kind), ":", type);
  }
  if (findings_.faults.size() > faults) return "";
  if (!config::IsApi(api)) {
    findings_.Fault(path, "must make a triplet such as rdk:component:sensor", api);
    return "";
  }
  return api;
}

std::string MachineConfigReader::ReadModel(ObjectReader& entry) {
  const Value* value = entry.Take("model");
  std::string model;
  if (value != nullptr && value->kind() == Value::Kind::kMap) {
    ObjectReader object(value->AsMap(), entry.PathOf("model"), findings_);
    std::string name_space;
    std::string family;
    object.Read("namespace", name_space);
    object.Read("model_family", family);
    object.Read("name", model);
    return absl::StrJoin({name_space, family, model}, ":");
  }
  entry.Read("model", model);
  return model;
}

void MachineConfigReader::ReadServiceConfigs(ObjectReader& entry, const Owner& owner) {
  entry.ForEachObject("service_configs", [&](ObjectReader& service) {
    static const std::vector<std::string> kTypes = {"data_manager",
                                                    std::string(config::kDataManagerApi)};
    std::string type;
    service.Read("type", type);
    if (type != kTypes[0] && type != kTypes[1]) {
      // Another service's, unless it is a slip.
      const std::string nearest = NearestName(type, kTypes);
      if (!nearest.empty()) {
        findings_.Warn(service.PathOf("type"),
                       absl::StrCat("skipped, did you mean ", nearest, "? (got ",
                                    config::Describe(type), ")"));
      }
      return;
    }
    if (auto attributes = service.Object("attributes")) {
      attributes->ForEachObject("capture_methods",
                                [&](ObjectReader& method) { ReadCaptureMethod(method, owner); });
      attributes->WarnAboutUnknown();
    }
    service.WarnAboutMisspelt();
  });
}

// On a resource the names are its own, on a remote those of the method's `name`: "<api>/<short
// name>", which stands for "<api>/<remote>:<short name>". Without a name on a remote, the collector
// has none and is refused later, alone.
void MachineConfigReader::ReadCaptureMethod(ObjectReader& entry, const Owner& owner) {
  CollectorConfig collector = config::ReadCaptureMethod(entry);
  if (!collector.name.empty()) {
    const std::optional<config::FullName> full = config::ParseFullName(collector.name);
    if (!full.has_value()) {
      findings_.Fault(entry.PathOf("name"),
                      absl::StrCat("string ", config::Describe(collector.name),
                                   " is not a fully qualified resource name"));
      return;
    }
    if (owner.is_remote) {
      const std::string prefix = owner.name + ":";
      collector.api = full->api;
      collector.name = (full->name.starts_with(prefix) ? "" : prefix) + full->name;
    }
  }
  if (!owner.is_remote) {
    collector.api = owner.api;
    collector.name = owner.name;
  }
  collectors_.push_back(std::move(collector));
}

absl::StatusOr<MachineConfig> Parse(std::string_view json, std::string_view origin,
                                    const config::Variables* variables) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  if (std::all_of(json.begin(), json.end(), is_blank)) {
    return absl::InvalidArgumentError(
        absl::StrCat(ToAbsl(origin), ": is empty, where a JSON object is due"));
  }
  absl::StatusOr<Value> document = config::ParseJson(json);
  if (!document.ok()) return Wrap(document.status(), origin);
  if (document->kind() != Value::Kind::kMap) {
    return absl::InvalidArgumentError(absl::StrCat(ToAbsl(origin), ": must be a JSON object (got ",
                                                   config::Describe(*document), ")"));
  }
  Findings findings;
  if (variables != nullptr) {
    // The sections that are read here: what others do with their `$` is theirs.
    document = config::Substitute(document->AsMap(), {"cloud", "components", "services", "remotes"},
                                  *variables, findings);
  }
  return MachineConfigReader(document->AsMap(), findings).Read(origin);
}

}  // namespace

absl::StatusOr<MachineConfig> ParseMachineConfig(std::string_view json, std::string_view origin) {
  return Parse(json, origin, nullptr);
}

absl::StatusOr<MachineConfig> config::ParseMachineConfig(std::string_view json,
                                                         std::string_view origin,
                                                         const Variables& variables) {
  return Parse(json, origin, &variables);
}

}  // namespace datamanager
