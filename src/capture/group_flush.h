// One round of flushing: files in progress, finished files and recovered ones, all at once.
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

// What is flushed to the medium.
struct FlushPolicy {
  Durability durability = Durability::kPublished;
  std::chrono::milliseconds interval{0};  // Of files in progress, with kPeriodic.

  friend bool operator==(const FlushPolicy&, const FlushPolicy&) = default;
};

// A file that is to be flushed and published.
struct FinishedFile {
  std::unique_ptr<capture_file::Writer> file;
  uint64_t ticket = 0;        // By which those who wait for it know it.
  MonotonicTime handed_over;  // When.
  bool flush_failed = false;  // What the medium holds of it is not known.
  bool recovered = false;     // It was left in progress by a process that ended.
  std::string note;           // For the log, of a recovered one.
  // The file of which it is a copy, because a flush of that failed.
  std::unique_ptr<capture_file::Writer> original;
};

// What the keeper counts. Thread-safe.
struct KeeperCounters {
  std::atomic<uint64_t> published{0};
  std::atomic<uint64_t> recovered{0};
  std::atomic<uint64_t> unflushed{0};           // Published without the flush that was asked for.
  std::atomic<uint64_t> outstanding{0};         // Of these, files that a later flush makes good.
  std::atomic<uint64_t> failed_flushes{0};      // Of files in progress.
  std::atomic<uint64_t> lost{0};                // Removed files that could not be copied.
  std::atomic<uint64_t> left_in_progress{0};    // At Close, for the next run to recover.
  std::atomic<uint64_t> salvaged_records{0};    // From behind damage, by recovery.
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

// What is left to be done after a round.
struct RoundResult {
  std::vector<FinishedFile> again;    // Copies, to be flushed in the next round.
  std::vector<FinishedFile> held;     // Their device hangs: to be tried when it does not.
  std::vector<FinishedFile> removed;  // They have no name, and could not be copied yet.
  // Tickets of the files that are dealt with: published, or why not.
  std::vector<std::pair<uint64_t, absl::Status>> settled;
  std::vector<std::string> hints;  // Paths of published files, which are closed.
  bool recover = false;            // A file was left in progress that recovery can publish.
};

// Makes finished files durable and gives them their final names, in this order for each device:
//   1. the data of all files, finished and in progress, is committed (see Committer); the sizes of
//      those in progress are taken before;
//   2. the finished ones are renamed;
//   3. the new names are committed.
// So a power cut never leaves a complete file with holes, and the cost is that of a few commits
// however many files there are.
//
// A flush that fails is not tried again on the same file, because the kernel has then marked its
// pages clean: the file is finished, copied, and its copy is published. While a device hangs its
// files wait; after Committer's patience they are published without a flush, and remembered until a
// flush makes them good.
//
// One thread, except where a member says otherwise.
class GroupFlush {
 public:
  explicit GroupFlush(GroupFlushOptions options);

  // A round for these finished files and, if `live`, for the files in progress. With `last`, files
  // whose device hangs are left in progress.
  RoundResult Run(std::vector<FinishedFile> finished, bool live, const FlushPolicy& policy,
                  bool last);
  // Whether files were published unflushed that a round may make good.
  bool HasOutstanding() const { return !outstanding_.empty(); }
  bool Hangs(dev_t device) const { return committer_.Hangs(device); }
  // Closes what keeps file systems from being unmounted.
  void Release() { committer_.Release(); }

  // Any thread. No round waits for a disk beyond `time` from here on.
  void EndBy(MonotonicTime time) { committer_.EndBy(time); }
  // Any thread. Logs an error, unless the same kind of it was logged a moment ago.
  void Complain(std::string_view what, const absl::Status& status) DM_EXCLUDES(mutex_);

 private:
  struct Published {
    std::string path;
    FileId id;
  };
  struct Group;  // What a round has to do on one device.

  std::map<dev_t, Group> GroupByDevice(std::vector<FinishedFile> finished, bool live,
                                       const FlushPolicy& policy, RoundResult& result);
  void FlushGroup(dev_t device, Group& group, const FlushPolicy& policy, bool last,
                  RoundResult& result);
  void AddOutstanding(dev_t device, Group& group);
  // Copies a file that has no name any more. False: that was not possible, and it is dealt with.
  bool CopyIfRemoved(FinishedFile& file, RoundResult& result);
  void CopyAfterFailedFlush(FinishedFile file, const absl::Status& why, RoundResult& result);
  void Hold(FinishedFile file, bool last, RoundResult& result);
  void GiveUp(FinishedFile file, const absl::Status& why, RoundResult& result);
  // Renames it. Null: it could not be, and is dealt with.
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
