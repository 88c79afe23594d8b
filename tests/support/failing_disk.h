// A disk that loses writes.
#ifndef DATAMANAGER_TESTS_SUPPORT_FAILING_DISK_H_
#define DATAMANAGER_TESTS_SUPPORT_FAILING_DISK_H_

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "tests/support/temp_dir.h"

namespace datamanager::testing {

// An ext4 without a journal on a loop device, whose medium is a sparse file on a tmpfs of a few MB:
// once that is full, the kernel accepts writes and cannot write them back. Visible only to this
// thread and those that it starts afterwards; the destructor removes all of it. If it cannot be
// mounted, why_not() has the reason.
class FailingDisk {
 public:
  FailingDisk() {
    if (::unshare(CLONE_NEWNS) != 0) {
      why_not_ = std::string("no mount namespace: ") + std::strerror(errno);
    } else if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
               ::mount("tmpfs", temp_.path().c_str(), "tmpfs", 0, "size=6m") != 0) {
      why_not_ = std::string("no tmpfs: ") + std::strerror(errno);
    } else if (!MountLoop()) {
      why_not_ = "no ext4 on a loop device can be made and mounted";
    }
  }
  ~FailingDisk() {
    ::umount2(path().c_str(), MNT_DETACH);
    ::umount2(temp_.path().c_str(), MNT_DETACH);
  }
  FailingDisk(const FailingDisk&) = delete;
  FailingDisk& operator=(const FailingDisk&) = delete;

  // Empty: it is mounted.
  const std::string& why_not() const { return why_not_; }
  std::string path() const { return temp_.path() + "/disk"; }

  // Break: new data cannot be written to the medium from here on. Mend: it can again.
  void Break() const {
    const UniqueFd fd(::open(Filler().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string page(4096, 'f');
    while (::write(fd.get(), page.data(), page.size()) > 0) {
    }
  }
  void Mend() const { ::unlink(Filler().c_str()); }
  // Makes the next read of `file` come from the medium.
  static void DropFromMemory(const std::string& file) {
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  }

 private:
  std::string Filler() const { return temp_.path() + "/filler"; }
  bool MountLoop() const {
    const std::string image = temp_.path() + "/medium";
    const UniqueFd fd(::open(image.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid() || ::ftruncate(fd.get(), 32 << 20) != 0) return false;
    std::filesystem::create_directory(path());
    const std::string command =
        absl::StrCat("PATH=$PATH:/usr/sbin:/sbin; { mkfs.ext4 -q -O ^has_journal ", image,
                     " && mount -o loop ", image, " ", path(), "; } >/dev/null 2>&1");
    return std::system(command.c_str()) == 0;
  }

  const TempDir temp_;
  std::string why_not_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_FAILING_DISK_H_
