// A file that sync may upload.
#ifndef DATAMANAGER_SRC_SYNC_FOUND_FILE_H_
#define DATAMANAGER_SRC_SYNC_FOUND_FILE_H_

#include <cstdint>
#include <string>

#include "base/file_ops.h"

namespace datamanager::sync {

enum class FileKind : uint8_t {
  kCapture,    // Complete, and written by a collector: *.capture.
  kArbitrary,  // Anything else that somebody put there.
};

struct FoundFile {
  std::string root;  // The directory that was walked, resolved.
  std::string path;  // Absolute, below root.
  FileKind kind = FileKind::kCapture;
  FileId id;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_FOUND_FILE_H_
