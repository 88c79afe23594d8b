// The files that collectors write at this moment.
#ifndef DATAMANAGER_SRC_CAPTURE_LIVE_FILES_H_
#define DATAMANAGER_SRC_CAPTURE_LIVE_FILES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_ops.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "capture_file/writer.h"
#include "datamanager/clock.h"

namespace datamanager::capture {

// What the keeper knows of a file until it is published: how much of it is durable, and since when
// some of it may not be. Thread-safe.
class LiveFiles {
 public:
  struct File {
    std::string path;
    FileId id;
    std::shared_ptr<const UniqueFd> descriptor;
    uint64_t flushed_size = 0;
    bool named = false;  // Its name is durable.
  };

  void Add(const capture_file::Writer& file, std::function<void()> displaced, MonotonicTime now)
      DM_EXCLUDES(mutex_);
  // The file is handed over: it is no longer written. What a flush of it would do is the
  // publication's to do.
  void Finish(const std::string& path) DM_EXCLUDES(mutex_);
  // Closes the descriptor. What was known of the file; nothing, if the path is not known.
  std::optional<File> Remove(const std::string& path) DM_EXCLUDES(mutex_);

  bool Contains(const std::string& path) const DM_EXCLUDES(mutex_);
  // Whether no file is written.
  bool empty() const DM_EXCLUDES(mutex_);
  // Files that are written, but for those of which a flush failed: they are to be finished.
  std::vector<File> Written() const DM_EXCLUDES(mutex_);
  // Since when the oldest byte of them may lie in a file without being durable.
  std::optional<MonotonicTime> OldestUnflushed() const DM_EXCLUDES(mutex_);
  // A commit that covers `size` bytes of the file, and its name, has succeeded; the sizes were
  // taken at `since`.
  void NoteFlushed(const File& file, uint64_t size, MonotonicTime since) DM_EXCLUDES(mutex_);
  // The file has not grown since it was flushed, by a look at `since`.
  void NoteUnchanged(const File& file, MonotonicTime since) DM_EXCLUDES(mutex_);
  // A flush of the file failed. Returns whether that is news.
  bool NoteFailed(const File& file) DM_EXCLUDES(mutex_);
  bool HasFailed(const std::string& path) const DM_EXCLUDES(mutex_);

  // Calls `displaced` of each written file that no longer has its name.
  void LookForDisplaced(FileOps& ops) DM_EXCLUDES(mutex_);
  // Calls that of one file.
  void AskToFinish(const File& file) DM_EXCLUDES(mutex_);

 private:
  struct Entry {
    File file;
    std::function<void()> displaced;
    MonotonicTime unflushed_since;
    bool finished = false;
    bool failed = false;
  };
  // The entry behind `path` by the order of paths, into which its own is put.
  std::optional<FileId> Next(std::string& path) const DM_EXCLUDES(mutex_);
  Entry* Find(const File& file) DM_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Entry> entries_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_LIVE_FILES_H_
