#include "sync/roots.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/strings.h"

namespace datamanager::sync {

absl::StatusOr<Root> FindRoot(FileOps& ops, const std::string& path, DirectorySummary::Role role) {
  const std::unique_ptr<char, void (*)(void*)> resolved(realpath(path.c_str(), nullptr),
                                                        &std::free);
  struct stat info {};
  if (resolved == nullptr || ops.Lstat(resolved.get(), &info) != 0) {
    return ErrnoStatus(errno, "resolve", path);
  }
  if (!S_ISDIR(info.st_mode)) return ErrnoStatus(ENOTDIR, "walk", path);
  return Root{.path = resolved.get(), .id = FileId::Of(info), .role = role};
}

std::vector<Root> RootsOf(FileOps& ops, const config::SyncConfig& config, const FormerRoots& former,
                          const Complain& complain) {
  return RootsOf(config, former, complain,
                 [&ops](const std::string& path, DirectorySummary::Role role) {
                   return FindRoot(ops, path, role);
                 });
}

std::vector<Root> RootsOf(const config::SyncConfig& config, const FormerRoots& former,
                          const Complain& complain, const FindsRoot& find) {
  std::vector<Root> roots;
  const auto add = [&](const std::string& path, DirectorySummary::Role role) {
    absl::StatusOr<Root> root = find(path, role);
    if (!root.ok()) {
      if (!absl::IsNotFound(root.status())) complain(root.status());
      return;
    }
    const bool known = std::any_of(roots.begin(), roots.end(),
                                   [&](const Root& other) { return other.id == root->id; });
    if (!known) roots.push_back(*std::move(root));
  };
  add(config.capture_directory, DirectorySummary::Role::kCapture);
  for (const std::string& path : config.additional_paths) {
    add(path, DirectorySummary::Role::kAdditional);
  }
  for (const std::string& path : former.Paths()) add(path, DirectorySummary::Role::kFormer);
  return roots;
}

}  // namespace datamanager::sync
