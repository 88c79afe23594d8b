#include "robot/sources/robot_sources.h"

#include <algorithm>
#include <array>
#include <variant>

#include "robot/sources/attributes.h"
#include "robot/sources/models.h"

namespace robot {
namespace {

using datamanager::ComponentConfig;
using datamanager::ImagesSource;
using datamanager::ReadingsSource;
using datamanager::SourceFunction;
using datamanager::Sources;

constexpr char kSensor[] = "rdk:component:sensor";
constexpr char kCamera[] = "rdk:component:camera";

struct Model {
  const char* name;
  const char* api;
  SourceFunction (*make)(Attributes& attributes);
  const char* description;
};

constexpr std::array<Model, 9> kModels = {{
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
     "rotation and truncation; no record where there are none"},
}};

std::string Quoted(const std::string& text) { return "\"" + text + "\""; }

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

// Adds what is wrong with the component to `faults`; otherwise its source to `sources`.
void AddSource(const ComponentConfig& component, Sources& sources,
               std::vector<std::string>& faults) {
  const size_t faults_before = faults.size();
  Attributes attributes(component, faults);
  const Model* const model = FindModel(component, attributes);
  if (model == nullptr) return;
  if (component.api != model->api) {
    attributes.Fault("api " + Quoted(component.api) + " does not fit model " + Quoted(model->name) +
                     ", which is a " + Quoted(model->api));
  }
  SourceFunction source = model->make(attributes);
  attributes.RefuseUnknown();
  if (faults.size() > faults_before) return;
  if (auto* images = std::get_if<ImagesSource>(&source)) {
    sources.AddImages(component.name, std::move(*images));
  } else {
    sources.AddReadings(component.api, component.name, std::get<ReadingsSource>(std::move(source)));
  }
}

}  // namespace

absl::Status RobotSources::Update(const std::vector<ComponentConfig>& components) {
  std::map<Key, ComponentConfig> next_components;
  Sources next = sources_;
  std::vector<std::string> faults;
  for (const ComponentConfig& component : components) {
    const Key key(component.api, component.name);
    if (!next_components.emplace(key, component).second) {
      Attributes(component, faults).Fault("is declared twice with api " + Quoted(component.api));
      continue;
    }
    const auto kept = components_.find(key);
    if (kept == components_.end() || kept->second.model != component.model ||
        kept->second.attributes != component.attributes) {
      AddSource(component, next, faults);
    }
  }
  if (!faults.empty()) {
    std::string text = faults.front();
    for (size_t i = 1; i < faults.size(); ++i) text += "\n" + faults[i];
    return absl::InvalidArgumentError(text);
  }
  for (const auto& [key, component] : components_) {
    if (!next_components.contains(key)) next.Remove(key.first, key.second);
  }
  components_ = std::move(next_components);
  sources_ = std::move(next);
  return absl::OkStatus();
}

std::string RobotSources::DescribeModels() {
  std::string text;
  for (const Model& model : kModels) {
    text += "  " + std::string(model.name) + " (" + model.api + ")\n      ";
    for (const char c : std::string_view(model.description)) {
      text += c;
      if (c == '\n') text += "      ";
    }
    text += '\n';
  }
  return text;
}

}  // namespace robot
