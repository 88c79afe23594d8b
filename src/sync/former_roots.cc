#include "sync/former_roots.h"

#include <algorithm>
#include <utility>

#include "config/directories.h"

namespace datamanager::sync {

std::string FormerRoots::Move(const config::SyncConfig& before, const config::SyncConfig& after) {
  const auto walked = [&after](const std::string& path) {
    return config::IsSameOrInside(path, after.capture_directory) ||
           std::any_of(
               after.additional_paths.begin(), after.additional_paths.end(),
               [&path](const std::string& root) { return config::IsSameOrInside(path, root); });
  };
  MutexLock lock(mutex_);
  std::erase(paths_, before.capture_directory);
  paths_.push_back(before.capture_directory);
  std::erase_if(paths_, walked);
  if (paths_.size() <= kLimit) return "";
  std::string left = std::move(paths_.front());
  paths_.erase(paths_.begin());
  return left;
}

void FormerRoots::Drop(const std::string& path) {
  MutexLock lock(mutex_);
  std::erase(paths_, path);
}

std::vector<std::string> FormerRoots::Paths() const {
  MutexLock lock(mutex_);
  return paths_;
}

}  // namespace datamanager::sync
