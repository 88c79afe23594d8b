// How tries of uploads ended, for those who wait for one.
#ifndef DATAMANAGER_SRC_SYNC_UPLOAD_OUTCOMES_H_
#define DATAMANAGER_SRC_SYNC_UPLOAD_OUTCOMES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file_ops.h"
#include "base/mutex.h"
#include "datamanager/clock.h"
#include "sync/upload_error.h"

namespace datamanager::sync {

struct UploadOutcome {
  FileId file;
  absl::Status status;  // OK: stored.
  Verdict verdict = Verdict::kStored;
  std::string binary_data_id;  // By which the server knows it.
  uint64_t bytes = 0;
  absl::Status removed;  // Why a stored file is still there.
};

// Thread-safe.
class UploadOutcomes {
 public:
  // Whoever waits; forgotten when it is destroyed.
  class Expectation {
   public:
    // The first try of `path` that ends from here on, of those made for `caller`, or of those that
    // are anybody's.
    Expectation(UploadOutcomes& outcomes, std::string path, const void* caller = nullptr)
        DM_EXCLUDES(outcomes.mutex_);
    ~Expectation() DM_EXCLUDES(outcomes_.mutex_);
    Expectation(const Expectation&) = delete;
    Expectation& operator=(const Expectation&) = delete;

    // Right before the caller's own file gets its name: what was told so far is not of it, though
    // another file may have had the same inode until a moment ago.
    void AboutToName() DM_EXCLUDES(outcomes_.mutex_);
    // It has the name: only tries of this very file count, since AboutToName.
    void OnlyOf(FileId file) DM_EXCLUDES(outcomes_.mutex_);
    // Blocks for its end. nullopt: not by the deadline, or not before the stop.
    std::optional<UploadOutcome> Await(MonotonicTime deadline, std::stop_token stop)
        DM_EXCLUDES(outcomes_.mutex_);

   private:
    friend class UploadOutcomes;
    UploadOutcomes& outcomes_;
    const std::string path_;
    const void* const caller_;
    std::optional<FileId> file_ DM_GUARDED_BY(outcomes_.mutex_);
    // All that were told: which of them counts may be known only later.
    std::vector<UploadOutcome> told_ DM_GUARDED_BY(outcomes_.mutex_);
    size_t told_before_ DM_GUARDED_BY(outcomes_.mutex_) = 0;  // When AboutToName was called.
  };

  // A try has ended. Does not block.
  void Report(const std::string& path, const void* caller, const UploadOutcome& outcome)
      DM_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  CondVar changed_;
  std::set<Expectation*> expectations_ DM_GUARDED_BY(mutex_);
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_UPLOAD_OUTCOMES_H_
