// Whether a file could be removed once it is stored. What could not is not uploaded at all: it
// would be uploaded again and again.
#ifndef DATAMANAGER_SRC_SYNC_PERMISSION_H_
#define DATAMANAGER_SRC_SYNC_PERMISSION_H_

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/file_ops.h"

namespace datamanager::sync {

// Whether files can be removed from the directory that `fd` is open on; the message says what to
// do.
absl::Status CheckDirectory(FileOps& ops, int fd, const std::string& directory);

// A directory that is open, and who looks at its files.
struct OpenedDirectory {
  int fd = -1;
  const struct stat* info = nullptr;
  uid_t user = ::geteuid();
};

// Whether the file at the absolute `path` in it can be removed and read, and is not another user's
// that somebody linked there. Asks the system only where `info` leaves doubt.
absl::Status CheckFile(FileOps& ops, const OpenedDirectory& directory, std::string_view path,
                       const struct stat& info);

// Whether the file is a hard link to another user's.
bool IsLinkToAnothers(const struct stat& info);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_PERMISSION_H_
