// How far capture files have been stored.
#ifndef DATAMANAGER_SRC_SYNC_RESUME_POINTS_H_
#define DATAMANAGER_SRC_SYNC_RESUME_POINTS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "base/file_ops.h"
#include "base/mutex.h"
#include "sync/found_file.h"

namespace datamanager::sync {

// Remembers for files whose upload ended before its end, by a failure, a stop or a pause, which
// requests the server has acknowledged, so that a later upload begins behind them. That holds only
// for the same content, and for the cloud that acknowledged them: see UploadSession::cloud.
// Bounded: the oldest entry makes room for a new one, and that file is sent from its beginning.
// Thread-safe; no call blocks.
class ResumePoints {
 public:
  static constexpr size_t kMost = 4096;

  // What lies before `offset` need not be sent again.
  void Put(const FileId& file, const FileVersion& version, std::string_view cloud, uint64_t offset)
      DM_EXCLUDES(mutex_);
  void Forget(const FileId& file) DM_EXCLUDES(mutex_);
  // 0 if nothing is known.
  uint64_t Find(const FileId& file, const FileVersion& version, std::string_view cloud) const
      DM_EXCLUDES(mutex_);

 private:
  struct Point {
    FileVersion version;
    std::string cloud;
    uint64_t offset = 0;
  };

  mutable Mutex mutex_;
  absl::flat_hash_map<FileId, Point> points_ DM_GUARDED_BY(mutex_);
  std::deque<FileId> oldest_first_ DM_GUARDED_BY(mutex_);  // May name what is gone.
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_RESUME_POINTS_H_
