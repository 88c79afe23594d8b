// Flushes files in progress, finished files and recovered files together, in rounds.
#ifndef DATAMANAGER_SRC_CAPTURE_GROUP_FLUSH_H_
#define DATAMANAGER_SRC_CAPTURE_GROUP_FLUSH_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/committer.h"
#include "base/file_ops.h"
#include "base/logger.h"
#include "base/mutex.h"
#include "base/repeat_filter.h"
#include "capture/live_files.h"
#include "capture_file/writer.h"
#include "datamanager/clock.h"
#include "datamanager/config.h"
#include "datamanager/stats.h"

namespace datamanager::capture {

// Decides which files are flushed to the medium.
struct FlushPolicy {
  Durability durability = Durability::kPublished;
  std::chrono::milliseconds interval{0};  // Between flushes of files in progress, with kPeriodic.

  friend bool operator==(const FlushPolicy&, const FlushPolicy&) = default;
};

// A file that is to be flushed and published.
struct FinishedFile {
  std::unique_ptr<capture_file::Writer> file;
  uint64_t ticket = 0;        // Identifies the file to callers that wait for it.
  MonotonicTime handed_over;  // The time of the hand-over.
  bool flush_failed = false;  // The medium's content of it is unknown.
  bool recovered = false;     // It was left in progress by a process that ended.
  std::string note;           // Added to the log line of a recovered file.
  // The file that this one is a copy of, because a flush of the original failed.
  std::unique_ptr<capture_file::Writer> original;
};

// The keeper's counters. Thread-safe.
struct KeeperCounters {
  std::atomic<uint64_t> published{0};
  std::atomic<uint64_t> recovered{0};
  std::atomic<uint64_t> unflushed{0};           // Published without the flush that was asked for.
  std::atomic<uint64_t> outstanding{0};         // The part of them that a later flush makes good.
  std::atomic<uint64_t> failed_flushes{0};      // Only flushes of files in progress.
  std::atomic<uint64_t> lost{0};                // Removed files that could not be copied.
  std::atomic<uint64_t> left_in_progress{0};    // Left by Close for the next run to recover.
  std::atomic<uint64_t> salvaged_records{0};    // Records that recovery saved from behind damage.
  std::atomic<uint64_t> unfinished_records{0};  // Dropped by recovery.
  std::atomic<uint64_t> rounds{0};
  std::atomic<uint64_t> files{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> last_files{0};
  std::atomic<uint64_t> last_bytes{0};
  std::atomic<int64_t> last_millis{0};
  std::atomic<uint64_t> late_rounds{0};

  FlushStats Flush() const;
};

struct GroupFlushOptions {
  FileOps* ops = nullptr;
  const Clock* clock = nullptr;
  std::shared_ptr<Logger> logger;
  KeeperCounters* counters = nullptr;
  LiveFiles* live = nullptr;
  CommitterOptions committer;
};

// The work that a round leaves.
struct RoundResult {
  std::vector<FinishedFile> again;    // Copies, to be flushed in the next round.
  std::vector<FinishedFile> held;     // Their device hangs: try them when it does not.
  std::vector<FinishedFile> removed;  // They have no name, and could not be copied yet.
  // Tickets of the files that are settled: OK if published, else the error.
  std::vector<std::pair<uint64_t, absl::Status>> settled;
  std::vector<std::string> hints;  // Paths of published files, which are closed.
  bool recover = false;            // A file was left in progress that recovery can publish.
};

// Makes finished files durable and gives them their final names, in this order for each device:
//   1. the data of all files, finished and in progress, is committed (see Committer); the sizes of
//      those in progress are taken before;
//   2. the finished ones are renamed;
//   3. the new names are committed.
// If a file system's journal preserves the order of changes, step 3 also does the first commit: any
// name that survives a power cut then has its data too. So a power cut never leaves a complete file
// with holes, and a round costs one or two commits for any number of files.
//
// A failed flush is not tried again on the same file, because the kernel has marked its pages
// clean: the file is finished and copied, and the copy is published. While a device hangs its files
// wait. After Committer's patience they are published without a flush, and remembered until a flush
// makes them good.
//
// Used by one thread, except where a member allows any thread.
class GroupFlush {
 public:
  explicit GroupFlush(GroupFlushOptions options);

  // Runs a round for these finished files and, if `live`, for the files in progress. With `last`,
  // files whose device hangs are left in progress.
  RoundResult Run(std::vector<FinishedFile> finished, bool live, const FlushPolicy& policy,
                  bool last);
  // Whether a round may make files good that were published unflushed.
  bool HasOutstanding() const { return !outstanding_.empty(); }
  bool Hangs(dev_t device) const { return committer_.Hangs(device); }
  // Closes the files that keep file systems from being unmounted.
  void Release() { committer_.Release(); }

  // Any thread. From this call on, no round waits for a disk beyond `time`.
  void EndBy(MonotonicTime time) { committer_.EndBy(time); }
  // Any thread. Logs an error, unless the same kind of it was logged a moment ago.
  void Complain(std::string_view what, const absl::Status& status) DM_EXCLUDES(mutex_);

 private:
  struct Published {
    std::string path;
    FileId id;
  };
  struct Group;  // The work of a round on one device.

  std::map<dev_t, Group> GroupByDevice(std::vector<FinishedFile> finished, bool live,
                                       const FlushPolicy& policy, RoundResult& result);
  void FlushGroup(dev_t device, Group& group, const FlushPolicy& policy, bool last,
                  RoundResult& result);
  void AddOutstanding(dev_t device, Group& group);
  // Copies a file that has lost its name. False: that was not possible, and `result` accounts for
  // the file.
  bool CopyIfRemoved(FinishedFile& file, RoundResult& result);
  void CopyAfterFailedFlush(FinishedFile file, const absl::Status& why, RoundResult& result);
  void Hold(FinishedFile file, bool last, RoundResult& result);
  void GiveUp(FinishedFile file, const absl::Status& why, RoundResult& result);
  // Renames the file. Null: that was not possible, and `result` accounts for the file.
  std::unique_ptr<Published> Rename(FinishedFile& file, RoundResult& result);
  void PublishUnflushed(FinishedFile file, std::string_view why, RoundResult& result);
  void Settle(FinishedFile& file, const Published& published, RoundResult& result);
  void Remember(dev_t device, const Published& published);
  void NoteRound(size_t files, uint64_t bytes, MonotonicTime begin, bool live,
                 const FlushPolicy& policy);
  MonotonicTime Now() const { return options_.clock->MonotonicNow(); }

  const GroupFlushOptions options_;
  Committer committer_;
  std::vector<std::pair<dev_t, Published>> outstanding_;
  RepeatFilter late_filter_{std::chrono::minutes(1)};

  Mutex mutex_;
  RepeatFilter filter_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_GROUP_FLUSH_H_
