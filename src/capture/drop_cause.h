// Why a record was dropped.
#ifndef DATAMANAGER_SRC_CAPTURE_DROP_CAUSE_H_
#define DATAMANAGER_SRC_CAPTURE_DROP_CAUSE_H_

#include <cstdint>

#include "absl/status/status.h"

namespace datamanager::capture {

// As DroppedRecords has them.
enum class DropCause : uint8_t {
  kDiskFull,
  kIoError,
  kNoDescriptors,
  kPermission,
  kReadOnly,
  kNoDirectory,
  kOther,
};
inline constexpr int kDropCauses = 7;

// The cause of a write that failed with `status`.
DropCause CauseOf(const absl::Status& status);

}  // namespace datamanager::capture

#endif  // DATAMANAGER_SRC_CAPTURE_DROP_CAUSE_H_
