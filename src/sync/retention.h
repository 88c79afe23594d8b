// Makes room when the disk is full: evicts captured files that have not been uploaded.
#ifndef DATAMANAGER_SRC_SYNC_RETENTION_H_
#define DATAMANAGER_SRC_SYNC_RETENTION_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "config/effective_config.h"
#include "datamanager/stats.h"
#include "sync/roots.h"
#include "sync/sync_context.h"
#include "sync/timeline.h"

namespace datamanager::sync {

// Of the volume that holds the capture directory, in bytes.
struct DiskUsage {
  uint64_t size = 0;
  uint64_t available = 0;  // To who is not privileged.
  uint64_t captured = 0;   // What the capture directory takes, all files in it.

  double used() const;
  double captured_share() const;
};

enum class Need : uint8_t {
  kNone,          // There is room.
  kOthersFillIt,  // There is not, but the capture directory takes too little to blame it.
  kEvict,
};
Need NeedOf(const config::RetentionConfig& config, const DiskUsage& usage);  // Pure.

enum class Step : uint8_t { kKeep, kEvict, kStop };
// What becomes of the next file. Those set aside under failed/ come first and go one and all: the
// server will not have them, and nothing else ever bounds them. Of those that wait, whose `index`
// counts from 0 in the order of their age, every nth goes, so that of a long time a thinner record
// stays rather than none of its beginning. Pure.
Step NextStep(const config::RetentionConfig& config, const DiskUsage& usage, bool set_aside,
              uint64_t index);

// What a pass did.
struct RetentionResult {
  Need need = Need::kNone;        // As it began.
  Need need_after = Need::kNone;  // As it ended.
  DiskUsage before;
  DiskUsage after;
  FileCount set_aside;                       // Evicted of what was set aside.
  std::map<std::string, FileCount> evicted;  // Of what waited, by the collector's directory.
  absl::Status error;                        // The last file that could not be evicted.
};

// One pass over the capture directory, and over those of earlier configs on its volume. Goes from
// the oldest file to the newest that was there when it began, a batch at a time, each found by a
// walk of its own, so that memory does not grow with the backlog.
//
// A file is a candidate if its name is one that capture gives, suffix and time; below failed/, any
// is. One that somebody has claimed or locked is passed over; one that waits for a retry is not.
// Used once, by one thread.
class RetentionPass {
 public:
  static constexpr size_t kBatch = 16384;

  // Both configs must outlive it.
  RetentionPass(SyncContext& context, Timeline& timeline, const config::SyncConfig& walked,
                const config::RetentionConfig& config, std::stop_token stop, size_t batch = kBatch);

  // An error if the usage cannot be read. What cannot be walked or evicted does not end the pass.
  absl::StatusOr<RetentionResult> Run();

 private:
  // Orders what there is: what was set aside first, then from old to young.
  struct Candidate {
    bool waiting = false;
    Timeline::Place place;
    size_t root = 0;
    std::string relative;

    friend auto operator<=>(const Candidate&, const Candidate&) = default;
  };
  absl::Status ReadUsage();
  // Calls `visit` with each candidate and `add` with what each file takes, if there is an `add`.
  bool Walk(const std::function<void(Candidate)>& visit, const std::function<void(uint64_t)>& add);
  void RememberAhead();
  // The oldest after `last_`, from old to young.
  std::vector<Candidate> NextBatch(bool first);
  bool Evict(const Candidate& candidate);
  bool IsEvictable(const Root& root) const;

  SyncContext& context_;
  FileOps& ops_;
  Timeline& timeline_;
  const std::string& capture_directory_;
  const config::RetentionConfig& config_;
  const std::stop_token stop_;
  const size_t batch_;
  const Complain complain_ = [this](const absl::Status& status) {
    context_.options.logger->Debug(absl::StrCat("retention: ", status.ToString()));
  };
  std::vector<Root> roots_;  // All that are walked; the capture directory first.
  DiskUsage usage_;
  RetentionResult result_;
  std::optional<Candidate> last_;    // Dealt with.
  std::optional<Candidate> newest_;  // When the pass began.
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_RETENTION_H_
