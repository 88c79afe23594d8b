#include "sync/stored_keys.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "capture_file/file_name.h"

namespace datamanager::sync {
namespace {

// A log with more lines is rewritten.
constexpr size_t kMostLines = 4 * StoredKeys::kMost;
// What the log may grow to before it is, with room for more.
constexpr size_t kMostBytes = 1 << 20;

std::string LogPath(const std::string& capture_dir) {
  return absl::StrCat(capture_dir, "/", ToAbsl(capture_file::kStoredKeysName));
}

}  // namespace

void StoredKeys::Insert(const std::string& key) {
  if (!keys_.insert(key).second) return;
  oldest_first_.push_back(key);
  while (keys_.size() > kMost || oldest_first_.size() > 2 * kMost) {
    keys_.erase(oldest_first_.front());
    oldest_first_.pop_front();
  }
}

void StoredKeys::Load(const std::string& capture_dir) {
  {
    MutexLock lock(mutex_);
    if (loaded_ == capture_dir) return;
  }
  std::string log;
  const UniqueFd fd(
      ops_.Open(LogPath(capture_dir).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0));
  if (fd.valid()) {
    log.resize(kMostBytes);
    size_t size = 0;
    while (size < log.size()) {
      const ssize_t count =
          ops_.Pread(fd.get(), log.data() + size, log.size() - size, static_cast<off_t>(size));
      if (count <= 0) break;
      size += static_cast<size_t>(count);
    }
    log.resize(size);
  }
  const std::vector<std::string> lines = absl::StrSplit(log, '\n');
  MutexLock lock(mutex_);
  if (loaded_ == capture_dir) return;
  loaded_ = capture_dir;
  lines_ = lines.size();
  for (const std::string& line : lines) {
    if (line.empty()) continue;
    const std::string key = line.substr(1);
    if (line[0] == '+') Insert(key);
    if (line[0] == '-') keys_.erase(key);
  }
}

bool StoredKeys::Contains(const std::string& capture_dir, const std::string& key) {
  Load(capture_dir);
  MutexLock lock(mutex_);
  return keys_.contains(key);
}

absl::Status StoredKeys::Add(const std::string& capture_dir, const std::string& key, bool* is_new) {
  Load(capture_dir);
  {
    MutexLock lock(mutex_);
    *is_new = !keys_.contains(key);
    if (!*is_new) return absl::OkStatus();
    Insert(key);
  }
  return Append(capture_dir, absl::StrCat("\n+", key, "\n"));
}

void StoredKeys::Remove(const std::string& capture_dir, const std::string& key) {
  bool was_last = false;
  {
    MutexLock lock(mutex_);
    if (keys_.erase(key) == 0) return;
    was_last = keys_.empty();
  }
  if (was_last) {
    ops_.Unlink(LogPath(capture_dir).c_str());
    return;
  }
  // Without the line the key is known for longer, which costs nothing.
  Append(capture_dir, absl::StrCat("\n-", key, "\n")).IgnoreError();
}

absl::Status StoredKeys::Append(const std::string& capture_dir, const std::string& line) {
  if (++lines_ > kMostLines) return Rewrite(capture_dir);
  const std::string path = LogPath(capture_dir);
  const UniqueFd fd(ops_.Open(path.c_str(),
                              O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
                              S_IRUSR | S_IWUSR));
  if (!fd.valid()) return DiskError(errno, "open", path);
  const ssize_t size = ops_.Write(fd.get(), line.data(), line.size());
  if (size < 0) return DiskError(errno, "write", path);
  if (static_cast<size_t>(size) < line.size()) return DiskError(ENOSPC, "write", path);
  if (ops_.Fdatasync(fd.get()) != 0) return DiskError(errno, "flush", path);
  return SyncDirectory(ops_, capture_dir);
}

absl::Status StoredKeys::Rewrite(const std::string& capture_dir) {
  std::string text;
  size_t lines = 0;
  {
    MutexLock lock(mutex_);
    for (const std::string& key : oldest_first_) {
      if (!keys_.contains(key)) continue;
      absl::StrAppend(&text, "+", key, "\n");
      ++lines;
    }
  }
  const std::string path = LogPath(capture_dir);
  const std::string temporary = absl::StrCat(path, ".new", ToAbsl(capture_file::kInProgressSuffix));
  const UniqueFd fd(ops_.Open(temporary.c_str(),
                              O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
                              S_IRUSR | S_IWUSR));
  if (!fd.valid()) return DiskError(errno, "create", temporary);
  const ssize_t size = ops_.Write(fd.get(), text.data(), text.size());
  if (size < 0 || static_cast<size_t>(size) < text.size()) {
    return DiskError(size < 0 ? errno : ENOSPC, "write", temporary);
  }
  if (ops_.Fdatasync(fd.get()) != 0) return DiskError(errno, "flush", temporary);
  if (ops_.RenameAt(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), 0) != 0) {
    return DiskError(errno, "rename", temporary);
  }
  lines_ = lines;
  return SyncDirectory(ops_, capture_dir);
}

}  // namespace datamanager::sync
