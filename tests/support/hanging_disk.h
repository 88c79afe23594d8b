// A disk that hangs below one directory.
#ifndef DATAMANAGER_TESTS_SUPPORT_HANGING_DISK_H_
#define DATAMANAGER_TESTS_SUPPORT_HANGING_DISK_H_

#include <dirent.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "tests/support/gate.h"

namespace datamanager::testing {

// While the gate is closed, one kind of call waits at it, for whatever lies below a directory.
class HangingDisk final : public FileOps {
 public:
  enum class Call { kOpen, kLook, kReadDirectory, kRead, kRemove };

  HangingDisk(std::string directory, Call call) : directory_(std::move(directory)), call_(call) {}

  Gate& gate() { return gate_; }

  int OpenAt(int dir, const char* path, int flags, mode_t mode) override {
    if ((flags & O_DIRECTORY) == 0) Pass(Call::kOpen, dir, path);
    return FileOps::OpenAt(dir, path, flags, mode);
  }
  int OpenWithoutLinks(const char* path, int flags) override {
    if ((flags & O_DIRECTORY) == 0) Pass(Call::kOpen, AT_FDCWD, path);
    return FileOps::OpenWithoutLinks(path, flags);
  }
  int LstatAt(int dir, const char* path, struct stat* result) override {
    Pass(Call::kLook, dir, path);
    return FileOps::LstatAt(dir, path, result);
  }
  const dirent* ReadDirectory(DIR* directory) override {
    Pass(Call::kReadDirectory, ::dirfd(directory), "");
    return FileOps::ReadDirectory(directory);
  }
  ssize_t Pread(int fd, void* data, size_t size, off_t offset) override {
    Pass(Call::kRead, fd, "");
    return FileOps::Pread(fd, data, size, offset);
  }
  int UnlinkAt(int dir, const char* path) override {
    Pass(Call::kRemove, dir, path);
    return FileOps::UnlinkAt(dir, path);
  }

 private:
  void Pass(Call call, int fd, const char* path) {
    if (call != call_) return;
    std::string whole = path;
    if (!whole.starts_with('/')) whole = absl::StrCat(PathOf(fd), "/", path);
    if (whole.starts_with(directory_ + "/")) gate_.Pass();
  }
  static std::string PathOf(int fd) {
    std::array<char, PATH_MAX> path{};
    const ssize_t size =
        ::readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), path.data(), path.size());
    return size < 0 ? "" : std::string(path.data(), static_cast<size_t>(size));
  }

  const std::string directory_;
  const Call call_;
  Gate gate_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_HANGING_DISK_H_
