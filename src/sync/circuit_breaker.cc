#include "sync/circuit_breaker.h"

#include <algorithm>

namespace datamanager::sync {
namespace {

using std::chrono::milliseconds;

struct Lengths {
  milliseconds first;
  milliseconds longest;
};
constexpr Lengths kRefusalPauses{std::chrono::minutes(1), std::chrono::hours(1)};
constexpr Lengths kFailurePauses{std::chrono::seconds(1), std::chrono::minutes(5)};
constexpr size_t kNamedPauses = 5;

size_t HashOf(std::string_view text) { return std::hash<std::string_view>()(text); }

milliseconds Remaining(MonotonicTime until, MonotonicTime now) {
  return std::chrono::ceil<milliseconds>(std::max(until - now, MonotonicTime::duration(0)));
}

}  // namespace

milliseconds PauseLength(FailureKind kind, int pause, double random) {
  const bool refused = kind == FailureKind::kRefused;
  const Lengths& lengths = refused ? kRefusalPauses : kFailurePauses;
  milliseconds length = lengths.first;
  for (int i = 1; i < pause && length < lengths.longest; ++i) length *= 2;
  length = std::min(length, lengths.longest);
  if (refused) return length;
  return std::chrono::duration_cast<milliseconds>(length * (1 - random / 2));
}

CircuitBreaker::Outcome OutcomeOf(const UploadError& answer) {
  using Outcome = CircuitBreaker::Outcome;
  if (answer.origin != ErrorOrigin::kServer) return Outcome::kUndecided;
  switch (Judge(answer)) {
    case Verdict::kStored:
      // Of a file that was stored by an earlier try, and is only to be removed, nothing is sent.
      return answer.sent ? Outcome::kStored : Outcome::kUndecided;
    case Verdict::kRefused:
      return answer.pushback.has_value() ? Outcome::kUndecided : Outcome::kRefused;
    case Verdict::kTransient:
      // A failure with a wait in it begins a pause by itself: see PushBack.
      if (!answer.sent || answer.pushback.has_value()) return Outcome::kUndecided;
      return absl::IsUnavailable(answer.status) && !answer.stalled ? Outcome::kUnavailable
                                                                   : Outcome::kFailed;
    case Verdict::kOffline:
    case Verdict::kGone:
    case Verdict::kBusy:
    case Verdict::kStopped:
      break;
  }
  return Outcome::kUndecided;
}

CircuitBreaker::Candidate CircuitBreaker::Candidate::Of(std::string_view path, bool tried) {
  return {.directory = path.substr(0, path.rfind('/')), .file = HashOf(path), .tried = tried};
}

std::optional<MonotonicTime> CircuitBreaker::Streak::RestsUntil(const Place& place, bool tried,
                                                                MonotonicTime now) const {
  if (!open()) return std::nullopt;
  if (now < until) return until;
  const bool news = place.file != last.file && (!tried || place.directory != last.directory);
  const MonotonicTime grace_end = until + std::min<milliseconds>(length, kLongestGrace);
  if (news || now >= grace_end) return std::nullopt;
  return grace_end;
}

uint64_t CircuitBreaker::Streak::Probe(uint64_t id, MonotonicTime now) {
  if (!open()) return 0;
  probe = id;
  // If the upload of this file never ends, another one takes its turn after as long a pause.
  until = now + length;
  return id;
}

bool CircuitBreaker::Streak::Fail(FailureKind failure, const Place& place, uint64_t probe_id,
                                  bool of_all, MonotonicTime now, double random) {
  if (failures == 0) first = place;
  several_directories = several_directories || place.directory != first.directory;
  several_files = several_files || place.file != first.file;
  last = place;
  ++failures;
  if (failure == FailureKind::kRefused) ++refused;
  const bool enough =
      !open() && failures >= kLimit && several_files && (several_directories || !of_all);
  if (!IsProbe(probe_id) && !enough) return false;
  // A few refusals among other failures are not what the long pauses are for.
  const bool refuses = failure == FailureKind::kRefused && refused >= kLimit;
  kind = refuses ? FailureKind::kRefused : FailureKind::kFailed;
  length = PauseLength(kind, ++pauses[static_cast<size_t>(kind)], random);
  until = now + length;
  probe = 0;
  return true;
}

void CircuitBreaker::Streak::MakeDue(MonotonicTime now) {
  if (open()) until = std::min(until, now - length);
}

void CircuitBreaker::Streak::Doubt(MonotonicTime now) {
  if (before_doubt == nullptr || now > settles) {
    before_doubt.reset();
    before_doubt = std::make_shared<const Streak>(*this);
  }
  settles = now + kStateLag;
}

bool CircuitBreaker::Streak::UndoDoubted(MonotonicTime now) {
  if (before_doubt == nullptr || now > settles) return false;
  const std::shared_ptr<const Streak> before = std::move(before_doubt);
  *this = *before;
  // A probe under way has said nothing.
  if (probe != 0) until = now;
  probe = 0;
  return true;
}

UploadPause CircuitBreaker::Streak::Describe(const std::string& directory,
                                             MonotonicTime now) const {
  PauseState state = PauseState::kPaused;
  if (probe != 0) {
    state = PauseState::kProbing;
  } else if (now >= until) {
    state = PauseState::kProbeDue;
  }
  return {.directory = directory,
          .state = state,
          .reason = kind == FailureKind::kRefused ? PauseReason::kRefused : PauseReason::kFailed,
          .failures = failures,
          .refused = refused,
          .next_try = Remaining(until, now),
          .last_error = last_error};
}

const CircuitBreaker::Streak* CircuitBreaker::Find(std::string_view directory) const {
  const auto found = directories_.find(directory);
  return found == directories_.end() ? nullptr : &found->second;
}

std::optional<MonotonicTime> CircuitBreaker::RestsUntil(const Candidate& file,
                                                        MonotonicTime now) const {
  const Place place{.directory = HashOf(file.directory), .file = file.file};
  std::optional<MonotonicTime> until;
  if (pushed_back_until_.has_value() && now < *pushed_back_until_) until = pushed_back_until_;
  for (const Streak* streak : {&all_, Find(file.directory)}) {
    if (streak == nullptr) continue;
    const auto rests = streak->RestsUntil(place, file.tried, now);
    if (rests.has_value()) until = std::max(until.value_or(*rests), *rests);
  }
  return until;
}

bool CircuitBreaker::Rests(const Candidate& file, MonotonicTime now) const {
  if (!may_rest_) return false;
  MutexLock lock(mutex_);
  return RestsUntil(file, now).has_value();
}

bool CircuitBreaker::IsRefused(const Candidate& file, MonotonicTime now) const {
  if (!may_rest_) return false;
  MutexLock lock(mutex_);
  for (const Streak* streak : {&all_, Find(file.directory)}) {
    if (streak == nullptr || !streak->open() || now >= streak->until) continue;
    if (streak->kind == FailureKind::kRefused) return true;
  }
  return false;
}

std::optional<CircuitBreaker::Permit> CircuitBreaker::Begin(const Candidate& file,
                                                            MonotonicTime now,
                                                            MonotonicTime* rests_until) {
  MutexLock lock(mutex_);
  if (const auto until = RestsUntil(file, now)) {
    *rests_until = *until;
    return std::nullopt;
  }
  Permit permit{.directory = std::string(file.directory), .file = file.file};
  permit.probe_all = all_.Probe(++probes_, now);
  const auto found = directories_.find(file.directory);
  if (found != directories_.end()) permit.probe = found->second.Probe(++probes_, now);
  return permit;
}

CircuitBreaker::Effect CircuitBreaker::End(const Permit& permit, Outcome outcome,
                                           const std::string& error, MonotonicTime now,
                                           double random) {
  MutexLock lock(mutex_);
  const auto found = directories_.find(permit.directory);
  Streak* streak = found == directories_.end() ? nullptr : &found->second;
  if (outcome == Outcome::kStored) {
    const bool ends = all_.open() || (streak != nullptr && streak->open());
    if (streak != nullptr) directories_.erase(found);
    all_ = {};
    undone_.reset();
    pushbacks_ = 0;
    if (pushed_back_until_.has_value() && now >= *pushed_back_until_) pushed_back_until_.reset();
    UpdateMayRest();
    return {.ends = ends};
  }
  if (outcome == Outcome::kUndecided) {
    for (const auto& [probed, id] : {std::pair(&all_, permit.probe_all), {streak, permit.probe}}) {
      if (probed == nullptr || !probed->IsProbe(id)) continue;
      probed->probe = 0;
      probed->until = now;
    }
    return {};
  }

  if (streak == nullptr && directories_.size() < kDirectories) {
    streak = &directories_[permit.directory];
  }
  const FailureKind kind =
      outcome == Outcome::kRefused ? FailureKind::kRefused : FailureKind::kFailed;
  const Place place{.directory = HashOf(permit.directory), .file = permit.file};
  if (outcome == Outcome::kUnavailable) {
    all_.Doubt(now);
    if (streak != nullptr) streak->Doubt(now);
  } else {
    // Another answer has come since: it counts, and so do those before it.
    all_.before_doubt.reset();
    if (streak != nullptr) streak->before_doubt.reset();
  }
  const bool all_begins = all_.Fail(kind, place, permit.probe_all, /*of_all=*/true, now, random);
  all_.last_error = error;
  bool begins = false;
  if (streak != nullptr) {
    begins = streak->Fail(kind, place, permit.probe, /*of_all=*/false, now, random);
    streak->last_error = error;
  }
  if (!all_begins && !begins) return {};
  may_rest_ = true;
  return {.begins = all_begins ? Describe(all_, "") : Describe(*streak, permit.directory)};
}

CircuitBreaker::Pause CircuitBreaker::Describe(const Streak& streak, const std::string& directory) {
  const bool refused = streak.kind == FailureKind::kRefused;
  ++(refused ? refusal_pauses_ : failure_pauses_);
  return {.reason = refused ? PauseReason::kRefused : PauseReason::kFailed,
          .directory = directory,
          .failures = streak.failures,
          .refused = streak.refused,
          .length = streak.length};
}

std::optional<CircuitBreaker::Pause> CircuitBreaker::PushBack(milliseconds wait,
                                                              const std::string& error,
                                                              MonotonicTime now) {
  MutexLock lock(mutex_);
  ++pushbacks_;
  wait = std::clamp<milliseconds>(wait, milliseconds(0), kLongestPushback);
  if (pushbacks_ >= kLimit) wait = std::max<milliseconds>(wait, kShortestPushback);
  const bool begins = !pushed_back_until_.has_value() || now >= *pushed_back_until_;
  pushed_back_until_ = std::max(begins ? now : *pushed_back_until_, now + wait);
  pushback_error_ = error;
  may_rest_ = true;
  if (!begins || wait == milliseconds(0)) return std::nullopt;
  ++asked_pauses_;
  return Pause{.reason = PauseReason::kAsked, .failures = pushbacks_, .length = wait};
}

void CircuitBreaker::MakeDue(MonotonicTime now) {
  MutexLock lock(mutex_);
  all_.MakeDue(now);
  for (auto& [directory, streak] : directories_) streak.MakeDue(now);
}

void CircuitBreaker::MakeDueForCall(MonotonicTime now) {
  const auto make_due = [now](Streak& streak) {
    if (!streak.open()) return;
    if (streak.made_due.has_value() && now - *streak.made_due < kCallInterval) return;
    streak.made_due = now;
    streak.MakeDue(now);
  };
  MutexLock lock(mutex_);
  make_due(all_);
  for (auto& [directory, streak] : directories_) make_due(streak);
}

void CircuitBreaker::OnConnection(bool new_address, MonotonicTime now) {
  MutexLock lock(mutex_);
  if (new_address) {
    directories_.clear();
    all_ = {};
    pushed_back_until_.reset();
    pushbacks_ = 0;
    UpdateMayRest();
    return;
  }
  if (!may_rest_ || (connected_.has_value() && now - *connected_ < kConnectionInterval)) return;
  const auto ends = [](const Streak& streak) {
    return streak.open() && streak.pauses[static_cast<size_t>(FailureKind::kRefused)] == 0;
  };
  connected_ = now;
  if (ends(all_)) all_ = {};
  std::erase_if(directories_, [&](const auto& entry) { return ends(entry.second); });
  pushed_back_until_.reset();
  pushbacks_ = 0;
  UpdateMayRest();
}

bool CircuitBreaker::OnConnectionLost(MonotonicTime now) {
  MutexLock lock(mutex_);
  if (undone_.has_value() && now - *undone_ < kConnectionInterval) return false;
  const auto undo = [&](Streak& streak) {
    const bool was_open = streak.open();
    if (streak.UndoDoubted(now)) undone_ = now;
    return was_open && !streak.open();
  };
  bool ends = undo(all_);
  for (auto& [directory, streak] : directories_) ends = undo(streak) || ends;
  std::erase_if(directories_, [](const auto& entry) { return entry.second.failures == 0; });
  UpdateMayRest();
  return ends;
}

void CircuitBreaker::UpdateMayRest() {
  may_rest_ = all_.open() || pushed_back_until_.has_value() ||
              std::any_of(directories_.begin(), directories_.end(),
                          [](const auto& entry) { return entry.second.open(); });
}

std::optional<MonotonicTime> CircuitBreaker::NextTry() const {
  MutexLock lock(mutex_);
  std::optional<MonotonicTime> next;
  for (const auto& [directory, streak] : directories_) {
    if (streak.open()) next = std::min(next.value_or(streak.until), streak.until);
  }
  // While all uploads rest, no directory's pause matters.
  if (all_.open()) next = all_.until;
  if (pushed_back_until_.has_value()) {
    next = std::max(next.value_or(*pushed_back_until_), *pushed_back_until_);
  }
  return next;
}

std::vector<UploadPause> CircuitBreaker::Paused(MonotonicTime now) const {
  std::vector<UploadPause> paused;
  if (!may_rest_) return paused;
  MutexLock lock(mutex_);
  if (pushed_back_until_.has_value() && now < *pushed_back_until_) {
    paused.push_back({.reason = PauseReason::kAsked,
                      .failures = pushbacks_,
                      .next_try = Remaining(*pushed_back_until_, now),
                      .last_error = pushback_error_});
  }
  if (all_.open()) paused.push_back(all_.Describe("", now));
  for (const auto& [directory, streak] : directories_) {
    if (paused.size() == kNamedPauses) break;
    if (streak.open()) paused.push_back(streak.Describe(directory, now));
  }
  return paused;
}

}  // namespace datamanager::sync
