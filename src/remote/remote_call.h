// One call to a component, from its request to the end of its answer.
#ifndef DATAMANAGER_SRC_REMOTE_REMOTE_CALL_H_
#define DATAMANAGER_SRC_REMOTE_REMOTE_CALL_H_

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "remote/connection_wait.h"

namespace datamanager::remote {

// Sends `request` to the method at `path` ("/package.Service/Method"), and hands every message of
// the answer, one or those of a stream, to `read`, until that returns an error. Blocks for
// `timeout` at most; less if `stop` is requested, then CANCELLED. Otherwise the status is the
// server's, gRPC's, or that of `read`.
absl::Status Call(ConnectionWait& connection, const std::string& path, std::string_view request,
                  std::chrono::milliseconds timeout, std::stop_token stop,
                  const std::function<absl::Status(std::string_view message)>& read);

}  // namespace datamanager::remote

#endif  // DATAMANAGER_SRC_REMOTE_REMOTE_CALL_H_
