#include "tests/support/recording_disk.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/disk_log.h"
#include "tests/support/wait_until.h"

namespace datamanager::testing {
namespace {

struct DiskWrite {
  off_t offset = 0;
  std::vector<char> bytes;
};

bool Apply(int image, const DiskWrite& write) {
  return ::pwrite(image, write.bytes.data(), write.bytes.size(), write.offset) ==
         static_cast<ssize_t>(write.bytes.size());
}

// Copies the file, except its holes.
absl::Status CopySparse(const std::string& from, const std::string& to) {
  const UniqueFd in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  struct stat info {};
  if (::fstat(in.get(), &info) != 0 || ::ftruncate(out.get(), info.st_size) != 0) {
    return absl::InternalError("cannot copy " + from);
  }
  off_t begin = 0;
  // ENXIO: there is no more data.
  while ((begin = ::lseek(in.get(), begin, SEEK_DATA)) >= 0) {
    const off_t end = ::lseek(in.get(), begin, SEEK_HOLE);
    ::lseek(in.get(), begin, SEEK_SET);
    ::lseek(out.get(), begin, SEEK_SET);
    for (; begin < end;) {
      const ssize_t n = ::sendfile(out.get(), in.get(), nullptr, static_cast<size_t>(end - begin));
      if (n <= 0) return absl::InternalError("cannot copy " + from);
      begin += n;
    }
  }
  return absl::OkStatus();
}

// Changes the image as the log records, up to `moment`.
absl::Status Replay(const std::string& log_path, DiskMoment moment, CacheAtCut cache, uint32_t seed,
                    int image) {
  std::ifstream log(log_path, std::ios::binary);
  std::vector<DiskWrite> cached;
  bool applied = true;
  while (static_cast<DiskMoment>(log.tellg()) < moment) {
    DiskLogHeader header;
    if (!log.read(reinterpret_cast<char*>(&header), sizeof header)) break;
    if (header.kind == DiskLogHeader::kFlush) {
      for (const DiskWrite& write : cached) applied = Apply(image, write) && applied;
      cached.clear();
      continue;
    }
    DiskWrite write{.offset = static_cast<off_t>(header.offset),
                    .bytes = std::vector<char>(header.length)};
    if (!log.read(write.bytes.data(), static_cast<std::streamsize>(header.length))) break;
    cached.push_back(std::move(write));
  }
  if (!log || !applied) return absl::InternalError("the disk's log cannot be replayed");
  std::mt19937 random(seed);
  for (const DiskWrite& write : cached) {
    const bool kept = cache == CacheAtCut::kAll ||
                      (cache == CacheAtCut::kSome && std::bernoulli_distribution(0.5)(random));
    if (kept && !Apply(image, write)) return absl::InternalError("write to the copy");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordingDisk>> RecordingDisk::Mount(const FileSystem& file_system,
                                                                    const std::string& directory,
                                                                    const std::string& program) {
  if (absl::Status status = EnterOwnMounts(); !status.ok()) return status;
  std::unique_ptr<RecordingDisk> disk(new RecordingDisk(file_system, directory));
  for (const char* name : {"disk", "cut"}) std::filesystem::create_directory(disk->In(name));
  if (absl::Status status = MakeImage(file_system, disk->In("image")); !status.ok()) return status;
  if (absl::Status status = disk->Serve(program); !status.ok()) return status;
  auto mounted = LoopDisk::Mount(file_system, disk->In("served"), disk->In("disk"));
  if (!mounted.ok()) return mounted.status();
  disk->disk_ = *std::move(mounted);
  return disk;
}

// Starts the program, which mounts the file that it serves, and waits until it has.
absl::Status RecordingDisk::Serve(const std::string& program) {
  std::ofstream(In("served")).flush();
  if (::access("/dev/fuse", R_OK | W_OK) != 0) return absl::UnavailableError("no /dev/fuse");
  std::string command[] = {program, In("image"), In("served"), In("log")};
  char* arguments[] = {command[0].data(), command[1].data(), command[2].data(), command[3].data(),
                       nullptr};
  const int error = ::posix_spawn(&server_, arguments[0], nullptr, nullptr, arguments, environ);
  if (error != 0) return absl::InternalError(absl::StrCat("cannot start ", program));
  struct stat info {};
  const auto served = [&] { return ::stat(In("served").c_str(), &info) == 0 && info.st_size > 0; };
  const auto ended = [&] { return ::waitpid(server_, nullptr, WNOHANG) == server_; };
  bool gone = false;
  if (WaitUntil([&] { return served() || (gone = ended()); }) && !gone) return absl::OkStatus();
  if (gone) server_ = -1;
  return absl::UnavailableError("no file system can be served");
}

RecordingDisk::~RecordingDisk() {
  disk_.reset();
  if (server_ < 0) return;
  // The program ends when its file is unmounted.
  ::umount2(In("served").c_str(), MNT_DETACH);
  const auto ended = [&] { return ::waitpid(server_, nullptr, WNOHANG) == server_; };
  if (WaitUntil(ended)) return;
  ::kill(server_, SIGKILL);
  ::waitpid(server_, nullptr, 0);
}

DiskMoment RecordingDisk::Now() const { return std::filesystem::file_size(In("log")); }

absl::StatusOr<std::unique_ptr<LoopDisk>> RecordingDisk::MountCut(DiskMoment moment,
                                                                  CacheAtCut cache,
                                                                  uint32_t seed) const {
  const std::string copy = In("copy");
  if (absl::Status status = CopySparse(In("image"), copy); !status.ok()) return status;
  {
    const UniqueFd image(::open(copy.c_str(), O_RDWR | O_CLOEXEC));
    if (absl::Status status = Replay(In("log"), moment, cache, seed, image.get()); !status.ok()) {
      return status;
    }
  }
  FileSystem file_system = file_system_;
  // The original of this copy, with the same UUID, is mounted too.
  if (file_system.type == "xfs") {
    absl::StrAppend(&file_system.options, file_system.options.empty() ? "" : ",", "nouuid");
  }
  return LoopDisk::Mount(file_system, copy, In("cut"));
}

}  // namespace datamanager::testing
