// A disk with a volatile cache that a power cut empties.
//
// A loop device over a file that another process serves (FUSE). It keeps a log of each write and of
// each flush of the cache, in their order, so that the disk can be restored as a power cut at any
// moment may leave it: writes before the last flush that has ended are there; of later ones, those
// that the cut leaves.
#ifndef DATAMANAGER_TESTS_SUPPORT_RECORDING_DISK_H_
#define DATAMANAGER_TESTS_SUPPORT_RECORDING_DISK_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/support/loop_disk.h"

namespace datamanager::testing {

// The length of the log at that moment, in bytes.
using DiskMoment = uint64_t;

// How much a cut leaves of the writes that no flush has followed.
enum class CacheAtCut : uint8_t { kNothing, kSome, kAll };

// Mounted at `path()`; the destructor unmounts it. One thread.
class RecordingDisk {
 public:
  // `directory` is a directory of its own, in memory if possible. `program` serves the file. Errors
  // as of LoopDisk.
  static absl::StatusOr<std::unique_ptr<RecordingDisk>> Mount(const FileSystem& file_system,
                                                              const std::string& directory,
                                                              const std::string& program);
  ~RecordingDisk();
  RecordingDisk(const RecordingDisk&) = delete;
  RecordingDisk& operator=(const RecordingDisk&) = delete;

  const std::string& path() const { return disk_->path(); }

  DiskMoment Now() const;
  // Mounts the disk as a cut at that moment leaves it, in place of the last one mounted by this.
  // `seed` chooses the writes of kSome. INTERNAL if it cannot be mounted.
  absl::StatusOr<std::unique_ptr<LoopDisk>> MountCut(DiskMoment moment, CacheAtCut cache,
                                                     uint32_t seed) const;

 private:
  RecordingDisk(FileSystem file_system, std::string directory)
      : file_system_(std::move(file_system)), directory_(std::move(directory)) {}
  std::string In(const char* name) const { return directory_ + "/" + name; }
  absl::Status Serve(const std::string& program);

  const FileSystem file_system_;
  const std::string directory_;
  pid_t server_ = -1;
  std::unique_ptr<LoopDisk> disk_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_RECORDING_DISK_H_
