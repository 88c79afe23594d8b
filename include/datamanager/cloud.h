// The connection to the cloud, handed to a DataManager.
#ifndef DATAMANAGER_CLOUD_H_
#define DATAMANAGER_CLOUD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "datamanager/clock.h"
#include "datamanager/config.h"
#include "datamanager/log.h"

namespace datamanager {

namespace sync {
class Uploader;
}  // namespace sync

enum class ConnectionState : uint8_t {
  kNotManaged,  // No cloud was handed in: the machine only captures.
  kConnecting,  // Not there yet.
  kHealthy,     // Ready, or idle and ready to be woken.
  kUnhealthy,   // Lost, or refused; gRPC tries again with growing intervals.
  kClosed,
};

// "not cloud-managed", "connecting", "healthy", "unhealthy" or "closed".
std::string_view ConnectionStateName(ConnectionState state);

struct ConnectionStatus {
  ConnectionState state = ConnectionState::kNotManaged;
  WallTime since;          // When the state was entered.
  std::string address;     // host:port.
  std::string last_error;  // Why it was last not healthy; empty if it always was.
};

// A plaintext gRPC channel to one address, without credentials.
//
// Thread-safe. Shared by those who use it; the last to let go closes it, within 2 s whatever the
// network and the sink do. gRPC itself, once initialised, stays so for the life of the process.
class Cloud {
 public:
  // Checks the config and begins to connect in the background; never waits for the network.
  // INVALID_ARGUMENT, naming the field, for an address that cannot work. Without a sink, messages
  // go to standard error.
  static absl::StatusOr<std::shared_ptr<Cloud>> Create(const CloudConfig& config,
                                                       LogSink sink = {});

  virtual ~Cloud() = default;
  Cloud(const Cloud&) = delete;
  Cloud& operator=(const Cloud&) = delete;

  // Does not block.
  virtual ConnectionStatus Status() const = 0;
  // What the library uploads through; for its own use.
  virtual sync::Uploader& uploader() = 0;

 protected:
  Cloud() = default;
};

}  // namespace datamanager

#endif  // DATAMANAGER_CLOUD_H_
