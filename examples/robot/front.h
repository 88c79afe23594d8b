// The robot's data manager and its components, served to its clients over gRPC.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_FRONT_H_
#define DATAMANAGER_EXAMPLES_ROBOT_FRONT_H_

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "datamanager/data_manager.h"
#include "robot/components.h"

namespace robot {

// Serves DataManagerService, the services of Components and gRPC's health service while it exists;
// its end cancels the calls under way. Without authentication. Thread-safe.
class Front {
 public:
  // Returns once it accepts connections. `listen` is HOST:PORT, where port 0 lets the system
  // choose, or unix:PATH; a socket there on which nobody listens is replaced. INVALID_ARGUMENT, or
  // the system's error, names the address and what is wrong with it. `name` is the data manager's;
  // `manager` must outlive this.
  static absl::StatusOr<std::unique_ptr<Front>> Start(const std::string& listen,
                                                      datamanager::DataManager& manager,
                                                      const std::string& name);
  ~Front();
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  // As given to Start, with the true port.
  const std::string& address() const { return address_; }
  Components& components() { return components_; }

 private:
  Front() = default;

  std::unique_ptr<grpc::Service> service_;
  Components components_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

// Whether other machines may reach who listens there: not on loopback, nor on a unix socket.
bool IsOpenToOthers(const std::string& listen);

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_FRONT_H_
