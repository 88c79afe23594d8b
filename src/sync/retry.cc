#include "sync/retry.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace datamanager::sync {
namespace {

constexpr std::chrono::milliseconds kFirstDelay{200};
constexpr std::chrono::milliseconds kLongestBusyDelay = std::chrono::minutes(1);
constexpr int kMostDoublings = 3;
// A hopeless try of a large file must leave the link to the others.
constexpr int kHopelessTries = 50;
// What is kept of an error's text, and how many files a summary names.
constexpr size_t kErrorBytes = 200;
constexpr size_t kNamedRetries = 5;

std::chrono::milliseconds Between(MonotonicTime from, MonotonicTime to) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::max(to - from, MonotonicTime::duration(0)));
}

}  // namespace

std::chrono::milliseconds RetryDelay(int attempt, double random,
                                     std::chrono::milliseconds longest) {
  std::chrono::milliseconds delay = kFirstDelay;
  for (int i = 1; i < attempt && delay < longest; ++i) delay *= 2;
  delay = std::min(delay, longest);
  return std::chrono::duration_cast<std::chrono::milliseconds>(delay * random);
}

std::chrono::milliseconds ReplyTimeout(std::chrono::milliseconds stall_timeout, int stalls) {
  return stall_timeout * (1 << std::min(stalls, kMostDoublings));
}

RetryState AfterFailure(const RetryState& before, const FailedTry& failed, MonotonicTime now,
                        double random) {
  RetryState after = before;
  if (before.attempts == 0) after.first_failed = now;
  after.attempts = before.attempts + 1;
  after.busy_looks = 0;
  after.resting = false;
  after.settles.reset();
  after.offline = failed.verdict == Verdict::kOffline && !before.was_offline;
  after.was_offline = before.was_offline || failed.verdict == Verdict::kOffline;
  after.not_before = now;
  after.advice.clear();
  if (failed.pushback.has_value()) {
    after.due = now + *failed.pushback;
    return after;
  }
  after.waits = before.waits + 1;
  if (failed.hopeless) after.not_before = now + failed.took * kHopelessTries;
  const auto longest = failed.hopeless ? kLongestHopelessDelay : kLongestDelay;
  after.due = std::max(now + RetryDelay(after.waits, random, longest), after.not_before);
  return after;
}

RetryState AfterConnection(const RetryState& before, bool new_address, MonotonicTime now) {
  RetryState after = before;
  if (before.offline || before.resting) after.due = std::min(before.due, now);
  after.resting = false;
  if (before.advice.empty()) return after;
  after.waits = 0;
  after.due = std::min(before.due, new_address ? now : std::max(now, before.not_before));
  return after;
}

RetryState AfterCall(const RetryState& before, MonotonicTime now) {
  RetryState after = before;
  const bool lately = before.made_due.has_value() && now - *before.made_due < kCallInterval;
  if (before.due <= now || (lately && !before.offline)) return after;
  after.due = now;
  if (!before.offline) after.made_due = now;
  return after;
}

RetryState AfterBusy(const RetryState& before, MonotonicTime now) {
  RetryState after = before;
  after.busy_looks = before.busy_looks + 1;
  after.due = now + RetryDelay(after.busy_looks, 1, kLongestBusyDelay);
  return after;
}

RetryTable::Key RetryTable::KeyOf(const FoundFile& file) {
  return {file.id.device, file.id.inode, std::hash<std::string>()(file.path)};
}

bool RetryTable::Put(Entry entry) {
  for (std::string* text : {&entry.state.error, &entry.state.advice}) {
    text->resize(std::min(text->size(), kErrorBytes));
  }
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
  if (found == entries_.end()) return false;
  const RetryState& state = found->second.state;
  return state.due > now && (state.advice.empty() || state.version == file.version);
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

void RetryTable::MakeDueForCall(MonotonicTime now) {
  MutexLock lock(mutex_);
  ChangeAll([now](const RetryState& before) { return AfterCall(before, now); });
}

void RetryTable::MakeRestingDue(MonotonicTime now) {
  MutexLock lock(mutex_);
  ChangeAll([now](const RetryState& before) {
    RetryState after = before;
    if (before.resting) after.due = std::min(before.due, now);
    after.resting = false;
    return after;
  });
}

void RetryTable::OnConnection(bool new_address, MonotonicTime now) {
  MutexLock lock(mutex_);
  ChangeAll([=](const RetryState& before) { return AfterConnection(before, new_address, now); });
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
  ChangeAll([now](const RetryState& before) {
    RetryState after = before;
    if (before.offline) after.due = std::min(after.due, now);
    return after;
  });
}

template <typename After>
void RetryTable::ChangeAll(After after) {
  by_due_.clear();
  for (auto& [key, entry] : entries_) {
    entry.state = after(entry.state);
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
    summary.hopeless += entry.state.advice.empty() ? 0 : 1;
    oldest = std::min(oldest, entry.state.first_failed);
    most.push_back(&entry);
  }
  summary.oldest = Between(oldest, now);
  summary.next_due = Between(now, by_due_.begin()->first);
  const auto end = most.begin() + static_cast<ptrdiff_t>(std::min(most.size(), kNamedRetries));
  std::partial_sort(most.begin(), end, most.end(), [](const Entry* a, const Entry* b) {
    return std::pair(!a->state.advice.empty(), a->state.attempts) >
           std::pair(!b->state.advice.empty(), b->state.attempts);
  });
  for (auto entry = most.begin(); entry != end; ++entry) {
    const RetryState& state = (*entry)->state;
    summary.most_tried.push_back({.path = (*entry)->file.path,
                                  .tries = state.attempts,
                                  .failing_for = Between(state.first_failed, now),
                                  .next_due = Between(now, state.due),
                                  .last_error = state.error,
                                  .advice = state.advice});
  }
  return summary;
}

}  // namespace datamanager::sync
