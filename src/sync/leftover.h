// The files that are left after a pass, for a call of Sync that waits until all are uploaded.
#ifndef DATAMANAGER_SRC_SYNC_LEFTOVER_H_
#define DATAMANAGER_SRC_SYNC_LEFTOVER_H_

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sync/root_pass.h"
#include "sync/scheduler.h"
#include "sync/sync_context.h"

namespace datamanager::sync {

// Files that are with no worker.
struct Leftover {
  bool any = false;      // Something that is going to be tried.
  uint64_t in_use = 0;   // Files that another process has locked, or open for writing.
  uint64_t resting = 0;  // Files that rest because the server refuses everything.
  std::string in_use_path;
  std::string resting_path;
};

// Looks through all directories, on a thread of its own: if the disk hangs, that thread is left to
// the scheduler, and the call ends with UNAVAILABLE, which names the directory. CANCELLED once
// `stop` is requested.
absl::StatusOr<Leftover> LookForLeftover(const std::shared_ptr<SyncContext>& context,
                                         const std::shared_ptr<Scheduler>& scheduler,
                                         const FileFilter& filter, const std::stop_token& stop);

// What the caller is told in the end. `refused`: so many files the server refused meanwhile. Pure.
absl::Status ResultOf(const Leftover& left, uint64_t refused);

// UNAVAILABLE. Pure.
absl::Status DiskHangs(const std::string& path);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_LEFTOVER_H_
