// Copies the bytes of a file.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_COPY_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_COPY_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "base/file_ops.h"

namespace datamanager::capture_file {

// Writes `size` bytes of `from`, beginning at `offset`, at the offset of `to`. Memory does not grow
// with the size. On error some may have been written. `keep_going`, if it is set, is called for
// each 64 KiB; false ends the copy: CANCELLED.
absl::Status CopyBytes(FileOps& ops, int from, uint64_t offset, uint64_t size, int to,
                       const std::function<bool()>& keep_going = {});

// Writes the first `size` bytes of `from` at the offset of `to`, after a flush of `from` failed.
// Each block that cannot be read becomes zeros, so that the bytes behind it keep their place.
// Memory does not grow with the size.
//
// DATA_LOSS: some bytes are missing, or may differ from those that were written: a block cannot be
//   read, the file ends too early, or a whole block is zeros, which is how a file system shows a
//   block that never reached the medium. All readable bytes have been written.
// Another code: a write failed; some bytes may have been written.
absl::Status CopyReadableBytes(FileOps& ops, int from, uint64_t size, int to);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_COPY_H_
