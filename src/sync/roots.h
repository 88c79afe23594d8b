// The directories that are walked, as they are found at the moment.
#ifndef DATAMANAGER_SRC_SYNC_ROOTS_H_
#define DATAMANAGER_SRC_SYNC_ROOTS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "config/effective_config.h"
#include "datamanager/stats.h"
#include "sync/former_roots.h"

namespace datamanager::sync {

struct Root {
  std::string path;  // Without links.
  FileId id;
  DirectorySummary::Role role = DirectorySummary::Role::kCapture;
};

// Receives what cannot be walked or uploaded, and why; the rest goes on.
using Complain = std::function<void(const absl::Status&)>;

// NOT_FOUND if there is nothing at `path`; another error if that is no directory, or out of reach.
absl::StatusOr<Root> FindRoot(FileOps& ops, const std::string& path, DirectorySummary::Role role);

using FindsRoot =
    std::function<absl::StatusOr<Root>(const std::string& path, DirectorySummary::Role role)>;

// The capture directory, the additional paths, the former capture directories: those that exist,
// each once though several paths may lead there. What is both additional and former is additional.
std::vector<Root> RootsOf(FileOps& ops, const config::SyncConfig& config, const FormerRoots& former,
                          const Complain& complain);
// By another way to find each.
std::vector<Root> RootsOf(const config::SyncConfig& config, const FormerRoots& former,
                          const Complain& complain, const FindsRoot& find);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_ROOTS_H_
