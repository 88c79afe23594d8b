#include "tests/support/loop_disk.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/wait_until.h"

namespace datamanager::testing {
namespace {

constexpr uint64_t kSectorBytes = 512;  // The unit in Documentation/block/stat.

absl::Status Fails(const std::string& what, int error) {
  const std::string text = absl::StrCat(what, ": ", std::strerror(error));
  // The process lacks the right, or the system the device or the file system.
  const bool missing = error == EPERM || error == EACCES || error == ENOENT || error == ENODEV ||
                       error == ENXIO || error == ENOSYS;
  return missing ? absl::UnavailableError(text) : absl::InternalError(text);
}

// Sets up an unused loop device that shows `image`; it becomes free when its last user closes it.
absl::StatusOr<std::pair<UniqueFd, std::string>> Attach(const std::string& image) {
  const UniqueFd file(::open(image.c_str(), O_RDWR | O_CLOEXEC));
  if (!file.valid()) return Fails("open " + image, errno);
  const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control.valid()) return Fails("open /dev/loop-control", errno);
  while (true) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return Fails("no loop device", errno);
    const std::string name = absl::StrCat("loop", number);
    UniqueFd device(::open(("/dev/" + name).c_str(), O_RDWR | O_CLOEXEC));
    if (!device.valid()) return Fails("open /dev/" + name, errno);
    loop_config config{};
    config.fd = static_cast<uint32_t>(file.get());
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) {
      return std::pair(std::move(device), name);
    }
    // Another process took it between the two calls.
    if (errno != EBUSY) return Fails("set up /dev/" + name, errno);
  }
}

}  // namespace

FileSystem DefaultFileSystem(const std::string& type) {
  // The smallest size that its mkfs accepts.
  if (type == "xfs") return {.type = type, .make = {"mkfs.xfs", "-q"}, .bytes = 300 << 20};
  if (type == "btrfs") return {.type = type, .make = {"mkfs.btrfs", "-q"}, .bytes = 128 << 20};
  return {
      .type = type,
      .make = {"mkfs." + type, "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"},
      .bytes = 64 << 20};
}

absl::Status EnterOwnMounts() {
  static bool entered = false;
  if (entered) return absl::OkStatus();
  if (::unshare(CLONE_NEWNS) != 0) return Fails("unshare", errno);
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Fails("mount --make-rprivate /", errno);
  }
  entered = true;
  return absl::OkStatus();
}

absl::Status MakeImage(const FileSystem& file_system, const std::string& image) {
  const UniqueFd file(::open(image.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid() || ::ftruncate(file.get(), static_cast<off_t>(file_system.bytes)) != 0) {
    return Fails("make " + image, errno);
  }
  std::vector<std::string> command = file_system.make;
  command.push_back(image);
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  // The path of a user may not include the programs of an administrator.
  std::string path = absl::StrCat("PATH=", std::getenv("PATH"), ":/usr/sbin:/sbin");
  ::setenv("PATH", path.c_str() + strlen("PATH="), 1);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return Fails(command[0], error);
  int status = -1;
  if (::waitpid(pid, &status, 0) != pid || status != 0) {
    return absl::InternalError(absl::StrCat(command[0], " fails"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<LoopDisk>> LoopDisk::Mount(const FileSystem& file_system,
                                                          const std::string& image,
                                                          const std::string& directory) {
  if (absl::Status status = EnterOwnMounts(); !status.ok()) return status;
  auto attached = Attach(image);
  if (!attached.ok()) return attached.status();
  auto& [device, name] = *attached;
  if (::mount(("/dev/" + name).c_str(), directory.c_str(), file_system.type.c_str(),
              MS_NOATIME | MS_NODEV, file_system.options.c_str()) != 0) {
    return Fails(absl::StrCat("mount ", file_system.type, " ", file_system.options), errno);
  }
  return std::unique_ptr<LoopDisk>(new LoopDisk(std::move(device), name, directory));
}

LoopDisk::~LoopDisk() {
  // Threads that are ending may still close files.
  (void)WaitUntil([&] { return ::umount(directory_.c_str()) == 0 || errno != EBUSY; });
  ::umount2(directory_.c_str(), MNT_DETACH);
  device_.Reset();
  const std::string backing = absl::StrCat("/sys/block/", name_, "/loop/backing_file");
  (void)WaitUntil([&] { return ::access(backing.c_str(), F_OK) != 0; });
}

LoopDisk::Work LoopDisk::work() const {
  std::ifstream stat(absl::StrCat("/sys/block/", name_, "/stat"));
  const std::vector<uint64_t> fields{std::istream_iterator<uint64_t>(stat), {}};
  // Field 7 counts sectors written, field 16 flush requests; kernels before 5.5 lack the latter.
  if (fields.size() < 16) return {};
  return {.bytes_written = fields[6] * kSectorBytes, .flushes = fields[15]};
}

}  // namespace datamanager::testing
