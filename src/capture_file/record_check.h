// Whether a record means anything.
#ifndef DATAMANAGER_SRC_CAPTURE_FILE_RECORD_CHECK_H_
#define DATAMANAGER_SRC_CAPTURE_FILE_RECORD_CHECK_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "capture_file/reader.h"

namespace datamanager::capture_file {

// Whether a server can parse the record, which Reader has found in `fd` by its outline alone. After
// a power cut, zeros can lie inside one whose outline is right, and a request that holds it would
// fail for ever, together with all its other records. An error is the disk's.
absl::StatusOr<bool> Parses(FileOps& ops, int fd, const Record& record);

// DATA_LOSS that says where it is.
absl::Status UnparsableRecord(const Record& record);

}  // namespace datamanager::capture_file

#endif  // DATAMANAGER_SRC_CAPTURE_FILE_RECORD_CHECK_H_
