// Keeps a server that refuses everything from emptying the backlog into failed/.
#ifndef DATAMANAGER_SRC_SYNC_REFUSAL_BREAKER_H_
#define DATAMANAGER_SRC_SYNC_REFUSAL_BREAKER_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "datamanager/clock.h"
#include "datamanager/stats.h"

namespace datamanager::sync {

// The length of the n-th pause in a row: 1 min, doubled, at most 1 h. Pure.
std::chrono::minutes RefusalPauseLength(int pause);

// Counts refusals in a row, by the directory in which the files lie: a collector has one, and of
// other files those that lie together are alike. kLimit from one directory make its uploads rest;
// kLimit from several directories, with nothing stored in between, make all uploads rest. When the
// pause is over one file is tried: stored, all is forgotten; refused, a longer pause follows.
//
// Time is handed in. Bounded: beyond kDirectories, refusals count for all uploads only.
// Thread-safe; no call blocks.
class RefusalBreaker {
 public:
  static constexpr uint64_t kLimit = 20;
  static constexpr size_t kDirectories = 1024;

  // Leave to upload one file, to be returned with the outcome.
  struct Permit {
    std::string directory;
    bool probes = false;      // It is the file that tries its directory,
    bool probes_all = false;  // or the server as a whole.
  };
  enum class Outcome : uint8_t { kStored, kRefused, kUndecided };
  // A pause that has begun.
  struct Pause {
    std::string directory;  // Empty: of all uploads.
    uint64_t refused = 0;   // In a row.
    std::chrono::minutes length{0};
  };

  // Whether a file of `directory` would have to wait.
  bool Rests(std::string_view directory, MonotonicTime now) const DM_EXCLUDES(mutex_);
  // nullopt: not before `*rests_until`.
  std::optional<Permit> Begin(const std::string& directory, MonotonicTime now,
                              MonotonicTime* rests_until) DM_EXCLUDES(mutex_);
  // The pause that begins with this, if one does. `error` is why it was refused.
  std::optional<Pause> End(const Permit& permit, Outcome outcome, const std::string& error,
                           MonotonicTime now) DM_EXCLUDES(mutex_);
  // Ends the waiting, once: the next file is tried.
  void MakeDue(MonotonicTime now) DM_EXCLUDES(mutex_);

  // What rests, that of all uploads first; a few.
  std::vector<RefusalPause> Paused(MonotonicTime now) const DM_EXCLUDES(mutex_);
  // How many pauses have begun so far.
  uint64_t pauses() const { return pauses_; }

 private:
  struct Streak {
    uint64_t refused = 0;
    int pauses = 0;       // In a row; 0: nothing rests.
    MonotonicTime until;  // Of the pause: when the next file may be tried.
    std::string last_error;

    bool Rests(MonotonicTime now) const { return pauses > 0 && now < until; }
    // Takes the turn of the one file that is tried after a pause. False: there is no pause.
    bool Probe(MonotonicTime now);
    // True: a pause begins. `enough`: the refusals may begin one.
    bool Refused(bool enough, const std::string& error, MonotonicTime now);
    RefusalPause Describe(const std::string& directory, MonotonicTime now) const;
  };

  mutable Mutex mutex_;
  std::map<std::string, Streak, std::less<>> directories_ DM_GUARDED_BY(mutex_);
  Streak all_ DM_GUARDED_BY(mutex_);
  // Where the refusals of all_ come from.
  std::string first_directory_ DM_GUARDED_BY(mutex_);
  bool several_directories_ DM_GUARDED_BY(mutex_) = false;
  // Changed under the lock only; read without it where a pass asks about each file.
  std::atomic<uint64_t> pauses_ = 0;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_REFUSAL_BREAKER_H_
