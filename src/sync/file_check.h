// The looks at a file right before it is claimed.
#ifndef DATAMANAGER_SRC_SYNC_FILE_CHECK_H_
#define DATAMANAGER_SRC_SYNC_FILE_CHECK_H_

#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "config/effective_config.h"
#include "sync/found_file.h"
#include "sync/job.h"
#include "sync/permission.h"
#include "sync/sync_context.h"

namespace datamanager::sync {

// Thread-safe.
class FileCheck {
 public:
  // Both must outlive it.
  FileCheck(SyncContext& context, const config::SyncConfig& config)
      : context_(context), config_(config) {}

  struct Look {
    bool ready = false;
    struct stat info {};
    absl::Status blocked;  // Why it may not be uploaded.
  };
  // Whether it is a file that may be uploaded, and that is ready. Fills in what the look tells of
  // `file`, whose root, path and kind are given. Blocks on the disk.
  Look LookAt(const OpenedDirectory& directory, FoundFile& file) const;
  // The same for a file whose directory is not open.
  Look LookAt(FoundFile& file) const;
  // For each sequence of one root, whether it is held back because data of it wait for their
  // upload. LookAt does not tell: it takes as long for one as for all of them. Blocks on the disk.
  std::vector<bool> AreHeld(const std::vector<FoundFile>& sequences) const;

  // Whether it is free: nobody here has it, and it does not wait for a retry.
  bool IsFree(const FoundFile& file) const;
  // Claims it if nobody has it, with what is known of earlier tries.
  std::optional<Job> Claim(FoundFile file, std::shared_ptr<const DirectUpload> direct = {}) const;

 private:
  // Whether it has been left alone long enough.
  bool IsReady(FileKind kind, const struct stat& info) const;
  MonotonicTime Now() const { return context_.options.clock->MonotonicNow(); }

  SyncContext& context_;
  const config::SyncConfig& config_;
};

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_FILE_CHECK_H_
