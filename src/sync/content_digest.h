// The SHA-256 of what a file holds, by which uploads are told apart.
#ifndef DATAMANAGER_SRC_SYNC_CONTENT_DIGEST_H_
#define DATAMANAGER_SRC_SYNC_CONTENT_DIGEST_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/mutex.h"
#include "base/task.h"
#include "capture_file/reader.h"
#include "sync/found_file.h"
#include "sync/local_file.h"
#include "uploader/uploader.h"

namespace datamanager::sync {

// Remembers the digests of large files, so that a retry does not read and hash them again. Bounded:
// the oldest entry makes room for a new one. Thread-safe.
class ContentDigests {
 public:
  // Smaller extents take less time to hash than to be worth an entry.
  static constexpr uint64_t kSmallest = 1 << 20;
  static constexpr size_t kMostEntries = 256;

  // Which bytes, of which state of which file.
  struct Key {
    FileId file;
    FileVersion version;
    capture_file::Extent extent;
  };
  std::optional<std::string> Find(const Key& key) const DM_EXCLUDES(mutex_);
  void Put(const Key& key, const std::string& digest) DM_EXCLUDES(mutex_);

 private:
  using Order = std::tuple<uint64_t, uint64_t, int64_t, int64_t, int64_t, uint64_t, uint64_t>;
  static Order OrderOf(const Key& key);

  mutable Mutex mutex_;
  std::map<Order, std::string> entries_ DM_GUARDED_BY(mutex_);
  std::deque<Order> oldest_first_ DM_GUARDED_BY(mutex_);
};

// The digest (32 bytes) of an extent of the file. Reads it in pieces, between which other uploads
// of the queue's thread go on. CANCELLED: the stop was requested. ABORTED: the file is shorter by
// now. `digests` may be null. The arguments must outlive the task.
Task<absl::StatusOr<std::string>> DigestOf(const LocalFile& file, capture_file::Extent extent,
                                           CallQueue& calls, const std::stop_token& stop,
                                           ContentDigests* digests);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_CONTENT_DIGEST_H_
