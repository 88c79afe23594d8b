#include "capture/drop_cause.h"

#include <cerrno>

#include "base/strings.h"

namespace datamanager::capture {

DropCause CauseOf(const absl::Status& status) {
  switch (ErrnoOf(status)) {
    case ENOSPC:
    case EDQUOT:
      return DropCause::kDiskFull;
    case EIO:
      return DropCause::kIoError;
    case EMFILE:
    case ENFILE:
      return DropCause::kNoDescriptors;
    case EACCES:
    case EPERM:
      return DropCause::kPermission;
    case EROFS:
      return DropCause::kReadOnly;
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ESTALE:
      return DropCause::kNoDirectory;
    default:
      return DropCause::kOther;
  }
}

}  // namespace datamanager::capture
