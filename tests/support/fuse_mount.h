// A file system in user space that lives as long as its object.
#ifndef DATAMANAGER_TESTS_SUPPORT_FUSE_MOUNT_H_
#define DATAMANAGER_TESTS_SUPPORT_FUSE_MOUNT_H_

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/wait_until.h"

namespace datamanager::testing {

// Visible to the thread that makes it and to those that it starts. Needs root, /dev/fuse and the
// programs; if one is missing, `reason` names it and nothing is mounted. The server dies with the
// test.
class FuseMount {
 public:
  // exFAT on a disk of 64 MB in the file `image`, by exfat-fuse and exfatprogs: no renames without
  // replacing, no hard links, some characters not allowed in names, times of two seconds, inode
  // numbers that change.
  static std::unique_ptr<FuseMount> Exfat(const std::string& image, const std::string& path) {
    auto mount = std::unique_ptr<FuseMount>(new FuseMount(path));
    if (!mount->reason_.empty()) return mount;
    if (!mount->Has("mkfs.exfat") || !mount->Has("mount.exfat-fuse") || !mount->Has("losetup")) {
      return mount;
    }
    const int fd = ::open(image.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ::ftruncate(fd, 64 << 20) != 0) mount->reason_ = "no room for a disk";
    if (fd >= 0) ::close(fd);
    std::string device = Output("mkfs.exfat " + image + " >/dev/null 2>&1 && losetup -f --show " +
                                image + " 2>/dev/null");
    if (device.empty()) mount->reason_ = "no loop device";
    if (!mount->reason_.empty()) return mount;
    mount->Serve({"mount.exfat-fuse", "-d", device, path});
    // It is freed when the server closes it.
    Output("losetup -d " + device + " 2>/dev/null");
    return mount;
  }
  // The directory `source` again, by bindfs: no renames without replacing.
  static std::unique_ptr<FuseMount> Bindfs(const std::string& source, const std::string& path) {
    auto mount = std::unique_ptr<FuseMount>(new FuseMount(path));
    if (mount->reason_.empty() && mount->Has("bindfs")) {
      mount->Serve({"bindfs", "-f", source, path});
    }
    return mount;
  }

  FuseMount(const FuseMount&) = delete;
  FuseMount& operator=(const FuseMount&) = delete;
  ~FuseMount() {
    if (server_ < 0) return;
    Continue();
    ::umount2(path_.c_str(), MNT_DETACH);
    // Open files keep the server alive.
    if (!WaitUntil([this] { return ::waitpid(server_, nullptr, WNOHANG) == server_; })) {
      ::kill(server_, SIGKILL);
      ::waitpid(server_, nullptr, 0);
    }
  }

  // Until Continue, every call to the file system that the kernel cannot answer hangs, as those to
  // a network file system do whose server is gone.
  void Stop() const {
    if (server_ > 0) ::kill(server_, SIGSTOP);
  }
  void Continue() const {
    if (server_ > 0) ::kill(server_, SIGCONT);
  }

  // Why there is no such file system here; empty if it is mounted.
  const std::string& reason() const { return reason_; }

 private:
  explicit FuseMount(std::string path) : path_(std::move(path)) {
    if (::access("/dev/fuse", R_OK | W_OK) != 0) {
      reason_ = "no /dev/fuse";
    } else if (::unshare(CLONE_NEWNS) != 0 ||
               ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      reason_ = absl::StrCat("no mounting here: ", std::strerror(errno));
    }
  }

  bool Has(const std::string& program) {
    if (!Output("command -v " + program).empty()) return true;
    reason_ = "no " + program;
    return false;
  }
  // Returns the first line of its output.
  static std::string Output(const std::string& command) {
    std::array<char, 256> line{};
    FILE* const pipe = ::popen(("PATH=$PATH:/usr/sbin:/sbin; " + command).c_str(), "r");
    if (pipe == nullptr) return "";
    std::string text;
    if (std::fgets(line.data(), line.size(), pipe) != nullptr) text = line.data();
    ::pclose(pipe);
    return text.substr(0, text.find('\n'));
  }
  void Serve(std::vector<std::string> command) {
    constexpr decltype(std::declval<struct statfs>().f_type) kFuse = 0x65735546;
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    ::setenv("PATH", absl::StrCat(::getenv("PATH"), ":/usr/sbin:/sbin").c_str(), 1);
    server_ = ::fork();
    if (server_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int nowhere = ::open("/dev/null", O_RDWR);
      for (int fd = 0; fd <= 2; ++fd) ::dup2(nowhere, fd);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    const bool mounted = WaitUntil([&] {
      struct statfs info {};
      return ::statfs(path_.c_str(), &info) == 0 && info.f_type == kFuse;
    });
    if (!mounted) reason_ = command[0] + " does not mount";
  }

  const std::string path_;
  std::string reason_;
  pid_t server_ = -1;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_FUSE_MOUNT_H_
