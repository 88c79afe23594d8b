// A file while it is being uploaded: opened, locked, and known to be the one that was found.
#ifndef DATAMANAGER_SRC_SYNC_LOCAL_FILE_H_
#define DATAMANAGER_SRC_SYNC_LOCAL_FILE_H_

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/unique_fd.h"
#include "capture_file/further_file.h"
#include "capture_file/salvage.h"
#include "sync/found_file.h"

namespace datamanager::sync {

// Holds the file's lock until it is destroyed, so that no other process uploads, moves or removes
// it; what it removes or moves it does before it unlocks. No path that it opens follows a link, and
// what it removes or moves it has just found in the directory whose descriptor it does that by: a
// directory that is swapped for a link never leads it elsewhere. One thread at a time, with all
// signals blocked.
class LocalFile {
 public:
  // `found` is of a look that saw a regular file. NOT_FOUND: gone, another file by that name, a
  // link on the way, or not ours to take. UNAVAILABLE: another process has its lock, or has it open
  // for writing. A capture file is complete by its name, and is not asked for writers where the
  // lock is one that other processes see: see CheckNoWriter.
  static absl::StatusOr<LocalFile> Open(FileOps& ops, FoundFile found);

  const FoundFile& found() const { return found_; }
  const struct stat& info() const { return info_; }  // As it was when opened.
  uint64_t size() const { return static_cast<uint64_t>(info_.st_size); }
  FileOps& ops() const { return *ops_; }
  int fd() const { return fd_.get(); }
  // Whether nobody is known to have it open for writing. Where the file system cannot tell, only
  // the file's age can.
  bool known_complete() const { return known_complete_; }

  // Reads exactly `size` bytes. ABORTED if the file has changed and no longer has them.
  absl::Status Read(uint64_t offset, uint64_t size, char* out) const;

  // UNAVAILABLE if somebody has it open for writing.
  absl::Status CheckNoWriter() const;
  // Whether what was read of it is what it held when it was opened. Cheaper than CheckUnchanged, of
  // which it answers as well if not.
  absl::Status CheckContents() const;
  // ABORTED if the file is not as it was when it was opened: same file by that name, same size,
  // same times of change. NOT_FOUND if it is no longer there, or its directory is elsewhere.
  absl::Status CheckUnchanged() const;
  // Checks that and CheckNoWriter, and removes the file.
  absl::Status Remove();
  // Like Remove, for a file that no process has open for writing and that is to be evicted. On a
  // full file system that writes changes to a new place (btrfs), removing a name may itself need
  // room: then the file is emptied first, which frees its own bytes.
  absl::Status Evict();
  // Checks both, and moves the file to `failed/` below its root, keeping its path below the root;
  // returns where it is. Never overwrites: a taken name gets a number. Copies it, where the root is
  // on another file system.
  absl::StatusOr<std::string> SetAside();
  // Copies whole records from behind damage to a further file beside it.
  absl::StatusOr<capture_file::FurtherFile> WriteFurther(
      const capture_file::Salvage& salvage, const capture_file::KeepGoing& keep_going) const;

 private:
  // A place under `failed/`.
  struct Place {
    UniqueFd directory;
    std::string path;
  };

  // The directory that the file's path leads to. See CheckUnchanged for errors.
  absl::StatusOr<UniqueFd> DirectoryOfUnchanged() const;
  // Truncates the file, which is in `directory`, to nothing. False: it is unchanged.
  bool Empty(int directory);

  LocalFile(FileOps& ops, FoundFile found, UniqueFd fd, const struct stat& info)
      : ops_(&ops),
        found_(std::move(found)),
        name_(BaseName(found_.path)),
        fd_(std::move(fd)),
        info_(info) {}

  // Where the file goes under `failed/`, with the directories made that lead there.
  absl::StatusOr<Place> MakePlace() const;
  // Copies the file to a new file at `place`, durably, or leaves nothing.
  absl::StatusOr<std::string> CopyTo(const Place& place) const;

  FileOps* ops_;
  FoundFile found_;
  std::string name_;
  UniqueFd fd_;
  struct stat info_;
  bool known_complete_ = true;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_LOCAL_FILE_H_
