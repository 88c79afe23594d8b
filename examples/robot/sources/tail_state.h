// Where a file-tail keeps its position over restarts.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_SOURCES_TAIL_STATE_H_
#define DATAMANAGER_EXAMPLES_ROBOT_SOURCES_TAIL_STATE_H_

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "datamanager/clock.h"
#include "robot/sources/fd.h"
#include "robot/sources/tail_position.h"

namespace robot {

// The position up to which records are in their capture files, in memory and in a file. The file is
// replaced as a whole, flushed, and at most every few seconds, to spare the medium: after a kill
// the lines of that time are given again. It holds a second position, of a minute before: that one
// counts after a boot without a clean end before it, because the last records may be lost.
//
// Shared by the sources that have the same state, as before and after a reload. Thread-safe.
class TailState {
 public:
  static constexpr std::chrono::seconds kSaveInterval{5};

  // Locks and reads the state file; makes its directory. `flushed_after` is the time until a record
  // is on the medium. ALREADY_EXISTS if another process has the file, or the system's error.
  static absl::StatusOr<std::shared_ptr<TailState>> Open(const std::string& path,
                                                         std::chrono::nanoseconds flushed_after);
  // Saves the position if it is not saved.
  ~TailState();
  TailState(const TailState&) = delete;
  TailState& operator=(const TailState&) = delete;

  const std::string& path() const { return path_; }
  // Empty: there is no position. Then `damage` says why the file, if there is one, cannot be used.
  std::optional<TailPosition> position() const;
  std::string damage() const;

  // Whether `source` was the last to call this; it is from now on.
  bool Own(const void* source);
  // Reports that the records up to `position` are in their capture files.
  void Commit(TailPosition position);
  // Saves the position if it is due, or `now_at_once`. The system's error, until a save works
  // again.
  absl::Status Save(datamanager::MonotonicTime now, bool now_at_once);
  // Reports that all committed records are on the medium: a boot need not give any again.
  void SetFlushed();
  // Calls SetFlushed of every state of this process.
  static void SetAllFlushed();

 private:
  TailState(std::string path, std::chrono::nanoseconds flushed_after)
      : path_(std::move(path)), flushed_after_(flushed_after) {}
  absl::Status Load();
  absl::Status Write() const;

  const std::string path_;
  const std::chrono::nanoseconds flushed_after_;
  Fd lock_;
  mutable std::mutex mutex_;
  const void* owner_ = nullptr;
  std::string damage_;
  std::optional<TailPosition> latest_;
  TailPosition safe_;
  // Positions that were saved, and when: each becomes safe some time later.
  std::deque<std::pair<datamanager::MonotonicTime, TailPosition>> saved_;
  bool changed_ = false;
  absl::Status last_error_;
  datamanager::MonotonicTime last_save_ = datamanager::MonotonicTime::min();
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_SOURCES_TAIL_STATE_H_
