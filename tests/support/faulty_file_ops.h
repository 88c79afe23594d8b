// The real disk, with faults where a test wants them.
#ifndef DATAMANAGER_TESTS_SUPPORT_FAULTY_FILE_OPS_H_
#define DATAMANAGER_TESTS_SUPPORT_FAULTY_FILE_OPS_H_

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "tests/support/gate.h"

namespace datamanager::testing {

// Passes every call on, keeps a journal of those that matter to durability, and fails, cuts or
// holds calls on demand. Flushes to the medium are only noted: what they do shows after a power
// cut. Thread-safe.
class FaultyFileOps final : public FileOps {
 public:
  enum class Call {
    kOpen,
    kWrite,
    kPread,
    kFtruncate,
    kFdatasync,
    kFsync,
    kSyncFileRange,
    kSyncfs,
    kRename,
    kUnlink,
    kMkdir,
    kLock,
    kLease,
    kReadDirectory,
    kStatvfs
  };
  static constexpr int kAlways = -1;

  // The next `times` calls, of those whose path ends with `suffix`, fail with `error`.
  void Fail(Call call, int error, int times = kAlways, std::string suffix = "") {
    const std::lock_guard lock(mutex_);
    faults_.push_back({.call = call, .error = error, .times = times, .suffix = std::move(suffix)});
  }
  // The next `times` writes store only their first `bytes` bytes.
  void CutWrites(size_t bytes, int times = 1) {
    const std::lock_guard lock(mutex_);
    faults_.push_back({.call = Call::kWrite, .cut = true, .bytes = bytes, .times = times});
  }
  // Like CutWrites, but the write that follows each fails, as on a disk that fills up.
  void FillUp(size_t bytes, int times = 1, int error = ENOSPC) {
    const std::lock_guard lock(mutex_);
    faults_.push_back(
        {.call = Call::kWrite, .error = error, .cut = true, .bytes = bytes, .times = times});
  }
  // Changes what every volume says of itself.
  void SetVolume(std::function<void(struct statvfs&)> volume) {
    const std::lock_guard lock(mutex_);
    volume_ = std::move(volume);
  }
  // All faults are over.
  void Heal() {
    const std::lock_guard lock(mutex_);
    faults_.clear();
    refusal_ = 0;
  }

  // Sets the commit method that is reported, whatever file system the files lie on.
  void SetCommitMethod(CommitMethod method) { commit_method_ = method; }

  // While closed, it holds every Fdatasync and Syncfs.
  Gate& fdatasync_gate() { return fdatasync_gate_; }
  // Closed, it holds every write.
  Gate& write_gate() { return write_gate_; }

  int Count(Call call) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(call);
    return found == counts_.end() ? 0 : found->second;
  }
  // What was asked for, in order: "write N", "truncate N", "flush <base name>",
  // "rename <base name>", "flush directory <base name>".
  std::vector<std::string> journal() const {
    const std::lock_guard lock(mutex_);
    return journal_;
  }

  int OpenAt(int dir, const char* path, int flags, mode_t mode) override {
    if (Fails(Call::kOpen, path)) return -1;
    return FileOps::OpenAt(dir, path, flags, mode);
  }
  int OpenWithoutLinks(const char* path, int flags) override {
    if (Fails(Call::kOpen, path)) return -1;
    return FileOps::OpenWithoutLinks(path, flags);
  }
  ssize_t Write(int fd, const void* data, size_t size) override {
    const iovec part{const_cast<void*>(data), size};
    return Writev(fd, &part, 1);
  }
  ssize_t Writev(int fd, const iovec* parts, int count) override {
    write_gate_.Pass();
    std::string whole;
    size_t size = 0;
    for (int i = 0; i < count; ++i) size += parts[i].iov_len;
    Note(absl::StrCat("write ", size));
    size_t cut = size;
    if (Fails(Call::kWrite, PathOf(fd), &cut)) return -1;
    if (cut == size) return FileOps::Writev(fd, parts, count);
    for (int i = 0; i < count; ++i) {
      whole.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    }
    return FileOps::Write(fd, whole.data(), cut);
  }
  ssize_t Pread(int fd, void* data, size_t size, off_t offset) override {
    if (Fails(Call::kPread, PathOf(fd))) return -1;
    return FileOps::Pread(fd, data, size, offset);
  }
  int Ftruncate(int fd, off_t size) override {
    Note(absl::StrCat("truncate ", size));
    if (Fails(Call::kFtruncate, PathOf(fd))) return -1;
    return FileOps::Ftruncate(fd, size);
  }
  int Fdatasync(int fd) override {
    Note(absl::StrCat("flush ", Base(PathOf(fd))));
    fdatasync_gate_.Pass();
    if (Fails(Call::kFdatasync, PathOf(fd))) return -1;
    return 0;
  }
  int Fsync(int fd) override {
    Note(absl::StrCat("flush directory ", Base(PathOf(fd))));
    if (Fails(Call::kFsync, PathOf(fd))) return -1;
    return 0;
  }
  int SyncFileRange(int fd, unsigned flags) override {
    if (Fails(Call::kSyncFileRange, PathOf(fd))) return -1;
    (void)flags;
    return 0;
  }
  int Syncfs(int fd) override {
    Note("flush file system");
    fdatasync_gate_.Pass();
    if (Fails(Call::kSyncfs, PathOf(fd))) return -1;
    return 0;
  }
  CommitMethod CommitMethodFor(int) override { return commit_method_; }
  // Flushes by a probe, which are not noted.
  int FdatasyncOnly(int fd) override { return Fails(Call::kFdatasync, PathOf(fd)) ? -1 : 0; }
  int FsyncOnly(int fd) override { return Fails(Call::kFsync, PathOf(fd)) ? -1 : 0; }
  int RenameNoReplaceAt(int from_dir, const char* from, int to_dir, const char* to) override {
    Note(absl::StrCat("rename ", Base(from)));
    if (Fails(Call::kRename, from)) return -1;
    return FileOps::RenameNoReplaceAt(from_dir, from, to_dir, to);
  }
  int UnlinkAt(int dir, const char* path) override {
    if (Fails(Call::kUnlink, path)) return -1;
    return FileOps::UnlinkAt(dir, path);
  }
  int MkdirAt(int dir, const char* path, mode_t mode) override {
    if (Fails(Call::kMkdir, path)) return -1;
    return FileOps::MkdirAt(dir, path, mode);
  }
  int TryLock(int fd) override {
    if (Fails(Call::kLock, PathOf(fd))) return -1;
    return FileOps::TryLock(fd);
  }
  int TryLease(int fd, int type) override {
    if (Fails(Call::kLease, PathOf(fd))) return -1;
    return FileOps::TryLease(fd, type);
  }
  const dirent* ReadDirectory(DIR* directory) override {
    if (Fails(Call::kReadDirectory, PathOf(::dirfd(directory)))) return nullptr;
    return FileOps::ReadDirectory(directory);
  }
  int Statvfs(const char* path, struct statvfs* result) override {
    if (Fails(Call::kStatvfs, path)) return -1;
    std::function<void(struct statvfs&)> volume;
    {
      const std::lock_guard lock(mutex_);
      volume = volume_;
    }
    const int error = FileOps::Statvfs(path, result);
    if (error == 0 && volume != nullptr) volume(*result);
    return error;
  }

 private:
  struct Fault {
    Call call;
    int error = 0;
    bool cut = false;
    size_t bytes = 0;
    int times = kAlways;
    std::string suffix;
  };

  static std::string PathOf(int fd) {
    char path[4096];
    const ssize_t size = ::readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), path, sizeof(path));
    return size < 0 ? std::string() : std::string(path, static_cast<size_t>(size));
  }
  static std::string Base(std::string_view path) { return std::string(BaseName(path)); }

  void Note(std::string what) {
    const std::lock_guard lock(mutex_);
    journal_.push_back(std::move(what));
  }
  // Counts the call; true, with errno set, if it is to fail. Lowers `*cut` if it is to be cut.
  bool Fails(Call call, std::string_view path, size_t* cut = nullptr) {
    const std::lock_guard lock(mutex_);
    ++counts_[call];
    if (const int error = call == Call::kWrite ? std::exchange(refusal_, 0) : 0; error != 0) {
      errno = error;
      return true;
    }
    const auto fault = std::find_if(faults_.begin(), faults_.end(), [&](const Fault& candidate) {
      return candidate.call == call && path.ends_with(candidate.suffix);
    });
    if (fault == faults_.end()) return false;
    const bool fails = !fault->cut;
    const int error = fault->error;
    if (fault->cut) {
      *cut = std::min(*cut, fault->bytes);
      refusal_ = error;
    }
    if (fault->times > 0 && --fault->times == 0) faults_.erase(fault);
    if (fails) errno = error;
    return fails;
  }

  std::atomic<CommitMethod> commit_method_{CommitMethod::kEach};
  Gate fdatasync_gate_;
  Gate write_gate_;
  mutable std::mutex mutex_;
  std::list<Fault> faults_;
  int refusal_ = 0;  // The errno with which the next write fails.
  std::function<void(struct statvfs&)> volume_;
  std::map<Call, int> counts_;
  std::vector<std::string> journal_;
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_FAULTY_FILE_OPS_H_
