// Capture as a whole: which collectors run.
#ifndef DATAMANAGER_SRC_CAPTURE_CAPTURE_H_
#define DATAMANAGER_SRC_CAPTURE_CAPTURE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/logger.h"
#include "base/mutex.h"
#include "capture/collector.h"
#include "capture/keeper.h"
#include "config/effective_config.h"
#include "datamanager/clock.h"
#include "datamanager/source.h"
#include "datamanager/stats.h"

namespace datamanager::capture {

struct CaptureOptions {
  std::shared_ptr<Logger> logger;
  FileOps* ops = &FileOps::System();
  const Clock* clock = &Clock::System();
  // Called with each published file; a hint. Must not block.
  std::function<void(const std::string& path)> on_published;
};

// Keeps the collectors that run equal to those that the config wants.
//
// Calls of Reconfigure take turns, which is the caller's to see to, and Close comes after them or
// after `cancel`; Flush and the statistics may be called from any thread at any time.
class Capture {
 public:
  static absl::StatusOr<std::unique_ptr<Capture>> Create(CaptureOptions options);

  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // Whether the directory can be captured to; makes it if need be. For a config that captures
  // nothing it is not looked at.
  absl::Status Check(const config::CaptureConfig& config) const;

  // Stops what is no longer wanted, starts what is new, and leaves the rest alone. Waits for the
  // old ones until `deadline`; one whose source hangs is abandoned, and shown as stopping until it
  // ends, and a successor with the same source begins only then.
  //
  // False: `cancel` cut the wait short. Nothing new runs then, and what was to end is Close's.
  bool Reconfigure(const config::CaptureConfig& config, const Sources& sources,
                   MonotonicTime deadline, std::stop_token cancel = {});

  // Finishes the open files, and waits until they are published. DEADLINE_EXCEEDED if the disk does
  // not take them in time, CANCELLED after `stop`; what is not published now is later.
  absl::Status Flush(MonotonicTime deadline, std::stop_token stop);

  // Stops every collector, waiting for the sources until `source_deadline`, and publishes every
  // file, without a flush to media past `disk_deadline`. DEADLINE_EXCEEDED names the collectors
  // whose source did not return, and says so if the disk hangs.
  absl::Status Close(MonotonicTime source_deadline, MonotonicTime disk_deadline);

  std::vector<CollectorStats> Stats() const;
  const Keeper& keeper() const { return *keeper_; }

 private:
  // A configured entry, whether it runs or not.
  struct Entry {
    config::CollectorSettings settings;
    CollectorState state = CollectorState::kRunning;
    std::string reason;
    std::shared_ptr<Collector> collector;  // Null if it does not run.
    std::shared_ptr<CollectorCounters> counters;
  };
  Capture(CaptureOptions options, std::shared_ptr<Keeper> keeper);

  // What becomes of a configured collector; fills `work` if it is to run.
  Entry Judge(const config::CaptureConfig& config, const config::ConfiguredCollector& configured,
              const Sources& sources, CollectorOptions* work);
  // Stops and joins; those that do not end by `deadline` are abandoned. False: cancelled, and some
  // are neither.
  bool Stop(const std::vector<Entry>& ending, MonotonicTime deadline, const std::stop_token& cancel)
      DM_EXCLUDES(mutex_);
  absl::Status Start(Entry& entry, CollectorOptions work) DM_EXCLUDES(mutex_);
  std::vector<Entry> RunningEntries() const DM_EXCLUDES(mutex_);

  const CaptureOptions options_;
  const std::shared_ptr<Keeper> keeper_;

  // Of the thread in Reconfigure or Close.
  std::map<std::string, std::shared_ptr<CollectorCounters>> counters_;
  std::string recovered_directory_;

  mutable Mutex mutex_;
  std::vector<Entry> entries_ DM_GUARDED_BY(mutex_);   // In the order of the config.
  std::vector<Entry> stopping_ DM_GUARDED_BY(mutex_);  // Their sources hang.
  bool closed_ DM_GUARDED_BY(mutex_) = false;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_CAPTURE_H_
