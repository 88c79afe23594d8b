// Puts back what was set aside under failed/.
#ifndef DATAMANAGER_SRC_SYNC_FAILED_FILES_H_
#define DATAMANAGER_SRC_SYNC_FAILED_FILES_H_

#include <stop_token>
#include <string>

#include "datamanager/data_manager.h"
#include "sync/sync_context.h"

namespace datamanager::sync {

// Moves each file below `<root>/failed` back to where it was below `root`, making directories that
// are gone, and adds to `result`. Never overwrites: a capture file whose name is taken becomes a
// microsecond younger, which also brings home those that got a number as they were set aside;
// another file stays and is named. Follows no links, and goes by descriptors from the root on, so
// that no directory swapped meanwhile leads elsewhere.
//
// A capture file without a whole record stays: the rest of one whose records are stored, or what is
// no capture file at all. No server would take it.
//
// Any thread with all signals blocked or handled; blocks on the disk.
void RetryFailedBelow(SyncContext& context, const std::string& root, const std::stop_token& stop,
                      RetriedFiles& result);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_FAILED_FILES_H_
