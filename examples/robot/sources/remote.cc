#include <chrono>

#include "datamanager/remote_source.h"
#include "robot/sources/models.h"

namespace robot {

void AddRemote(const datamanager::ComponentConfig& component, Attributes& attributes,
               datamanager::Sources& sources) {
  const std::string address = attributes.RequiredText("address");
  const std::string name = attributes.Text("name", component.name);
  const std::chrono::milliseconds timeout(attributes.Integer("timeout_ms", 10000, 1, 3600000));
  if (address.empty()) return;
  const absl::StatusOr<datamanager::RemoteChannel> channel = datamanager::ConnectRemote(address);
  if (!channel.ok()) {
    attributes.Fault("address", "does not work: " + std::string(channel.status().message()));
    return;
  }
  const datamanager::RemoteSource source(*channel, component.api, name, {.call_timeout = timeout});
  const absl::Status added = source.AddTo(sources, component.name);
  if (!added.ok()) attributes.Fault("model \"remote\": " + std::string(added.message()));
}

}  // namespace robot
