// Publishes finished files, off the collectors' loops.
#ifndef DATAMANAGER_SRC_CAPTURE_KEEPER_H_
#define DATAMANAGER_SRC_CAPTURE_KEEPER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/logger.h"
#include "capture/group_flush.h"
#include "capture_file/writer.h"
#include "datamanager/clock.h"
#include "datamanager/stats.h"

namespace datamanager::capture {

struct KeeperOptions {
  FileOps* ops = &FileOps::System();
  const Clock* clock = &Clock::System();
  std::shared_ptr<Logger> logger;
  // Called with the path of each published file; a hint, so it may be lost. Must not block. A
  // thread that Close had to leave alone may call it later: it should co-own what it touches.
  std::function<void(const std::string& path)> on_published;
  // How soon files in use by others are looked at again, and files that had to be given up.
  std::chrono::milliseconds recovery_interval = std::chrono::minutes(1);
  std::chrono::milliseconds given_up_delay = std::chrono::seconds(1);
  // How often the names of files in progress are looked at.
  std::chrono::milliseconds look_interval{500};
  // How long a flush may hang before finished files are published without it.
  std::chrono::milliseconds flush_patience = std::chrono::seconds(10);
};

// A thread that flushes finished files to the medium and gives them their final names, always all
// that are ready at once (see GroupFlush). With kPeriodic it flushes the files in progress in the
// same way, so that none of their bytes stays unflushed for longer than the interval. Twice a
// second it checks that the files in progress still have their names. It recovers the files of dead
// processes, in steps between which it does all other work that is due.
//
// No number of files makes it publish one unflushed; only a flush that hangs for `flush_patience`
// does. At the limit of Close, files that are not flushed stay in progress, for the next run to
// recover.
//
// Thread-safe.
class Keeper {
 public:
  static absl::StatusOr<std::unique_ptr<Keeper>> Start(KeeperOptions options);

  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // Holds from here on, for the files in progress too.
  void SetFlushPolicy(FlushPolicy policy);

  // Says that a file is being written: recovery leaves it alone, and it is flushed now and then.
  // `displaced` is called from the keeper's thread, at any time until the file is handed over and
  // perhaps more than once, if it no longer has its name: it is to be finished soon.
  void Announce(const capture_file::Writer& file, std::function<void()> displaced);
  // Hands over a finished file; never waits for the disk. A file that was removed is copied; a
  // failed copy is tried again each second, and given up when the keeper closes. After Close the
  // file is left in progress.
  void Publish(std::unique_ptr<capture_file::Writer> file);
  // Gives up a file that cannot be published: removes one without a record, leaves a broken one to
  // recovery.
  void Abandon(std::unique_ptr<capture_file::Writer> file);

  // How many files have been handed over.
  uint64_t handed_over() const;
  // Waits until the files that were handed over before the call are published.
  //   DEADLINE_EXCEEDED  some are not by the deadline
  //   CANCELLED          some are not before the stop
  //   another code       why one of them could not be published; of those that were dealt with
  //                      before the call, only files behind the first `known` count
  absl::Status WaitUntilPublished(MonotonicTime deadline, std::stop_token stop, uint64_t known);
  absl::Status WaitUntilPublished(MonotonicTime deadline, std::stop_token stop) {
    return WaitUntilPublished(deadline, std::move(stop), handed_over());
  }

  // Has the in-progress files below `capture_dir` recovered: soon, and as long as some are in use
  // by others, again each minute. A directory given before is looked after until nothing in it is
  // in progress.
  void Recover(const std::string& capture_dir);

  // Flushes and publishes the files that were handed over, until `deadline`, and ends the thread.
  // Files that are not published by then stay in progress. A thread that hangs on the disk is left
  // running.
  void Close(MonotonicTime deadline);

  const KeeperCounters& counters() const;
  SalvageStats salvage() const;  // Counts for damaged files that were recovered.

 private:
  struct State;
  explicit Keeper(std::shared_ptr<State> state) : state_(std::move(state)) {}

  const std::shared_ptr<State> state_;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_KEEPER_H_
