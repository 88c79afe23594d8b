// Sync at work on one config: a scheduler that walks, and workers that upload.
#ifndef DATAMANAGER_SRC_SYNC_SCHEDULER_H_
#define DATAMANAGER_SRC_SYNC_SCHEDULER_H_

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/repeat_filter.h"
#include "base/thread.h"
#include "config/effective_config.h"
#include "datamanager/clock.h"
#include "sync/channel.h"
#include "sync/pass.h"
#include "sync/sync_context.h"
#include "sync/upload_worker.h"

namespace datamanager::sync {

// Runs from Start to RequestStop and Join; a changed config gets a new one. Its passes
// may be used by any thread meanwhile, the rest by one.
//
// The scheduler thread makes a pass each interval, if passes are scheduled, and offers the files
// whose wait for a retry is over, always. Both rest while the channel is not READY.
class Scheduler : public std::enable_shared_from_this<Scheduler> {
 public:
  Scheduler(std::shared_ptr<SyncContext> context, config::SyncConfig config);

  absl::Status Start();
  void RequestStop() { stop_.request_stop(); }
  std::stop_token stop_token() const { return stop_.get_token(); }
  // How many threads hang in the disk; they are left alone.
  int Join(MonotonicTime deadline);

  const config::SyncConfig& config() const { return config_; }

  // Passes of others than the scheduler.
  Passes& passes() { return passes_; }

 private:
  void Run();
  // What was half-written for uploads to datasets.
  void RemoveAbandoned(const std::stop_token& stop);
  // Whether the selective sensor, if there is one, lets a pass begin.
  bool ShouldSync();
  PassEnd Tick();
  PassEnd RunPass();
  // When a pass finds a file to be tried after a pause of the breaker: the interval may be long.
  MonotonicTime ProbePassTime() const;
  void OfferDueRetries(const std::stop_token& stop);
  // What has a timer of its own, however long a pass takes.
  void LookUp();
  void FlushIfDue();
  void SayOffline();
  // Whether it is time to tell again why no pass begins; `said`: when this cause was last told.
  bool IsNews(MonotonicTime& said);
  void SayStatistics();
  MonotonicTime Now() const { return context_->options.clock->MonotonicNow(); }

  const std::shared_ptr<SyncContext> context_;
  const config::SyncConfig config_;
  std::stop_source stop_;
  Channel<Job> channel_;
  Passes passes_;
  Thread thread_;
  std::vector<Thread> workers_;

  // The scheduler thread's only.
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
  RepeatFilter filter_;
  RepeatFilter selective_filter_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_SCHEDULER_H_
