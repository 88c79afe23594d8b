// Sync at work on one config: a scheduler that walks, and workers that upload.
#ifndef DATAMANAGER_SRC_SYNC_SCHEDULER_H_
#define DATAMANAGER_SRC_SYNC_SCHEDULER_H_

#include <deque>
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
#include "sync/channel.h"
#include "sync/sync_context.h"
#include "sync/upload_worker.h"

namespace datamanager::sync {

// Runs from Start to RequestStop and Join; a changed config gets a new one. RunPass may be called
// from any thread meanwhile, the rest by one.
//
// The scheduler thread makes a pass each interval, if passes are scheduled, and offers the files
// whose wait for a retry is over, always. Both rest while the channel is not READY.
class Scheduler : public std::enable_shared_from_this<Scheduler> {
 public:
  Scheduler(std::shared_ptr<SyncContext> context, config::SyncConfig config);

  absl::Status Start();
  void RequestStop() { stop_.request_stop(); }
  std::stop_token stop_token() const { return stop_.get_token(); }
  // False: a thread hangs in the disk; it is left alone.
  bool Join(MonotonicTime deadline);

  const config::SyncConfig& config() const { return config_; }

  enum class PassEnd : uint8_t { kComplete, kStopped, kOffline };
  // Sees each ready file, before it is offered; false passes it over.
  using Filter = std::function<bool(const FoundFile&, const struct stat&)>;
  // Walks once and offers everything ready that nobody has and that does not wait for a retry.
  // Blocks until each has been taken. `pause` is called after each file, and each second while one
  // waits for a worker.
  PassEnd RunPass(const std::stop_token& stop, const Filter& filter,
                  const std::function<void()>& pause);

  // Whether there is any ready file that `filter` lets through, whoever has it.
  bool AnyReady(const Filter& filter, const std::stop_token& stop) const;

  // A file has just been published; during a pass it takes its turn. Does not block.
  void Hint(const std::string& path) DM_EXCLUDES(hints_mutex_);

 private:
  using Wanted = std::function<bool(const FoundFile&)>;
  using Visit = std::function<bool(FoundFile, const struct stat&)>;
  bool WalkAll(Wanted wanted, Visit visit, const std::stop_token& stop) const;
  void Run();
  PassEnd Tick();
  void OfferDueRetries(const std::stop_token& stop);
  // What has a timer of its own, however long a pass takes.
  void LookUp();
  // Offers one file if nobody has it. kComplete: go on.
  PassEnd Offer(FoundFile file, const std::stop_token& stop, const std::function<void()>& pause);
  // Each offers one, if there is one.
  PassEnd OfferHint(const std::stop_token& stop, const std::function<void()>& pause);
  PassEnd OfferRetry(const std::stop_token& stop, const std::function<void()>& pause);
  void FlushIfDue();
  void SayOffline();
  void SayStatistics();
  MonotonicTime Now() const { return context_->options.clock->MonotonicNow(); }

  const std::shared_ptr<SyncContext> context_;
  const config::SyncConfig config_;
  std::stop_source stop_;
  Channel<Job> channel_;
  Thread thread_;
  std::vector<Thread> workers_;

  // The scheduler thread's only.
  MonotonicTime next_pass_;
  MonotonicTime pass_ended_;
  MonotonicTime next_flush_;
  MonotonicTime next_statistics_;
  MonotonicTime offline_said_;
  SyncStats said_;  // The statistics last told.
  RepeatFilter filter_;

  Mutex hints_mutex_;
  int passes_under_way_ DM_GUARDED_BY(hints_mutex_) = 0;
  std::deque<std::string> hints_ DM_GUARDED_BY(hints_mutex_);
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_SCHEDULER_H_
