// Cuts the power at every moment of a run, and looks at what comes of it.
#ifndef DATAMANAGER_TESTS_SIMULATION_POWER_LOSS_H_
#define DATAMANAGER_TESTS_SIMULATION_POWER_LOSS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/logger.h"
#include "tests/simulation/medium.h"
#include "tests/simulation/scenario.h"
#include "tests/support/temp_dir.h"

namespace datamanager::simulation {

// A run of the scenario for some rounds, as far as a power cut is concerned. What is published when
// the keeper rests is promised to be durable, and so is what lay there before. So is, with
// kPeriodic, what is in a file in progress when its flush is done.
class Recording {
 public:
  struct Options {
    int rounds = 1;
    int batch = 0;  // Not 0: that many collectors instead of rounds; see Scenario::RunBatch.
    CommitMethod commit_method = CommitMethod::kInTurn;
    Durability durability = Durability::kPublished;
    Flaws flaws;
    Flaws flaws_of_live_flushes;
  };
  explicit Recording(const Options& options);

  const Image& begin() const { return scenario_.disk().recorded_from(); }
  const std::vector<Change>& changes() const { return scenario_.disk().changes(); }
  const Places& places() const { return scenario_.places(); }
  const Ledger& ledger() const { return scenario_.ledger(); }
  // The records promised when `count` changes had been made, and the uploads stored.
  std::vector<std::string> Promised(size_t count) const;
  // Of these, whether only a flush of a file in progress stands for it.
  bool OnlyFlushed(const std::string& id, size_t count) const;
  std::vector<testing::UploadCall> Stored(size_t count) const;
  // How many changes there were when all was published, and nothing uploaded yet.
  size_t batch_end() const { return batch_end_; }
  // Whether the disk drops flushes of directories.
  bool drops_directories() const { return drops_directories_; }
  // Whether the disk has a journal that keeps changes in their order.
  bool journaled() const { return journaled_; }

 private:
  using Promises = std::map<std::string, size_t>;  // By how many changes.

  void NoteRecordsOf(bool in_progress, Promises& promises) const;

  const bool drops_directories_;
  const bool journaled_;
  const testing::TempDir base_{testing::MemoryDirectory()};
  mutable Scenario scenario_{base_.path(), ClosedLogger()};
  Promises published_;
  Promises flushed_;
  size_t batch_end_ = 0;
  std::vector<std::pair<size_t, testing::UploadCall>> stored_;
};

struct Survey {
  size_t tried = 0;
  size_t distinct = 0;
  size_t altered_records = 0;  // Not promised, published, and with zeros inside.
  size_t states_with_altered = 0;
  size_t broken_states = 0;
  std::vector<std::string> broken;  // What is broken in the first of them.
};

// Draws states of the medium until `goal` distinct ones have been seen: the disk as it was after
// each change, and then any changes with any misfortunes. In each, a new process recovers and
// uploads all data. Rules: this ends and leaves nothing; what is promised is stored or set aside
// unchanged, once; nothing is there twice; no remainder is left unfinished; the server can read
// what it is sent. A state counts as distinct by the contents of the disk, the promises, and the
// stored uploads.
Survey SurveyStates(const Recording& recording, size_t goal);

// Checks `samples` states of the medium up to the end of a batch, each drawn by a seed of its own
// from `first_seed` on: the disk after any change, often the last one, and then a few of the
// unflushed changes, or about half of them, with any misfortunes. Starts no process on them, so
// that there can be many. Rules: each published file is whole; what is promised is in a file
// unchanged; nothing is there twice.
Survey SurveyBatch(const Recording& recording, size_t samples, uint64_t first_seed = 1);

// A line for the log of a test.
void Print(const Survey& survey);

}  // namespace datamanager::simulation

#endif  // DATAMANAGER_TESTS_SIMULATION_POWER_LOSS_H_
