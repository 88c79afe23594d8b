// The sequences that capture control has begun.
#ifndef DATAMANAGER_SRC_CAPTURE_SEQUENCES_H_
#define DATAMANAGER_SRC_CAPTURE_SEQUENCES_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>

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

// Keeps one `.progseq` file for each open sequence, locked as long as this lives, and puts a `.seq`
// in its place when the sequence ends. What the disk does not take is tried again each second: a
// sequence that was never written begins and ends all the same. What is not written when this is
// destroyed is left to recovery. One thread; blocks on the disk.
class Sequences {
 public:
  Sequences(FileOps& ops, const Clock& clock, std::shared_ptr<Logger> logger);

  // Ends all, if the directory is another one.
  void SetTarget(const SequenceTarget& target);
  // Ends what is open and not wanted, and begins what is wanted and not open.
  void Want(const WantedSequences& wanted);
  // Ends all. `why` is added to the lines in the log.
  void EndAll(const char* why);

  size_t open() const { return open_.size(); }
  uint64_t ended() const { return ended_; }
  uint64_t failed_writes() const { return failed_writes_; }

 private:
  struct Entry {
    std::string id;
    std::string directory;
    capture_file::Sequence sequence;
    UniqueFd in_progress;  // The .progseq, locked; invalid until it is written.
    MonotonicTime next_try;
  };

  void End(Entry entry, const char* why);
  void TryWrites();
  // Each writes the file, unless a try has just failed, and says whether it is there.
  bool WriteInProgress(Entry& entry);
  bool WriteEnded(Entry& entry);
  absl::StatusOr<UniqueFd> Write(const Entry& entry, std::string_view suffix);
  bool Failed(Entry& entry, const absl::Status& status);

  FileOps& ops_;
  const Clock& clock_;
  const std::shared_ptr<Logger> logger_;
  SequenceTarget target_;
  DurableNames names_;
  std::map<WantedSequence, Entry> open_;
  std::list<Entry> unwritten_;  // Ended, but the disk has not taken it.
  uint64_t ended_ = 0;
  uint64_t failed_writes_ = 0;
  RepeatFilter filter_;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_SEQUENCES_H_
