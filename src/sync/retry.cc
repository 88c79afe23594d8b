#include "sync/retry.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace datamanager::sync {
namespace {

constexpr std::chrono::milliseconds kFirstDelay{200};
constexpr std::chrono::milliseconds kLongestDelay = std::chrono::hours(1);
constexpr std::chrono::milliseconds kLongestBusyDelay = std::chrono::minutes(1);
constexpr int kMostDoublings = 3;
// What is kept of an error's text, and how many files a summary names.
constexpr size_t kErrorBytes = 200;
constexpr size_t kNamedRetries = 5;

std::chrono::milliseconds Between(MonotonicTime from, MonotonicTime to) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::max(to - from, MonotonicTime::duration(0)));
}

}  // namespace

std::chrono::milliseconds RetryDelay(int attempt, double random) {
  std::chrono::milliseconds delay = kFirstDelay;
  for (int i = 1; i < attempt && delay < kLongestDelay; ++i) delay *= 2;
  delay = std::min(delay, kLongestDelay);
  return std::chrono::duration_cast<std::chrono::milliseconds>(delay * random);
}

std::chrono::milliseconds ReplyTimeout(std::chrono::milliseconds stall_timeout, int stalls) {
  return stall_timeout * (1 << std::min(stalls, kMostDoublings));
}

RetryState AfterFailure(const RetryState& before, Verdict verdict, MonotonicTime now,
                        double random) {
  RetryState after = before;
  if (before.attempts == 0) after.first_failed = now;
  after.attempts = before.attempts + 1;
  after.busy_looks = 0;
  after.settles.reset();
  after.offline = verdict == Verdict::kOffline && !before.was_offline;
  after.was_offline = before.was_offline || verdict == Verdict::kOffline;
  after.due = now + RetryDelay(after.attempts, random);
  return after;
}

RetryState AfterBusy(const RetryState& before, MonotonicTime now) {
  RetryState after = before;
  after.busy_looks = before.busy_looks + 1;
  after.due = now + std::min(RetryDelay(after.busy_looks, 1), kLongestBusyDelay);
  return after;
}

RetryTable::Key RetryTable::KeyOf(const FoundFile& file) {
  return {file.id.device, file.id.inode, std::hash<std::string>()(file.path)};
}

bool RetryTable::Put(Entry entry) {
  entry.state.error.resize(std::min(entry.state.error.size(), kErrorBytes));
  const Key key = KeyOf(entry.file);
  MutexLock lock(mutex_);
  if (const auto old = entries_.find(key); old != entries_.end()) Erase(old);
  if (entries_.size() >= limit_) return false;
  by_due_.emplace(entry.state.due, key);
  entries_.emplace(key, std::move(entry));
  size_ = entries_.size();
  return true;
}

bool RetryTable::IsWaiting(const FoundFile& file, MonotonicTime now) const {
  MutexLock lock(mutex_);
  const auto found = entries_.find(KeyOf(file));
  return found != entries_.end() && found->second.state.due > now;
}

RetryState RetryTable::Take(const FoundFile& file) {
  MutexLock lock(mutex_);
  const auto found = entries_.find(KeyOf(file));
  if (found == entries_.end()) return {};
  RetryState state = std::move(found->second.state);
  by_due_.erase({state.due, found->first});
  entries_.erase(found);
  size_ = entries_.size();
  return state;
}

std::optional<FoundFile> RetryTable::NextDue(
    MonotonicTime now, const std::function<bool(const FoundFile&)>& takes) const {
  MutexLock lock(mutex_);
  for (const auto& [due, key] : by_due_) {
    if (due > now) break;
    const FoundFile& file = entries_.at(key).file;
    if (takes(file)) return file;
  }
  return std::nullopt;
}

bool RetryTable::AnyDue(MonotonicTime now) const {
  MutexLock lock(mutex_);
  return !by_due_.empty() && by_due_.begin()->first <= now;
}

std::optional<MonotonicTime> RetryTable::NextDueTime(MonotonicTime now) const {
  MutexLock lock(mutex_);
  const auto next = std::find_if(by_due_.begin(), by_due_.end(),
                                 [now](const auto& entry) { return entry.first > now; });
  if (next == by_due_.end()) return std::nullopt;
  return next->first;
}

void RetryTable::Clear() {
  MutexLock lock(mutex_);
  entries_.clear();
  by_due_.clear();
  size_ = 0;
}

void RetryTable::MakeAllDue(MonotonicTime now) {
  MutexLock lock(mutex_);
  MakeDue(now, [](const RetryState&) { return true; });
}

void RetryTable::MarkOffline(MonotonicTime now) {
  MutexLock lock(mutex_);
  for (auto& [key, entry] : entries_) {
    RetryState& state = entry.state;
    if (!state.settles.has_value() || *state.settles < now) continue;
    state.settles.reset();
    state.offline = !state.was_offline;
    state.was_offline = true;
  }
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

size_t RetryTable::CountBusy() const {
  MutexLock lock(mutex_);
  return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(), [](const auto& entry) {
    return entry.second.state.busy_looks > 0;
  }));
}

WaitingRetries RetryTable::Summary(MonotonicTime now) const {
  WaitingRetries summary;
  std::vector<const Entry*> most;
  MutexLock lock(mutex_);
  if (entries_.empty()) return summary;
  MonotonicTime oldest = now;
  for (const auto& [key, entry] : entries_) {
    summary.offline += entry.state.offline ? 1 : 0;
    oldest = std::min(oldest, entry.state.first_failed);
    most.push_back(&entry);
  }
  summary.oldest = Between(oldest, now);
  summary.next_due = Between(now, by_due_.begin()->first);
  const auto end = most.begin() + static_cast<ptrdiff_t>(std::min(most.size(), kNamedRetries));
  std::partial_sort(most.begin(), end, most.end(), [](const Entry* a, const Entry* b) {
    return a->state.attempts > b->state.attempts;
  });
  for (auto entry = most.begin(); entry != end; ++entry) {
    const RetryState& state = (*entry)->state;
    summary.most_tried.push_back({.path = (*entry)->file.path,
                                  .tries = state.attempts,
                                  .failing_for = Between(state.first_failed, now),
                                  .next_due = Between(now, state.due),
                                  .last_error = state.error});
  }
  return summary;
}

}  // namespace datamanager::sync
