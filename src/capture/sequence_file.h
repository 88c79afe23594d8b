// Writing a sequence.
#ifndef DATAMANAGER_SRC_CAPTURE_SEQUENCE_FILE_H_
#define DATAMANAGER_SRC_CAPTURE_SEQUENCE_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "base/unique_fd.h"
#include "capture_file/sequence.h"

namespace datamanager::capture {

// Writes `name` into `directory`, which it makes if necessary, whole or not at all: under another
// name first, flushed if `flush` is set, and then renamed. The name is durable only when the caller
// has flushed the directory. Returns the file open and locked; the lock was taken before the
// rename.
absl::StatusOr<UniqueFd> WriteSequenceFile(FileOps& ops, const std::string& directory,
                                           const std::string& name,
                                           const capture_file::Sequence& sequence, bool flush);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_SEQUENCE_FILE_H_
