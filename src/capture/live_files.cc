#include "capture/live_files.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace datamanager::capture {

void LiveFiles::Add(const capture_file::Writer& file, std::function<void()> displaced,
                    MonotonicTime now) {
  MutexLock lock(mutex_);
  entries_[file.path()] = {
      .file = {.path = file.path(), .id = file.id(), .descriptor = file.descriptor()},
      .displaced = std::move(displaced),
      .unflushed_since = now};
}

void LiveFiles::Finish(const std::string& path) {
  MutexLock lock(mutex_);
  const auto entry = entries_.find(path);
  if (entry != entries_.end()) entry->second.finished = true;
}

std::optional<LiveFiles::File> LiveFiles::Remove(const std::string& path) {
  MutexLock lock(mutex_);
  const auto entry = entries_.find(path);
  if (entry == entries_.end()) return std::nullopt;
  File file = std::move(entry->second.file);
  file.descriptor = nullptr;
  entries_.erase(entry);
  return file;
}

bool LiveFiles::Contains(const std::string& path) const {
  MutexLock lock(mutex_);
  return entries_.contains(path);
}

bool LiveFiles::empty() const {
  MutexLock lock(mutex_);
  return std::all_of(entries_.begin(), entries_.end(),
                     [](const auto& entry) { return entry.second.finished; });
}

std::vector<LiveFiles::File> LiveFiles::Written() const {
  std::vector<File> files;
  MutexLock lock(mutex_);
  for (const auto& [path, entry] : entries_) {
    if (!entry.finished && !entry.failed) files.push_back(entry.file);
  }
  return files;
}

std::optional<MonotonicTime> LiveFiles::OldestUnflushed() const {
  std::optional<MonotonicTime> oldest;
  MutexLock lock(mutex_);
  for (const auto& [path, entry] : entries_) {
    if (!entry.finished && !entry.failed)
      oldest = std::min(oldest.value_or(entry.unflushed_since), entry.unflushed_since);
  }
  return oldest;
}

LiveFiles::Entry* LiveFiles::Find(const File& file) {
  const auto entry = entries_.find(file.path);
  return entry != entries_.end() && entry->second.file.id == file.id ? &entry->second : nullptr;
}

void LiveFiles::NoteFlushed(const File& file, uint64_t size, MonotonicTime since) {
  MutexLock lock(mutex_);
  Entry* const entry = Find(file);
  if (entry == nullptr) return;
  entry->file.flushed_size = size;
  entry->file.named = true;
  entry->unflushed_since = since;
}

void LiveFiles::NoteUnchanged(const File& file, MonotonicTime since) {
  MutexLock lock(mutex_);
  if (Entry* const entry = Find(file)) entry->unflushed_since = since;
}

bool LiveFiles::NoteFailed(const File& file) {
  MutexLock lock(mutex_);
  Entry* const entry = Find(file);
  return entry != nullptr && !std::exchange(entry->failed, true);
}

bool LiveFiles::HasFailed(const std::string& path) const {
  MutexLock lock(mutex_);
  const auto entry = entries_.find(path);
  return entry != entries_.end() && entry->second.failed;
}

std::optional<FileId> LiveFiles::Next(std::string& path) const {
  MutexLock lock(mutex_);
  for (auto next = entries_.upper_bound(path); next != entries_.end(); ++next) {
    if (next->second.finished) continue;
    path = next->first;
    return next->second.file.id;
  }
  return std::nullopt;
}

// Runs often, over all files: it avoids a copy of the entries.
void LiveFiles::LookForDisplaced(FileOps& ops) {
  std::string path;
  for (std::optional<FileId> id = Next(path); id.has_value(); id = Next(path)) {
    struct stat info {};
    const bool there = ops.Lstat(path.c_str(), &info) == 0;
    if (there ? FileId::Of(info) == *id : errno != ENOENT && errno != ENOTDIR) continue;
    AskToFinish({.path = path, .id = *id});
  }
}

void LiveFiles::AskToFinish(const File& file) {
  std::function<void()> displaced;
  {
    MutexLock lock(mutex_);
    const Entry* const entry = Find(file);
    if (entry == nullptr || entry->finished) return;
    displaced = entry->displaced;
  }
  displaced();
}

}  // namespace datamanager::capture
