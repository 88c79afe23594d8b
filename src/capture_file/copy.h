// Copying a stretch of a file.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_COPY_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_COPY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "base/file_ops.h"

namespace datamanager::capture_file {

// Writes `size` bytes of `from`, beginning at `offset`, to where `to` stands. Memory does not grow
// with the size. On error some may have been written.
absl::Status CopyBytes(FileOps& ops, int from, uint64_t offset, uint64_t size, int to);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_COPY_H_
