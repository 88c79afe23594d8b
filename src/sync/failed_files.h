// Puts back what was set aside under failed/.
#ifndef DATAMANAGER_SRC_SYNC_FAILED_FILES_H_
#define DATAMANAGER_SRC_SYNC_FAILED_FILES_H_

#include <stop_token>
#include <vector>

#include "datamanager/data_manager.h"
#include "sync/roots.h"
#include "sync/sync_context.h"

namespace datamanager::sync {

// Moves each file below `<root>/failed` back to where it was below its root, making directories
// that are gone. Never overwrites: a capture file whose name is taken becomes a microsecond
// younger, which also moves back those that got a number as they were set aside; another file stays
// and is named. Follows no links, and goes by descriptors from the root on, so that no directory
// swapped in the meantime leads elsewhere.
//
// Remainders of damaged files (see Remainders) stay, under any name, and so do capture files
// without a whole record: no server would take them.
//
// Any thread with all signals blocked or handled; blocks on the disk.
RetriedFiles RetryFailedFiles(SyncContext& context, const std::vector<Root>& roots,
                              const std::stop_token& stop);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_FAILED_FILES_H_
