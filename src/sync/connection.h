// Waiting for the connection, on behalf of a call.
#ifndef DATAMANAGER_SRC_SYNC_CONNECTION_H_
#define DATAMANAGER_SRC_SYNC_CONNECTION_H_

#include <stop_token>

#include "absl/status/status.h"
#include "datamanager/clock.h"
#include "datamanager/cloud.h"
#include "sync/sync_context.h"

namespace datamanager::sync {

// UNAVAILABLE, `not connected to the cloud`, with the state, since when and the last error.
absl::Status NotConnected(const ConnectionStatus& status, WallTime now);

// Asks the channel to connect and waits for it, for as long as the options say but not beyond
// `deadline`: NotConnected if it does not come, CANCELLED after the stop.
absl::Status WaitForConnection(const SyncContext& context, const std::stop_token& stop,
                               MonotonicTime deadline = MonotonicTime::max());

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_CONNECTION_H_
