#include "tests/simulation/simulated_disk.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/files.h"
#include "tests/support/wait_until.h"

namespace datamanager::simulation {
namespace {

// "" for AT_FDCWD.
std::string PathOf(int fd) {
  if (fd == AT_FDCWD) return "";
  char path[4096];
  const ssize_t size = ::readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), path, sizeof(path));
  return size < 0 ? std::string() : std::string(path, static_cast<size_t>(size));
}

std::string Absolute(int dir, const char* path) {
  return path[0] == '/' ? path : absl::StrCat(PathOf(dir), "/", path);
}

}  // namespace

std::string_view CallName(Call call) {
  constexpr std::string_view kNames[] = {
      "open",      "create",    "write", "pread",           "fstat",  "lstat",  "access",
      "ftruncate", "fdatasync", "fsync", "sync_file_range", "syncfs", "rename", "unlink",
      "mkdir",     "flock",     "lease", "readdir",         "statvfs"};
  return kNames[static_cast<size_t>(call)];
}

const std::vector<int>& ErrorsOf(Call call) {
  static const std::map<Call, std::vector<int>> kErrors = {
      {Call::kOpen, {EACCES, EMFILE, ENFILE, EIO, ENOMEM}},
      {Call::kCreate, {EACCES, EMFILE, ENFILE, EIO, ENOSPC, EROFS, EDQUOT}},
      {Call::kWrite, {ENOSPC, EIO, EDQUOT, EROFS}},
      {Call::kPread, {EIO}},
      {Call::kFstat, {EIO, ENOMEM}},
      {Call::kLstat, {EACCES, EIO, ENOMEM}},
      {Call::kAccess, {EACCES, EIO, EROFS}},
      {Call::kFtruncate, {EIO, EROFS}},
      {Call::kFdatasync, {EIO, ENOSPC, EDQUOT, EROFS}},
      {Call::kFsync, {EIO, ENOSPC, EROFS}},
      {Call::kSyncFileRange, {EIO, ENOSPC, EINVAL, ENOSYS}},
      {Call::kSyncfs, {EIO, ENOSPC}},
      {Call::kRename, {EACCES, EIO, ENOSPC, EROFS, EDQUOT, EINTR}},
      {Call::kUnlink, {EACCES, EIO, EROFS, EINTR}},
      {Call::kMkdir, {EACCES, EIO, ENOSPC, EROFS, EDQUOT, EINTR}},
      {Call::kLock, {ENOLCK, EWOULDBLOCK, EINTR}},
      {Call::kLease, {EAGAIN, EINVAL, EIO}},
      {Call::kReadDirectory, {EIO, ENOMEM, EINTR}},
      {Call::kStatvfs, {EIO}},
  };
  return kErrors.at(call);
}

SimulatedDisk::Fate SimulatedDisk::Next(Call call) {
  MutexLock lock(mutex_);
  if (healthy_) return Fate::kDone;
  const size_t number = calls_.size();
  calls_.push_back(call);
  if (fault_.kind == Fault::Kind::kOutage) {
    if (number < fault_.at) return Fate::kDone;
    errno = fault_.error;
    return Fate::kFails;
  }
  if (call == Call::kWrite && full_) {
    full_ = false;
    errno = ENOSPC;
    return Fate::kFails;
  }
  if (struck_ || number < fault_.at || fault_.call.value_or(call) != call) return Fate::kDone;
  struck_ = true;
  switch (fault_.kind) {
    case Fault::Kind::kError:
      errno = fault_.error;
      return Fate::kFails;
    case Fault::Kind::kShortWrite:
      full_ = true;
      return Fate::kCut;
    case Fault::Kind::kLostReply:
      return Fate::kDoneButFails;
    case Fault::Kind::kNone:
    case Fault::Kind::kOutage:
      break;
  }
  return Fate::kDone;
}

template <typename Effect>
auto SimulatedDisk::Do(Call call, Effect effect) -> decltype(effect()) {
  const Fate fate = Next(call);
  if (fate == Fate::kFails) return -1;
  const auto result = effect();
  if (fate != Fate::kDoneButFails) return result;
  errno = EIO;
  return -1;
}

void SimulatedDisk::Heal() {
  MutexLock lock(mutex_);
  healthy_ = true;
}

std::vector<Call> SimulatedDisk::calls() const {
  MutexLock lock(mutex_);
  return calls_;
}

size_t SimulatedDisk::change_count() const {
  MutexLock lock(mutex_);
  return changes_.size();
}

void SimulatedDisk::Record() {
  recording_ = true;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(ParentPath(root_))) {
    const std::string path = entry.path().string();
    if (entry.is_directory()) {
      recorded_from_.directories.insert(path);
      continue;
    }
    struct stat info {};
    if (FileOps::LstatAt(AT_FDCWD, path.c_str(), &info) != 0) continue;
    const uint64_t object = NewObject(info.st_ino);
    recorded_from_.names[path] = object;
    recorded_from_.contents[object] = testing::ReadFile(path);
  }
}

void SimulatedDisk::Note(Change change) {
  MutexLock lock(mutex_);
  changes_.push_back(std::move(change));
}

uint64_t SimulatedDisk::NewObject(ino_t inode) {
  MutexLock lock(mutex_);
  return objects_[inode] = next_object_++;
}

uint64_t SimulatedDisk::ObjectOf(ino_t inode) {
  MutexLock lock(mutex_);
  return objects_.at(inode);
}

uint64_t SimulatedDisk::ObjectOf(int fd) {
  struct stat info {};
  FileOps::Fstat(fd, &info);
  return ObjectOf(info.st_ino);
}

void SimulatedDisk::HoldFlushes() {
  MutexLock lock(mutex_);
  flushes_are_held_ = true;
}

void SimulatedDisk::ReleaseFlushes() {
  MutexLock lock(mutex_);
  flushes_are_held_ = false;
  changed_.NotifyAll();
}

void SimulatedDisk::WaitForRelease() {
  MutexLock lock(mutex_);
  changed_.WaitUntil(mutex_, testing::PatienceEnds(), [this] {
    mutex_.AssertHeld();
    return !flushes_are_held_;
  });
}

bool SimulatedDisk::IsUnnamed(uint64_t object) const {
  MutexLock lock(mutex_);
  return unnamed_.contains(object);
}

void SimulatedDisk::NoteSizeOfUnnamed(uint64_t object) {
  MutexLock lock(mutex_);
  unnamed_[object] = true;
}

bool SimulatedDisk::TakeSizeOfUnnamed(uint64_t object) {
  MutexLock lock(mutex_);
  return std::exchange(unnamed_[object], false);
}

int SimulatedDisk::listings() const {
  MutexLock lock(mutex_);
  return listings_;
}

bool SimulatedDisk::WaitForListing(int before) {
  MutexLock lock(mutex_);
  return changed_.WaitUntil(mutex_, testing::PatienceEnds(), [this, before] {
    mutex_.AssertHeld();
    return listings_ > before;
  });
}

int SimulatedDisk::looks() const {
  MutexLock lock(mutex_);
  return looks_;
}

bool SimulatedDisk::WaitForLooks(int looks) {
  MutexLock lock(mutex_);
  return changed_.WaitUntil(mutex_, testing::PatienceEnds(), [this, looks] {
    mutex_.AssertHeld();
    return looks_ >= looks;
  });
}

bool SimulatedDisk::IsRoot(int fd) {
  struct stat info {};
  struct stat root {};
  return FileOps::Fstat(fd, &info) == 0 && FileOps::LstatAt(AT_FDCWD, root_.c_str(), &root) == 0 &&
         FileId::Of(info) == FileId::Of(root);
}

void SimulatedDisk::EndListing() {
  MutexLock lock(mutex_);
  ++listings_;
  changed_.NotifyAll();
}

int SimulatedDisk::OpenAt(int dir, const char* path, int flags, mode_t mode) {
  const bool create = (flags & O_CREAT) != 0;
  const bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
  const int fd = Do(create || unnamed ? Call::kCreate : Call::kOpen,
                    [&] { return FileOps::OpenAt(dir, path, flags, mode); });
  const int error = errno;
  if (fd >= 0 && create && recording_) {
    struct stat info {};
    FileOps::Fstat(fd, &info);
    Note({.kind = Change::Kind::kCreate,
          .object = NewObject(info.st_ino),
          .path = Absolute(dir, path)});
  }
  if (fd >= 0 && unnamed && recording_) {
    struct stat info {};
    FileOps::Fstat(fd, &info);
    const uint64_t object = NewObject(info.st_ino);
    MutexLock lock(mutex_);
    unnamed_[object] = false;
  }
  if (fd < 0 && root_ == path) EndListing();
  if (fd < 0 && flaws_.leaks_descriptors) static_cast<void>(::dup(STDERR_FILENO));
  errno = error;
  return fd;
}

int SimulatedDisk::OpenWithoutLinks(const char* path, int flags) {
  return Do(Call::kOpen, [&] { return FileOps::OpenWithoutLinks(path, flags); });
}

ssize_t SimulatedDisk::Write(int fd, const void* data, size_t size) {
  const iovec part{const_cast<void*>(data), size};
  return Writev(fd, &part, 1);
}

ssize_t SimulatedDisk::Writev(int fd, const iovec* parts, int count) {
  const Fate fate = Next(Call::kWrite);
  if (fate == Fate::kFails) return -1;
  std::string whole;
  for (int i = 0; i < count; ++i) {
    whole.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  }
  if (fate == Fate::kCut) whole.resize(whole.size() / 2);
  struct stat info {};
  FileOps::Fstat(fd, &info);
  const ssize_t written = FileOps::Write(fd, whole.data(), whole.size());
  // All that is written here is appended.
  if (written > 0 && recording_) {
    whole.resize(static_cast<size_t>(written));
    Note({.kind = Change::Kind::kWrite,
          .object = ObjectOf(info.st_ino),
          .offset = static_cast<uint64_t>(info.st_size),
          .data = std::move(whole)});
  }
  return written;
}

ssize_t SimulatedDisk::Pread(int fd, void* data, size_t size, off_t offset) {
  return Do(Call::kPread, [&] { return FileOps::Pread(fd, data, size, offset); });
}

void SimulatedDisk::Disguise(struct stat* result) {
  if (!flaws_.hides_changes || !S_ISREG(result->st_mode)) return;
  MutexLock lock(mutex_);
  *result = first_looks_.emplace(result->st_ino, *result).first->second;
}

int SimulatedDisk::Fstat(int fd, struct stat* result) {
  if (PathOf(fd).ends_with(".prog")) {
    MutexLock lock(mutex_);
    ++looks_;
    changed_.NotifyAll();
  }
  return Do(Call::kFstat, [&] {
    const int failed = FileOps::Fstat(fd, result);
    if (failed == 0) Disguise(result);
    return failed;
  });
}

int SimulatedDisk::LstatAt(int dir, const char* path, struct stat* result) {
  return Do(Call::kLstat, [&] {
    const int failed = FileOps::LstatAt(dir, path, result);
    if (failed == 0) Disguise(result);
    return failed;
  });
}

int SimulatedDisk::AccessAt(int dir, const char* path, int mode) {
  return Do(Call::kAccess, [&] { return FileOps::AccessAt(dir, path, mode); });
}

int SimulatedDisk::Ftruncate(int fd, off_t size) {
  return Do(Call::kFtruncate, [&] {
    if (flaws_.drops_truncations) return 0;
    const off_t before = ::lseek(fd, 0, SEEK_END);
    const int failed = FileOps::Ftruncate(fd, size);
    if (failed == 0 && recording_ && IsUnnamed(ObjectOf(fd))) {
      if (size != before) NoteSizeOfUnnamed(ObjectOf(fd));
    } else if (failed == 0 && recording_) {
      Note({.kind = Change::Kind::kTruncate,
            .object = ObjectOf(fd),
            .offset = static_cast<uint64_t>(size)});
    }
    return failed;
  });
}

int SimulatedDisk::Fdatasync(int fd) {
  WaitForRelease();
  return Do(Call::kFdatasync, [&] {
    if (!recording_) return 0;
    const uint64_t object = ObjectOf(fd);
    if (IsUnnamed(object)) {
      if (TakeSizeOfUnnamed(object) && !flaws_.drops_commits) {
        Note({.kind = Change::Kind::kCommit});
      }
    } else if (!flaws_.drops_data_flushes) {
      Note({.kind = Change::Kind::kSyncFile, .object = object});
    }
    return 0;
  });
}

int SimulatedDisk::Fsync(int fd) {
  return Do(Call::kFsync, [&] {
    if (recording_ && !flaws_.drops_directory_flushes) {
      Note({.kind = Change::Kind::kSyncDirectory, .path = PathOf(fd)});
    }
    return 0;
  });
}

int SimulatedDisk::SyncFileRange(int fd, unsigned flags) {
  constexpr unsigned kWriteAndWait =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  WaitForRelease();
  return Do(Call::kSyncFileRange, [&] {
    if (recording_ && flags == kWriteAndWait && !flaws_.drops_data_flushes) {
      Note({.kind = Change::Kind::kWriteBack, .object = ObjectOf(fd)});
    }
    return 0;
  });
}

int SimulatedDisk::Syncfs(int) {
  WaitForRelease();
  return Do(Call::kSyncfs, [&] {
    if (recording_ && !flaws_.drops_commits) Note({.kind = Change::Kind::kSyncAll});
    return 0;
  });
}

int SimulatedDisk::RenameNoReplaceAt(int from_dir, const char* from, int to_dir, const char* to) {
  return Do(Call::kRename, [&] {
    const int failed = FileOps::RenameNoReplaceAt(from_dir, from, to_dir, to);
    const int error = errno;
    if (failed == 0 && recording_) {
      struct stat info {};
      FileOps::LstatAt(to_dir, to, &info);
      Note({.kind = Change::Kind::kRename,
            .object = ObjectOf(info.st_ino),
            .path = Absolute(from_dir, from),
            .to = Absolute(to_dir, to)});
    }
    errno = error;
    return failed;
  });
}

int SimulatedDisk::UnlinkAt(int dir, const char* path) {
  return Do(Call::kUnlink, [&] {
    struct stat info {};
    FileOps::LstatAt(dir, path, &info);
    const int failed = FileOps::UnlinkAt(dir, path);
    if (failed == 0 && recording_) {
      Note({.kind = Change::Kind::kUnlink,
            .object = ObjectOf(info.st_ino),
            .path = Absolute(dir, path)});
    }
    return failed;
  });
}

int SimulatedDisk::MkdirAt(int dir, const char* path, mode_t mode) {
  return Do(Call::kMkdir, [&] {
    const int failed = FileOps::MkdirAt(dir, path, mode);
    if (failed == 0 && recording_) {
      Note({.kind = Change::Kind::kMkdir, .path = Absolute(dir, path)});
    }
    return failed;
  });
}

int SimulatedDisk::TryLock(int fd) {
  return Do(Call::kLock, [&] { return FileOps::TryLock(fd); });
}

int SimulatedDisk::TryLease(int fd, int type) {
  return Do(Call::kLease, [&] { return FileOps::TryLease(fd, type); });
}

const dirent* SimulatedDisk::ReadDirectory(DIR* directory) {
  const dirent* entry = nullptr;
  if (Next(Call::kReadDirectory) != Fate::kFails) entry = FileOps::ReadDirectory(directory);
  if (entry == nullptr) {
    const int error = errno;
    if (IsRoot(::dirfd(directory))) EndListing();
    errno = error;
  }
  return entry;
}

int SimulatedDisk::Statvfs(const char* path, struct statvfs* result) {
  return Do(Call::kStatvfs, [&] { return FileOps::Statvfs(path, result); });
}

}  // namespace datamanager::simulation
