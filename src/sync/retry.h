// When a file whose upload failed is tried again.
#ifndef DATAMANAGER_SRC_SYNC_RETRY_H_
#define DATAMANAGER_SRC_SYNC_RETRY_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "base/file_ops.h"
#include "base/mutex.h"
#include "datamanager/clock.h"
#include "datamanager/stats.h"
#include "sync/found_file.h"
#include "sync/upload_error.h"

namespace datamanager::sync {

// The longest wait; for an answer that the same bytes get again, see hopeless.h, the longer one.
inline constexpr std::chrono::hours kLongestDelay{1};
inline constexpr std::chrono::hours kLongestHopelessDelay{24};
// A call of Sync ends a wait only if no call has ended it within this time.
inline constexpr std::chrono::seconds kCallInterval{30};

// The wait after the n-th failed try in a row: 200 ms, doubled, at most `longest` (the reference's
// figures), times `random` of [0, 1): full jitter, so that what failed together is not tried
// together. Pure.
std::chrono::milliseconds RetryDelay(int attempt, double random,
                                     std::chrono::milliseconds longest = kLongestDelay);

// How long a try waits for the server's answer when all is sent: `stall_timeout`, doubled for each
// earlier try that a watchdog ended, at most eightfold. A server that is slow with one file gets
// its time, and one that never answers holds a worker for a bounded one. Pure.
std::chrono::milliseconds ReplyTimeout(std::chrono::milliseconds stall_timeout, int stalls);

// What is known of a file that failed before.
struct RetryState {
  int attempts = 0;
  int waits = 0;             // Failed tries since the wait was last reset: its length.
  int stalls = 0;            // Tries that a watchdog ended.
  int busy_looks = 0;        // How often in a row somebody else was at work on it.
  bool was_offline = false;  // Whether any try ended offline.
  bool offline = false;      // Whether the wait ends when the connection is back.
  bool resting = false;      // Whether it waits until a pause of the breaker ends.
  // Whether the connection may turn out to be lost until then: gRPC ends calls before it tells.
  std::optional<MonotonicTime> settles;
  bool sent = false;    // Whether the last try sent a request that was not acknowledged.
  FileVersion version;  // Of the file, at the last try.
  MonotonicTime first_failed;
  MonotonicTime due;
  // When a call of Sync last made it due.
  std::optional<MonotonicTime> made_due;
  std::string error;  // Of the last try, cut to a bounded length.
  // What a person can do about a hopeless answer, cut to a bounded length; empty for others.
  std::string advice;
  MonotonicTime not_before;  // With advice: when the wait may end at the earliest, on this address.
};

// A try that failed.
struct FailedTry {
  Verdict verdict = Verdict::kTransient;
  bool hopeless = false;
  MonotonicTime::duration took{0};
  // The wait that the server asks for.
  std::optional<std::chrono::milliseconds> pushback = std::nullopt;
};

// How long after the end of its calls a connection may turn out to be lost.
inline constexpr std::chrono::milliseconds kStateLag{100};

// How a failed try changes the state. Only the first offline verdict on a file has its wait cut
// short by the next connection; any later one counts as transient, whatever lies between them: the
// file itself may be what breaks the connection. The wait after a hopeless try is at least 50 times
// as long as the try, so that other files get the link. If the server asks for a wait, the file
// waits that long instead. Pure.
RetryState AfterFailure(const RetryState& before, const FailedTry& failed, MonotonicTime now,
                        double random);

// How a new connection changes the state; `new_address`: it leads to another address than the one
// before. It ends waits that began offline and waits for the end of a pause. A file with a hopeless
// answer waits from 200 ms on again. Pure.
RetryState AfterConnection(const RetryState& before, bool new_address, MonotonicTime now);

// How a call of Sync changes the state: it ends the wait, but only once in kCallInterval, because
// calls in a loop would undo every wait. A wait that began offline always ends. Pure.
RetryState AfterCall(const RetryState& before, MonotonicTime now);

// How finding the file in use by another process changes the state: no try, and a short wait that
// grows from 200 ms to a minute. Pure.
RetryState AfterBusy(const RetryState& before, MonotonicTime now);

// The files that wait for their next try. Bounded: a file that finds it full has no entry, and only
// the next pass meets it again. An entry holds the file's path, by which it is tried without a
// walk, and so is some hundred bytes. Thread-safe; no call blocks.
class RetryTable {
 public:
  static constexpr size_t kLimit = 4096;

  struct Entry {
    FoundFile file;
    RetryState state;
  };

  explicit RetryTable(size_t limit = kLimit) : limit_(limit) {}

  // False if the table is full.
  bool Put(Entry entry) DM_EXCLUDES(mutex_);
  // Whether `file` waits and is not due. A hopeless one whose bytes have changed does not wait.
  bool IsWaiting(const FoundFile& file, MonotonicTime now) const DM_EXCLUDES(mutex_);
  // Removes and returns what is known of `file`: nothing, if it never failed.
  RetryState Take(const FoundFile& file) DM_EXCLUDES(mutex_);
  // Of the files that `takes` accepts, the one that has been due longest. `takes` must not use the
  // table.
  std::optional<FoundFile> NextDue(MonotonicTime now,
                                   const std::function<bool(const FoundFile&)>& takes) const
      DM_EXCLUDES(mutex_);
  // Whether any is due.
  bool AnyDue(MonotonicTime now) const DM_EXCLUDES(mutex_);
  // When the next file becomes due, of those that are not yet.
  std::optional<MonotonicTime> NextDueTime(MonotonicTime now) const DM_EXCLUDES(mutex_);
  // See AfterCall.
  void MakeDueForCall(MonotonicTime now) DM_EXCLUDES(mutex_);
  // Forgets everything: the next pass meets the files anew.
  void Clear() DM_EXCLUDES(mutex_);
  // The connection is lost: tries that ended right before, as it seemed online, ended offline.
  void MarkOffline(MonotonicTime now) DM_EXCLUDES(mutex_);
  // Cuts short the waits that began offline.
  void MakeOfflineDue(MonotonicTime now) DM_EXCLUDES(mutex_);
  // Ends the waits of files that are `resting`.
  void MakeRestingDue(MonotonicTime now) DM_EXCLUDES(mutex_);
  // See AfterConnection.
  void OnConnection(bool new_address, MonotonicTime now) DM_EXCLUDES(mutex_);
  size_t size() const { return size_; }
  // What waits, with the few files that were tried most often.
  WaitingRetries Summary(MonotonicTime now) const DM_EXCLUDES(mutex_);
  // How many wait since another process is at work on them.
  size_t CountBusy() const DM_EXCLUDES(mutex_);

 private:
  // An inode is used again, and may have several names, so the name is part of the key.
  using Key = std::tuple<dev_t, ino_t, size_t>;
  static Key KeyOf(const FoundFile& file);
  // Replaces each state by what `after` makes of it.
  template <typename After>
  void ChangeAll(After after) DM_REQUIRES(mutex_);
  void Erase(std::map<Key, Entry>::iterator entry) DM_REQUIRES(mutex_);

  const size_t limit_;
  mutable Mutex mutex_;
  std::map<Key, Entry> entries_ DM_GUARDED_BY(mutex_);
  std::set<std::pair<MonotonicTime, Key>> by_due_ DM_GUARDED_BY(mutex_);
  // Of entries_. Changed under the lock only; read without it where a pass asks about each file.
  std::atomic<size_t> size_ = 0;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_RETRY_H_
