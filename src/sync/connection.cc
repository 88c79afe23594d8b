#include "sync/connection.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"

namespace datamanager::sync {

absl::Status NotConnected(const ConnectionStatus& status, WallTime now) {
  std::string text =
      absl::StrCat("not connected to the cloud: ", ToAbsl(ConnectionStateName(status.state)));
  if (status.state != ConnectionState::kNotManaged) {
    const auto since = std::chrono::duration<double>(now - status.since).count();
    absl::StrAppendFormat(&text, " for %.1f s, address %s, last error: %s", std::max(since, 0.0),
                          status.address, status.last_error.empty() ? "none" : status.last_error);
  }
  return absl::UnavailableError(text);
}

absl::Status WaitForConnection(const SyncContext& context, const std::stop_token& stop,
                               MonotonicTime deadline) {
  Uploader& uploader = *context.options.uploader;
  const Clock& clock = *context.options.clock;
  const MonotonicTime patience = clock.MonotonicNow() + context.options.connect_timeout;
  if (uploader.WaitUntilReady(std::min(patience, deadline), stop)) return absl::OkStatus();
  if (stop.stop_requested()) return absl::CancelledError("sync was stopped");
  return NotConnected(uploader.Status(), clock.WallNow());
}

}  // namespace datamanager::sync
