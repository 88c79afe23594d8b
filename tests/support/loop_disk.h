// File systems of a test's own, on loop devices.
//
// The first one moves the calling thread, and the threads and processes that it starts from then
// on, to a mount namespace of their own: its mounts end with the process, however it ends, and so
// do its loop devices.
#ifndef DATAMANAGER_TESTS_SUPPORT_LOOP_DISK_H_
#define DATAMANAGER_TESTS_SUPPORT_LOOP_DISK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace datamanager::testing {

struct FileSystem {
  std::string type;               // As mount(2) names it.
  std::vector<std::string> make;  // The command that makes it, before the path of the image.
  std::string options;            // Options of the mount.
  uint64_t bytes = 64 << 20;      // Size of the image, which is sparse.
};

// A small one of this type with its defaults: "ext4", "xfs" or "btrfs".
FileSystem DefaultFileSystem(const std::string& type);

// Moves the calling thread to a mount namespace of its own, once in a process. UNAVAILABLE where
// that is not allowed.
absl::Status EnterOwnMounts();

// Makes the sparse file `image` with an empty file system in it. UNAVAILABLE without the program
// that makes it.
absl::Status MakeImage(const FileSystem& file_system, const std::string& image);

// A mounted image; the destructor unmounts it and waits until the loop device has released it.
class LoopDisk {
 public:
  // Mounts `image` at `directory`, which exists. UNAVAILABLE where mounting is not allowed, or the
  // kernel does not have the file system; INTERNAL if the image cannot be mounted.
  static absl::StatusOr<std::unique_ptr<LoopDisk>> Mount(const FileSystem& file_system,
                                                         const std::string& image,
                                                         const std::string& directory);
  ~LoopDisk();
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;

  const std::string& path() const { return directory_; }

  // The work of the device since it was set up, from /sys/block/*/stat.
  struct Work {
    uint64_t bytes_written = 0;
    uint64_t flushes = 0;
  };
  Work work() const;

 private:
  LoopDisk(UniqueFd device, std::string name, std::string directory)
      : device_(std::move(device)), name_(std::move(name)), directory_(std::move(directory)) {}

  UniqueFd device_;  // Its last close frees the device.
  const std::string name_;
  const std::string directory_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_LOOP_DISK_H_
