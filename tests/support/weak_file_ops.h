// The real disk, as a file system that lacks features shows it.
#ifndef DATAMANAGER_TESTS_SUPPORT_WEAK_FILE_OPS_H_
#define DATAMANAGER_TESTS_SUPPORT_WEAK_FILE_OPS_H_

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "base/file_ops.h"

namespace datamanager::testing {

// The features that are lacking: the errno with which a call fails, 0 if it works. Set before use.
struct Lacking {
  int exclusive_rename = 0;
  int locks = 0;
  int leases = 0;
  int file_flush = 0;
  int directory_flush = 0;
  int whole_flush = 0;         // The errno of syncfs.
  std::string forbidden = "";  // Not allowed in names: ENOENT, as exFAT over FUSE.
};

class WeakFileOps : public FileOps {
 public:
  explicit WeakFileOps(Lacking lacking) : lacking_(std::move(lacking)) {}
  // Lacks what nearly every weak file system lacks.
  static Lacking Everything() {
    return {.exclusive_rename = EINVAL,
            .locks = ENOLCK,
            .leases = EINVAL,
            .file_flush = EINVAL,
            .directory_flush = EINVAL,
            .whole_flush = ENOSYS};
  }

  int whole_flushes() const { return whole_flushes_; }

  int OpenAt(int dir, const char* path, int flags, mode_t mode) override {
    if (Forbids(path)) return Fail(ENOENT);
    return FileOps::OpenAt(dir, path, flags, mode);
  }
  int MkdirAt(int dir, const char* path, mode_t mode) override {
    if (Forbids(path)) return Fail(ENOENT);
    return FileOps::MkdirAt(dir, path, mode);
  }
  int RenameAt(int from_dir, const char* from, int to_dir, const char* to,
               unsigned flags) override {
    if (flags != 0 && lacking_.exclusive_rename != 0) return Fail(lacking_.exclusive_rename);
    return FileOps::RenameAt(from_dir, from, to_dir, to, flags);
  }
  int Flock(int fd) override {
    return lacking_.locks != 0 ? Fail(lacking_.locks) : FileOps::Flock(fd);
  }
  int TryLease(int fd, int type) override {
    return lacking_.leases != 0 ? Fail(lacking_.leases) : FileOps::TryLease(fd, type);
  }
  int FdatasyncOnly(int fd) override {
    return lacking_.file_flush != 0 ? Fail(lacking_.file_flush) : FileOps::FdatasyncOnly(fd);
  }
  int FsyncOnly(int fd) override {
    return lacking_.directory_flush != 0 ? Fail(lacking_.directory_flush) : FileOps::FsyncOnly(fd);
  }
  // Only noted: other data on the disk is not the test's to flush.
  int Syncfs(int) override {
    ++whole_flushes_;
    return lacking_.whole_flush != 0 ? Fail(lacking_.whole_flush) : 0;
  }

 private:
  static int Fail(int error) {
    errno = error;
    return -1;
  }
  bool Forbids(std::string_view path) const {
    return path.find_first_of(lacking_.forbidden) != std::string_view::npos;
  }

  const Lacking lacking_;
  std::atomic<int> whole_flushes_{0};
};

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_SUPPORT_WEAK_FILE_OPS_H_
