#include "tests/simulation/power_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <compare>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "capture_file/file_name.h"
#include "capture_file/format.h"
#include "tests/support/files.h"
#include "tests/support/wait_until.h"

namespace datamanager::simulation {
namespace {

constexpr size_t kMisfortunes = 3;
constexpr size_t kEnough = 5;  // Broken states; some take as long as patience lasts.

struct State {
  size_t count = 0;
  std::map<size_t, Misfortune> misfortunes;

  friend auto operator<=>(const State&, const State&) = default;
};

std::string Describe(const Recording& recording, const State& state) {
  constexpr const char* kKinds[] = {"create",     "write",  "truncate",   "rename",
                                    "unlink",     "mkdir",  "flush file", "flush directory",
                                    "write back", "commit", "flush all"};
  constexpr const char* kMisfortuneNames[] = {"lost", "late", "zeroed", "half zeroed", "torn"};
  std::string text = absl::StrCat("after ", state.count, " changes");
  for (const auto& [index, misfortune] : state.misfortunes) {
    const Change& change = recording.changes()[index];
    absl::StrAppend(&text, "; ", index, " (", kKinds[static_cast<size_t>(change.kind)], " of ",
                    change.object, " ", change.path, ") is ",
                    kMisfortuneNames[static_cast<size_t>(misfortune)]);
  }
  return text;
}

// Draws where the journal ends, and what is lost behind that. Returns the changes that can meet
// with further misfortunes.
template <typename Random>
std::vector<size_t> DrawJournalEnd(const Recording& recording, State& state, Random& random) {
  const std::vector<Change>& changes = recording.changes();
  const size_t least = LeastJournalEnd(changes, state.count);
  const size_t journal_end = least + random() % (state.count - least + 1);
  state.misfortunes = LostBehindJournal(changes, state.count, journal_end);
  std::vector<size_t> unflushed = Unflushed(changes, state.count, journal_end);
  std::erase_if(unflushed, [&](size_t change) { return state.misfortunes.contains(change); });
  return unflushed;
}

bool IsSetAside(const Places& places, const std::string& path) {
  return path.starts_with(places.captured + "/failed/");
}

class Surveyor {
 public:
  Surveyor(const Recording& recording, size_t goal) : recording_(recording), goal_(goal) {
    for (size_t count = 0; count <= recording.changes().size(); ++count) {
      const std::vector<testing::UploadCall> stored = recording.Stored(count);
      moments_.push_back({.unflushed = Unflushed(recording.changes(), count),
                          .promised = recording.Promised(count).size(),
                          .stored = stored.size()});
      if (stored_.contains(stored.size())) continue;
      Stored& known = stored_[stored.size()];
      std::vector<testing::UploadCall> once;
      for (const testing::UploadCall& call : stored) {
        if (known.keys.insert(call.key).second) once.push_back(call);
      }
      known.tally = Count(recording.ledger(), once, {});
    }
  }

  Survey Run() {
    std::vector<std::jthread> others(std::max(std::thread::hardware_concurrency(), 1U) - 1);
    for (std::jthread& other : others) other = std::jthread([this] { Work(); });
    Work();
    others.clear();
    MutexLock lock(mutex_);
    return survey_;
  }

 private:
  // What a server has when the power is cut.
  struct Stored {
    std::set<std::string> keys;
    Tally tally;
  };
  // After a number of changes.
  struct Moment {
    std::vector<size_t> unflushed;
    size_t promised = 0;
    size_t stored = 0;
  };

  void Work() {
    while (const std::optional<State> state = Next()) Try(*state);
  }

  std::optional<State> Next() DM_EXCLUDES(mutex_) {
    constexpr size_t kTriesPerState = 50;
    MutexLock lock(mutex_);
    while (survey_.distinct < goal_ && survey_.tried < kTriesPerState * goal_ &&
           survey_.broken_states < kEnough) {
      const size_t number = survey_.tried++;
      State state = number < moments_.size() ? State{.count = number} : Draw();
      if (drawn_.insert(state).second) return state;
    }
    return std::nullopt;
  }

  State Draw() DM_REQUIRES(mutex_) {
    State state{.count = random_() % moments_.size()};
    const std::vector<size_t> unflushed = recording_.journaled()
                                              ? DrawJournalEnd(recording_, state, random_)
                                              : moments_[state.count].unflushed;
    if (unflushed.empty()) return state;
    for (size_t more = 1 + random_() % kMisfortunes; more > 0; --more) {
      const size_t change = unflushed[random_() % unflushed.size()];
      const std::vector<Misfortune> possible = MisfortunesOf(recording_.changes()[change]);
      state.misfortunes[change] = possible[random_() % possible.size()];
    }
    return state;
  }

  void Try(const State& state) DM_EXCLUDES(mutex_) {
    const Image image =
        AfterPowerCut(recording_.begin(), recording_.changes(), state.count, state.misfortunes);
    const Moment& moment = moments_[state.count];
    const uint64_t print = Fingerprint(image) ^ (moment.promised << 16) ^ moment.stored;
    {
      MutexLock lock(mutex_);
      // The goal is met while others are under way.
      if (survey_.distinct >= goal_ || !seen_.insert(print).second) return;
      ++survey_.distinct;
    }
    const Outcome outcome = Survive(image, state.count);
    MutexLock lock(mutex_);
    survey_.altered_records += outcome.altered;
    if (outcome.altered > 0) ++survey_.states_with_altered;
    if (outcome.broken.empty() || survey_.broken_states++ > 0) return;
    survey_.broken = outcome.broken;
    survey_.broken.push_back(Describe(recording_, state));
  }

  struct Outcome {
    std::vector<std::string> broken;
    size_t altered = 0;  // Records.
  };

  // What comes of it once a new process has done its work.
  Outcome Survive(const Image& image, size_t changes) const {
    const testing::TempDir base(testing::MemoryDirectory());
    const Places places(base.path());
    Materialise(image, ParentPath(recording_.places().captured), base.path());
    const std::shared_ptr<testing::FakeUploader> server = PlainServer();
    Outcome outcome;
    std::vector<std::string>& broken = outcome.broken;
    {
      SimulatedDisk disk(places.captured);
      disk.Heal();
      RobotProcess process({.capture_directory = places.captured,
                            .files_directory = places.files,
                            .disk = &disk,
                            .clock = &clock_,
                            .logger = logger_,
                            .uploader = server});
      if (!process.Recover()) broken.emplace_back("recovery has no end");
      for (const std::string& path : testing::FilesBelow(places.captured, ".prog")) {
        if (!IsSetAside(places, path)) broken.push_back("not recovered: " + path);
      }
      process.Sync();
    }
    std::vector<std::string> set_aside;
    for (std::string& path : testing::FilesBelow(base.path())) {
      // If flushes of directories are dropped, a file may be gone whose remainder has no name yet.
      if (capture_file::IsUnfinishedRemainder(BaseName(path)) && !recording_.drops_directories()) {
        broken.push_back("left unfinished: " + path);
      } else if (IsSetAside(places, path)) {
        set_aside.push_back(std::move(path));
      } else {
        broken.push_back("stuck: " + path);
      }
    }

    // The server knows each key once, before the cut and after.
    const Stored& before = stored_.at(moments_[changes].stored);
    std::vector<testing::UploadCall> after = server->stored();
    std::erase_if(after, [&](const auto& call) { return before.keys.contains(call.key); });
    const Tally tally = Count(recording_.ledger(), after, set_aside);
    std::map<std::string, int> records = before.tally.stored;
    for (const auto& [id, count] : tally.stored) records[id] += count;
    for (const auto& [id, count] : tally.failed) records[id] += count;
    for (const std::string& id : recording_.Promised(changes)) {
      if (records[id] > 0) continue;
      const bool flushed = recording_.OnlyFlushed(id, changes);
      broken.push_back(
          absl::StrCat("lost or altered, ", flushed ? "flushed" : "published", ": ", id));
    }
    for (const auto& [id, count] : records) {
      if (count > 1) broken.push_back("twice: " + id);
    }
    if (tally.unreadable > 0) broken.emplace_back("the server was sent nonsense");
    outcome.altered = tally.altered;
    return outcome;
  }

  const Recording& recording_;
  const size_t goal_;
  std::vector<Moment> moments_;      // By the number of changes.
  std::map<size_t, Stored> stored_;  // By the number of uploads.
  const std::shared_ptr<Logger> logger_ = ClosedLogger();
  const SimulatedClock clock_;

  Mutex mutex_;
  std::mt19937_64 random_ DM_GUARDED_BY(mutex_){20260102};  // The same draws each time.
  std::set<State> drawn_ DM_GUARDED_BY(mutex_);
  std::set<uint64_t> seen_ DM_GUARDED_BY(mutex_);
  Survey survey_ DM_GUARDED_BY(mutex_);
};

// Reads the records of a file; returns whether it consists only of whole ones.
bool ReadFrames(const Ledger& ledger, const std::string& bytes, std::vector<std::string>& ids) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  for (bool metadata = true; at != end; metadata = false) {
    uint64_t size = 0;
    at = capture_file::ReadVarint(at, end, &size);
    if (at == nullptr || size == 0 || size > static_cast<uint64_t>(end - at)) return false;
    if (!metadata) {
      ids.push_back(ledger.IdOf(std::string(at, size)));
      if (ids.back().empty()) {
        ids.pop_back();
        return false;
      }
    }
    at += size;
  }
  return !bytes.empty();
}

State DrawInBatch(const Recording& recording, uint64_t seed) {
  std::mt19937_64 random(seed);
  // Often at the end, where all is promised.
  State state{.count = random() % 4 == 0 ? recording.batch_end()
                                         : random() % (recording.batch_end() + 1)};
  const std::vector<size_t> unflushed = recording.journaled()
                                            ? DrawJournalEnd(recording, state, random)
                                            : Unflushed(recording.changes(), state.count);
  if (unflushed.empty()) return state;
  const bool few = random() % 2 == 0;
  const size_t many = few ? 1 + random() % kMisfortunes : (unflushed.size() + 1) / 2;
  for (size_t i = 0; i < many; ++i) {
    const size_t change = unflushed[random() % unflushed.size()];
    const std::vector<Misfortune> possible = MisfortunesOf(recording.changes()[change]);
    state.misfortunes[change] = possible[random() % possible.size()];
  }
  return state;
}

std::vector<std::string> BrokenInBatch(const Recording& recording, const State& state) {
  const Image image =
      AfterPowerCut(recording.begin(), recording.changes(), state.count, state.misfortunes);
  std::vector<std::string> broken;
  std::unordered_map<std::string, int> found;
  for (const auto& [path, object] : image.names) {
    const bool complete = capture_file::IsComplete(path);
    if (!complete && !capture_file::IsInProgress(path)) continue;
    const auto contents = image.contents.find(object);
    std::vector<std::string> ids;
    const bool whole = ReadFrames(recording.ledger(),
                                  contents == image.contents.end() ? "" : contents->second, ids);
    // One file was damaged before the recording.
    if (complete && !whole && !recording.begin().names.contains(path)) {
      broken.push_back("torn: " + path);
    }
    for (const std::string& id : ids) {
      if (++found[id] == 2) broken.push_back("twice: " + id);
    }
  }
  for (const std::string& id : recording.Promised(state.count)) {
    if (!found.contains(id)) broken.push_back("lost or altered: " + id);
  }
  return broken;
}

}  // namespace

Survey SurveyBatch(const Recording& recording, size_t samples, uint64_t first_seed) {
  Mutex mutex;
  Survey survey;
  std::atomic<uint64_t> next{0};
  const auto work = [&] {
    for (uint64_t i = next++; i < samples; i = next++) {
      const State state = DrawInBatch(recording, first_seed + i);
      std::vector<std::string> broken = BrokenInBatch(recording, state);
      MutexLock lock(mutex);
      ++survey.tried;
      if (broken.empty() || survey.broken_states++ > 0) continue;
      survey.broken = std::move(broken);
      survey.broken.push_back(
          absl::StrCat("seed ", first_seed + i, ": ", Describe(recording, state)));
    }
  };
  std::vector<std::jthread> others(std::max(std::thread::hardware_concurrency(), 1U) - 1);
  for (std::jthread& other : others) other = std::jthread(work);
  work();
  others.clear();
  return survey;
}

Recording::Recording(const Options& options)
    : drops_directories_(options.flaws.drops_directory_flushes),
      journaled_(options.commit_method == CommitMethod::kAnchor) {
  for (const std::string& id : scenario_.ledger().acknowledged()) published_[id] = 0;
  scenario_.disk().Heal();
  scenario_.disk().SetFlaws(options.flaws);
  scenario_.disk().Record();
  scenario_.OnRest([this] { NoteRecordsOf(/*in_progress=*/false, published_); });
  if (options.durability == Durability::kPeriodic) {
    scenario_.FlushLive([this] { NoteRecordsOf(/*in_progress=*/true, flushed_); },
                        options.flaws_of_live_flushes);
  }
  scenario_.OnStored([this](const testing::UploadCall& call) {
    stored_.emplace_back(scenario_.disk().change_count(), call);
  });
  scenario_.disk().SetCommitMethod(options.commit_method);
  scenario_.Start();
  if (options.batch > 0) {
    scenario_.RunBatch(options.batch);
  } else {
    scenario_.Run(options.rounds);
  }
  batch_end_ = scenario_.disk().change_count();
  EXPECT_TRUE(scenario_.Drain());
  scenario_.End();
  EXPECT_EQ(scenario_.BrokenRules(), std::vector<std::string>());
}

void Recording::NoteRecordsOf(bool in_progress, Promises& promises) const {
  for (const std::string& path : Waiting(places())) {
    if (in_progress ? !capture_file::IsInProgress(path) : !capture_file::IsComplete(path)) continue;
    for (const std::string& message : ReadCaptureFile(path).messages) {
      promises.emplace(ledger().IdOf(message), scenario_.disk().change_count());
    }
  }
}

std::vector<std::string> Recording::Promised(size_t count) const {
  std::set<std::string> promised;
  for (const Promises* const promises : {&published_, &flushed_}) {
    for (const auto& [id, since] : *promises) {
      if (since <= count) promised.insert(id);
    }
  }
  return {promised.begin(), promised.end()};
}

bool Recording::OnlyFlushed(const std::string& id, size_t count) const {
  const auto published = published_.find(id);
  return published == published_.end() || published->second > count;
}

std::vector<testing::UploadCall> Recording::Stored(size_t count) const {
  std::vector<testing::UploadCall> stored;
  for (const auto& [since, call] : stored_) {
    if (since <= count) stored.push_back(call);
  }
  return stored;
}

Survey SurveyStates(const Recording& recording, size_t goal) {
  return Surveyor(recording, goal).Run();
}

void Print(const Survey& survey) {
  if (survey.distinct == 0) {  // States of a batch are not compared.
    std::printf("power loss of a batch: %zu states tried, %zu with a broken rule\n", survey.tried,
                survey.broken_states);
    return;
  }
  std::printf(
      "power loss: %zu states tried, %zu distinct, %zu with a broken rule; in %zu of them %zu "
      "records that were not flushed have zeros inside\n",
      survey.tried, survey.distinct, survey.broken_states, survey.states_with_altered,
      survey.altered_records);
}

}  // namespace datamanager::simulation
