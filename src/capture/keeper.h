// Publishes finished files, off the collectors' loops.
#ifndef DATAMANAGER_SRC_CAPTURE_KEEPER_H_
#define DATAMANAGER_SRC_CAPTURE_KEEPER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/logger.h"
#include "capture_file/writer.h"
#include "datamanager/clock.h"
#include "datamanager/config.h"

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
};

// What is flushed to the medium.
struct FlushPolicy {
  Durability durability = Durability::kPublished;
  std::chrono::milliseconds interval{0};  // Of files in progress, with kPeriodic.

  friend bool operator==(const FlushPolicy&, const FlushPolicy&) = default;
};

// One thread that flushes each finished file to the medium, renames it, and flushes its directory:
// in this order, so that a power cut never leaves a complete file with holes. Its queue is bounded;
// beyond, and after Close has waited long enough, files are renamed without a flush, and counted.
//
// Between finished files it flushes those in progress, likewise data first and then the name; sees
// to it that no collector goes on writing into a file that somebody has removed or moved; and
// recovers what dead processes left behind. A file in progress is opened anew for its flush, by its
// path and for reading: that holds nobody's lock, stands in the way of no lease for an upload, and
// whoever renames the file meanwhile need not wait. A finished file waits for the flush of one
// other file at most, and Publish and Close for none.
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
  // Hands over a finished file. Never waits for a flush. One that somebody has removed is copied;
  // while that fails it is tried again each second, and given up when the keeper closes.
  void Publish(std::unique_ptr<capture_file::Writer> file);
  // Gives up a file that cannot be published: removes one without a record, leaves a broken one to
  // recovery.
  void Abandon(std::unique_ptr<capture_file::Writer> file);

  // Waits until what was handed over before the call is published. False: not by the deadline, or
  // not before the stop.
  bool WaitUntilPublished(MonotonicTime deadline, std::stop_token stop);

  // Has the in-progress files below `capture_dir` recovered: soon, and as long as some are in use
  // by others, again each minute. A directory given before is looked after until nothing in it is
  // in progress.
  void Recover(const std::string& capture_dir);

  // Publishes what is queued, unflushed past `deadline`, and ends the thread. One that the disk
  // does not let go is left alone.
  void Close(MonotonicTime deadline);

  uint64_t published() const;
  uint64_t recovered() const;
  uint64_t unflushed() const;
  uint64_t failed_flushes() const;  // Of files in progress.
  uint64_t lost() const;            // Removed files that could not be copied.

 private:
  struct State;
  explicit Keeper(std::shared_ptr<State> state) : state_(std::move(state)) {}

  const std::shared_ptr<State> state_;
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_KEEPER_H_
