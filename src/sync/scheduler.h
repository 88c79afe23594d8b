// Sync at work on one config: a scheduler that starts passes, and workers that upload.
#ifndef DATAMANAGER_SRC_SYNC_SCHEDULER_H_
#define DATAMANAGER_SRC_SYNC_SCHEDULER_H_

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "base/repeat_filter.h"
#include "base/thread.h"
#include "config/effective_config.h"
#include "datamanager/clock.h"
#include "sync/dispatcher.h"
#include "sync/pass.h"
#include "sync/sync_context.h"
#include "sync/upload_loop.h"
#include "sync/upload_window.h"

namespace datamanager::sync {

// Runs from Start to RequestStop and Join; a changed config gets a new one. Its dispatcher and
// StartThread may be used by any thread meanwhile, the rest by one.
//
// The scheduler thread begins a pass each interval, if passes are scheduled, and wakes the workers
// when a wait for a retry is over. It only keeps time, and never touches the disk: workers walk. It
// gives a worker another thread when the disk hangs.
class Scheduler : public std::enable_shared_from_this<Scheduler> {
 public:
  Scheduler(std::shared_ptr<SyncContext> context, config::SyncConfig config);

  absl::Status Start();
  void RequestStop() { stop_.request_stop(); }
  std::stop_token stop_token() const { return stop_.get_token(); }
  // How many threads hang in the disk; they are left alone.
  int Join(MonotonicTime deadline);

  // Join waits for the thread. `name` as for Thread.
  absl::Status StartThread(const char* name, std::function<void()> body) DM_EXCLUDES(mutex_);

  const config::SyncConfig& config() const { return config_; }

  Dispatcher& dispatcher() { return dispatcher_; }

 private:
  void Run();
  absl::Status StartWorkerThread(const std::shared_ptr<UploadLoop>& loop);
  void ForgetEndedThreads() DM_REQUIRES(mutex_);
  // What was half-written for uploads to datasets.
  void RemoveAbandoned(const std::stop_token& stop);
  // When there is something to do next.
  MonotonicTime NextWake(bool ready);
  // Whether the selective sensor, if there is one, lets a pass begin.
  bool ShouldSync();
  // A pass by the interval.
  void BeginScheduledPass();
  void BeginPass();
  // Sees whether the pass is at its end, or ends it since there is no connection.
  void LookAtPass(bool ready);
  void PostponePass();
  // When a pass finds a file to be tried after a pause of the breaker: the interval may be long.
  MonotonicTime ProbePassTime() const;
  // Gives a worker whose thread hangs in the disk another one.
  void WatchWorkers() DM_EXCLUDES(mutex_);
  void FlushIfDue();
  // Warns of this text, but not of the same again and again. Of any thread.
  void WarnOnce(const std::string& text) DM_EXCLUDES(mutex_);
  void SayOffline();
  // Whether it is time to tell again why no pass begins; `said`: when this cause was last told.
  bool IsNews(MonotonicTime& said);
  void SayStatistics();
  MonotonicTime Now() const { return context_->options.clock->MonotonicNow(); }

  const std::shared_ptr<SyncContext> context_;
  const config::SyncConfig config_;
  std::stop_source stop_;
  Dispatcher dispatcher_;
  UploadWindow window_;
  std::vector<std::shared_ptr<UploadLoop>> loops_;
  Mutex mutex_;
  std::vector<Thread> threads_ DM_GUARDED_BY(mutex_);
  RepeatFilter filter_ DM_GUARDED_BY(mutex_);

  // The scheduler thread's only.
  std::shared_ptr<Pass> pass_;  // The one under way.
  bool skipped_ = false;        // A pass was due while offline.
  bool notified_ = false;       // Workers were, and are not watched since.
  MonotonicTime next_pass_;
  MonotonicTime pass_began_;
  MonotonicTime pass_ended_;
  MonotonicTime earliest_pass_;  // After the retry table was full.
  MonotonicTime probe_pass_ = MonotonicTime::max();
  MonotonicTime next_flush_;
  MonotonicTime next_statistics_;
  MonotonicTime offline_said_;
  MonotonicTime unselected_said_;
  SyncStats said_;  // The statistics last told.
  RepeatFilter selective_filter_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_SCHEDULER_H_
