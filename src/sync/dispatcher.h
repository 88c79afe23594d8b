// Which file is uploaded next.
#ifndef DATAMANAGER_SRC_SYNC_DISPATCHER_H_
#define DATAMANAGER_SRC_SYNC_DISPATCHER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "config/effective_config.h"
#include "datamanager/clock.h"
#include "sync/backlog.h"
#include "sync/complaints.h"
#include "sync/file_check.h"
#include "sync/found_file.h"
#include "sync/job.h"
#include "sync/pass.h"
#include "sync/stuck_roots.h"
#include "sync/sync_context.h"

namespace datamanager::sync {

enum class PassEnd : uint8_t {
  kComplete,
  kStuck,   // Complete but for a root whose disk hangs.
  kBroken,  // A walk ended early by an exception, for lack of memory as a rule, which was logged.
  kStopped,
  kOffline,
};

// Workers draw from it: whoever has room for an upload asks for the next file, which is claimed by
// then and not before. What has just been published, the backlog from its oldest file on, other
// files, due retries and the files that callers wait for take turns, so that none of them holds up
// the others. Thread-safe.
class Dispatcher {
 public:
  // Both must outlive it.
  Dispatcher(SyncContext& context, const config::SyncConfig& config, Backlog::Limits limits = {})
      : context_(context), config_(config), limits_(limits), check_(context, config) {}

  // --- For workers.

  enum class Drawn : uint8_t {
    kFile,
    kAgain,    // There may be one: ask again, but first see to what else there is to do.
    kNothing,  // Ask again when woken.
  };
  // A bounded step towards the next file, on the caller's thread, which is that of `worker`; blocks
  // on the disk. kFile: `job` is filled. Offline there is nothing.
  Drawn Next(size_t worker, std::optional<Job>& job) DM_EXCLUDES(mutex_);
  // For a worker that cannot draw: a bounded step towards the end of a pass that somebody waits
  // for. Blocks on the disk. False: ask again when woken.
  bool LookAhead(size_t worker) DM_EXCLUDES(mutex_);
  // For a worker that was woken, perhaps to draw, and has no room for an upload: another one that
  // waits for its turn draws in its place.
  void PassOn(size_t worker) DM_EXCLUDES(mutex_) { WakeTurnedAway(worker); }
  // `wake` is called, on any thread and without a lock, whenever there may be something new; it
  // must not block. Once for each worker, before the first call of Next. Returns its number.
  size_t AddWorker(std::function<void()> wake) DM_EXCLUDES(mutex_);

  // --- For whoever starts passes.

  // Begins a pass over what is there now. `awaited`: it shall be over as soon as its files are with
  // workers, see LookAhead. That costs a further look at each file.
  std::shared_ptr<Pass> BeginPass(FileFilter filter, bool awaited = false) DM_EXCLUDES(mutex_);
  // How far it is. If it is at its end, it counts, and is forgotten here. nullopt: it is under way.
  std::optional<PassEnd> EndOf(const std::shared_ptr<Pass>& pass) DM_EXCLUDES(mutex_);
  // Ends it early.
  void EndPass(const std::shared_ptr<Pass>& pass) DM_EXCLUDES(mutex_);
  // One pass, to its end, the stop or the loss of the connection. kStuck: fills in `stuck_path`.
  PassEnd RunPass(const std::stop_token& stop, FileFilter filter, bool awaited,
                  std::string& stuck_path) DM_EXCLUDES(mutex_);
  // A file has just been published; during a pass it takes its turn. Does not block.
  void Hint(const std::string& path) DM_EXCLUDES(mutex_);

  // Whether any is under way.
  bool has_passes() const { return pass_count_ > 0; }

  // One file that somebody waits for: `direct` is what they ask for, or null for an upload to
  // datasets, which goes on if they do not wait any longer. Blocks until a worker has it.
  enum class OfferEnd : uint8_t { kTaken, kTimedOut, kStopped, kOffline };
  OfferEnd Offer(FoundFile file, std::shared_ptr<const DirectUpload> direct, MonotonicTime deadline,
                 const std::stop_token& stop) DM_EXCLUDES(mutex_);

  // Whether there is any ready file that `filter` accepts, also one that a worker has. True as well
  // if a root's disk hangs, because that root cannot be looked at. Blocks on the disk.
  bool AnyReady(const FileFilter& filter, const std::stop_token& stop);

  // There may be something new to draw: a retry is due, the connection is back, a claim is free.
  void Notify() DM_EXCLUDES(mutex_);
  // Workers at work in a root say so here.
  StuckRoots& stuck() { return stuck_; }

 private:
  enum class Turn : uint8_t { kHint, kBacklog, kOther, kRetry, kCaller };
  static constexpr int kTurns = 5;
  // A file that a caller waits for.
  struct Wanted {
    FoundFile file;
    std::shared_ptr<const DirectUpload> direct;
    bool taken = false;
  };

  Drawn Draw(Turn turn, size_t worker, std::optional<Job>& job) DM_EXCLUDES(mutex_);
  Drawn DrawHint(std::optional<Job>& job) DM_EXCLUDES(mutex_);
  Drawn DrawFromPass(Pass::Row row, size_t worker, std::optional<Job>& job) DM_EXCLUDES(mutex_);
  // Has the worker woken when a thread leaves a root. False: it is known already.
  bool AddTurnedAway(size_t worker) DM_EXCLUDES(mutex_);
  // Wakes one of them. `self` is at work, and need not be.
  void WakeTurnedAway(size_t self) DM_EXCLUDES(mutex_);
  Drawn DrawRetry(std::optional<Job>& job) DM_EXCLUDES(mutex_);
  Drawn DrawWanted(std::optional<Job>& job) DM_EXCLUDES(mutex_);
  bool AnyReadyIn(const Root& root, const std::vector<Root>& roots, const FileFilter& filter,
                  const Complain& complain, const std::stop_token& stop) const;
  // Whether any of these of one root does not wait for its data.
  bool AnyFree(const std::vector<FoundFile>& sequences) const;
  std::optional<std::string> TakeHint() DM_EXCLUDES(mutex_);
  void TellOfEnd() DM_EXCLUDES(mutex_);
  void WakeWorkers() DM_EXCLUDES(mutex_);
  bool Ready() const { return context_.options.uploader->Ready(); }
  MonotonicTime Now() const { return context_.options.clock->MonotonicNow(); }

  SyncContext& context_;
  const config::SyncConfig& config_;
  const Backlog::Limits limits_;
  const FileCheck check_;
  Complaints complaints_;
  KnownRoots known_roots_;
  // Whoever passed over a root that was stuck looks again.
  StuckRoots stuck_{[this] { Notify(); }};

  mutable Mutex mutex_;
  CondVar changed_;
  uint64_t changes_ DM_GUARDED_BY(mutex_) = 0;
  std::vector<std::function<void()>> wakes_ DM_GUARDED_BY(mutex_);
  // Workers that found another one at work in each root that has files.
  std::deque<size_t> turned_away_ DM_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Pass>> passes_ DM_GUARDED_BY(mutex_);
  // The pass whose backlog may be as large as the limit. Compared only.
  const Pass* largest_ DM_GUARDED_BY(mutex_) = nullptr;
  std::deque<std::string> hints_ DM_GUARDED_BY(mutex_);
  std::list<Wanted> wanted_ DM_GUARDED_BY(mutex_);
  size_t pass_turn_ DM_GUARDED_BY(mutex_) = 0;
  std::atomic<int> turn_ = 0;
  // Changed under the lock only; asked for after each file.
  std::atomic<bool> hinted_ = false;
  std::atomic<size_t> pass_count_ = 0;
  std::atomic<size_t> wanted_count_ = 0;
  std::atomic<size_t> turned_away_count_ = 0;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_DISPATCHER_H_
