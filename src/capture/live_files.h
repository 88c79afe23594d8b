// The files that collectors write at present.
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

// Records the state of each file until it is published: how much of it is durable, and the time
// from which some of it may not be. Thread-safe.
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
  // Marks a file as handed over: it is no longer written, and its publication flushes it.
  void Finish(const std::string& path) DM_EXCLUDES(mutex_);
  // Closes the descriptor. Returns the file's state; nullopt if the path is unknown.
  std::optional<File> Remove(const std::string& path) DM_EXCLUDES(mutex_);

  bool Contains(const std::string& path) const DM_EXCLUDES(mutex_);
  // Whether no file is being written.
  bool empty() const DM_EXCLUDES(mutex_);
  // Returns the files that are written, except those with a failed flush: they are to be finished.
  std::vector<File> Written() const DM_EXCLUDES(mutex_);
  // Returns since when the oldest of their bytes may not be durable.
  std::optional<MonotonicTime> OldestUnflushed() const DM_EXCLUDES(mutex_);
  // Notes that a commit which covers `size` bytes of the file, and its name, has succeeded; the
  // sizes were taken at `since`.
  void NoteFlushed(const File& file, uint64_t size, MonotonicTime since) DM_EXCLUDES(mutex_);
  // Notes that the file had not grown since its last flush when it was checked at `since`.
  void NoteUnchanged(const File& file, MonotonicTime since) DM_EXCLUDES(mutex_);
  // Notes that a flush of the file failed. Returns whether this is the first failure.
  bool NoteFailed(const File& file) DM_EXCLUDES(mutex_);
  bool HasFailed(const std::string& path) const DM_EXCLUDES(mutex_);

  // Calls `displaced` of each written file that has lost its name.
  void LookForDisplaced(FileOps& ops) DM_EXCLUDES(mutex_);
  // Calls `displaced` of one file.
  void AskToFinish(const File& file) DM_EXCLUDES(mutex_);

 private:
  struct Entry {
    File file;
    std::function<void()> displaced;
    MonotonicTime unflushed_since;
    bool finished = false;
    bool failed = false;
  };
  // Returns the id of the file with the next path in order, and sets `path` to that path.
  std::optional<FileId> Next(std::string& path) const DM_EXCLUDES(mutex_);
  Entry* Find(const File& file) DM_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Entry> entries_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_LIVE_FILES_H_
