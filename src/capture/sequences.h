// The sequences that capture control has begun.
#ifndef DATAMANAGER_SRC_CAPTURE_SEQUENCES_H_
#define DATAMANAGER_SRC_CAPTURE_SEQUENCES_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/durable_names.h"
#include "base/file_ops.h"
#include "base/logger.h"
#include "base/repeat_filter.h"
#include "base/unique_fd.h"
#include "capture/control_reading.h"
#include "capture_file/sequence.h"
#include "datamanager/clock.h"
#include "datamanager/config.h"

namespace datamanager::capture {

// Where sequences are written.
struct SequenceTarget {
  std::string capture_dir;
  Durability durability = Durability::kPublished;

  friend bool operator==(const SequenceTarget&, const SequenceTarget&) = default;
};

// Keeps one `.progseq` file for each open sequence, locked as long as this object lives, and
// replaces it by a `.seq` when the sequence ends. A write that fails is tried again each second,
// one file a second until one succeeds. A sequence that was never written still begins and ends.
// Files that are not written when this object is destroyed are left to recovery. One thread; blocks
// on the disk.
//
// Bounded, whatever the sensor reports (a counter among the tags makes each reading another
// sequence): in the number of open sequences, each of which holds a descriptor; in those that begin
// in a span of time; in those that have ended but are not yet on disk; and in the files that one
// call writes and flushes. A sequence beyond these limits is counted, and begins only when there is
// room for it.
class Sequences {
 public:
  static constexpr size_t kOpenLimit = 64;
  static constexpr size_t kUnwrittenLimit = 128;
  static constexpr size_t kUnwrittenBytes = 4 << 20;
  static constexpr size_t kWritesAtOnce = 16;
  // This many sequences may begin at once, and after that one each kBeginInterval.
  static constexpr int kBurst = 64;
  static constexpr std::chrono::seconds kBeginInterval{1};

  // `on_disk_full` is called with ENOSPC or EDQUOT when a write fails with that error. It must not
  // block.
  Sequences(FileOps& ops, const Clock& clock, std::shared_ptr<Logger> logger,
            std::function<void(int error)> on_disk_full = nullptr);

  // Ends all, if the directory is another one.
  void SetTarget(const SequenceTarget& target);
  // Ends what is open and not wanted, and begins what is wanted and not open.
  void Want(const WantedSequences& wanted);
  // Ends all. `why` is added to the lines in the log.
  void EndAll(const char* why);

  size_t open() const { return open_.size(); }
  uint64_t ended() const { return ended_; }
  uint64_t failed_writes() const { return failed_writes_; }
  uint64_t refused() const { return refused_count_; }  // Not begun when they were first wanted.
  uint64_t lost() const { return lost_; }  // Ended and never written, beyond kUnwrittenLimit.

 private:
  struct Entry {
    std::string id;
    std::string directory;
    capture_file::Sequence sequence;
    UniqueFd in_progress;  // The .progseq, locked; invalid until it is written.
    bool named = false;    // A failed attempt may have left its file.
    int tries = 0;         // Failed attempts.
    bool done = false;     // It has ended, and its end is on disk.
  };

  // A file that was written in this round; its name is not durable yet.
  struct Written {
    Entry* entry;
    UniqueFd fd;
  };

  // Whether another sequence may begin at present.
  bool MayBegin();
  void Refuse(WantedSequences refused);
  void End(Entry entry, const char* why);
  void DropUnwritten();
  // Writes at most `most` files; stops after `most_failures` failures.
  void TryWrites(size_t most, int most_failures);
  std::vector<Entry*> Unwritten();
  absl::StatusOr<UniqueFd> Write(Entry& entry);
  // Makes the names in `directory` durable, and updates their entries.
  void Settle(const std::string& directory, std::vector<Written>& written);
  void Failed(Entry& entry, const absl::Status& status);
  static std::string PathOf(const Entry& entry, std::string_view suffix);

  FileOps& ops_;
  const Clock& clock_;
  const std::shared_ptr<Logger> logger_;
  SequenceTarget target_;
  DurableNames names_;
  std::map<WantedSequence, Entry> open_;
  std::list<Entry> unwritten_;  // Ended, but the disk has not taken it.
  uint64_t ended_ = 0;
  uint64_t failed_writes_ = 0;
  uint64_t refused_count_ = 0;
  uint64_t lost_ = 0;
  WantedSequences refused_;  // The wanted sequences that were refused.
  int may_begin_ = kBurst;
  MonotonicTime next_begin_;  // When another sequence may begin.
  MonotonicTime next_try_;    // The next attempt after a failure.
  const std::function<void(int error)> on_disk_full_;
  RepeatFilter filter_;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_SEQUENCES_H_
