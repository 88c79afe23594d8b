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
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "config/effective_config.h"
#include "datamanager/stats.h"
#include "sync/disk_room.h"
#include "sync/roots.h"
#include "sync/sync_context.h"
#include "sync/timeline.h"

namespace datamanager::sync {

// The resource that is used up. Several may be: bytes come before inodes, and the numbers before
// limits that only refused writes show.
enum class Limit : uint8_t {
  kNone,
  kBytes,
  kInodes,
  kQuota,    // Writes are refused with EDQUOT.
  kUnknown,  // Writes are refused with ENOSPC, whatever the numbers are.
};
// Its name in the log: "disk space", "inodes", ...
std::string_view LimitName(Limit limit);

enum class Need : uint8_t {
  kNone,          // There is room.
  kOthersFillIt,  // There is not, but the capture directory takes too little to blame it.
  kEvict,
};
// Returns the need by the thresholds of the config, which hold for bytes and for inodes. If writes
// are refused, with the errno `refused`, there is need whatever the thresholds are: otherwise
// nothing new would be kept. Pure.
Need NeedOf(const config::RetentionConfig& config, const DiskUsage& usage, int refused = 0);
// Returns the cause of the need. Pure.
Limit LimitOf(const config::RetentionConfig& config, const DiskUsage& usage, int refused = 0);

enum class Step : uint8_t { kKeep, kEvict, kStop };
// What becomes of the next file. Those set aside under failed/ come first and go one and all: the
// server will not have them, and nothing else ever bounds them. Of those that wait, whose `index`
// counts from 0 in the order of their age, every nth goes, so that of a long time a thinner record
// stays rather than none of its beginning. Pure.
Step NextStep(const config::RetentionConfig& config, const DiskUsage& usage, bool set_aside,
              uint64_t index, int refused = 0);

// The refused writes since the last pass.
struct RefusedWrites {
  int error = 0;  // ENOSPC or EDQUOT; 0: nothing was refused.
  // Evict a little although a new file in the capture directory is taken: writes were refused again
  // and again, so another limit must hold where those writers write.
  bool insist = false;
};

// What a pass did.
struct RetentionResult {
  Need need = Need::kNone;        // As it began.
  Need need_after = Need::kNone;  // As it ended.
  Limit limit = Limit::kNone;     // The cause of the need, as the pass began.
  DiskUsage before;
  DiskUsage after;
  Room room;                                 // As it ended, where writers were refused.
  FileCount set_aside;                       // Evicted of what was set aside.
  std::map<std::string, FileCount> evicted;  // Of what waited, by the collector's directory.
  absl::Status error;                        // The last file that could not be evicted.
  // There is still need, but evicting made no room, or there was nothing to evict.
  bool fruitless = false;
  // Writers were refused, but the capture directory takes a new file.
  bool refused_elsewhere = false;
};

// One pass over the capture directory, and over those of earlier configs on its volume. Goes from
// the oldest file to the newest that was there when it began, a batch at a time, each found by a
// walk of its own, so that memory does not grow with the backlog.
//
// It evicts in steps, and measures the room after each: two steps in a row that made no room end
// the pass, because further files would be lost for nothing (another process takes what becomes
// free, or a snapshot holds what is removed).
//
// A file is a candidate if its name is one that capture gives, suffix and time; below failed/, any
// file is. A file that is claimed or locked is passed over; one that waits for a retry is not. Used
// once, by one thread.
class RetentionPass {
 public:
  static constexpr size_t kBatch = 16384;
  static constexpr int kStepFiles = 16;
  static constexpr int kFruitlessSteps = 2;
  // How many steps are tried while something becomes free, but no number shows progress against the
  // limit that refuses writes.
  static constexpr int kBlindSteps = 64;

  // Both configs must outlive it.
  RetentionPass(SyncContext& context, Timeline& timeline, const config::SyncConfig& walked,
                const config::RetentionConfig& config, std::stop_token stop,
                RefusedWrites refused = {}, size_t batch = kBatch);

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
  enum class Outcome : uint8_t {
    kEvicted,
    kPassedOver,  // Gone, or in use.
    kFailed,
  };
  absl::Status ReadUsage();
  // Measures whether writers are still refused; if so, `refused_` is the errno.
  void LookAtRefusals();
  void Measure();
  bool Gained() const;
  // Ends a step and measures what it has gained; false: the pass must end.
  bool EndStep();
  bool EvictBatch(std::vector<Candidate>& batch);
  // Calls `visit` with each candidate and `add` with what each file takes, if there is an `add`.
  bool Walk(const std::function<void(Candidate)>& visit, const std::function<void(uint64_t)>& add);
  void RememberAhead();
  // The oldest after `last_`, from old to young.
  std::vector<Candidate> NextBatch(bool first);
  Outcome Evict(const Candidate& candidate);
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
  RefusedWrites reported_;
  int refused_ = 0;  // Errno of writes refused at this moment, as far as known.
  DiskUsage usage_;
  DiskUsage step_usage_;  // As the step began.
  Room room_;
  Room step_room_;
  uint64_t index_ = 0;   // Index of the next waiting file.
  int in_step_ = 0;      // Files of this step, evicted or not removable.
  bool gained_ = false;  // Whether any step made room.
  int fruitless_steps_ = 0;
  int blind_steps_ = 0;
  RetentionResult result_;
  std::optional<Candidate> last_;    // Dealt with.
  std::optional<Candidate> newest_;  // When the pass began.
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_RETENTION_H_
