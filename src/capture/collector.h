// One collector: a thread that asks one source at its rate and appends what it says to files.
#ifndef DATAMANAGER_SRC_CAPTURE_COLLECTOR_H_
#define DATAMANAGER_SRC_CAPTURE_COLLECTOR_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/logger.h"
#include "base/mutex.h"
#include "capture/drop_cause.h"
#include "capture/duration_histogram.h"
#include "capture/keeper.h"
#include "capture/methods.h"
#include "capture/source_turn.h"
#include "config/effective_config.h"
#include "datamanager/clock.h"
#include "datamanager/source.h"
#include "datamanager/stats.h"

namespace datamanager::capture {

// What a collector counts; see CollectorStats. Thread-safe. Outlives the collector, so that a
// restart goes on counting.
struct CollectorCounters {
  std::atomic<uint64_t> ticks_due{0};
  std::atomic<uint64_t> captured{0};
  std::atomic<uint64_t> no_data{0};
  std::atomic<uint64_t> missed{0};
  std::atomic<uint64_t> failed{0};
  std::atomic<uint64_t> source_errors{0};
  std::array<std::atomic<uint64_t>, kDropCauses> dropped{};  // By DropCause.
  std::atomic<uint64_t> records{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> files{0};
  DurationHistogram lateness;
  DurationHistogram source_time;
  // Since the last start, from which rates count.
  std::atomic<MonotonicTime> started{MonotonicTime::max()};
  std::atomic<uint64_t> captured_since{0};

  void SetLastError(std::string error) DM_EXCLUDES(mutex);
  // Fills the counters of `stats`.
  void CopyTo(CollectorStats& stats, MonotonicTime now) const DM_EXCLUDES(mutex);

  mutable Mutex mutex;
  std::string last_error DM_GUARDED_BY(mutex);
};

struct CollectorOptions {
  config::CollectorSettings settings;
  const Method* method = nullptr;
  ValueMap params;  // The settings' additional_params, as the method uses them.
  std::shared_ptr<const SourceFunction> source;
  std::shared_ptr<SourceTurn> turn = std::make_shared<SourceTurn>();  // Of the source.
  std::string directory;                                              // Of its files.
  std::vector<std::string> tags;
  int64_t max_file_bytes = 0;
  size_t stack_bytes = 0;  // See Thread::Start.

  std::shared_ptr<CollectorCounters> counters;
  // Called with ENOSPC or EDQUOT when that error drops a record. Must not block.
  std::function<void(int error)> on_disk_full;
  std::shared_ptr<Keeper> keeper;
  std::shared_ptr<Logger> logger;
  FileOps* ops = &FileOps::System();
  const Clock* clock = &Clock::System();

  // Whether a collector with `other` would do the same, on the same source.
  bool SameWork(const CollectorOptions& other) const;
};

// Ticks at absolute deadlines; what passes during a slow tick is counted as missed and not made up
// for. Nothing that goes wrong ends the loop: it is
// counted, logged, and the next tick tries again.
//
// Thread-safe. Start, then RequestStop and JoinUntil; if the source does not return by then,
// Abandon.
class Collector {
 public:
  // The loop begins when all `predecessors` have ended: one thread at a time calls a source. After
  // one with the same settings it goes on in the same phase; else the first tick comes one interval
  // after the start.
  // INVALID_ARGUMENT if the source gives something else than the method takes.
  static absl::StatusOr<std::unique_ptr<Collector>> Start(
      CollectorOptions options, const std::vector<std::shared_ptr<Collector>>& predecessors = {});

  // Stops and joins, however long the source takes, unless that was done before.
  ~Collector();
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  const CollectorOptions& options() const;

  // Hands the open file to the keeper. Waits, no longer than `deadline`, only for a write in
  // progress. False: the write is still in progress, and the file is handed over after it.
  bool Flush(MonotonicTime deadline);

  // Does not block. A source that answers after this still has its records written.
  void RequestStop();
  // Waits for the loop's end, which hands the open file to the keeper. False: not by the deadline.
  bool JoinUntil(MonotonicTime deadline);
  // Whether RequestStop was called: the collector has ended, or will end.
  bool stop_requested() const;
  // Leaves the thread alone, hands its file to the keeper, and drops what the source may yet
  // return.
  void Abandon();
  // Whether the loop has ended, abandoned or not; the second waits for it, until `deadline` or
  // `cancel`.
  bool ended() const;
  bool WaitUntilEnded(MonotonicTime deadline, std::stop_token cancel = {}) const;

 private:
  class Loop;
  explicit Collector(std::shared_ptr<Loop> loop);

  const std::shared_ptr<Loop> loop_;  // Co-owned by the thread.
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_COLLECTOR_H_
