#include "sync/dispatcher.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/strings.h"
#include "sync/directory_walker.h"

namespace datamanager::sync {
namespace {

// How often a wait looks whether the connection is there, and what a disk does that hangs.
constexpr std::chrono::seconds kPause{1};
// Hints are only that: what does not fit is found by the next pass.
constexpr size_t kHintLimit = 256;

}  // namespace

Dispatcher::Drawn Dispatcher::Next(size_t worker, std::optional<Job>& job) {
  if (!Ready()) return Drawn::kNothing;
  bool again = false;
  const int first = turn_;
  for (int i = 0; i < kTurns; ++i) {
    const int turn = (first + i) % kTurns;
    const Drawn drawn = Draw(static_cast<Turn>(turn), worker, job);
    if (drawn == Drawn::kFile) {
      turn_ = (turn + 1) % kTurns;
      return drawn;
    }
    again = again || drawn == Drawn::kAgain;
  }
  return again ? Drawn::kAgain : Drawn::kNothing;
}

Dispatcher::Drawn Dispatcher::Draw(Turn turn, size_t worker, std::optional<Job>& job) {
  switch (turn) {
    case Turn::kHint:
      return DrawHint(job);
    case Turn::kBacklog:
      return DrawFromPass(Pass::Row::kBacklog, worker, job);
    case Turn::kOther:
      return DrawFromPass(Pass::Row::kOther, worker, job);
    case Turn::kRetry:
      return DrawRetry(job);
    case Turn::kCaller:
      return DrawWanted(job);
  }
  return Drawn::kNothing;
}

Dispatcher::Drawn Dispatcher::DrawHint(std::optional<Job>& job) {
  const std::optional<std::string> hint = TakeHint();
  const std::string& directory = config_.capture_directory;
  if (!hint.has_value()) return Drawn::kNothing;
  if (!hint->starts_with(directory + "/")) return Drawn::kAgain;
  // By the path that passes use of it, which may lead through links.
  const std::optional<Root> known = known_roots_.Find(directory);
  const std::string& place = known.has_value() ? known->path : directory;
  if (stuck_.IsStuck(place)) return Drawn::kAgain;
  const StuckRoots::Work work(stuck_, place);
  FileOps& ops = *context_.options.ops;
  const absl::StatusOr<Root> root = FindRoot(ops, directory, DirectorySummary::Role::kCapture);
  if (!root.ok()) return Drawn::kAgain;
  FoundFile file{.root = root->path, .path = root->path + hint->substr(directory.size())};
  if (check_.LookAt(file).ready && check_.IsFree(file)) job = check_.Claim(std::move(file));
  return job.has_value() ? Drawn::kFile : Drawn::kAgain;
}

Dispatcher::Drawn Dispatcher::DrawFromPass(Pass::Row row, size_t worker, std::optional<Job>& job) {
  size_t turn = 0;
  std::vector<std::shared_ptr<Pass>> passes;
  {
    MutexLock lock(mutex_);
    passes = passes_;
    turn = pass_turn_;
  }
  bool again = false;
  bool busy = false;
  for (size_t i = 0; i < passes.size(); ++i) {
    const size_t index = (turn + i) % passes.size();
    const std::shared_ptr<Pass>& pass = passes[index];
    const Pass::Result result = pass->Next(row, job);
    if (result == Pass::Result::kNothing) continue;
    if (result == Pass::Result::kBusy) {
      busy = true;
      continue;
    }
    again = again || result == Pass::Result::kNotYet;
    if (pass->state() == Pass::State::kOver) TellOfEnd();
    WakeTurnedAway(worker);
    if (result == Pass::Result::kFile) {
      MutexLock lock(mutex_);
      pass_turn_ = index + 1;
      return Drawn::kFile;
    }
  }
  // The root may have been left before the worker was known to wait for that: it looks once more.
  if (busy && AddTurnedAway(worker)) again = true;
  return again ? Drawn::kAgain : Drawn::kNothing;
}

bool Dispatcher::AddTurnedAway(size_t worker) {
  MutexLock lock(mutex_);
  if (std::find(turned_away_.begin(), turned_away_.end(), worker) != turned_away_.end()) {
    return false;
  }
  turned_away_.push_back(worker);
  turned_away_count_ = turned_away_.size();
  return true;
}

void Dispatcher::WakeTurnedAway(size_t self) {
  if (turned_away_count_ == 0) return;
  std::function<void()> wake;
  {
    MutexLock lock(mutex_);
    std::erase(turned_away_, self);
    if (!turned_away_.empty()) {
      wake = wakes_[turned_away_.front()];
      turned_away_.pop_front();
    }
    turned_away_count_ = turned_away_.size();
  }
  if (wake) wake();
}

bool Dispatcher::LookAhead(size_t worker) {
  std::vector<std::shared_ptr<Pass>> passes;
  // Even if no worker has room, a pass ends when the disk hangs, so that its caller is told.
  const bool any_stuck = stuck_.Any();
  {
    MutexLock lock(mutex_);
    for (const std::shared_ptr<Pass>& pass : passes_) {
      if (pass->awaited() || any_stuck) passes.push_back(pass);
    }
  }
  bool again = false;
  for (const std::shared_ptr<Pass>& pass : passes) {
    if (!pass->LookAhead()) continue;
    again = true;
    WakeTurnedAway(worker);
    if (pass->state() == Pass::State::kOver) TellOfEnd();
  }
  return again;
}

Dispatcher::Drawn Dispatcher::DrawRetry(std::optional<Job>& job) {
  if (context_.retries.size() == 0) return Drawn::kNothing;  // The usual case, after each file.
  // One that somebody has, or whose disk hangs, does not hold up those after it.
  const std::optional<FoundFile> due =
      context_.retries.NextDue(Now(), [this](const FoundFile& file) {
        return !context_.tracker.IsClaimed(file.id) && !stuck_.IsStuck(file.root);
      });
  if (!due.has_value()) return Drawn::kNothing;
  FoundFile file = *due;
  const StuckRoots::Work work(stuck_, file.root);
  if (check_.LookAt(file).ready && file.id == due->id &&
      (file.kind != FileKind::kSequence || !check_.AreHeld({file})[0])) {
    job = check_.Claim(std::move(file));
    return job.has_value() ? Drawn::kFile : Drawn::kAgain;
  }
  context_.retries.Take(*due);  // If it is still there, the next pass meets it.
  return Drawn::kAgain;
}

Dispatcher::Drawn Dispatcher::DrawWanted(std::optional<Job>& job) {
  if (wanted_count_ == 0) return Drawn::kNothing;
  MutexLock lock(mutex_);
  for (Wanted& wanted : wanted_) {
    if (wanted.taken || stuck_.IsStuck(wanted.file.root)) continue;
    job = check_.Claim(wanted.file, wanted.direct);
    if (!job.has_value()) continue;
    wanted.taken = true;
    changed_.NotifyAll();
    return Drawn::kFile;
  }
  return Drawn::kNothing;
}

size_t Dispatcher::AddWorker(std::function<void()> wake) {
  MutexLock lock(mutex_);
  wakes_.push_back(std::move(wake));
  return wakes_.size() - 1;
}

void Dispatcher::WakeWorkers() {
  std::vector<std::function<void()>> wakes;
  {
    MutexLock lock(mutex_);
    wakes = wakes_;
  }
  for (const std::function<void()>& wake : wakes) wake();
}

void Dispatcher::Notify() {
  {
    MutexLock lock(mutex_);
    ++changes_;
    changed_.NotifyAll();
  }
  WakeWorkers();
}

void Dispatcher::TellOfEnd() {
  {
    MutexLock lock(mutex_);
    ++changes_;
    changed_.NotifyAll();
  }
  context_.WakeScheduler();
}

std::shared_ptr<Pass> Dispatcher::BeginPass(FileFilter filter, bool awaited) {
  std::shared_ptr<Pass> pass;
  {
    MutexLock lock(mutex_);
    pass = std::make_shared<Pass>(context_, config_, check_, complaints_, stuck_, known_roots_,
                                  std::move(filter), limits_, largest_ == nullptr);
    if (awaited) pass->Await();
    if (largest_ == nullptr) largest_ = pass.get();
    passes_.push_back(pass);
    pass_count_ = passes_.size();
  }
  WakeWorkers();
  return pass;
}

std::optional<PassEnd> Dispatcher::EndOf(const std::shared_ptr<Pass>& pass) {
  const Pass::State state = pass->state();
  if (state == Pass::State::kUnderWay) return std::nullopt;
  pass->Settle();
  EndPass(pass);
  ++context_.passes;
  if (state == Pass::State::kStuck) return PassEnd::kStuck;
  return pass->broken() ? PassEnd::kBroken : PassEnd::kComplete;
}

void Dispatcher::EndPass(const std::shared_ptr<Pass>& pass) {
  pass->Cancel();
  MutexLock lock(mutex_);
  std::erase(passes_, pass);
  pass_count_ = passes_.size();
  if (largest_ == pass.get()) largest_ = nullptr;
  if (!passes_.empty()) return;
  hints_.clear();
  hinted_ = false;
}

PassEnd Dispatcher::RunPass(const std::stop_token& stop, FileFilter filter, bool awaited,
                            std::string& stuck_path) {
  const std::shared_ptr<Pass> pass = BeginPass(std::move(filter), awaited);
  context_.WakeScheduler();  // The scheduler watches the workers, the caller only waits.
  uint64_t changes = 0;
  while (true) {
    {
      MutexLock lock(mutex_);
      changes = changes_;
    }
    if (const std::optional<PassEnd> end = EndOf(pass)) {
      if (*end == PassEnd::kStuck) stuck_path = pass->StuckPath();
      return *end;
    }
    const bool stopped = stop.stop_requested();
    if (stopped || !Ready()) {
      EndPass(pass);
      return stopped ? PassEnd::kStopped : PassEnd::kOffline;
    }
    MutexLock lock(mutex_);
    changed_.WaitUntil(mutex_, stop, Clock::System().MonotonicNow() + kPause, [this, changes] {
      mutex_.AssertHeld();
      return changes_ != changes;
    });
  }
}

Dispatcher::OfferEnd Dispatcher::Offer(FoundFile file, std::shared_ptr<const DirectUpload> direct,
                                       MonotonicTime deadline, const std::stop_token& stop) {
  std::list<Wanted> own;
  own.push_back({.file = std::move(file), .direct = std::move(direct)});
  const auto wanted = own.begin();
  {
    MutexLock lock(mutex_);
    wanted_.splice(wanted_.end(), own);
    wanted_count_ = wanted_.size();
  }
  const FileId id = wanted->file.id;
  OfferEnd end = OfferEnd::kTimedOut;
  while (true) {
    context_.tracker.WaitUntilFree(id, std::min(Now() + kPause, deadline), stop);
    WakeWorkers();
    context_.WakeScheduler();
    const bool ready = Ready();
    MutexLock lock(mutex_);
    if (ready) {
      changed_.WaitUntil(mutex_, stop, std::min(Now() + kPause, deadline), [this, wanted] {
        mutex_.AssertHeld();
        return wanted->taken;
      });
    }
    if (wanted->taken) {
      end = OfferEnd::kTaken;
    } else if (!ready) {
      end = OfferEnd::kOffline;
    } else if (stop.stop_requested()) {
      end = OfferEnd::kStopped;
    } else if (Now() < deadline) {
      continue;
    }
    wanted_.erase(wanted);
    wanted_count_ = wanted_.size();
    return end;
  }
}

bool Dispatcher::AnyReady(const FileFilter& filter, const std::stop_token& stop) {
  bool complete = true;
  const Complain silently = [](const absl::Status&) {};  // A pass complains.
  const std::vector<Root> roots =
      RootsOf(config_, context_.former_roots, silently,
              [&](const std::string& path, DirectorySummary::Role role) -> absl::StatusOr<Root> {
                if (stuck_.IsStuck(path)) {
                  complete = false;
                  return absl::UnavailableError("the disk hangs");
                }
                const StuckRoots::Work work(stuck_, path);
                return FindRoot(*context_.options.ops, path, role);
              });
  for (const Root& root : roots) {
    if (stuck_.IsStuck(root.path)) {
      complete = false;
      continue;
    }
    const StuckRoots::Work work(stuck_, root.path);
    if (AnyReadyIn(root, roots, filter, silently, stop)) return true;
  }
  return !complete;
}

bool Dispatcher::AnyReadyIn(const Root& root, const std::vector<Root>& roots,
                            const FileFilter& filter, const Complain& complain,
                            const std::stop_token& stop) const {
  const uid_t user = ::geteuid();
  DirectoryWalker walker(*context_.options.ops, roots, complain, stop,
                         {.enters = [&root](const Root& other) { return other.id == root.id; }});
  FoundFile file;
  std::vector<FoundFile> sequences;
  while (const DirectoryWalker::Entry* entry = walker.Next()) {
    file.root = root.path;
    entry->PutPath(file.path);
    file.kind = entry->kind;
    const FileCheck::Look look =
        check_.LookAt({.fd = entry->parent, .info = entry->directory_info, .user = user}, file);
    if (!look.ready || !filter(file, look.info)) continue;
    if (file.kind != FileKind::kSequence) return true;
    if (sequences.size() >= RootPass::kMostSequences) {
      if (AnyFree(sequences)) return true;
      sequences.clear();
    }
    sequences.push_back(file);
  }
  return AnyFree(sequences);
}

bool Dispatcher::AnyFree(const std::vector<FoundFile>& sequences) const {
  const std::vector<bool> held = check_.AreHeld(sequences);
  return std::find(held.begin(), held.end(), false) != held.end();
}

void Dispatcher::Hint(const std::string& path) {
  {
    MutexLock lock(mutex_);
    if (passes_.empty() || hints_.size() >= kHintLimit) return;
    hints_.push_back(path);
    hinted_ = true;
  }
  WakeWorkers();
}

std::optional<std::string> Dispatcher::TakeHint() {
  if (!hinted_) return std::nullopt;
  MutexLock lock(mutex_);
  if (hints_.empty()) return std::nullopt;
  std::string path = std::move(hints_.front());
  hints_.pop_front();
  hinted_ = !hints_.empty();
  return path;
}

}  // namespace datamanager::sync
