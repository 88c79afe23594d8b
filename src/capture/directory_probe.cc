#include "capture/directory_probe.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file_size_signal.h"
#include "base/strings.h"
#include "capture_file/claim.h"
#include "capture_file/file_name.h"

namespace datamanager::capture {
namespace {

constexpr std::string_view kPrefix = ".probe-";

std::string NewName() {
  static std::atomic<uint64_t> number{0};
  return absl::StrCat(ToAbsl(kPrefix), ::getpid(), "-", ++number);
}

// Whether an error depends on the directory's abilities, and not on the state of the disk.
bool IsFinal(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
    case EROFS:
    case ENOENT:
    case ENOTDIR:
    case EILSEQ:
    case ENAMETOOLONG:
      return true;
    default:
      return IsUnsupported(error);
  }
}

// Removes the probe files of a killed process.
void Sweep(FileOps& ops, const std::string& directory) {
  const DirectoryStream stream = OpenDirectory(ops, AT_FDCWD, directory.c_str(), 0);
  if (stream == nullptr) return;
  while (const dirent* entry = ops.ReadDirectory(stream.get())) {
    if (!std::string_view(entry->d_name).starts_with(kPrefix)) continue;
    const std::string path = absl::StrCat(directory, "/", entry->d_name);
    const auto claim = capture_file::ClaimFile(ops, path);
    if (!claim.ok() || !claim->fd.valid()) continue;
    if (claim->outcome == capture_file::Claim::Outcome::kUnknown &&
        Clock::System().WallNow() - ModifiedAt(claim->info) < capture_file::kLeftBehindAge) {
      continue;
    }
    ops.Unlink(path.c_str());
  }
}

class Probe {
 public:
  Probe(FileOps& ops, const std::string& directory)
      : ops_(ops),
        directory_(directory),
        path_(absl::StrCat(directory, "/", NewName(), ToAbsl(capture_file::kInProgressSuffix))),
        // The names of capture files contain '+'.
        renamed_(absl::StrCat(directory, "/", NewName(), "+",
                              ToAbsl(capture_file::kInProgressSuffix))) {}
  ~Probe() {
    if (!made_) return;
    ops_.Unlink(path_.c_str());
    ops_.Unlink(renamed_.c_str());
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  absl::StatusOr<DirectoryProbe> Run(bool flushes) {
    const FileSizeSignalBlocked no_signal;
    result_.complete =
        Create() && Lock() && Write() && (!flushes || Flush()) && Rename() && Remove();
    if (!refused_.ok()) return refused_;
    return std::move(result_);
  }

 private:
  // Each step returns false if it ends the probe.
  bool Create() {
    constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW;
    fd_ = UniqueFd(ops_.Open(path_.c_str(), kFlags, 0600));
    made_ = fd_.valid();
    if (!made_) return Fail("no file can be made");
    struct stat info {};
    struct stat named {};
    if (ops_.Fstat(fd_.get(), &info) != 0 || ops_.Lstat(path_.c_str(), &named) != 0) {
      return Fail("files cannot be looked at");
    }
    if (FileId::Of(info) != FileId::Of(named)) {
      refused_ = absl::FailedPreconditionError(
          "an open file cannot be told from others: its inode number is not the one its name "
          "shows");
    }
    if (const UniqueFd again(ops_.Open(path_.c_str(), kFlags, 0600)); again.valid()) {
      refused_ = absl::FailedPreconditionError(
          "two processes can make the same file: O_EXCL has no effect");
    }
    return refused_.ok();
  }

  bool Lock() {
    // Locks through a read-only descriptor, as sync locks the files that it uploads.
    UniqueFd reader(ops_.Open(path_.c_str(), O_RDONLY | O_NOFOLLOW, 0));
    if (reader.valid() && ops_.Flock(reader.get()) != 0 && LacksLock(errno)) {
      Lose("files cannot be locked",
           "only this process knows which are in use: let no other process capture to this "
           "directory or upload from it");
    }
    reader.Reset();
    if (ops_.TryLock(fd_.get()) != 0) return Fail("files cannot be locked");
    // Tried before any write, so that no flush is still in progress.
    if (ops_.TryLease(fd_.get(), F_WRLCK) != 0 && errno != EAGAIN) {
      Lose("it does not tell which files other processes have open",
           "what a dead process left behind is recovered once it was left alone for 5 minutes");
    }
    return true;
  }

  bool Write() {
    absl::Status written = WriteAll(ops_, fd_.get(), "probe");
    if (!written.ok()) return Fail("nothing can be written");
    if (ops_.Ftruncate(fd_.get(), 1) != 0) return Fail("files cannot be cut");
    return true;
  }

  bool Flush() {
    if (ops_.FdatasyncOnly(fd_.get()) != 0 && IsUnsupported(errno)) {
      Lose("files cannot be flushed by themselves",
           "the whole file system is flushed, and where that does nothing, a power cut loses more "
           "than `durability` says");
    }
    const UniqueFd fd(ops_.Open(directory_.c_str(), O_RDONLY | O_DIRECTORY, 0));
    if (fd.valid() && ops_.FsyncOnly(fd.get()) != 0 && IsUnsupported(errno)) {
      Lose("directories cannot be flushed",
           "the whole file system is flushed, and where that does nothing, a power cut may take "
           "the names of new files");
    }
    return true;
  }

  bool Rename() {
    const int renamed =
        ops_.RenameAt(AT_FDCWD, path_.c_str(), AT_FDCWD, renamed_.c_str(), RENAME_NOREPLACE);
    if (renamed == 0) return true;
    if (IsUnsupported(errno) || errno == EPERM) {
      Lose("files cannot be renamed without replacing others",
           "a name is reserved by an empty file first, which a crash may leave behind and which "
           "another program could write to");
    }
    if (ops_.RenameNoReplace(path_.c_str(), renamed_.c_str()) != 0) {
      return Fail("files cannot be renamed");
    }
    return true;
  }

  bool Remove() {
    if (ops_.Unlink(renamed_.c_str()) != 0) return Fail("files cannot be removed");
    made_ = false;
    return true;
  }

  void Lose(const char* what, const char* then) {
    result_.lost.push_back(absl::StrCat(what, " (", std::strerror(errno), "): ", then));
  }
  // Returns false. Refuses the directory if errno is final.
  bool Fail(const char* what) {
    if (IsFinal(errno)) {
      refused_ = absl::FailedPreconditionError(absl::StrCat(what, ": ", std::strerror(errno)));
    }
    return false;
  }

  FileOps& ops_;
  const std::string& directory_;
  const std::string path_;
  const std::string renamed_;
  UniqueFd fd_;
  bool made_ = false;
  DirectoryProbe result_;
  absl::Status refused_;
};

bool IsTakenEverywhere(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
  return plain && !name.ends_with('.') && name.size() <= NAME_MAX;
}

// Returns 0, or the errno that prevents a file of that name.
int TryName(FileOps& ops, const std::string& path) {
  const UniqueFd fd(ops.Open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  if (!fd.valid()) return errno;
  ops.Unlink(path.c_str());
  return 0;
}

}  // namespace

absl::StatusOr<DirectoryProbe> ProbeDirectory(FileOps& ops, const std::string& directory,
                                              bool flushes) {
  Sweep(ops, directory);
  return Probe(ops, directory).Run(flushes);
}

absl::Status ProbeName(FileOps& ops, const std::string& directory, std::string_view name) {
  if (IsTakenEverywhere(name)) return absl::OkStatus();
  int error = ENAMETOOLONG;
  if (name.size() <= NAME_MAX) {
    const std::string prefix = absl::StrCat(directory, "/", NewName());
    const size_t room = NAME_MAX - BaseName(prefix).size();
    // The end of a long name represents the whole name.
    const std::string_view end = name.substr(name.size() - std::min(name.size(), room));
    error = TryName(ops, absl::StrCat(prefix, ToAbsl(end)));
    if (!IsFinal(error) || TryName(ops, prefix) != 0) return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the file system of capture_dir takes no directory named \"", ToAbsl(name),
                   "\": ", std::strerror(error), "; use letters, digits, '-' and '_'"));
}

}  // namespace datamanager::capture
