// Writes one capture file.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_WRITER_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_WRITER_H_

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/unique_fd.h"
#include "datamanager/clock.h"

namespace datamanager::capture_file {

// An in-progress file: created with a name of its own, locked for as long as it is open, and
// appended to. Each record is one write, so a process that is killed loses no record whose Append
// returned. Publish makes it a complete file; a Writer that is destroyed before leaves its file to
// recovery.
//
// One thread at a time, and it need not be the same one.
class Writer {
 public:
  // Creates a file in `directory`, which must exist, named after `now`; later by as many
  // microseconds as there are files with that name. `metadata` is the serialized
  // DataCaptureMetadata; it is written with the first record.
  static absl::StatusOr<std::unique_ptr<Writer>> Create(FileOps& ops, const std::string& directory,
                                                        WallTime now, std::string_view metadata);

  // Takes over an in-progress file that was claimed (see ClaimFile): `fd` holds its lock, and
  // `size` bytes of whole records are in it.
  static std::unique_ptr<Writer> Adopt(FileOps& ops, std::string path, UniqueFd fd,
                                       const struct stat& info, uint64_t size);

  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Appends a record whose frame (length prefix and message) is `head` followed by `tail`. After a
  // short write the call writes the rest: only the next write reports the cause, a full disk or the
  // limit on a file's size. A write that fails leaves the file as it was before. If even that is
  // impossible, the file is broken: it can only be destroyed, and recovery cuts and publishes it.
  absl::Status Append(std::string_view head, std::string_view tail = {});

  // Bytes in the file, what the next Append adds for the metadata included.
  uint64_t size() const { return size_ + pending_.size(); }
  // Which file it is, whatever becomes of its name.
  FileId id() const { return id_; }
  bool broken() const { return broken_; }
  bool has_records() const { return pending_.empty(); }
  const std::string& path() const { return path_; }
  // The open file, which holds the lock. A flush may co-own it: it stays open and locked as long as
  // it has an owner.
  std::shared_ptr<const UniqueFd> descriptor() const { return fd_; }

  // Flushes the records to the medium. Blocks on it.
  absl::Status Flush();
  // Renames the file to its final name, or if that is taken to a later one, and returns the path.
  // Without Flush before and SyncDirectory after, a power cut may undo it. Once.
  //
  // One that was moved meanwhile is published where it is. It fails if somebody has given it
  // another name, or none.
  absl::StatusOr<std::string> Publish();
  // Whether the file has no name any more: what is in it goes when it is closed.
  bool removed() const;
  // Copies a removed file into a new one, in the directory that it had, which is made again if need
  // be. On error nothing is left of the copy, and it can be tried again. Blocks on the disk.
  absl::StatusOr<std::unique_ptr<Writer>> CopyRemoved();
  // Copies a file whose Flush failed into a new one beside it, as far as it can be read. Linux has
  // marked the pages clean that it could not write, so a second flush of the same file would
  // succeed without any effect. The file itself is not touched. The copy is like one that Create
  // made and Append wrote, neither flushed nor published. Until it is known to be whole it has a
  // name that recovery leaves alone (ReadBackPath), so that a crash leaves no file whose records
  // would be uploaded twice. Blocks on the disk.
  //
  // The bytes of a binary payload cannot be compared with anything: a copy of one counts as whole
  // if all of it can be read and no block of it is zeros.
  //
  // DATA_LOSS: the readable bytes are not the whole records that were written. They are kept under
  //   a name that neither sync nor recovery takes; the text gives the error and the path.
  // Another code: the file could not be copied. Nothing is left of the copy, and the call can be
  //   repeated.
  absl::StatusOr<std::unique_ptr<Writer>> CopyAfterFailedFlush();
  // Removes a file that holds no record yet. False: it cannot be removed, and is left to recovery.
  bool Discard();

 private:
  Writer(FileOps& ops, std::string path, UniqueFd fd, FileId id, std::string pending);

  // Writes the rest of a record after a short write. Returns the errno that stops it, or 0 once the
  // record is whole.
  int WriteRemainder(size_t done, std::string_view head, std::string_view tail);
  // Returns the kernel's path of the open file; empty if it gives none.
  std::string LinkedPath() const;
  // Under which in-progress name the file is.
  absl::StatusOr<std::string> CurrentPath() const;
  // Copies all readable bytes to `to`. DATA_LOSS: they are not the whole records that were written.
  absl::Status CopyWhole(int to) const;

  FileOps& ops_;
  const std::string path_;
  const std::shared_ptr<const UniqueFd> fd_;
  const FileId id_;
  std::string pending_;  // The metadata's frame, until the first record.
  uint64_t size_ = 0;
  bool broken_ = false;
};

// Renames an in-progress file to its final name, never over another file: a taken name is moved on
// by a microsecond. Returns the new path. The caller owns the file, by its lock.
absl::StatusOr<std::string> PublishPath(FileOps& ops, const std::string& in_progress_path);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_WRITER_H_
