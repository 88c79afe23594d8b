#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "robot/sources/models.h"
#include "robot/sources/numbers.h"
#include "robot/sources/pseudo_file.h"
#include "robot/sources/scan.h"

namespace robot {
namespace {

using datamanager::Readings;

class HostDisk {
 public:
  explicit HostDisk(std::string path) : path_(std::move(path)) {}

  absl::Status Read(Readings& out) {
    struct statvfs space = {};
    struct stat info = {};
    if (::statvfs(path_.c_str(), &space) != 0 || ::stat(path_.c_str(), &info) != 0) {
      return absl::ErrnoToStatus(errno, "look at the file system of " + path_);
    }
    const uint64_t total = space.f_blocks * space.f_frsize;
    const uint64_t free = space.f_bfree * space.f_frsize;
    out.Set("path", path_);
    out.Set("total_bytes", total);
    out.Set("used_bytes", total - free);
    // What a process without privileges can still write.
    out.Set("available_bytes", space.f_bavail * space.f_frsize);
    out.Set("used_percent", Percent(total - free, total));
    out.Set("free_inodes", static_cast<uint64_t>(space.f_ffree));
    ReportDevice(info.st_dev, out);
    return absl::OkStatus();
  }

 private:
  // Nothing is added for a file system without a device of its own, such as an overlay.
  void ReportDevice(dev_t device, Readings& out) {
    const absl::StatusOr<std::string_view> text = statistics_.Read();
    if (!text.ok()) return;  // Containers may hide the file.
    const auto now = std::chrono::steady_clock::now();
    std::string_view rest = *text;
    std::string_view line;
    while (NextLine(rest, line)) {
      const auto device_major = NextNumber<unsigned>(line);
      const auto device_minor = NextNumber<unsigned>(line);
      if (device_major != major(device) || device_minor != minor(device)) continue;
      constexpr uint64_t kSectorBytes = 512;  // In this file, whatever the device has.
      out.Set("device", NextField(line));
      const auto reads = NextNumber<uint64_t>(line);
      SkipFields(line, 1);  // Merged reads.
      const uint64_t bytes_read = NextNumber<uint64_t>(line) * kSectorBytes;
      SkipFields(line, 1);  // Time spent reading.
      const auto writes = NextNumber<uint64_t>(line);
      SkipFields(line, 1);  // Merged writes.
      const uint64_t bytes_written = NextNumber<uint64_t>(line) * kSectorBytes;
      out.Set("reads", reads);
      out.Set("bytes_read", bytes_read);
      out.Set("writes", writes);
      out.Set("bytes_written", bytes_written);
      read_rate_.Report(bytes_read, now, out.Add("bytes_read_per_s"));
      write_rate_.Report(bytes_written, now, out.Add("bytes_written_per_s"));
    }
  }

  const std::string path_;
  PseudoFile statistics_{"/proc/diskstats"};
  Rate read_rate_;
  Rate write_rate_;
};

}  // namespace

datamanager::SourceFunction MakeHostDisk(Attributes& attributes) {
  return ReadingsFrom(std::make_shared<HostDisk>(attributes.Text("path", "/")));
}

}  // namespace robot
