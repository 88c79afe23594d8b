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
#include "sync/found_file.h"

namespace datamanager::sync {

// Holds the file's lock until it is destroyed, so that no other process uploads, moves or removes
// it; what it removes or moves it does before it unlocks. One thread at a time.
class LocalFile {
 public:
  // NOT_FOUND: gone, or another file by that name. UNAVAILABLE: another process has its lock.
  static absl::StatusOr<LocalFile> Open(FileOps& ops, FoundFile found);

  const FoundFile& found() const { return found_; }
  const struct stat& info() const { return info_; }  // As it was when opened.
  uint64_t size() const { return static_cast<uint64_t>(info_.st_size); }
  FileOps& ops() const { return *ops_; }
  int fd() const { return fd_.get(); }

  // Reads exactly `size` bytes. ABORTED if the file has changed and no longer has them.
  absl::Status Read(uint64_t offset, uint64_t size, char* out) const;

  // ABORTED if the file is not as it was when it was opened: same file by that name, same size,
  // same times of change.
  absl::Status CheckUnchanged() const;
  // Checks that, and removes the file.
  absl::Status Remove();
  // Checks that, and moves the file to `failed/` below its root, keeping its path below the root;
  // returns where it is. Never overwrites: a taken name gets a number.
  absl::StatusOr<std::string> SetAside();
  // Keeps a copy of the file's metadata and of its bytes from `offset` on under `failed/`, where
  // the whole file would be moved to.
  absl::StatusOr<std::string> SetRestAside(uint64_t metadata_size, uint64_t offset);

 private:
  LocalFile(FileOps& ops, FoundFile found, UniqueFd fd, const struct stat& info)
      : ops_(&ops), found_(std::move(found)), fd_(std::move(fd)), info_(info) {}

  FileOps* ops_;
  FoundFile found_;
  UniqueFd fd_;
  struct stat info_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_LOCAL_FILE_H_
