// One pass: everything that was on disk at its beginning, root by root.
#ifndef DATAMANAGER_SRC_SYNC_PASS_H_
#define DATAMANAGER_SRC_SYNC_PASS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "config/effective_config.h"
#include "sync/complaints.h"
#include "sync/file_check.h"
#include "sync/job.h"
#include "sync/root_pass.h"
#include "sync/roots.h"
#include "sync/stuck_roots.h"
#include "sync/sync_context.h"

namespace datamanager::sync {

// Gives what its roots have, by turns. A root whose disk hangs holds up only itself: the pass is
// over for the others. Thread-safe; only Next and LookAhead block, on the disk.
class Pass {
 public:
  using Row = RootPass::Row;
  using Result = RootPass::Result;

  // All references must outlive it. Takes a large share of memory only if `whole_backlog`.
  Pass(SyncContext& context, const config::SyncConfig& config, const FileCheck& check,
       Complaints& complaints, StuckRoots& stuck, FileFilter filter, Backlog::Limits limits,
       bool whole_backlog);
  ~Pass() { Cancel(); }
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  // A step of some root. kNothing: there is nothing to do for this thread at the moment.
  Result Next(Row row, std::optional<Job>& job) DM_EXCLUDES(mutex_);
  // A step towards knowing whether there is another file, without claiming it: so that the pass is
  // over as soon as all its files are claimed. False: there is nothing to do for this thread.
  bool LookAhead() DM_EXCLUDES(mutex_);
  // Somebody waits for its end. To be called before the workers know of the pass.
  void Await() { awaited_ = true; }
  bool awaited() const { return awaited_; }
  // Ends its walks. It is over then.
  void Cancel() { stop_.request_stop(); }

  enum class State : uint8_t {
    kUnderWay,
    kStuck,  // Over but for roots whose disk hangs.
    kOver,
  };
  State state() const DM_EXCLUDES(mutex_);
  // What hangs, such as "/data".
  std::string StuckPath() const DM_EXCLUDES(mutex_);
  // Tells what it has found, once it is over.
  void Settle() DM_EXCLUDES(mutex_);

 private:
  enum class Step : uint8_t { kToResolve, kResolved, kWalking, kOver };
  struct RootState {
    std::unique_ptr<RootPass> pass;
    Step step = Step::kToResolve;
    bool busy = false;  // A thread is in it.
    std::optional<Root> root;
    bool row_is_empty[2] = {false, false};
    bool row_has_file[2] = {false, false};  // By LookAhead.
  };

  // Without a `job` it looks ahead.
  Result DoStep(Row row, std::optional<Job>* job) DM_EXCLUDES(mutex_);
  // A root that has something to do in the row; or null. `busy`: another thread is in such a root.
  RootState* Take(Row row, bool ahead, bool& busy) DM_REQUIRES(mutex_);
  // Whether all roots are resolved, or hang, so that walks may begin.
  bool MayWalk() const DM_REQUIRES(mutex_);
  void BeginWalks() DM_REQUIRES(mutex_);
  bool IsStuck(const RootState& root) const DM_REQUIRES(mutex_);
  // The resolved path, if it is known.
  static const std::string& PathOf(const RootState& root);

  SyncContext& context_;
  Complaints& complaints_;
  StuckRoots& stuck_;
  std::stop_source stop_;
  bool awaited_ = false;  // Set before other threads see the pass.
  mutable Mutex mutex_;
  std::vector<RootState> roots_ DM_GUARDED_BY(mutex_);
  size_t turn_ DM_GUARDED_BY(mutex_) = 0;
  bool walks_begun_ DM_GUARDED_BY(mutex_) = false;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_PASS_H_
