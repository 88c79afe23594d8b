#include "sync/permission.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace datamanager::sync {
namespace {

// Whether this thread may remove from sticky directories what is not its own.
bool MayActAsOwner() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return (data[CAP_TO_INDEX(CAP_FOWNER)].effective & CAP_TO_MASK(CAP_FOWNER)) != 0;
}

}  // namespace

absl::Status CheckDirectory(FileOps& ops, int fd, const std::string& directory) {
  if (ops.AccessAt(fd, ".", W_OK | X_OK) == 0) return absl::OkStatus();
  const bool read_only = errno == EROFS;
  return absl::PermissionDeniedError(absl::StrCat(
      "files in ", directory, " are not uploaded, since they could not be removed afterwards: ",
      read_only ? "it is mounted read-only; mount it writable"
                : "no write permission; give it to the user this process runs as",
      ", or take the directory out of the config"));
}

absl::Status CheckFile(FileOps& ops, const OpenedDirectory& directory, std::string_view path,
                       const struct stat& info) {
  if (info.st_nlink > 1 && info.st_uid != directory.user) {
    return absl::PermissionDeniedError(absl::StrCat(
        ToAbsl(path),
        " is not uploaded: it is a hard link to another user's file; copy it instead"));
  }
  if ((directory.info->st_mode & S_ISVTX) != 0 && directory.info->st_uid != directory.user &&
      info.st_uid != directory.user && !MayActAsOwner()) {
    return absl::PermissionDeniedError(
        absl::StrCat("files of others in ", ParentPath(path),
                     " are not uploaded, since they could not be removed afterwards: the directory "
                     "is sticky and another user's; give the files or the directory to the user "
                     "this process runs as"));
  }
  const bool surely_readable =
      info.st_uid == directory.user ? (info.st_mode & S_IRUSR) != 0 : (info.st_mode & S_IROTH) != 0;
  if (surely_readable ||
      ops.AccessAt(directory.fd, std::string(BaseName(path)).c_str(), R_OK) == 0 ||
      errno != EACCES) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(
      absl::StrCat(ToAbsl(path),
                   " is not uploaded: it cannot be read; give the user this process runs as "
                   "permission to read it"));
}

bool IsLinkToAnothers(const struct stat& info) {
  return info.st_nlink > 1 && info.st_uid != ::geteuid();
}

}  // namespace datamanager::sync
