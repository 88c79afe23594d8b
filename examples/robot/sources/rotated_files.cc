#include "robot/sources/rotated_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <tuple>

#include "absl/strings/ascii.h"

namespace robot {
namespace {

// How often a directory is scanned that changes all the time.
constexpr int kMaxScans = 5;

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

// Whether it is a number or a date, with separators: ".1", "-20240131", "_2024-01-31T10:00:00Z".
bool IsStamp(std::string_view text) {
  return std::any_of(text.begin(), text.end(), IsDigit) &&
         text.find_first_not_of("0123456789.-_+:TZ") == std::string_view::npos;
}

// The name with each run of digits as one.
std::string Shape(std::string_view name) {
  std::string shape;
  for (const char c : name) {
    if (!IsDigit(c)) {
      shape += c;
    } else if (!shape.ends_with('0')) {
      shape += '0';
    }
  }
  return shape;
}

int64_t Nanoseconds(const statx_timestamp& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + static_cast<int64_t>(time.tv_nsec);
}

}  // namespace

bool IsRotatedName(std::string_view name, std::string_view base) {
  if (name.starts_with(base)) {
    const std::string_view suffix = name.substr(base.size());
    if (suffix == ".old" || IsStamp(suffix)) return true;
  }
  const size_t dot = base.rfind('.');
  if (dot != std::string_view::npos && dot > 0) {
    const std::string_view stem = base.substr(0, dot);
    const std::string_view extension = base.substr(dot);
    if (name.size() > base.size() && name.starts_with(stem) && name.ends_with(extension) &&
        IsStamp(name.substr(stem.size(), name.size() - base.size()))) {
      return true;
    }
  }
  return name != base && std::any_of(base.begin(), base.end(), IsDigit) &&
         Shape(name) == Shape(base);
}

namespace {

std::vector<RotatedFile> Scan(const std::string& directory, const std::string& base,
                              const std::set<uint64_t>& wanted) {
  std::vector<RotatedFile> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(directory.c_str()), &::closedir);
  if (listing == nullptr) return found;
  while (const dirent* entry = ::readdir(listing.get())) {  // NOLINT(concurrency-mt-unsafe)
    const std::string_view name = entry->d_name;
    const bool by_name = IsRotatedName(name, base);
    if (!by_name && name != base && !wanted.contains(entry->d_ino)) continue;
    struct statx info = {};
    if (::statx(::dirfd(listing.get()), entry->d_name, AT_SYMLINK_NOFOLLOW,
                STATX_BASIC_STATS | STATX_BTIME, &info) != 0 ||
        !S_ISREG(info.stx_mode)) {
      continue;
    }
    RotatedFile file{.path = directory + "/" + entry->d_name,
                     .id = {.inode = info.stx_ino},
                     .time = Nanoseconds(info.stx_mtime),
                     .by_name = by_name};
    if ((info.stx_mask & STATX_BTIME) != 0) file.id.birth = Nanoseconds(info.stx_btime);
    if (file.id.birth != 0) file.time = file.id.birth;
    found.push_back(std::move(file));
  }
  // Among files with the same time, "log.2" is older than "log.1".
  std::sort(found.begin(), found.end(), [](const RotatedFile& a, const RotatedFile& b) {
    return std::tuple(a.time, -static_cast<int64_t>(a.path.size()), b.path) <
           std::tuple(b.time, -static_cast<int64_t>(b.path.size()), a.path);
  });
  return found;
}

}  // namespace

std::vector<RotatedFile> FindRotatedFiles(const std::string& directory, const std::string& base,
                                          const std::set<uint64_t>& wanted) {
  // A scan may miss a file that is renamed during it, under both names.
  std::vector<RotatedFile> found = Scan(directory, base, wanted);
  for (int scan = 1; scan < kMaxScans; ++scan) {
    std::vector<RotatedFile> again = Scan(directory, base, wanted);
    const bool same = std::equal(found.begin(), found.end(), again.begin(), again.end(),
                                 [](const RotatedFile& a, const RotatedFile& b) {
                                   return a.path == b.path && a.id == b.id;
                                 });
    found = std::move(again);
    if (same) break;
  }
  return found;
}

}  // namespace robot
