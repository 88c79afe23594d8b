// A file that sync may upload.
#ifndef DATAMANAGER_SRC_SYNC_FOUND_FILE_H_
#define DATAMANAGER_SRC_SYNC_FOUND_FILE_H_

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "base/file_ops.h"

namespace datamanager::sync {

enum class FileKind : uint8_t {
  kCapture,        // Complete, and written by a collector: *.capture.
  kSequence,       // Ended: <root>/sequences/<id>.seq.
  kDatasetUpload,  // Complete, and written for an upload to datasets: see dataset_file.h.
  kArbitrary,      // Anything else that somebody put there.
};

// What changes whenever a file does.
struct FileVersion {
  int64_t size = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;  // The inode, also by a rename.

  static FileVersion Of(const struct stat& info) {
    return {info.st_size, Nanoseconds(info.st_mtim), Nanoseconds(info.st_ctim)};
  }
  friend bool operator==(const FileVersion&, const FileVersion&) = default;

 private:
  static int64_t Nanoseconds(const timespec& time) {
    return static_cast<int64_t>(time.tv_sec) * 1000000000 + time.tv_nsec;
  }
};

struct FoundFile {
  std::string root;  // The directory that was walked, resolved.
  std::string path;  // Absolute, below root.
  FileKind kind = FileKind::kCapture;
  FileId id;
  FileVersion version;  // As it was when it was found.
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_FOUND_FILE_H_
