// Makes batches of files durable, on threads that a hanging disk may keep.
#ifndef DATAMANAGER_SRC_BASE_COMMITTER_H_
#define DATAMANAGER_SRC_BASE_COMMITTER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/commit_method.h"
#include "base/durable_names.h"
#include "base/file_ops.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "datamanager/clock.h"

namespace datamanager {

struct CommitterOptions {
  FileOps* ops = &FileOps::System();
  const Clock* clock = &Clock::System();
  // How long a commit may take before the caller goes on without it.
  std::chrono::milliseconds patience = std::chrono::seconds(10);
  // Called now and then while the caller waits for a commit.
  std::chrono::milliseconds meanwhile_interval{500};
  std::function<void()> meanwhile = [] {};
  // Called on any thread when a commit that outlasted its caller's patience has ended.
  std::function<void()> recovered = [] {};
};

// Commits the files of one device at a time, in the way that suits its file system (see
// CommitMethod). The system calls run on short-lived threads, at most kMaxThreads in all, those
// that hang included; without threads, and for file systems in memory, on the caller's. So a disk
// that hangs keeps threads, but not the caller: it waits for `patience`, and the device then counts
// as hanging until its calls have returned.
//
// Only EndBy may be called from another thread. What the threads use is co-owned by them.
class Committer {
 public:
  static constexpr size_t kMaxThreads = 32;

  struct File {
    std::shared_ptr<const UniqueFd> descriptor;
    std::string path;  // For errors, and to find its directory.
  };
  // nullopt: the call has not returned, and may or may not succeed later.
  using Outcome = std::optional<absl::Status>;
  struct Outcomes {
    std::vector<Outcome> each;  // In the order of what was to be committed.
    bool names = false;         // The names of files that existed before the call are durable too.
  };

  explicit Committer(CommitterOptions options);
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Makes durable what is in the files, and their sizes. All lie on `device`, which does not hang.
  Outcomes CommitFiles(dev_t device, const std::vector<File>& files);
  // Makes the entries of the directories durable, and the directories' own names.
  std::vector<Outcome> CommitDirectories(dev_t device, const std::vector<std::string>& paths);

  // Whether calls to the device have outlasted a caller's patience, and have not returned yet.
  bool Hangs(dev_t device) const;
  // No call of this class waits beyond `time` from here on.
  void EndBy(MonotonicTime time);
  // Closes the anchors, which keep their file systems from being unmounted.
  void Release();

 private:
  struct Anchor;
  struct Job;
  struct Shared;
  // What was found out of a device's mount.
  struct Device {
    CommitMethod method = CommitMethod::kEach;
    int64_t mount = -1;
    MonotonicTime found = MonotonicTime::min();
    std::shared_ptr<Anchor> anchor;
  };
  using Step = std::function<absl::Status()>;

  Device& Find(dev_t device, const File& file);
  // Runs the steps, and returns what has come of each by then. `threads` at most.
  std::vector<Outcome> Run(dev_t device, std::vector<Step> steps, size_t threads);
  std::vector<Outcome> FlushEach(dev_t device, const std::vector<File>& files, size_t threads);
  // Writes the files' data back and waits for it, then runs `commit`, which stands for all files;
  // where that fails, flushes each.
  Outcomes CommitTogether(dev_t device, const std::vector<File>& files, Step commit);
  Step AnchorStep(dev_t device, std::shared_ptr<Anchor>& anchor, const std::string& directory);

  const CommitterOptions options_;
  const std::shared_ptr<Shared> shared_;
  std::map<dev_t, Device> devices_;
};

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_COMMITTER_H_
