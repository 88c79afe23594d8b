// A worker: one thread that has several uploads under way.
#ifndef DATAMANAGER_SRC_SYNC_UPLOAD_LOOP_H_
#define DATAMANAGER_SRC_SYNC_UPLOAD_LOOP_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/task.h"
#include "config/effective_config.h"
#include "sync/dispatcher.h"
#include "sync/job.h"
#include "sync/loop_turn.h"
#include "sync/sync_context.h"
#include "sync/upload_window.h"
#include "sync/upload_worker.h"
#include "uploader/uploader.h"

namespace datamanager::sync {

// Draws a file when the uploads under way all wait for the network, and uploads it. Another thread
// takes over when a step hangs in the disk, so that only the file in that step waits.
class UploadLoop {
 public:
  // All must outlive it. At most `most_uploads` at a time, of those that the window allows to all
  // loops.
  UploadLoop(SyncContext& context, const config::SyncConfig& config, Dispatcher& dispatcher,
             UploadWindow& window, int most_uploads, std::stop_token stop);
  ~UploadLoop();
  UploadLoop(const UploadLoop&) = delete;
  UploadLoop& operator=(const UploadLoop&) = delete;

  // For any number of threads, of which one runs the loop. Until the stop, which ends the uploads
  // under way.
  void Run();
  // For whoever watches: if the thread that runs the loop hangs in the disk, another one may run
  // it. True: there is none, start one.
  bool TakeFromStuck(MonotonicTime now);

 private:
  class Upload;
  class UploadCalls;
  class UploadStreamOf;

  // Has the loop look at everything once more. Any thread.
  void Wake();
  // Runs what was put off and can go on. False: nothing.
  bool RunParked();
  // Lets one upload go on that has yielded. False: none has.
  bool RunYielded();
  // Lets the uploads that have ended go.
  void Reap();
  // See LoopTurn.
  void Own();
  void EndStep();
  // Whether there is room for another upload.
  bool HasRoom() const;
  bool LinkIsFull() const;
  // For an event, until it looks at everything once more.
  MonotonicTime::duration LongestWait() const;
  // Draws a file, and begins its upload. False: ask again only when something has happened.
  bool Draw();
  bool DrawIfRoom();
  // See Dispatcher::LookAhead.
  bool LookAhead();
  // Logs the exception that is being handled. The next pass looks again.
  void SayCaught() const;

  SyncContext& context_;
  Dispatcher& dispatcher_;
  UploadWindow& window_;
  const int most_uploads_;
  const std::stop_token stop_;
  UploadWorker worker_;
  const std::unique_ptr<CallQueue> calls_;
  std::atomic<uint64_t> wakes_ = 0;
  LoopTurn turn_;
  const size_t number_;  // The dispatcher's, of this worker.
  // Of the thread with the turn.
  std::list<std::unique_ptr<Upload>> uploads_;
  // Steps of uploads from roots whose disk hangs: each would take another thread.
  struct Parked {
    std::string root;
    std::function<void()> step;
  };
  std::list<Parked> parked_;
  // Steps of uploads that have more to do but let others go first.
  std::deque<std::function<void()>> yielded_;
  std::stop_callback<std::function<void()>> on_stop_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_UPLOAD_LOOP_H_
