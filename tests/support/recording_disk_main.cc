// Serves a file that is a disk, and keeps a log of all operations on it.
//   recording_disk IMAGE FILE LOG
// FILE is mounted over (FUSE), and shows IMAGE, which itself stays as it is. Ends when FILE is
// unmounted, and when the process that started it ends.
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/disk_log.h"

namespace datamanager::testing {
namespace {

constexpr uint32_t kMinor = 31;               // FUSE version 7.31; nothing newer is used.
constexpr uint32_t kMaxWriteBytes = 1 << 20;  // The kernel's maximum with 256 pages.
constexpr uint16_t kMaxPages = 256;

class Server {
 public:
  Server(int fuse, int log, char* image, uint64_t size)
      : fuse_(fuse), log_(log), image_(image), size_(size) {}

  // Handles one request at a time, so that the log's order is the disk's. Returns the exit status.
  int Run() {
    std::vector<char> buffer(kMaxWriteBytes + 4096);
    while (true) {
      const ssize_t n = ::read(fuse_, buffer.data(), buffer.size());
      if (n < 0 && errno == ENODEV) return 0;
      // ENOENT: the request was taken back.
      if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
      if (n < static_cast<ssize_t>(sizeof(fuse_in_header))) return 1;
      fuse_in_header header;
      std::memcpy(&header, buffer.data(), sizeof header);
      if (!Answer(header, buffer.data() + sizeof header)) return 1;
    }
  }

 private:
  template <typename T>
  static T Read(const char* body) {
    T value;
    std::memcpy(&value, body, sizeof value);
    return value;
  }

  // False: the log cannot be written.
  bool Answer(const fuse_in_header& header, const char* body) {
    switch (header.opcode) {
      case FUSE_INIT: {
        const auto in = Read<fuse_init_in>(body);
        fuse_init_out out{};
        out.major = 7;
        out.minor = std::min(kMinor, in.minor);
        out.max_readahead = in.max_readahead;
        out.flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES;
        out.max_write = kMaxWriteBytes;
        out.max_pages = kMaxPages;
        out.time_gran = 1;
        Reply(header, 0, &out, sizeof out);
        return true;
      }
      case FUSE_GETATTR:
      case FUSE_SETATTR: {
        fuse_attr_out out{};
        out.attr_valid = 3600;
        out.attr.ino = FUSE_ROOT_ID;
        out.attr.size = size_;
        out.attr.mode = S_IFREG | 0600;
        out.attr.nlink = 1;
        out.attr.blksize = 4096;
        Reply(header, 0, &out, sizeof out);
        return true;
      }
      case FUSE_OPEN: {
        fuse_open_out out{};
        out.open_flags = FOPEN_KEEP_CACHE;
        Reply(header, 0, &out, sizeof out);
        return true;
      }
      case FUSE_READ: {
        const auto in = Read<fuse_read_in>(body);
        const uint64_t begin = std::min(in.offset, size_);
        Reply(header, 0, image_ + begin, std::min<uint64_t>(in.size, size_ - begin));
        return true;
      }
      case FUSE_WRITE: {
        const auto in = Read<fuse_write_in>(body);
        if (in.offset > size_ || in.size > size_ - in.offset) {
          Reply(header, ENOSPC);
          return true;
        }
        const char* const data = body + sizeof in;
        std::memcpy(image_ + in.offset, data, in.size);
        if (!Log({.kind = DiskLogHeader::kWrite, .offset = in.offset, .length = in.size}, data)) {
          return false;
        }
        fuse_write_out out{};
        out.size = in.size;
        Reply(header, 0, &out, sizeof out);
        return true;
      }
      case FUSE_FSYNC:
        if (!Log({.kind = DiskLogHeader::kFlush, .offset = 0, .length = 0}, nullptr)) return false;
        Reply(header, 0);
        return true;
      case FUSE_FLUSH:
      case FUSE_RELEASE:
      case FUSE_DESTROY:
        Reply(header, 0);
        return true;
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
      case FUSE_INTERRUPT:
        return true;
      default:
        Reply(header, ENOSYS);
        return true;
    }
  }

  void Reply(const fuse_in_header& to, int error, const void* body = nullptr, size_t size = 0) {
    fuse_out_header header{
        .len = static_cast<uint32_t>(sizeof header + size), .error = -error, .unique = to.unique};
    const iovec parts[] = {{&header, sizeof header}, {const_cast<void*>(body), size}};
    // Fails if the request was taken back: no process waits for the answer then.
    [[maybe_unused]] const ssize_t sent = ::writev(fuse_, parts, size == 0 ? 1 : 2);
  }

  bool Log(DiskLogHeader header, const char* data) {
    const iovec parts[] = {{&header, sizeof header}, {const_cast<char*>(data), header.length}};
    return ::writev(log_, parts, data == nullptr ? 1 : 2) ==
           static_cast<ssize_t>(sizeof header + header.length);
  }

  const int fuse_;
  const int log_;
  char* const image_;
  const uint64_t size_;
};

int Serve(const char* image_path, const char* served, const char* log_path) {
  // A disk must not outlive the test: processes that hang on it would hang forever.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int image = ::open(image_path, O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (image < 0 || ::fstat(image, &info) != 0) return 1;
  const auto size = static_cast<size_t>(info.st_size);
  void* const bytes =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, image, 0);
  const int log = ::open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  const int fuse = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (bytes == MAP_FAILED || log < 0 || fuse < 0) return 1;
  const std::string options =
      "fd=" + std::to_string(fuse) + ",rootmode=100000,user_id=0,group_id=0";
  if (::mount("recording_disk", served, "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    return 1;
  }
  return Server(fuse, log, static_cast<char*>(bytes), size).Run();
}

}  // namespace
}  // namespace datamanager::testing

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: recording_disk IMAGE FILE LOG\n", stderr);
    return 2;
  }
  return datamanager::testing::Serve(argv[1], argv[2], argv[3]);
}
