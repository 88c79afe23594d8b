#include "sync/resume_points.h"

namespace datamanager::sync {

void ResumePoints::Put(const FileId& file, const FileVersion& version, std::string_view cloud,
                       uint64_t offset) {
  if (offset == 0) {
    Forget(file);
    return;
  }
  MutexLock lock(mutex_);
  const Point point{.version = version, .cloud = std::string(cloud), .offset = offset};
  if (!points_.insert_or_assign(file, point).second) return;
  oldest_first_.push_back(file);
  while (points_.size() > kMost || oldest_first_.size() > 2 * kMost) {
    points_.erase(oldest_first_.front());
    oldest_first_.pop_front();
  }
}

void ResumePoints::Forget(const FileId& file) {
  MutexLock lock(mutex_);
  points_.erase(file);
}

uint64_t ResumePoints::Find(const FileId& file, const FileVersion& version,
                            std::string_view cloud) const {
  MutexLock lock(mutex_);
  const auto found = points_.find(file);
  if (found == points_.end()) return 0;
  const Point& point = found->second;
  return point.version == version && point.cloud == cloud ? point.offset : 0;
}

}  // namespace datamanager::sync
