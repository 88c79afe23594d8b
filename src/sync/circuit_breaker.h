// Bounds what is sent to a server that refuses or fails one upload after another.
#ifndef DATAMANAGER_SRC_SYNC_CIRCUIT_BREAKER_H_
#define DATAMANAGER_SRC_SYNC_CIRCUIT_BREAKER_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "datamanager/clock.h"
#include "datamanager/stats.h"
#include "sync/retry.h"
#include "sync/upload_error.h"

namespace datamanager::sync {

// kRefused: the server refused the file, which is under failed/ now. kFailed: any other answer that
// is not OK, and a call that a watchdog ended.
enum class FailureKind : uint8_t { kRefused, kFailed };

// The length of the n-th pause in a row of one kind. Refusals: 1 min, doubled, at most 1 h.
// Failures: 1 s, doubled, at most 5 min, shortened by up to a half by `random` of [0, 1), so that
// the robots of a fleet do not try again at the same moment. Pure.
std::chrono::milliseconds PauseLength(FailureKind kind, int pause, double random);

// Each file has a wait of its own, but there may be any number of files, and a file that finds the
// retry table full has no wait. So the breaker bounds the requests that a failing server gets.
// After kLimit failures in a row in one directory, it pauses the uploads of that directory (a
// collector has one, and other files that lie together are alike). After kLimit failures in several
// directories, with nothing stored in between, it pauses all uploads. A single file pauses nothing,
// because its own wait bounds it.
//
// After a pause one file is tried, the probe. If it is stored, the pause ends; if it fails, a
// longer pause begins. The probe is a file that was never tried, or one of another directory than
// the last failure; if none comes within the grace (kLongestGrace), any file may be the probe. An
// upload that was under way when a pause began does not prolong it and does not begin another.
//
// When the connection is lost, the calls under way end with UNAVAILABLE, as do calls that a server
// or proxy refuses, and often before the channel's state tells of the loss. Such failures count at
// once; if the loss shows within kStateLag, what they changed is undone. That happens once within
// kConnectionInterval, unless something was stored since: a server may close the connection after
// each error.
//
// The server may also ask for a pause of all uploads (see PushBack).
//
// Time and chance are handed in. Bounded: beyond kDirectories, failures count for all uploads only.
// Thread-safe; no call blocks.
class CircuitBreaker {
 public:
  static constexpr uint64_t kLimit = 20;
  static constexpr size_t kDirectories = 1024;
  // How long only such a file may be the probe, or as long as the pause, if that is shorter.
  static constexpr std::chrono::minutes kLongestGrace{1};
  // A connection to the same address ends pauses at most once in this time, because a server may
  // close the connection after each error.
  static constexpr std::chrono::minutes kConnectionInterval{1};
  // The longest wait that a server may ask for, and the shortest from the kLimit-th time in a row
  // on.
  static constexpr std::chrono::minutes kLongestPushback{5};
  static constexpr std::chrono::seconds kShortestPushback{1};

  // A file that may be uploaded.
  struct Candidate {
    std::string_view directory;
    size_t file = 0;     // A hash of its path.
    bool tried = false;  // Whether it is known to have failed before.

    static Candidate Of(std::string_view path, bool tried);
  };
  // Leave to upload one file, to be returned with the outcome.
  struct Permit {
    std::string directory;
    size_t file = 0;
    uint64_t probe = 0;      // Not 0: it is the probe of its directory,
    uint64_t probe_all = 0;  // or of all uploads.
  };
  enum class Outcome : uint8_t {
    kStored,
    kRefused,
    kFailed,
    kUnavailable,  // A failure, unless it was the loss of the connection.
    kUndecided,
  };
  // A pause that has begun.
  struct Pause {
    PauseReason reason = PauseReason::kFailed;
    std::string directory;  // Empty: of all uploads.
    uint64_t failures = 0;  // In a row, refusals included.
    uint64_t refused = 0;   // Of these.
    std::chrono::milliseconds length{0};
  };
  // What an outcome changes.
  struct Effect {
    std::optional<Pause> begins;
    bool ends = false;  // A pause: what rested may be tried.
  };

  // Whether `file` has to wait.
  bool Rests(const Candidate& file, MonotonicTime now) const DM_EXCLUDES(mutex_);
  // Whether it has to wait because the server refuses everything.
  bool IsRefused(const Candidate& file, MonotonicTime now) const DM_EXCLUDES(mutex_);
  // False: nothing rests. Does not lock, since a pass asks about each file.
  bool MayRest() const { return may_rest_; }
  // nullopt: not before `*rests_until`.
  std::optional<Permit> Begin(const Candidate& file, MonotonicTime now, MonotonicTime* rests_until)
      DM_EXCLUDES(mutex_);
  // `error` is why it failed.
  Effect End(const Permit& permit, Outcome outcome, const std::string& error, MonotonicTime now,
             double random) DM_EXCLUDES(mutex_);
  // The server has failed a call and asks for a wait: all uploads pause for so long, and the
  // failure does not count. Returns the pause, unless one that the server asked for is under way.
  std::optional<Pause> PushBack(std::chrono::milliseconds wait, const std::string& error,
                                MonotonicTime now) DM_EXCLUDES(mutex_);

  // Ends pauses for one file, whichever it is: that is the probe.
  void MakeDue(MonotonicTime now) DM_EXCLUDES(mutex_);
  // The same for a call of Sync, of which there may be many: see kCallInterval.
  void MakeDueForCall(MonotonicTime now) DM_EXCLUDES(mutex_);
  // There is a new connection. One to another address ends every pause; one to the same address
  // ends those that no refusals began, see kConnectionInterval.
  void OnConnection(bool new_address, MonotonicTime now) DM_EXCLUDES(mutex_);

  // The connection is lost. True: a pause ends.
  bool OnConnectionLost(MonotonicTime now) DM_EXCLUDES(mutex_);

  // When a file may be tried next, if something rests.
  std::optional<MonotonicTime> NextTry() const DM_EXCLUDES(mutex_);
  // The pauses under way, at most 5; those of all uploads come first.
  std::vector<UploadPause> Paused(MonotonicTime now) const DM_EXCLUDES(mutex_);
  // How many pauses have begun so far.
  uint64_t refusal_pauses() const { return refusal_pauses_; }
  uint64_t failure_pauses() const { return failure_pauses_; }
  uint64_t asked_pauses() const { return asked_pauses_; }

 private:
  // Where a failure comes from, as hashes.
  struct Place {
    size_t directory = 0;
    size_t file = 0;
  };
  // Failures in a row, and the pause that they led to.
  struct Streak {
    uint64_t failures = 0;
    uint64_t refused = 0;  // Of these.
    Place first;
    Place last;
    bool several_directories = false;
    bool several_files = false;
    std::array<int, 2> pauses{};  // Pauses in a row, by FailureKind; none: nothing rests.
    // Of the pause under way.
    FailureKind kind = FailureKind::kFailed;
    std::chrono::milliseconds length{0};
    MonotonicTime until;                    // When the next file may be tried.
    uint64_t probe = 0;                     // The number of the probe under way; 0: none.
    std::optional<MonotonicTime> made_due;  // When a call of Sync last ended it.
    std::string last_error;
    // What it was before the failures that count unless the connection is lost by `settles`.
    std::shared_ptr<const Streak> before_doubt;
    MonotonicTime settles;

    bool open() const { return pauses[0] + pauses[1] > 0; }
    // When the file at `place` may be tried; nullopt: now.
    std::optional<MonotonicTime> RestsUntil(const Place& place, bool tried,
                                            MonotonicTime now) const;
    // If there is a pause, makes the file with this number the probe; otherwise returns 0.
    uint64_t Probe(uint64_t id, MonotonicTime now);
    bool IsProbe(uint64_t id) const { return id != 0 && id == probe; }
    // True: a pause begins. `of_all`: only failures in several directories begin one.
    bool Fail(FailureKind failure, const Place& place, uint64_t probe_id, bool of_all,
              MonotonicTime now, double random);
    void MakeDue(MonotonicTime now);
    // The next failure may be the connection's loss.
    void Doubt(MonotonicTime now);
    // Undoes what such failures changed. False: there are none.
    bool UndoDoubted(MonotonicTime now);
    UploadPause Describe(const std::string& directory, MonotonicTime now) const;
  };

  const Streak* Find(std::string_view directory) const DM_REQUIRES(mutex_);
  std::optional<MonotonicTime> RestsUntil(const Candidate& file, MonotonicTime now) const
      DM_REQUIRES(mutex_);
  Pause Describe(const Streak& streak, const std::string& directory) DM_REQUIRES(mutex_);
  void UpdateMayRest() DM_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Streak, std::less<>> directories_ DM_GUARDED_BY(mutex_);
  Streak all_ DM_GUARDED_BY(mutex_);
  uint64_t probes_ DM_GUARDED_BY(mutex_) = 0;  // The number of the last one.
  // When the loss of the connection last undid something, if nothing was stored since.
  std::optional<MonotonicTime> undone_ DM_GUARDED_BY(mutex_);
  // When a connection to the same address last ended pauses.
  std::optional<MonotonicTime> connected_ DM_GUARDED_BY(mutex_);
  uint64_t pushbacks_ DM_GUARDED_BY(mutex_) = 0;  // In a row.
  std::optional<MonotonicTime> pushed_back_until_ DM_GUARDED_BY(mutex_);
  std::string pushback_error_ DM_GUARDED_BY(mutex_);
  // Changed under the lock only.
  std::atomic<bool> may_rest_ = false;
  std::atomic<uint64_t> refusal_pauses_ = 0;
  std::atomic<uint64_t> failure_pauses_ = 0;
  std::atomic<uint64_t> asked_pauses_ = 0;
};

// What the end of an upload says of the server. It says nothing if no request was sent, and if the
// connection was lost. A stall counts as a failure, because a server that never answers must not
// get more requests than one that fails. Pure.
CircuitBreaker::Outcome OutcomeOf(const UploadError& answer);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_CIRCUIT_BREAKER_H_
