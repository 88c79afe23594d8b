#include "sync/retry.h"

#include <algorithm>

namespace datamanager::sync {
namespace {

constexpr std::chrono::milliseconds kFirstDelay{200};
constexpr std::chrono::milliseconds kLongestDelay = std::chrono::hours(1);
constexpr std::chrono::milliseconds kLongestBusyDelay = std::chrono::minutes(1);

}  // namespace

std::chrono::milliseconds RetryDelay(int attempt, double random) {
  std::chrono::milliseconds delay = kFirstDelay;
  for (int i = 1; i < attempt && delay < kLongestDelay; ++i) delay *= 2;
  delay = std::min(delay, kLongestDelay);
  return std::chrono::duration_cast<std::chrono::milliseconds>(delay * random);
}

RetryState AfterFailure(const RetryState& before, Verdict verdict, uint64_t resume_offset,
                        MonotonicTime now, double random) {
  RetryState after = before;
  after.attempts = before.attempts + 1;
  after.busy_looks = 0;
  after.offline = verdict == Verdict::kOffline && !before.offline;
  after.resume_offset = resume_offset;
  after.due = now + RetryDelay(after.attempts, random);
  return after;
}

RetryState AfterBusy(const RetryState& before, uint64_t resume_offset, MonotonicTime now) {
  RetryState after = before;
  after.busy_looks = before.busy_looks + 1;
  after.resume_offset = resume_offset;
  after.due = now + std::min(RetryDelay(after.busy_looks, 1), kLongestBusyDelay);
  return after;
}

bool RetryTable::Put(Entry entry) {
  MutexLock lock(mutex_);
  const Key key = KeyOf(entry.file.id);
  if (const auto old = entries_.find(key); old != entries_.end()) Erase(old);
  if (entries_.size() >= kLimit) return false;
  by_due_.emplace(entry.state.due, key);
  entries_.emplace(key, std::move(entry));
  return true;
}

bool RetryTable::IsWaiting(const FoundFile& file, MonotonicTime now) {
  MutexLock lock(mutex_);
  const auto found = entries_.find(KeyOf(file.id));
  if (found == entries_.end()) return false;
  if (found->second.file.path != file.path) {
    Erase(found);
    return false;
  }
  return found->second.state.due > now;
}

RetryState RetryTable::Take(const FoundFile& file) {
  MutexLock lock(mutex_);
  const auto found = entries_.find(KeyOf(file.id));
  if (found == entries_.end()) return {};
  const bool same = found->second.file.path == file.path;
  RetryState state = same ? found->second.state : RetryState{};
  // What was stored of it is not what it holds by now.
  if (found->second.file.version != file.version) state.resume_offset = 0;
  Erase(found);
  return state;
}

std::optional<FoundFile> RetryTable::NextDue(MonotonicTime now) const {
  MutexLock lock(mutex_);
  if (by_due_.empty() || by_due_.begin()->first > now) return std::nullopt;
  return entries_.at(by_due_.begin()->second).file;
}

std::optional<MonotonicTime> RetryTable::NextDueTime() const {
  MutexLock lock(mutex_);
  if (by_due_.empty()) return std::nullopt;
  return by_due_.begin()->first;
}

void RetryTable::Clear() {
  MutexLock lock(mutex_);
  entries_.clear();
  by_due_.clear();
}

void RetryTable::MakeAllDue(MonotonicTime now) {
  MutexLock lock(mutex_);
  MakeDue(now, [](const RetryState&) { return true; });
}

void RetryTable::MakeOfflineDue(MonotonicTime now) {
  MutexLock lock(mutex_);
  MakeDue(now, [](const RetryState& state) { return state.offline; });
}

template <typename Condition>
void RetryTable::MakeDue(MonotonicTime now, Condition condition) {
  by_due_.clear();
  for (auto& [key, entry] : entries_) {
    if (condition(entry.state)) entry.state.due = std::min(entry.state.due, now);
    by_due_.emplace(entry.state.due, key);
  }
}

void RetryTable::Erase(std::map<Key, Entry>::iterator entry) {
  by_due_.erase({entry->second.state.due, entry->first});
  entries_.erase(entry);
}

bool RetryTable::IsBusy(const FoundFile& file) const {
  MutexLock lock(mutex_);
  const auto found = entries_.find(KeyOf(file.id));
  return found != entries_.end() && found->second.file.path == file.path &&
         found->second.state.busy_looks > 0;
}

size_t RetryTable::CountBusy() const {
  MutexLock lock(mutex_);
  return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(), [](const auto& entry) {
    return entry.second.state.busy_looks > 0;
  }));
}

size_t RetryTable::size() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

}  // namespace datamanager::sync
