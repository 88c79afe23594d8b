// What passes have to complain about: each thing once, while it lasts.
#ifndef DATAMANAGER_SRC_SYNC_COMPLAINTS_H_
#define DATAMANAGER_SRC_SYNC_COMPLAINTS_H_

#include <cstddef>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "base/mutex.h"

namespace datamanager::sync {

// Remembers what has been said, as hashes and up to a limit; the rest is not said. Thread-safe.
class Complaints {
 public:
  static constexpr size_t kLimit = 1024;
  // What one pass complained about.
  using Heard = absl::flat_hash_set<size_t>;

  // Whether `text` is to be said: it was not, or the last pass did not complain about it.
  bool Hear(std::string_view text, Heard& heard) DM_EXCLUDES(mutex_) {
    const size_t hash = absl::Hash<std::string_view>()(text);
    if (heard.size() < kLimit) heard.insert(hash);
    MutexLock lock(mutex_);
    return said_.size() < kLimit && said_.insert(hash).second;
  }
  // A pass has come to its end: what it did not complain about is over.
  void Settle(const Heard& heard) DM_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    absl::erase_if(said_, [&](size_t hash) { return !heard.contains(hash); });
  }

 private:
  Mutex mutex_;
  Heard said_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_COMPLAINTS_H_
