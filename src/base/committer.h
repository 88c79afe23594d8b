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

// Commits the files of one device at a time, with the CommitMethod that suits its file system. The
// system calls run on short-lived threads, at most kMaxThreads in all, including those that hang;
// if no thread can be started, and for file systems in memory, they run on the caller's thread. A
// disk that hangs therefore blocks threads but not the caller: it waits for `patience`, and the
// device then counts as hanging until its calls have returned.
//
// Only EndBy may be called from another thread. The threads co-own all that they use.
class Committer {
 public:
  static constexpr size_t kMaxThreads = 32;

  struct File {
    std::shared_ptr<const UniqueFd> descriptor;
    std::string path;  // Used in errors, and to find its directory.
  };
  // nullopt: the call has not returned, and may or may not succeed later.
  using Outcome = std::optional<absl::Status>;
  struct Outcomes {
    std::vector<Outcome> each;  // In the order of the arguments.
    // What is durable where `each` is OK.
    enum class Extent : uint8_t {
      kData,          // The data and sizes.
      kDataAndNames,  // Also the names that the files had before the call.
      // Nothing yet: the data is written back, and CommitNames commits it together with the names.
      // Until then a power cut may undo it, but it then also undoes every change made after this
      // call.
      kWithNames,
    } extent = Extent::kData;
  };

  explicit Committer(CommitterOptions options);
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Makes the data and the sizes of the files durable. All lie on `device`, which does not hang.
  Outcomes CommitFiles(dev_t device, const std::vector<File>& files);
  // Makes the entries of the directories and the directories' own names durable. `files` is what
  // CommitFiles returned for the files in them; with kWithNames the call commits these too. If that
  // fails, nothing is known of any file: call CommitFiles again, which then flushes each by itself.
  std::vector<Outcome> CommitNames(dev_t device, const std::vector<std::string>& directories,
                                   Outcomes::Extent files);

  // Whether calls to the device exceeded a caller's patience and have not returned yet.
  bool Hangs(dev_t device) const;
  // From this call on, no member waits beyond `time`.
  void EndBy(MonotonicTime time);
  // Closes the anchors: an open one keeps its file system from being unmounted.
  void Release();

 private:
  struct Anchor;
  struct Job;
  struct Shared;
  // The properties of a device's mount.
  struct Device {
    CommitMethod method = CommitMethod::kEach;
    int64_t mount = -1;
    MonotonicTime found = MonotonicTime::min();
    std::shared_ptr<Anchor> anchor;
  };
  using Step = std::function<absl::Status()>;

  Device& Find(dev_t device, const File& file);
  // Runs the steps on at most `threads` threads. Returns the outcomes known when it stops waiting.
  std::vector<Outcome> Run(dev_t device, std::vector<Step> steps, size_t threads);
  std::vector<Outcome> FlushEach(dev_t device, const std::vector<File>& files, size_t threads);
  // Writes the files' data back and waits for it, then runs `then`, which commits all files to
  // `extent`. If that fails, flushes each file.
  Outcomes CommitTogether(dev_t device, const std::vector<File>& files, Step then,
                          Outcomes::Extent extent);
  Step OpenAnchor(dev_t device, std::shared_ptr<Anchor>& anchor, const std::string& directory);
  Step FlushAnchor(std::shared_ptr<Anchor> anchor);

  const CommitterOptions options_;
  const std::shared_ptr<Shared> shared_;
  std::map<dev_t, Device> devices_;
};

}  // namespace datamanager

#endif  // DATAMANAGER_SRC_BASE_COMMITTER_H_
