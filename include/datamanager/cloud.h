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
  kNotManaged,  // No cloud was handed in, or one without an address: the machine only captures.
  kConnecting,  // Not there yet.
  kHealthy,     // Ready and let in, or idle and ready to be woken.
  kUnhealthy,   // Lost, refused, or without a token; it is tried again with growing intervals.
  kClosed,
};

// "not cloud-managed", "connecting", "healthy", "unhealthy" or "closed".
std::string_view ConnectionStateName(ConnectionState state);

struct ConnectionStatus {
  ConnectionState state = ConnectionState::kNotManaged;
  WallTime since;          // When the state was entered.
  std::string address;     // host:port.
  std::string last_error;  // Why it was last not healthy, and what to do; empty if it always was.
};

// A gRPC channel to one address at a time.
//
// Thread-safe. Shared by those who use it; the last to let go closes it, within 2 s whatever the
// network and the sink do. gRPC itself, once initialised, stays so for the life of the process, and
// OpenSSL, unless something has used it before, is not cleaned up when the process ends.
class Cloud {
 public:
  // Checks the config and begins to connect in the background; never waits for the network.
  // INVALID_ARGUMENT, naming each field at fault and what to do, for a config that cannot work,
  // such as a certificate file that cannot be read. A config without an address makes a cloud that
  // is not there yet: Reconfigure may bring it. Without a sink, messages go to standard error.
  static absl::StatusOr<std::shared_ptr<Cloud>> Create(const CloudConfig& config,
                                                       LogSink sink = {});

  virtual ~Cloud() = default;
  Cloud(const Cloud&) = delete;
  Cloud& operator=(const Cloud&) = delete;

  // Brings the connection to `config`. All checks come first, as in Create: on error the old one
  // goes on. Uploads under way end on the connection on which they began; new ones use the new. An
  // equal config, with equal secrets in its files, changes nothing. Never waits for the network.
  // From inside a source or a log sink: FAILED_PRECONDITION.
  virtual absl::Status Reconfigure(const CloudConfig& config) = 0;

  // Does not block.
  virtual ConnectionStatus Status() const = 0;
  // What the library uploads through; for its own use.
  virtual sync::Uploader& uploader() = 0;

 protected:
  Cloud() = default;
};

}  // namespace datamanager

#endif  // DATAMANAGER_CLOUD_H_
