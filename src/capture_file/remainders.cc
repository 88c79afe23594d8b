#include "capture_file/remainders.h"

#include <fcntl.h>
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "capture_file/copy.h"
#include "capture_file/file_name.h"

namespace datamanager::capture_file {
namespace {

// Each open level of directories holds a descriptor.
constexpr size_t kDirectoryDepthLimit = 64;
constexpr size_t kRemovedAtOnce = 256;
// Room for a number, and for the mark of an unfinished remainder.
constexpr size_t kRemainderNameReserve = 16;

// Returns the base name of a remainder. A long `base_name` is cut so that the suffix fits.
std::string NameOf(std::string_view base_name, uint64_t offset) {
  const size_t end = CutPath("", offset).size() + kRemainderNameReserve;
  return CutPath(base_name.substr(0, NAME_MAX - end), offset);
}

std::string Numbered(const std::string& name, int attempt) {
  if (attempt == 0) return name;
  return absl::StrCat(name.substr(0, name.size() - kInProgressSuffix.size()), ".", attempt,
                      ToAbsl(kInProgressSuffix));
}

// Removes an unfinished remainder of a dead process. UNAVAILABLE: a living process is writing it.
absl::Status RemoveUnfinished(FileOps& ops, int directory, const std::string& name) {
  const UniqueFd fd(ops.OpenAt(directory, name.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0));
  if (!fd.valid() && errno == ENOENT) return absl::OkStatus();
  // A name that cannot be opened, such as a link, is not a remainder being written.
  if (fd.valid() && ops.TryLock(fd.get()) != 0) {
    if (errno == EWOULDBLOCK)
      return absl::UnavailableError(absl::StrCat(name, " is being written"));
    return ErrnoStatus(errno, "lock", name);
  }
  if (ops.UnlinkAt(directory, name.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, "remove", name);
  }
  return absl::OkStatus();
}

// Whether the file `name` holds exactly these stretches of `fd`.
absl::StatusOr<bool> Holds(FileOps& ops, int directory, const std::string& name, int fd,
                           std::span<const Extent> stretches, const KeepGoing& keep_going) {
  constexpr uint64_t kCompareBytes = 64 << 10;
  const UniqueFd other(ops.OpenAt(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0));
  struct stat info {};
  if (!other.valid() || ops.Fstat(other.get(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("look at ", name));
  }
  uint64_t size = 0;
  for (const Extent& stretch : stretches) size += stretch.size;
  if (!S_ISREG(info.st_mode) || static_cast<uint64_t>(info.st_size) != size) return false;
  std::vector<char> ours(kCompareBytes);
  std::vector<char> theirs(kCompareBytes);
  uint64_t position = 0;
  for (const Extent& stretch : stretches) {
    for (uint64_t done = 0; done < stretch.size;) {
      if (!GoesOn(keep_going)) return absl::CancelledError("the comparison was ended");
      const size_t part = std::min(stretch.size - done, kCompareBytes);
      absl::Status status =
          ReadExactly(ops, fd, static_cast<off_t>(stretch.offset + done), part, ours.data());
      if (status.ok()) {
        status = ReadExactly(ops, other.get(), static_cast<off_t>(position), part, theirs.data());
      }
      if (!status.ok()) return status;
      if (std::memcmp(ours.data(), theirs.data(), part) != 0) return false;
      done += part;
      position += part;
    }
  }
  return true;
}

// Lists the remainders below a directory. Removes unfinished ones of dead processes.
class Inventory {
 public:
  struct Entry {
    WallTime changed;
    uint64_t bytes = 0;
    std::string path;
    bool operator<(const Entry& other) const {
      return changed != other.changed ? changed < other.changed : path < other.path;
    }
  };

  Inventory(FileOps& ops, std::string_view spared, const KeepGoing& keep_going)
      : ops_(ops), spared_(spared), keep_going_(keep_going) {}

  // False: `keep_going` ended it.
  bool Look(const std::string& path) { return Visit(AT_FDCWD, path.c_str(), path, 0); }

  uint64_t files() const { return files_; }
  uint64_t bytes() const { return bytes_; }
  // Returns as many of the oldest as are removed at once, from old to young.
  std::vector<Entry> Oldest() {
    std::sort_heap(oldest_.begin(), oldest_.end());
    return std::move(oldest_);
  }

 private:
  bool Visit(int parent, const char* name, const std::string& path, size_t depth) {
    const DirectoryStream stream = OpenDirectory(ops_, parent, name, O_NOFOLLOW);
    if (stream == nullptr) return true;
    const int directory = dirfd(stream.get());
    while (const dirent* entry = ops_.ReadDirectory(stream.get())) {
      if (!GoesOn(keep_going_)) return false;
      const std::string_view base_name = entry->d_name;
      if (base_name == "." || base_name == "..") continue;
      const bool remainder = IsRemainder(base_name);
      if (!remainder && entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) continue;
      struct stat info {};
      if (ops_.LstatAt(directory, entry->d_name, &info) != 0) continue;
      std::string below = absl::StrCat(path, "/", ToAbsl(base_name));
      if (S_ISDIR(info.st_mode)) {
        if (depth < kDirectoryDepthLimit && !Visit(directory, entry->d_name, below, depth + 1))
          return false;
      } else if (remainder && S_ISREG(info.st_mode)) {
        if (IsUnfinishedRemainder(base_name) &&
            RemoveUnfinished(ops_, directory, std::string(base_name)).ok()) {
          continue;
        }
        Add({.changed = ModifiedAt(info),
             .bytes = static_cast<uint64_t>(info.st_size),
             .path = std::move(below)});
      }
    }
    return true;
  }

  void Add(Entry entry) {
    ++files_;
    bytes_ += entry.bytes;
    if (entry.path == spared_) return;
    if (oldest_.size() == kRemovedAtOnce) {
      if (oldest_.front() < entry) return;
      std::pop_heap(oldest_.begin(), oldest_.end());
      oldest_.pop_back();
    }
    oldest_.push_back(std::move(entry));
    std::push_heap(oldest_.begin(), oldest_.end());
  }

  FileOps& ops_;
  const std::string_view spared_;
  const KeepGoing& keep_going_;
  uint64_t files_ = 0;
  uint64_t bytes_ = 0;
  std::vector<Entry> oldest_;  // A heap with the youngest on top.
};

// Resolves the links in the root's path. No links are followed below it.
std::string Resolved(const std::string& root) {
  const std::unique_ptr<char, decltype(&::free)> path(::realpath(root.c_str(), nullptr), ::free);
  return path == nullptr ? root : std::string(path.get());
}

std::string FailedDirectoryOf(const std::string& root) {
  return absl::StrCat(root == "/" ? "" : root, "/", ToAbsl(kFailedDirectory));
}

// The directory that the remainder of `path` below `root` goes to.
struct Place {
  std::string root;  // Resolved.
  std::string directory;
  UniqueFd fd;  // An open descriptor of it.
};
absl::StatusOr<Place> PlaceFor(FileOps& ops, const std::string& root, const std::string& path) {
  Place place{.root = Resolved(root), .directory = {}, .fd = {}};
  const std::string below = ParentPath(path.substr(std::min(path.size(), root.size())));
  const std::string relative =
      absl::StrCat(ToAbsl(kFailedDirectory), below.starts_with('/') ? "" : "/",
                   below == "." || below == "/" ? "" : below);
  absl::StatusOr<UniqueFd> fd = MakeDirectoriesBelow(ops, place.root, relative);
  if (!fd.ok()) return fd.status();
  place.fd = *std::move(fd);
  place.directory = absl::StrCat(place.root == "/" ? "" : place.root, "/", relative);
  while (place.directory.ends_with('/')) place.directory.pop_back();
  return place;
}

}  // namespace

absl::StatusOr<std::string> KeepStretches(FileOps& ops, int fd, std::span<const Extent> stretches,
                                          int directory, const std::string& name,
                                          const KeepGoing& keep_going) {
  // The lock on the damaged file protects this name, unless two long names were cut to the same
  // one.
  const std::string part = UnfinishedRemainderName(name);
  if (absl::Status status = RemoveUnfinished(ops, directory, part); !status.ok()) return status;
  std::string free_name;
  for (int attempt = 0; free_name.empty(); ++attempt) {
    if (attempt == kNameAttempts) {
      return absl::AlreadyExistsError(absl::StrCat("too many files named ", name));
    }
    std::string candidate = Numbered(name, attempt);
    struct stat info {};
    if (ops.LstatAt(directory, candidate.c_str(), &info) != 0) {
      if (errno != ENOENT) return ErrnoStatus(errno, "look for", candidate);
      free_name = std::move(candidate);
    } else if (S_ISREG(info.st_mode)) {
      absl::StatusOr<bool> same = Holds(ops, directory, candidate, fd, stretches, keep_going);
      if (!same.ok()) return same.status();
      if (*same) return candidate;
    }
  }
  const UniqueFd out(
      ops.OpenAt(directory, part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  if (!out.valid()) return ErrnoStatus(errno, "create", part);
  absl::Status status;
  if (ops.TryLock(out.get()) != 0) status = ErrnoStatus(errno, "lock", part);
  for (const Extent& stretch : stretches) {
    if (status.ok()) {
      status = CopyBytes(ops, fd, stretch.offset, stretch.size, out.get(), keep_going);
    }
  }
  if (status.ok() && ops.Fdatasync(out.get()) != 0) status = ErrnoStatus(errno, "flush", part);
  if (status.ok() &&
      ops.RenameNoReplaceAt(directory, part.c_str(), directory, free_name.c_str()) != 0) {
    status = ErrnoStatus(errno, "name", free_name);
  }
  if (!status.ok()) {
    ops.UnlinkAt(directory, part.c_str());
    return status;
  }
  if (ops.Fsync(directory) != 0) {
    status = ErrnoStatus(errno, "flush the directory of", free_name);
    ops.UnlinkAt(directory, free_name.c_str());
    return status;
  }
  return free_name;
}

absl::StatusOr<std::string> Remainders::Keep(const std::string& root, const std::string& path,
                                             int fd, uint64_t offset,
                                             std::span<const Extent> stretches,
                                             const KeepGoing& keep_going) {
  absl::StatusOr<Place> place = PlaceFor(ops_, root, path);
  if (!place.ok()) return Wrap(place.status(), "keep the remainder");
  absl::StatusOr<std::string> name = KeepStretches(ops_, fd, stretches, place->fd.get(),
                                                   NameOf(BaseName(path), offset), keep_going);
  if (!name.ok()) return Wrap(name.status(), "keep the remainder");
  uint64_t size = 0;
  for (const Extent& stretch : stretches) size += stretch.size;
  std::string kept = absl::StrCat(place->directory, "/", *name);
  Count(place->root, kept, size, keep_going);
  return kept;
}

absl::StatusOr<std::string> Remainders::Move(const std::string& root, const std::string& path,
                                             uint64_t size, const KeepGoing& keep_going) {
  absl::StatusOr<Place> place = PlaceFor(ops_, root, path);
  if (!place.ok()) return Wrap(place.status(), "set it aside");
  const std::string name = NameOf(BaseName(path), 0);
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    const std::string candidate = Numbered(name, attempt);
    if (ops_.RenameNoReplaceAt(AT_FDCWD, path.c_str(), place->fd.get(), candidate.c_str()) == 0) {
      // A power cut may undo the move; the next recovery then moves the file again.
      ops_.Fsync(place->fd.get());
      std::string kept = absl::StrCat(place->directory, "/", candidate);
      Count(place->root, kept, size, keep_going);
      return kept;
    }
    if (errno != EEXIST) return ErrnoStatus(errno, "set aside", path);
  }
  return absl::AlreadyExistsError(absl::StrCat("too many files named ", name));
}

void Remainders::Count(const std::string& root, const std::string& path, uint64_t size,
                       const KeepGoing& keep_going) {
  ++kept_files_;
  kept_bytes_ += size;
  uint64_t most_bytes = limits_.least_bytes;
  struct statvfs volume {};
  if (ops_.Statvfs(root.c_str(), &volume) == 0) {
    const double share =
        limits_.volume_share * static_cast<double>(volume.f_blocks * volume.f_frsize);
    most_bytes = std::clamp(static_cast<uint64_t>(share), limits_.least_bytes, limits_.most_bytes);
  }
  const auto exceeds = [&](const Total& total) {
    return total.bytes > most_bytes || total.files > limits_.most_files;
  };
  {
    MutexLock lock(mutex_);
    const auto [entry, first] = totals_.try_emplace(root);
    Total& total = entry->second;
    ++total.files;
    total.bytes += size;
    total.added += size;
    if (!first && total.added <= most_bytes / 8 && !exceeds(total)) return;
  }
  // Goes some way below the limits, so that not every new remainder causes a count.
  const uint64_t fewer_bytes = most_bytes / 8 * 7;
  const uint64_t fewer_files = limits_.most_files / 8 * 7;
  Total total;
  for (bool removed = true; removed;) {
    Inventory inventory(ops_, path, keep_going);
    if (!inventory.Look(FailedDirectoryOf(root))) {
      MutexLock lock(mutex_);
      totals_.erase(root);  // Counted again with the next remainder.
      return;
    }
    total = {.files = inventory.files(), .bytes = inventory.bytes()};
    removed = false;
    if (!exceeds(total)) break;
    for (const Inventory::Entry& oldest : inventory.Oldest()) {
      if (total.bytes <= fewer_bytes && total.files <= fewer_files) break;
      // Does not follow a directory that was replaced by a link.
      absl::StatusOr<UniqueFd> parent =
          OpenDirectoryWithoutLinks(ops_, ParentPath(oldest.path), O_PATH);
      const std::string name(BaseName(oldest.path));
      if (!parent.ok() || ops_.UnlinkAt(parent->get(), name.c_str()) != 0) continue;
      removed = true;
      ++removed_files_;
      removed_bytes_ += oldest.bytes;
      --total.files;
      total.bytes -= oldest.bytes;
    }
  }
  MutexLock lock(mutex_);
  totals_[root] = total;
}

}  // namespace datamanager::capture_file
