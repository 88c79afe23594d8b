// How files reach the workers: in passes over the directories, by hints, and when a retry is due.
#ifndef DATAMANAGER_SRC_SYNC_PASS_H_
#define DATAMANAGER_SRC_SYNC_PASS_H_

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "config/effective_config.h"
#include "datamanager/clock.h"
#include "sync/backlog.h"
#include "sync/channel.h"
#include "sync/complaints.h"
#include "sync/found_file.h"
#include "sync/permission.h"
#include "sync/roots.h"
#include "sync/sync_context.h"
#include "sync/upload_worker.h"

namespace datamanager::sync {

enum class PassEnd : uint8_t { kComplete, kStopped, kOffline };

// Sees each ready file, before it is offered; false passes it over.
using FileFilter = std::function<bool(const FoundFile&, const struct stat&)>;

// Offers files to the workers. Thread-safe: passes of several threads may overlap, since a file is
// claimed before it is offered.
class Passes {
 public:
  // All must outlive it.
  Passes(SyncContext& context, const config::SyncConfig& config, Channel<Job>& channel,
         Backlog::Limits limits = {})
      : context_(context), config_(config), channel_(channel), limits_(limits) {}

  // Offers everything ready that was there at the call, that nobody has and that does not wait for
  // a retry. What has just been published, the backlog from its oldest file on, other files in the
  // order of a walk, and due retries take turns, so that none of them holds up the others. Blocks
  // until each has been taken. `pause` is called after each turn, and each second while a file
  // waits for a worker.
  PassEnd Run(const std::stop_token& stop, const FileFilter& filter,
              const std::function<void()>& pause) DM_EXCLUDES(hints_mutex_);

  // Offers the file whose retry has been due longest, if there is one. Blocks until it has been
  // taken; `pause` is called each second.
  PassEnd OfferRetry(const std::stop_token& stop, const std::function<void()>& pause);

  // Offers one file that somebody waits for, whatever else there is: `direct` is what they ask for,
  // or null for an upload to datasets, which goes on if they do not wait any longer. Waits for
  // whoever has the file, and for a worker.
  enum class OfferEnd : uint8_t { kTaken, kTimedOut, kStopped, kOffline };
  OfferEnd OfferNow(FoundFile file, std::shared_ptr<const DirectUpload> direct,
                    MonotonicTime deadline, const std::stop_token& stop);

  // Whether there is any ready file that `filter` lets through, whoever has it.
  bool AnyReady(const FileFilter& filter, const std::stop_token& stop);

  // A file has just been published; during a pass it takes its turn. Does not block.
  void Hint(const std::string& path) DM_EXCLUDES(hints_mutex_);

 private:
  using Sender = Channel<Job>::Sender;
  using Sent = Channel<Job>::Sent;
  // One call of Run.
  class Pass;

  // The looks right before a file is offered: whether it is a file that may be uploaded, and that
  // is ready. Fills in what the look tells of `file`, whose root, path and kind are given.
  struct Look {
    bool ready = false;
    struct stat info {};
    absl::Status blocked;  // Why it may not be uploaded.
  };
  Look LookAt(const OpenedDirectory& directory, FoundFile& file);
  // The same for a file of which only the path is known.
  Look LookAt(FoundFile& file);
  // Whether it has been left alone long enough.
  bool IsReady(FileKind kind, const struct stat& info);
  // Whether the sequence waits for its data.
  bool IsHeld(int directory, const std::string& name, const struct stat& info,
              const FoundFile& file);
  // Whether it is free: nobody here has it, and it does not wait for a retry.
  bool IsFree(const FoundFile& file) const;

  // Holds out one file if nobody has it, and waits for room. kComplete: go on.
  PassEnd Offer(FoundFile file, Sender& sender, const std::stop_token& stop,
                const std::function<void()>& pause);
  // Offers the file whose retry has been due longest, if there is one.
  PassEnd OfferRetry(Sender& sender, const std::stop_token& stop,
                     const std::function<void()>& pause);
  // Waits until all that is held out has been taken; unless `end` says that the sender gives up.
  PassEnd Finish(Sender& sender, PassEnd end, const std::stop_token& stop,
                 const std::function<void()>& pause);
  // Repeats `step`, a wait of kPause, until it has an answer.
  template <typename Step>
  PassEnd Await(const Step& step, const std::function<void()>& pause) const;
  // Nobody has taken it.
  void GiveBack(const Job& job);
  // The oldest hint, if there is one.
  std::optional<std::string> TakeHint() DM_EXCLUDES(hints_mutex_);
  std::vector<Root> Roots(const Complain& complain) const;
  MonotonicTime Now() const { return context_.options.clock->MonotonicNow(); }

  SyncContext& context_;
  const config::SyncConfig& config_;
  Channel<Job>& channel_;
  const Backlog::Limits limits_;
  Complaints complaints_;
  // The pass whose backlog may be as large as the limit: memory does not grow much with passes at
  // the same time. Compared only.
  std::atomic<const Pass*> largest_ = nullptr;

  Mutex hints_mutex_;
  int under_way_ DM_GUARDED_BY(hints_mutex_) = 0;
  std::deque<std::string> hints_ DM_GUARDED_BY(hints_mutex_);
  // Changed under the lock only; a pass asks for a hint after each file.
  std::atomic<bool> hinted_ = false;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_PASS_H_
