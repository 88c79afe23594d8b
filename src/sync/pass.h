// One pass: everything that was on disk at its beginning, root by root.
#ifndef DATAMANAGER_SRC_SYNC_PASS_H_
#define DATAMANAGER_SRC_SYNC_PASS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
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

// Where configured paths led when they were last resolved: a pass has to know all roots, because
// the walk of one must not enter another, also while the disk of that one hangs. Thread-safe.
class KnownRoots {
 public:
  void Remember(const std::string& path, const Root& root) DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    roots_.insert_or_assign(path, root);
  }
  std::optional<Root> Find(const std::string& path) const DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const auto found = roots_.find(path);
    return found == roots_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  mutable Mutex mutex_;
  std::map<std::string, Root> roots_ DM_GUARDED_BY(mutex_);
};

// Gives what its roots have, by turns. A root whose disk hangs holds up only itself: the pass is
// over for the others. Thread-safe; only Next and LookAhead block, on the disk.
class Pass {
 public:
  using Row = RootPass::Row;
  using Result = RootPass::Result;

  // All references must outlive it. Takes a large share of memory only if `whole_backlog`.
  Pass(SyncContext& context, const config::SyncConfig& config, const FileCheck& check,
       Complaints& complaints, StuckRoots& stuck, KnownRoots& known, FileFilter filter,
       Backlog::Limits limits, bool whole_backlog);
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
    kStuck,  // Over but for roots whose disk hangs, or hung as the walks began.
    kOver,
  };
  State state() const DM_EXCLUDES(mutex_);
  // Whether a walk ended early by an exception.
  bool broken() const DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return broken_;
  }
  // What hangs, or hung, such as "/data".
  std::string StuckPath() const DM_EXCLUDES(mutex_);
  // Tells what it has found, once it is over.
  void Settle() DM_EXCLUDES(mutex_);

 private:
  enum class Step : uint8_t { kToResolve, kResolved, kWalking, kOver, kSkipped };
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
  // Logs the exception that is being handled.
  void SayCaught() const;
  // A root that has something to do in the row; or null. `busy`: another thread is in such a root.
  RootState* Take(Row row, bool ahead, bool& busy) DM_REQUIRES(mutex_);
  // Whether all roots are resolved, or hang, so that walks may begin.
  bool MayWalk() const DM_REQUIRES(mutex_);
  void BeginWalks() DM_REQUIRES(mutex_);
  // Leaves out what hangs, and what might lead there.
  void SkipUnresolved(std::vector<Root>& all) DM_REQUIRES(mutex_);
  bool IsStuck(const RootState& root) const DM_REQUIRES(mutex_);
  // For so long that the pass goes on without it.
  bool HangsForLong(const RootState& root) const DM_REQUIRES(mutex_);
  // The resolved path, if it is known.
  static const std::string& PathOf(const RootState& root);

  SyncContext& context_;
  Complaints& complaints_;
  StuckRoots& stuck_;
  KnownRoots& known_;
  std::stop_source stop_;
  bool awaited_ = false;  // Set before other threads see the pass.
  mutable Mutex mutex_;
  std::vector<RootState> roots_ DM_GUARDED_BY(mutex_);
  size_t turn_ DM_GUARDED_BY(mutex_) = 0;
  bool walks_begun_ DM_GUARDED_BY(mutex_) = false;
  bool broken_ DM_GUARDED_BY(mutex_) = false;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_PASS_H_
