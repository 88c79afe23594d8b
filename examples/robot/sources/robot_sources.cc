#include "robot/sources/robot_sources.h"

#include <algorithm>
#include <array>
#include <variant>

#include "robot/quoted.h"
#include "robot/sources/attributes.h"
#include "robot/sources/models.h"
#include "robot/sources/tail_state.h"

namespace robot {
namespace {

using datamanager::ComponentConfig;
using datamanager::ImagesSource;
using datamanager::ReadingsSource;
using datamanager::SourceFunction;
using datamanager::Sources;

constexpr char kSensor[] = "rdk:component:sensor";
constexpr char kCamera[] = "rdk:component:camera";
constexpr char kRemote[] = "remote";

struct Model {
  const char* name;
  const char* api;  // Null: any.
  // Null for what is made by AddRemote, which serves more than one method.
  SourceFunction (*make)(Attributes& attributes);
  const char* description;
};

constexpr std::array<Model, 10> kModels = {{
    {"host-cpu", kSensor, MakeHostCpu, "use of the processors, load averages"},
    {"host-memory", kSensor, MakeHostMemory, "memory and swap"},
    {"host-network", kSensor, MakeHostNetwork, "traffic of each interface"},
    {"host-disk", kSensor, MakeHostDisk,
     "space and traffic of the file system that holds \"path\" (default \"/\")"},
    {"host-thermal", kSensor, MakeHostThermal, "temperatures; none is no error"},
    {"simulated-camera", kCamera, MakeSimulatedCamera,
     "PNG pictures of \"width\" x \"height\" (320 x 240) pixels, labelled as simulated;\n"
     "\"frame_bytes\" makes them exactly that large, or each of a list in turn, but\n"
     "not smaller than their pixels; \"mime_type\" can only be image/png"},
    {"counter", kSensor, MakeCounter,
     "\"seq\" from 1 on beside a random \"run\"; a line \"<run> <seq>\" is appended to the\n"
     "file \"journal\" (required) before each is returned"},
    {"file-readings", kSensor, MakeFileReadings,
     "what the JSON object in the file \"path\" (required) says at the moment: a control\n"
     "sensor that can be written with an editor"},
    {"file-tail", kSensor, MakeFileTail,
     "\"lines\": those appended to the file \"path\" (required) since the last reading, over\n"
     "rotation, truncation and restarts, each at least once; no record where there are\n"
     "none. \"state\" is the file that keeps the position, by default\n"
     "CONFIG.state/NAME.tail; it must not lie where files are uploaded. The first start\n"
     "begins at the file's end, with \"from\": \"start\" at its beginning. A line without\n"
     "an end is given after 5 s without growth, or when the file is replaced.\n"
     "\"gap_bytes\" counts bytes that were overwritten before they were read,\n"
     "\"replaced_bytes\" those that are no UTF-8, \"nul_bytes\" those skipped in holes,\n"
     "\"backlog_bytes\" those still to be read: at most 1 MiB or 20,000 lines a reading"},
    {kRemote, nullptr, nullptr,
     "a component or service of another robot or of a module, captured over gRPC from\n"
     "\"address\" (required): HOST:PORT or unix:PATH; \"name\" is what it is called there,\n"
     "if not as here; a call may take \"timeout_ms\" (10000)"},
}};

// Null, with a fault, if there is no such model.
const Model* FindModel(const ComponentConfig& component, Attributes& attributes) {
  const std::string name = attributes.Text("model", component.model);
  std::vector<std::string> known;
  for (const Model& model : kModels) {
    if (name == model.name) return &model;
    known.emplace_back(model.name);
  }
  std::string all;
  for (const std::string& model : known) all += (all.empty() ? "" : ", ") + model;
  if (name.empty()) {
    attributes.Fault("has no model; known are " + all);
  } else {
    attributes.Fault("model " + Quoted(name) + " is not known; the nearest is " +
                     Quoted(NearestOf(name, known)) + " (known are " + all + ")");
  }
  return nullptr;
}

// Adds the component's faults to `faults`; if there are none, its source to `sources`. Returns the
// files that it claims.
std::vector<Claim> AddSource(const ComponentConfig& component, const SourceContext& context,
                             Sources& sources, std::vector<std::string>& faults) {
  const size_t faults_before = faults.size();
  Attributes attributes(component, faults, context);
  const Model* const model = FindModel(component, attributes);
  if (model == nullptr) return {};
  if (model->make == nullptr) {
    AddRemote(component, attributes, sources);
    attributes.RefuseUnknown();
    return {};
  }
  if (component.api != model->api) {
    attributes.Fault("api " + Quoted(component.api) + " does not fit model " + Quoted(model->name) +
                     ", which is a " + Quoted(model->api));
  }
  SourceFunction source = model->make(attributes);
  attributes.RefuseUnknown();
  if (faults.size() > faults_before) return attributes.claims();
  if (auto* images = std::get_if<ImagesSource>(&source)) {
    sources.AddImages(component.name, std::move(*images));
  } else {
    sources.AddReadings(component.api, component.name, std::get<ReadingsSource>(std::move(source)));
  }
  return attributes.claims();
}

// Adds a fault for each file that is claimed twice.
void RefuseSharedFiles(const std::vector<Claim>& claims, std::vector<std::string>& faults) {
  std::map<std::string, const Claim*> owners;
  for (const Claim& claim : claims) {
    const auto [owner, is_first] = owners.emplace(claim.path, &claim);
    if (is_first) continue;
    faults.push_back("component " + Quoted(claim.component) + ": attribute " +
                     Quoted(claim.attribute) + " names " + Quoted(claim.path) +
                     ", which is already the " + Quoted(owner->second->attribute) +
                     " of component " + Quoted(owner->second->component));
  }
}

}  // namespace

absl::Status RobotSources::Update(const std::vector<ComponentConfig>& components,
                                  const SourceContext& context) {
  std::map<Key, Kept> next_components;
  Sources next = sources_;
  std::vector<std::string> faults;
  std::vector<Claim> claims;
  for (const ComponentConfig& component : components) {
    const Key key(component.api, component.name);
    const auto [added, is_first] = next_components.emplace(key, Kept{.component = component});
    if (!is_first) {
      Attributes(component, faults).Fault("is declared twice with api " + Quoted(component.api));
      continue;
    }
    const auto kept = components_.find(key);
    if (kept == components_.end() || kept->second.component.model != component.model ||
        kept->second.component.attributes != component.attributes) {
      next.Remove(component.api, component.name);  // The new one may serve fewer methods.
      added->second.claims = AddSource(component, context, next, faults);
    } else {
      added->second.claims = kept->second.claims;
      for (const Claim& claim : kept->second.claims) {
        const std::string fault = SweptFault(claim, context);
        if (!fault.empty()) Attributes(component, faults).Fault(claim.attribute, fault);
      }
    }
    claims.insert(claims.end(), added->second.claims.begin(), added->second.claims.end());
  }
  RefuseSharedFiles(claims, faults);
  if (!faults.empty()) {
    std::string text = faults.front();
    for (size_t i = 1; i < faults.size(); ++i) text += "\n" + faults[i];
    return absl::InvalidArgumentError(text);
  }
  for (const auto& [key, kept] : components_) {
    if (!next_components.contains(key)) next.Remove(key.first, key.second);
  }
  components_ = std::move(next_components);
  sources_ = std::move(next);
  return absl::OkStatus();
}

void RobotSources::SetFlushed() { TailState::SetAllFlushed(); }

bool RobotSources::IsRemote(const ComponentConfig& service) {
  std::vector<std::string> ignored;
  return Attributes(service, ignored).Text("model", service.model) == kRemote;
}

std::string RobotSources::DescribeModels() {
  std::string text;
  for (const Model& model : kModels) {
    text += "  " + std::string(model.name) + " (" + (model.api == nullptr ? "any API" : model.api) +
            ")\n      ";
    for (const char c : std::string_view(model.description)) {
      text += c;
      if (c == '\n') text += "      ";
    }
    text += '\n';
  }
  return text;
}

}  // namespace robot
