#include "sync/refusal_breaker.h"

#include <algorithm>

namespace datamanager::sync {
namespace {

constexpr std::chrono::minutes kFirstPause{1};
constexpr std::chrono::minutes kLongestPause = std::chrono::hours(1);
constexpr size_t kNamedPauses = 5;

}  // namespace

std::chrono::minutes RefusalPauseLength(int pause) {
  std::chrono::minutes length = kFirstPause;
  for (int i = 1; i < pause && length < kLongestPause; ++i) length *= 2;
  return std::min(length, kLongestPause);
}

bool RefusalBreaker::Streak::Probe(MonotonicTime now) {
  if (pauses == 0) return false;
  // Should nothing ever be heard of this file, another one takes its turn after as long a pause.
  until = now + RefusalPauseLength(pauses);
  return true;
}

bool RefusalBreaker::Streak::Refused(bool enough, const std::string& error, MonotonicTime now) {
  ++refused;
  last_error = error;
  if (!enough) return false;
  ++pauses;
  until = now + RefusalPauseLength(pauses);
  return true;
}

RefusalPause RefusalBreaker::Streak::Describe(const std::string& directory,
                                              MonotonicTime now) const {
  return {.directory = directory,
          .refused = refused,
          .next_try = std::chrono::duration_cast<std::chrono::milliseconds>(
              std::max(until - now, MonotonicTime::duration(0))),
          .last_error = last_error};
}

bool RefusalBreaker::Rests(std::string_view directory, MonotonicTime now) const {
  MutexLock lock(mutex_);
  if (all_.Rests(now)) return true;
  const auto found = directories_.find(directory);
  return found != directories_.end() && found->second.Rests(now);
}

std::optional<RefusalBreaker::Permit> RefusalBreaker::Begin(const std::string& directory,
                                                            MonotonicTime now,
                                                            MonotonicTime* rests_until) {
  MutexLock lock(mutex_);
  const auto found = directories_.find(directory);
  for (const Streak* streak : {&all_, found == directories_.end() ? nullptr : &found->second}) {
    if (streak == nullptr || !streak->Rests(now)) continue;
    *rests_until = streak->until;
    return std::nullopt;
  }
  Permit permit{.directory = directory};
  permit.probes_all = all_.Probe(now);
  permit.probes = found != directories_.end() && found->second.Probe(now);
  return permit;
}

std::optional<RefusalBreaker::Pause> RefusalBreaker::End(const Permit& permit, Outcome outcome,
                                                         const std::string& error,
                                                         MonotonicTime now) {
  MutexLock lock(mutex_);
  const auto found = directories_.find(permit.directory);
  if (outcome == Outcome::kStored) {
    if (found != directories_.end()) directories_.erase(found);
    all_ = {};
    several_directories_ = false;
    return std::nullopt;
  }
  if (outcome == Outcome::kUndecided) {
    if (permit.probes_all) all_.until = now;
    if (permit.probes && found != directories_.end()) found->second.until = now;
    return std::nullopt;
  }

  if (all_.refused == 0) first_directory_ = permit.directory;
  if (permit.directory != first_directory_) several_directories_ = true;
  // What was under way as a pause began neither prolongs it nor begins another.
  const bool all_begins = all_.Refused(
      permit.probes_all || (all_.pauses == 0 && all_.refused + 1 >= kLimit && several_directories_),
      error, now);
  bool begins = false;
  Streak* streak = found == directories_.end() ? nullptr : &found->second;
  if (streak == nullptr && directories_.size() < kDirectories) {
    streak = &directories_[permit.directory];
  }
  if (streak != nullptr) {
    begins = streak->Refused(
        permit.probes || (streak->pauses == 0 && streak->refused + 1 >= kLimit), error, now);
  }
  if (!all_begins && !begins) return std::nullopt;
  ++pauses_;
  if (all_begins) {
    return Pause{.refused = all_.refused, .length = RefusalPauseLength(all_.pauses)};
  }
  return Pause{.directory = permit.directory,
               .refused = streak->refused,
               .length = RefusalPauseLength(streak->pauses)};
}

void RefusalBreaker::MakeDue(MonotonicTime now) {
  MutexLock lock(mutex_);
  all_.until = std::min(all_.until, now);
  for (auto& [directory, streak] : directories_) streak.until = std::min(streak.until, now);
}

std::vector<RefusalPause> RefusalBreaker::Paused(MonotonicTime now) const {
  std::vector<RefusalPause> paused;
  MutexLock lock(mutex_);
  if (all_.pauses > 0) paused.push_back(all_.Describe("", now));
  for (const auto& [directory, streak] : directories_) {
    if (paused.size() == kNamedPauses) break;
    if (streak.pauses > 0) paused.push_back(streak.Describe(directory, now));
  }
  return paused;
}
}  // namespace datamanager::sync
