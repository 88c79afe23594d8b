// One pass over one root: which of its files is uploaded next.
#ifndef DATAMANAGER_SRC_SYNC_ROOT_PASS_H_
#define DATAMANAGER_SRC_SYNC_ROOT_PASS_H_

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/file_ops.h"
#include "base/strings.h"
#include "base/unique_fd.h"
#include "config/effective_config.h"
#include "sync/backlog.h"
#include "sync/complaints.h"
#include "sync/directory_walker.h"
#include "sync/file_check.h"
#include "sync/found_file.h"
#include "sync/job.h"
#include "sync/roots.h"
#include "sync/sync_context.h"

namespace datamanager::sync {

// Sees each ready file before it is claimed; false passes it over. Called on any thread.
using FileFilter = std::function<bool(const FoundFile&, const struct stat&)>;

// Gives every file below a root once that is ready, that nobody has and that does not wait for a
// retry. A step is bounded: it looks at no more than kStepEntries. One thread at a time.
class RootPass {
 public:
  static constexpr int kStepEntries = 256;
  // So many sequences are asked about at a time whether they wait for their data.
  static constexpr size_t kMostSequences = 1024;

  // Its two rows of files take turns, so that neither holds up the other.
  enum class Row : uint8_t {
    kBacklog,  // Capture files, from the oldest on.
    kOther,    // Others, in the order of a walk.
  };
  enum class Result : uint8_t {
    kFile,
    kNotYet,   // The step was used up without a file.
    kNothing,  // The row is empty.
    kBusy,     // Of a pass of several roots: other threads are at work in those that have files.
  };

  struct Options {
    FileFilter filter;
    Backlog::Limits limits;
    size_t most_files = 0;  // Of the backlog, that it keeps at a time.
  };

  // All references must outlive it. `path` is the configured one.
  RootPass(SyncContext& context, const FileCheck& check, Complaints& complaints, std::string path,
           DirectorySummary::Role role, Options options, std::stop_token stop);
  RootPass(const RootPass&) = delete;
  RootPass& operator=(const RootPass&) = delete;

  const std::string& path() const { return path_; }

  // The first step: looks where the path leads. Nullopt: there is nothing to walk.
  std::optional<Root> Resolve();
  // Then: all roots of the pass, this one at `index`. It enters none of the others.
  void Begin(std::shared_ptr<const std::vector<Root>> roots, size_t index);
  // Then, until both rows are empty. kFile: `job` is filled.
  Result Next(Row row, std::optional<Job>& job);
  // Looks whether the row has another file, and leaves it for Next.
  Result LookAhead(Row row);

  // Once both rows are empty.
  const Complaints::Heard& heard() const { return heard_; }
  uint64_t blocked_files() const { return blocked_files_; }
  uint64_t blocked_directories() const { return blocked_directories_; }

 private:
  // Reads through the directories for what is oldest, and for whether there are others. False: not
  // to the end yet.
  bool CollectBacklog();
  // Without a `job` it leaves the file that it finds.
  Result Step(Row row, std::optional<Job>* job);
  // The stamp of a file that belongs to the backlog. `add`: of one that may come to.
  std::optional<capture_file::CompleteStamp> StampOf(const DirectoryWalker::Entry& entry, bool add);
  Result NextOldest(std::optional<Job>* job);
  Result NextOther(std::optional<Job>* job);
  Result NextSequence(std::optional<Job>* job);
  // Whether those that were found wait for their data.
  void AskAboutSequences();
  // Whether file_, which lies in the directory, is ready and free. Fills in `info`.
  bool IsDrawable(const OpenedDirectory& directory, struct stat& info);
  // Claims it if it is. Without a `job` it tells only whether it would.
  bool Claim(const OpenedDirectory& directory, std::optional<Job>* job);
  // Of the backlog. Without a descriptor, if nothing can be taken from it.
  OpenedDirectory Open(int directory);
  DirectoryWalker NewWalker() const;

  SyncContext& context_;
  FileOps& ops_;
  const FileCheck& check_;
  Complaints& complaints_;
  const std::string path_;
  const DirectorySummary::Role role_;
  const Options options_;
  const std::stop_token stop_;
  Complaints::Heard heard_;
  const Complain complain_ = [this](const absl::Status& status) {
    if (complaints_.Hear(ToStd(status.message()), heard_)) {
      context_.options.logger->Warning(std::string(status.message()));
    }
  };
  std::shared_ptr<const std::vector<Root>> roots_;
  size_t index_ = 0;

  Backlog backlog_;
  bool first_walk_ = true;
  bool others_ = false;  // Whether there are files that are not the backlog's.
  std::optional<DirectoryWalker> backlog_walker_;
  std::optional<DirectoryWalker> other_walker_;
  // What was found and left, by row. The walker stays at the entry.
  std::optional<Backlog::File> left_oldest_;
  const DirectoryWalker::Entry* left_other_ = nullptr;
  std::vector<FoundFile> sequences_;       // Not asked about yet.
  std::vector<FoundFile> free_sequences_;  // That wait for nothing. The last one goes first.
  FoundFile file_;                         // Whose turn it is; kept for the storage of its strings.
  uint64_t blocked_files_ = 0;
  uint64_t blocked_directories_ = 0;

  struct Opened {
    int directory = -1;
    UniqueFd fd;
    struct stat info {};
  };
  const size_t most_open_;
  std::vector<Opened> opened_;
  const uid_t user_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_ROOT_PASS_H_
