// The directories that are walked, as they are found at the moment.
#ifndef DATAMANAGER_SRC_SYNC_ROOTS_H_
#define DATAMANAGER_SRC_SYNC_ROOTS_H_

#include <optional>
#include <string>
#include <vector>

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

// nullopt, with errno set, if `path` leads to no directory.
std::optional<Root> FindRoot(FileOps& ops, const std::string& path, DirectorySummary::Role role);

// The capture directory, the additional paths, the former capture directories: those that exist,
// each once though several paths may lead there. What is both additional and former is additional.
std::vector<Root> RootsOf(FileOps& ops, const config::SyncConfig& config,
                          const FormerRoots& former);

}  // namespace datamanager::sync

#endif  // DATAMANAGER_SRC_SYNC_ROOTS_H_
